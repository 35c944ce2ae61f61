"""The output of a list of buckets."""

from __future__ import annotations

from collections.abc import Sequence

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.report.emptiness import empty_notice
from s3pp.report.grouped_lines import BucketView
from s3pp.report.lines import KeyTotals
from s3pp.report.outlet import Streams
from s3pp.report.voice import notice_lines
from s3pp.s3.bucket_list import BucketEntry


class BucketSheet:
    """Writes the pages of a list of buckets to the streams, and counts them."""

    def __init__(self, streams: Streams, job: Job) -> None:
        self.totals = KeyTotals(complete=False)
        self._streams = streams
        self._job = job
        self._view = BucketView("", job.output.json, job.output.verbosity, job.output.program)

    def take(self, page: Sequence[BucketEntry]) -> bool:
        """Write a page; False once stdout was closed. Raises ``FatalError`` if writing fails."""
        stdout = self._streams.stdout
        self.totals.keys += len(page)
        stdout.lines(self._view.bucket_lines(page))
        if stdout.trouble is not None:
            raise FatalError(f"standard output cannot be written: {stdout.trouble}")
        return not stdout.gone

    def notify(self, text: str) -> None:
        """Write a notice for users."""
        notice_lines(text, self._job).write_to(self._streams)

    def notify_empty(self) -> None:
        """Write a notice if there are no buckets."""
        if text := empty_notice(self.totals, self._job):
            self.notify(text)
