"""The lines of s3concurrent that scripts look for, on stdout::

2026-11-20 08:30:00,123 - root - INFO - 2000 keys enqueued, and 1500 keys downloaded
"""

from __future__ import annotations

import time

from s3pp.compat.log_lines import log_time
from s3pp.errors import ExitStatus
from s3pp.job import Job
from s3pp.report.totals import RunReport, Totals
from s3pp.report.voice import NOTHING, Rendered, Voice

PERIOD = 10.0  # seconds between lines of progress


class CountingVoice(Voice):
    """Counts of keys listed and transferred, every ``PERIOD``, and the end of each."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._action = "uploaded" if job.verb == "put" else "downloaded"
        self._due = 0.0
        self._listed = False

    def beat(self, totals: Totals) -> Rendered:
        """Return the counts if they are due, and say once that all keys are listed."""
        lines = []
        if totals.walk_done and not self._listed:
            self._listed = True
            lines.append(f"Initial queuing has completed. {totals.listed} keys has been enqueued.")
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + PERIOD
            lines.append(self._counts(totals))
        return _logged(*lines) if lines else NOTHING

    def end(self, result: RunReport) -> Rendered | None:
        """Return the last counts, and that all is done only where that is so."""
        totals = result.totals
        if not isinstance(totals, Totals):
            return NOTHING
        counts = self._counts(totals)
        if result.status is ExitStatus.OK and not totals.left_out:
            return _logged(counts, f"All keys are {self._action}")
        return _logged(counts)

    def _counts(self, totals: Totals) -> str:
        """Keys that are the same on both sides by now count as transferred, as they did."""
        there = totals.done + totals.skipped - totals.left_out
        return f"{totals.listed} keys enqueued, and {there} keys {self._action}"


def _logged(*lines: str) -> Rendered:
    return Rendered(stdout=[f"{log_time()} - root - INFO - {line}" for line in lines])
