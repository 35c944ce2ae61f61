"""Child processes: starting, naming, watching and ending them.

The start method is chosen, not inherited: fork on Linux, where it is cheap and the supervisor is
single-threaded, spawn elsewhere; everything works under both.

A worker costs some 20 ms of CPU, as much as 300 small objects. So a run begins with one, and others
follow when there is work for them; where botocore is needed, all are started before it is imported,
so that they carry none of it.

``SelectorLoop`` waits for all of them at once: their queues and their sentinels.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import selectors
import signal
import sys
from collections.abc import Callable, Iterator, MutableMapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import setproctitle

from s3pp.errors import FatalError, S3ppError, start_failure, unexpected
from s3pp.job import Job
from s3pp.pipeline.messages import Fatal, Message
from s3pp.pipeline.pipes import MessageReader, MessageWriter, Outbox, widen
from s3pp.pipeline.preloading import TITLES, load, load_more
from s3pp.pipeline.worker import run_worker

# AWS SDKs and tools reference guide, "Environment variables".
_SECRETS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Role = Callable[..., None]  # (inbox: MessageReader, outbox: MessageWriter, *arguments)


class Child:
    """The supervisor's view of a child: a process and a pair of queues to it."""

    def __init__(self, name: str, role: Role, *, context: Any, arguments: tuple[Any, ...]) -> None:
        self.name = name
        self._context = context
        self._task = (name, role)
        self._arguments = arguments
        self._theirs_in, to_child = context.Pipe(duplex=False)
        from_child, self._theirs_out = context.Pipe(duplex=False)
        self._mine = (to_child, from_child)
        self.inbox = MessageReader(from_child.fileno())
        self.outbox = Outbox(to_child.fileno())
        self._ended_for = ""  # why this process ended it
        for connection in self._mine:
            os.set_blocking(connection.fileno(), False)
            widen(connection.fileno())
        self.process: BaseProcess

    @property
    def descriptors(self) -> tuple[int, int]:
        """The supervisor's ends, which no child may keep open."""
        return self._mine[0].fileno(), self._mine[1].fileno()

    def start(self, others: tuple[int, ...]) -> None:
        """Start the process, with the signals that end a run held back until it ignores them.

        ``others`` are the supervisor's ends of all other queues. A forked child must close them,
        and those of its own: as long as it held them, nobody would see the supervisor's death.
        Raises ``OSError`` where the system has no room for a process.
        """
        forked = self._context.get_start_method() == "fork"
        inherited = (*others, *self.descriptors) if forked else ()
        ends = (self._theirs_in, self._theirs_out)
        self.process = self._context.Process(
            target=_child_main,
            args=(*self._task, ends, self._arguments, inherited),
            name=self.name,
            daemon=True,
        )
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)
        try:
            with contextlib.nullcontext() if forked else _without_secrets(os.environ):
                self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self._theirs_in.close()
        self._theirs_out.close()

    @property
    def stopped(self) -> bool:
        """Whether the process is stopped, as by SIGSTOP; False where the system does not say."""
        flags = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        with contextlib.suppress(AttributeError, OSError):
            return os.waitid(os.P_PID, self.process.pid or 0, flags) is not None
        return False

    def how_it_ended(self) -> str:
        """Describe its end: ``was killed (SIGKILL)``, ``ended with code 1``."""
        if self._ended_for:
            return f"{self._ended_for}, and was killed"
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"was killed ({signal.Signals(-code).name})"
        return f"ended with code {code}"

    def kill(self, why: str = "") -> None:
        """Kill the process, and wait until it has ended; ``why`` is part of ``how_it_ended``."""
        self._ended_for = self._ended_for or why
        with contextlib.suppress(ValueError):
            self.process.kill()
            self.process.join()

    def close(self) -> None:
        """Close the queue pair."""
        for connection in self._mine:
            with contextlib.suppress(OSError):
                connection.close()


@contextlib.contextmanager
def _without_secrets(environ: MutableMapping[str, str]) -> Iterator[None]:
    """Remove secrets from ``environ`` for a while: children get their keys by messages."""
    hidden = {name: environ.pop(name) for name in _SECRETS if name in environ}
    try:
        yield
    finally:
        environ.update(hidden)


