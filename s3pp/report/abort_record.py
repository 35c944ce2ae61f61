"""Everything a clean tells: totals, what is shown, and the journal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone

from s3pp import __version__
from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.report.aborts import AbortTotals, AbortView, Fate
from s3pp.report.journal import open_journal
from s3pp.report.lines import as_json
from s3pp.report.outlet import Streams
from s3pp.report.summary import summary_event


class AbortRecord:
    """Folds fates into totals, and shows and journals them.

    Not the summary on stdout: that is the command line's to print (``aborts.abort_summary``).
    """

    def __init__(self, job: Job, streams: Streams) -> None:
        """Begin. Raises ``UsageError`` where the journal cannot be opened."""
        self.totals = AbortTotals()
        self._job = job
        self._streams = streams
        self._view = AbortView(job, time.time())
        self._started = time.monotonic()
        self._journal = open_journal(job.output.journal) if job.output.journal else None
        self._note(_start(job))

    def listed(self) -> None:
        """One more upload belongs to the job."""
        self.totals.listed += 1

    def fates(self, fates: Sequence[Fate]) -> None:
        """Fold and tell some; ``FatalError`` where the journal's or stdout's disk refuses."""
        for fate in fates:
            self.totals.count(fate)
        lines = self._view.render(fates)
        self._streams.stdout.lines(lines.stdout)
        self._streams.stderr.lines(lines.stderr)
        for fate in fates:
            self._note(self._view.json(fate))
        stdout = self._streams.stdout
        if stdout.trouble is not None:  # said last: by now the journal has them
            trouble, stdout.trouble = stdout.trouble, None
            raise FatalError(f"standard output cannot be written: {trouble}")

    def notice(self, text: str) -> None:
        """Notify users of something that concerns no one upload."""
        self._streams.stderr.lines(self._view.notice(text))

    def close(self, requests: int) -> AbortTotals:
        """End the record and return its totals; ``FatalError`` where the journal's disk refuses.

        ``requests`` are those that were made or, in a dry run, would have been. Uploads that were
        listed and have no fate count as not attempted.
        """
        totals = self.totals
        totals.requests = requests
        totals.not_attempted = totals.listed - totals.finished
        totals.seconds = time.monotonic() - self._started
        if totals.young and not self._job.dry_run:
            self.notice(_left_alone(totals.young))
        self._streams.stderr.lines(self._view.closing())
        if self._journal is not None:
            self._note(as_json(summary_event(totals, self._job)))
            self._journal.close()
        return totals

    def _note(self, event: str) -> None:
        if self._journal is not None:
            self._journal.append(f"{event}\n")


def _left_alone(count: int) -> str:
    begun = "begun less than a day ago"
    if count == 1:
        return f"1 upload {begun} is left alone: --older-than 0s aborts it too"
    return f"{count} uploads {begun} are left alone: --older-than 0s aborts them too"


def _start(job: Job) -> str:
    event = {
        "event": "start",
        "version": __version__,
        "verb": job.verb,
        "sources": list(job.reads),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    return as_json(event | ({"dry_run": True} if job.dry_run else {}))
