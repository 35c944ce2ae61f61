"""Signals that end a run, made available to an event loop through a descriptor."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

from s3pp.errors import ExitStatus

STATUS = {
    signal.SIGINT: ExitStatus.INTERRUPTED,
    signal.SIGTERM: ExitStatus.TERMINATED,
    signal.SIGHUP: ExitStatus.HANGUP,
}


_WORDS = {
    ExitStatus.INTERRUPTED: "interrupted",
    ExitStatus.TERMINATED: "terminated",
    ExitStatus.HANGUP: "hung up",
}
_NAMES = {
    ExitStatus.INTERRUPTED: "Ctrl-C",
    ExitStatus.TERMINATED: "SIGTERM",
    ExitStatus.HANGUP: "SIGHUP",
}


def stopping_notice(status: ExitStatus, active: str = "transfers") -> str:
    """The notice for a first signal; ``active`` names what is being finished."""
    again = f"{_NAMES[status]} again to stop now"
    return f"{_WORDS[status]}: finishing active {active} ({again})"


class Stopped(KeyboardInterrupt):
    """A signal arrived before anything had begun; ``status`` is the exit code for it.

    A ``KeyboardInterrupt``, as asyncio passes no other exception out of its callbacks.
    """

    def __init__(self, status: ExitStatus) -> None:
        super().__init__(_WORDS[status])
        self.status = status


def install_handlers(handler: Callable[[int, FrameType | None], Any]) -> dict[signal.Signals, Any]:
    """Install ``handler`` for INT, TERM and HUP, except those that are ignored (nohup).

    Returns the previous handlers.
    """
    handled = [number for number in STATUS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in handled}


def restore_handlers(before: dict[signal.Signals, Any], *, stopping: bool) -> None:
    """Undo ``install_handlers``."""
    for number, handler in before.items():
        # The run is already stopping: another signal must not change the exit code now.
        signal.signal(number, signal.SIG_IGN if stopping else handler)


class Signals:
    """Collects INT, TERM and HUP while it is entered.

    ``fd`` becomes readable when one has arrived. Until ``calm`` is set, a signal raises ``Stopped``
    immediately, since nothing needs finishing before the first task is sent.
    A HUP that was ignored from the start (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self.calm = False
        self._stopping = False
        self._came: deque[ExitStatus] = deque()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        self.fd, self._wake = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._wake, False)
        self._wakeup_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._before = install_handlers(self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        restore_handlers(self._before, stopping=self._stopping)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.fd)
        os.close(self._wake)

    def take(self) -> list[ExitStatus]:
        """The exit codes for signals received since the last call, oldest first."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        return [self._came.popleft() for _ in range(len(self._came))]  # more may arrive meanwhile

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        status = STATUS[signal.Signals(number)]
        if not self.calm:
            raise Stopped(status)
        self._stopping = True
        self._came.append(status)
        # An event loop has a wakeup descriptor of its own while it runs, in place of ours.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"\0")