def start_context(method: str) -> Any:
    """The multiprocessing context for a start method: "fork", "spawn" or "auto"."""
    if method == "auto":
        method = "fork" if sys.platform == "linux" else "spawn"
    return multiprocessing.get_context(method)


def _child_main(
    name: str,
    role: Role,
    ends: tuple[Connection, Connection],
    arguments: tuple[Any, ...],
    inherited: tuple[int, ...],
) -> None:
    # A terminal's Ctrl-C and a service manager's TERM reach every process of the group; only the
    # supervisor acts on them, and it notifies its children.
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _IGNORED)
    for descriptor in inherited:
        os.close(descriptor)
    _set_title(f"s3pp: {name}")
    for secret in _SECRETS:
        os.environ.pop(secret, None)
    inbox, outbox = MessageReader(ends[0].fileno()), MessageWriter(ends[1].fileno())
    os._exit(_play(name, role, (inbox, outbox, *arguments)))  # there is nothing to tear down


def _play(name: str, role: Role, arguments: tuple[Any, ...]) -> int:
    try:
        role(*arguments)
    except S3ppError as error:
        return _report(arguments[1], str(error))
    except Exception as error:
        return _report(arguments[1], unexpected(error, name))
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    return 0


def _report(outbox: MessageWriter, message: str) -> int:
    with contextlib.suppress(OSError):
        outbox.send(Fatal(message))
    return 1


def _set_title(title: str) -> None:
    """Set what ``ps`` shows; in a forked process this overwrites the environment that it shows."""
    setproctitle.setproctitle(title)


Act = Callable[[], None]


class SelectorLoop:
    """Waits for all children at once, never for a single one."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.children: list[Child] = []  # that run, or have ended but were not yet removed

    def turn(self, seconds: float) -> None:
        """Wait up to ``seconds`` for descriptors to become ready, and call their callbacks."""
        for key, _ in self._selector.select(seconds):
            # An earlier callback may have closed it, and a new child may have reused its number.
            if self._selector.get_map().get(key.fd) == key:
                key.data()

    def add(self, child: Child, *, on_death: Act) -> None:
        """Start a child and watch its sentinel. Raises ``OSError`` if it cannot be started."""
        try:
            child.start(tuple(fd for each in self.children for fd in each.descriptors))
        except OSError:
            child.close()
            raise
        self.children.append(child)
        self.watch(child.process.sentinel, on_death)

    def forget(self, child: Child) -> None:
        """Remove a child that has ended, and close its descriptors; only once.

        Their numbers may be those of another child by then.
        """
        if child not in self.children:
            return
        self.children.remove(child)
        for fd in (child.process.sentinel, child.inbox.fd, child.outbox.fd):
            self.unwatch(fd)
        child.close()

    def send(self, child: Child, message: Message) -> None:
        """Send a message; what does not fit into the child's queue is sent as it drains.

        Messages to a removed child are dropped.
        """
        if child not in self.children:
            return
        child.outbox.send(message)
        fd = child.outbox.fd
        if child.outbox and not self.watches(fd):
            self._selector.register(fd, selectors.EVENT_WRITE, lambda: self._flush(child))

    def watch(self, fd: int, act: Act) -> None:
        """Call ``act`` whenever ``fd`` is readable."""
        self._selector.register(fd, selectors.EVENT_READ, act)

    def unwatch(self, fd: int) -> None:
        """Stop watching ``fd``; does nothing if it is not watched."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(fd)

    def gate(self, fd: int, act: Act, *, open: bool) -> None:
        """Watch ``fd`` as ``watch`` does while ``open`` is set, and only then."""
        if open and not self.watches(fd):
            self.watch(fd, act)
        elif not open and self.watches(fd):
            self.unwatch(fd)

    def watches(self, fd: int) -> bool:
        """Whether ``fd`` is watched."""
        return fd in self._selector.get_map()

    def close(self) -> None:
        """Close the selector."""
        self._selector.close()

    def _flush(self, child: Child) -> None:
        child.outbox.flush()
        if not child.outbox:
            self.unwatch(child.outbox.fd)


# What only one child needs is imported by that child, while others start.


