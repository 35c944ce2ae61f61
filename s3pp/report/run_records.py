"""The records that a run leaves besides its output: its journal, its report, its metrics.

::

    outcomes ──▶ RunEvents ──▶ Journal ──▶ --journal
    totals ──▶ pace ──┘   └──▶ RunAggregate ──▶ --report, at the end
         └──▶ Metrics ──▶ --metrics, now and then
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3pp.errors import ExitStatus
from s3pp.job import Job
from s3pp.records import Outcome
from s3pp.report.lines import Lines
from s3pp.report.pace import Pacemaker
from s3pp.report.totals import Flow, Totals

if TYPE_CHECKING:
    from s3pp.report.journal import Journal
    from s3pp.report.metrics import MetricsFile
    from s3pp.report.page.writer import ReportFile
    from s3pp.report.run_events import Event


class RunRecords:
    """The records of a run, as ``job`` asks for them.

    Its methods raise ``FatalError`` if the journal cannot be written; what is wrong with the
    others is returned, to be shown.
    """

    def __init__(self, job: Job) -> None:
        from s3pp.report.run_events import RunEvents  # what most runs do without

        self._job = job
        self._events = RunEvents(job)
        self._is_started = False
        self._journal = _journal(job)
        self._report = _report(job)
        self._metrics = _metrics(job)
        self._pace = Pacemaker(time.monotonic())

    @property
    def run(self) -> str:
        """The id of the run."""
        return self._events.run

    @property
    def lines(self) -> Lines:
        """What names the outcomes."""
        return self._events.lines

    @lines.setter
    def lines(self, lines: Lines) -> None:
        self._events.lines = lines

    def start(self, job: Job) -> None:
        """Record the start of the run, of which ``job`` is known by now; only the first counts."""
        if self._journal is None and self._report is None:
            return
        if not self._is_started:
            self._is_started = True
            first = self._events.start(job)
            if self._report is not None:
                self._report.add([first])
            if self._journal is not None:
                self._journal.start(first)

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Record a batch."""
        if self._journal is None and self._report is None:
            return
        now = time.time()
        self.start(self._job)
        self._write([self._events.outcome(outcome, now) for outcome in outcomes])

    def skip_unchanged(self, count: int) -> None:
        """Record ``count`` objects that are skipped as unchanged, without their names."""
        if self._report is not None:
            self._report.add_unchanged(count)

    def set_flow(self, flow: Flow, now: float) -> None:
        """Record the state of the store under the run's load."""
        self._pace.set_flow(flow, now)

    def tick(self, totals: Totals, now: float) -> str | None:
        """Record what is due, and go on in the file that has the journal's name by now.

        ``now`` is a ``time.monotonic()``. Returns a complaint, if there is one.
        """
        if self._is_started and (facts := self._pace.take(totals, now)):
            self._write([self._events.pace(facts)])
        found = self._metrics.tick(totals, now) if self._metrics is not None else None
        if self._journal is not None:
            found = self._journal.follow() or found
        return found

    def close(self, totals: Totals, status: ExitStatus) -> str | None:
        """Record the end of the run; returns a complaint, if there is one."""
        if self._journal is None and self._report is None:
            return None
        self.start(self._job)
        last = self._events.summary(totals, self._job, status)
        try:
            if facts := self._pace.end(totals, time.monotonic()):
                self._write([self._events.pace(facts)])
            if self._journal is not None:
                self._journal.close(last)
        finally:
            complaint = self._report.close(last) if self._report is not None else None
        return complaint

    def _write(self, events: list[Event]) -> None:
        if self._report is not None:
            self._report.add(events)
        if self._journal is not None:
            self._journal.write(events)


def _journal(job: Job) -> Journal | None:
    if not job.output.journal:
        return None
    from s3pp.report.journal import Journal

    return Journal(job.output.journal)


def _report(job: Job) -> ReportFile | None:
    if not job.output.report:
        return None
    from s3pp.report.page.writer import ReportFile

    return ReportFile(job.output.report)


def _metrics(job: Job) -> MetricsFile | None:
    if not job.output.metrics or job.dry_run:
        return None
    from s3pp.report.metrics import MetricsFile

    return MetricsFile(job)
