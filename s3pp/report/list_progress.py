"""The progress display of a listing, whose lines go elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from s3pp.job import Job
from s3pp.report.lines import KeyTotals
from s3pp.report.outlet import Streams
from s3pp.report.progress import Progress, open_progress
from s3pp.report.recorder import REDRAW_SECONDS
from s3pp.report.totals import Totals


class ListProgress:
    """Shows how many keys were listed."""

    def __init__(self, display: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._clock = clock
        self._due = 0.0

    def update(self, totals: KeyTotals) -> None:
        """Show the totals, if that is due."""
        now = self._clock()
        if now >= self._due:
            self._due = now + REDRAW_SECONDS
            self._show(totals)

    def clear(self) -> None:
        """Erase the display before lines are printed."""
        self._display.clear()

    def close(self, totals: KeyTotals) -> None:
        """End the display."""
        self._show(totals)
        self._display.close()

    def _show(self, totals: KeyTotals) -> None:
        found = totals.keys + totals.failed
        shown = Totals(found, done=totals.keys, failed=totals.failed, bytes=totals.bytes)
        self._display.update(shown)


def open_list_progress(streams: Streams, job: Job) -> ListProgress | None:
    """Return the display of a listing on these streams; None: there is none."""
    display = open_progress(streams, job)
    return None if display is None else ListProgress(display)
