"""Child processes: starting, naming, watching and ending them.

The start method is chosen, not inherited: fork on Linux, where it is cheap and the supervisor is
single-threaded, spawn elsewhere; everything works under both. Children are started before
botocore is imported, so that they carry none of it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from s3pp.errors import S3ppError, unexpected
from s3pp.pipeline.messages import Fatal
from s3pp.pipeline.pipes import MessageReader, MessageWriter, Outbox, widen

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
    except BrokenPipeError:
        return 1  # the supervisor is gone, so there is nowhere to report to
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
    import setproctitle

    setproctitle.setproctitle(title)


class Silence(dict[Child, float]):
    """Seconds since each worker's last message."""

    def passed(self, seconds: float, most: float) -> list[Child]:
        """Add ``seconds``. Returns the workers silent for longer than ``most``, and resets them."""
        for worker in self:
            self[worker] += seconds
        lost = [worker for worker, silent in self.items() if silent > most]
        self.update(dict.fromkeys(lost, 0.0))
        return lost
