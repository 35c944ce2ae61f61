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
from collections.abc import Callable
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
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self._theirs_in.close()
        self._theirs_out.close()

    def how_it_ended(self) -> str:
        """Describe its end: ``was killed (SIGKILL)``, ``ended with code 1``."""
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"was killed ({signal.Signals(-code).name})"
        return f"ended with code {code}"

    def kill(self) -> None:
        """Kill the process, and wait until it has ended."""
        with contextlib.suppress(ValueError):
            self.process.kill()
            self.process.join()

    def close(self) -> None:
        """Close the queue pair."""
        for connection in self._mine:
            with contextlib.suppress(OSError):
                connection.close()


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


def _run_statter(*arguments: Any) -> None:
    from s3pp.pipeline.statter import run_statter

    run_statter(*arguments)


def _run_walker(*arguments: Any) -> None:
    from s3pp.pipeline.walker import run_walker

    run_walker(*arguments)


class Callbacks(NamedTuple):
    """What the supervisor does with its children; each is called with the child."""

    on_worker: Callable[[Child], None]  # it has been started
    on_readable: Callable[[Child], None]
    on_death: Callable[[Child], None]


class Crew:
    """The children of a run: a statter, a walker, and the workers."""

    def __init__(self, job: Job, loop: SelectorLoop, callbacks: Callbacks) -> None:
        self.workers: dict[Child, float] = {}  # seconds since each one's last message
        self._job = job
        self._loop = loop
        self._callbacks = callbacks
        self._context = start_context(job.speed.start_method)
        self._begun = 0  # workers, without those that replaced another

    def start(self, spool_dir: str, started: float) -> None:
        """Start the statter, the walker and the first worker, unless they were started before.

        ``spool_dir`` is a directory for members of archives, ``started`` the monotonic time of the
        run's start. Raises ``FatalError``.
        """
        if self._begun:
            return
        job = self._job
        load(job)
        self.statter = self._launch("statter", _run_statter, (job, started))
        stdin = Connection(os.dup(0), writable=False) if job.choosing.files_from == "-" else None
        self.walker = self._launch("walker", _run_walker, (spool_dir, stdin))
        if stdin:
            stdin.close()
        self.start_worker()

    @property
    def complete(self) -> bool:
        """Whether all workers have been started that the job allows."""
        return self._begun >= self._job.speed.processes

    def start_worker(self, name: str | None = None) -> Child:
        """Start a worker: one more, or one that replaces ``name``. Raises ``FatalError``."""
        if self._begun == 1:
            load_more(self._job)
        if name is None:
            self._begun += 1
            name = f"{TITLES[self._job.verb]} {self._begun}"
        worker = self._launch(name, run_worker, ())
        self.workers[worker] = 0.0
        self._callbacks.on_worker(worker)
        return worker

    def find_silent(self, seconds: float) -> list[Child]:
        """Return the workers that have sent nothing within the timeout; ``seconds`` have passed."""
        for worker in self.workers:
            self.workers[worker] += seconds
        lost = [w for w, silent in self.workers.items() if silent > self._job.speed.worker_timeout]
        self.workers.update(dict.fromkeys(lost, 0.0))
        return lost

    def _launch(self, name: str, role: Role, arguments: tuple[object, ...]) -> Child:
        child = Child(name, role, context=self._context, arguments=arguments)
        try:
            self._loop.add(child, on_death=lambda: self._callbacks.on_death(child))
        except OSError as error:
            raise FatalError(f"cannot start the {name}: {start_failure(error)}") from None
        if name != "walker":  # it is read only while a worker has room
            self._loop.watch(child.inbox.fd, lambda: self._callbacks.on_readable(child))
        return child