def _run_statter(
    inbox: MessageReader, outbox: MessageWriter, job: Job, started: float, spool_dir: str
) -> None:
    """Run the statter; it is the last to end, and removes what a killed supervisor leaves."""
    from s3pp.pipeline.orphaned import remove_directory, watch_supervisor
    from s3pp.pipeline.statter import run_statter

    watch_supervisor(inbox.fd, spool_dir)
    run_statter(inbox, outbox, job, started)
    if inbox.closed:
        remove_directory(spool_dir)


def _run_walker(*arguments: Any) -> None:
    from s3pp.pipeline.walker import run_walker

    run_walker(*arguments)


class Callbacks(NamedTuple):
    """What the supervisor does with its children; the first three are called with the child."""

    on_worker: Callable[[Child], None]  # it has been started
    on_readable: Callable[[Child], None]
    on_death: Callable[[Child], None]
    notify: Callable[[str], None]  # informs users


class Crew:
    """The children of a run: a statter, a walker, and the workers."""

    def __init__(self, job: Job, loop: SelectorLoop, callbacks: Callbacks) -> None:
        self.workers: dict[Child, float] = {}  # seconds since each one's last message
        self._job = job
        self._loop = loop
        self._callbacks = callbacks
        self._context = start_context(job.speed.start_method)
        setproctitle.getproctitle()  # which has to see the environment before it is changed
        self._begun = 0  # workers, without those that replaced another
        self._most = job.speed.processes  # workers; fewer once the system refuses another
        self._stopped: dict[Child, float] = {}  # seconds for which those that send nothing are

    def start(self, spool_dir: str, started: float) -> None:
        """Start the statter, the walker and the first worker, unless they were started before.

        ``spool_dir`` is a directory for members of archives, ``started`` the monotonic time of the
        run's start. Raises ``FatalError``.
        """
        if self._begun:
            return
        job = self._job
        load(job)
        self.statter = self.launch("statter", _run_statter, (job, started, spool_dir))
        stdin = Connection(os.dup(0), writable=False) if job.choosing.files_from == "-" else None
        self.walker = self.launch("walker", _run_walker, (spool_dir, stdin))
        if stdin:
            stdin.close()
        self.start_worker()

    @property
    def complete(self) -> bool:
        """Whether all workers have been started that the job, and the system, allow."""
        return self._begun >= self._most

    def start_worker(self, name: str | None = None) -> Child | None:
        """Start a worker: one more, or one that replaces ``name``.

        None: the system refuses, and the run continues with the other workers. Raises
        ``FatalError`` where there are none.
        """
        if self._begun == 1:
            load_more(self._job)
        if name is None:
            self._begun += 1
            name = f"{TITLES[self._job.verb]} {self._begun}"
        try:
            worker = self.launch(name, run_worker, ())
        except FatalError as error:
            if not self.workers:
                raise
            self._most = 0
            self._callbacks.notify(f"{error}: the run continues with fewer workers")
            return None
        self.workers[worker] = 0.0
        self._callbacks.on_worker(worker)
        return worker

    def kill_silent(self, seconds: float) -> None:
        """Kill the children that do not respond within the timeout; ``seconds`` have passed.

        A worker sends heartbeats. The others may have to wait, for a slow file system or a terminal
        that is stopped: they do not respond while they are stopped themselves.
        """
        silent, limit = self._count_silence(seconds), self._job.speed.worker_timeout
        for child in [each for each, passed in silent.items() if passed > limit]:
            child.kill(f"did not respond for {limit:g} s")

    def _count_silence(self, seconds: float) -> dict[Child, float]:
        """Return the seconds for which each child has been silent, or stopped."""
        for worker in self.workers:
            self.workers[worker] += seconds
        others = [each for each in self._loop.children if each not in self.workers]
        before = self._stopped
        self._stopped = {each: before.get(each, 0.0) + seconds for each in others if each.stopped}
        return {**self.workers, **self._stopped}

    def launch(self, name: str, role: Role, arguments: tuple[object, ...]) -> Child:
        """Start a child, and watch it. Raises ``FatalError``."""
        try:
            child = Child(name, role, context=self._context, arguments=arguments)
            self._loop.add(child, on_death=lambda: self._callbacks.on_death(child))
        except OSError as error:
            raise FatalError(f"cannot start the {name}: {start_failure(error)}") from None
        if name != "walker":  # it is read only while a worker has room
            self._loop.watch(child.inbox.fd, lambda: self._callbacks.on_readable(child))
        return child
