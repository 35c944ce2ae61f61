"""A child process: its pipes, how it is started and how it ends.

The start method is chosen, not inherited: fork on Linux, where it is cheap and the supervisor is
single-threaded, spawn elsewhere; everything works under both.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, MutableMapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import setproctitle

from s3pp.errors import S3ppError, unexpected
from s3pp.pipeline.messages import Fatal
from s3pp.pipeline.pipes import MessageReader, MessageWriter, Outbox, widen

# AWS SDKs and tools reference guide, "Environment variables".
SECRETS = (
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

    where = ""  # after its name, if it is on another machine
    was_lost = False  # whether its machine was, rather than the process

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
    hidden = {name: environ.pop(name) for name in SECRETS if name in environ}
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
    set_title(f"s3pp: {name}")
    for secret in SECRETS:
        os.environ.pop(secret, None)
    inbox, outbox = MessageReader(ends[0].fileno()), MessageWriter(ends[1].fileno())
    os._exit(play(name, role, (inbox, outbox, *arguments)))  # there is nothing to tear down


def play(name: str, role: Role, arguments: tuple[Any, ...]) -> int:
    """Execute a role, and report an error as ``Fatal``; returns the exit code of the process."""
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


def set_title(title: str) -> None:
    """Set what ``ps`` shows; in a forked process this overwrites the environment that it shows."""
    setproctitle.setproctitle(title)
