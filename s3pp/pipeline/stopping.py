"""The end of a run in one process: a first signal ends it politely, a second one at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from s3pp.errors import ExitStatus, FailureKind, ObjectError
from s3pp.pipeline.signals import STATUS, Stopped, given_back, taken_over


class Stopping:
    """Takes INT, TERM and HUP while it is entered.

    Until ``watch`` a signal raises ``Stopped`` wherever the program is: nothing has begun. A HUP
    that was ignored from the start (nohup) stays so.
    """

    def __init__(self) -> None:
        self.status: ExitStatus | None = None  # what the first signal asked for
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stopping:
        self._before = taken_over(_stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        given_back(self._before, stopping=self.status is not None)

    def watch(self, *, first: Callable[[ExitStatus], None], again: Callable[[], object]) -> None:
        """From now on call ``first`` at the first signal and ``again`` at others, on this loop."""

        def come(status: ExitStatus) -> None:
            if self.status is not None:
                again()
                return
            self.status = status
            first(status)

        for number in self._before:
            asyncio.get_running_loop().add_signal_handler(number, come, STATUS[number])


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(STATUS[signal.Signals(number)])


class Pause:
    """The wait before another attempt; once the run is ending there is none."""

    def __init__(self) -> None:
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Wake all who wait."""
        self._ending.set()

    async def __call__(self, seconds: float) -> None:
        """Wait. Raises ``ObjectError`` where that is in vain."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)
        if self._ending.is_set():
            raise ObjectError(FailureKind.STORE, "not tried again: the run is ending")
