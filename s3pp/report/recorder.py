"""Everything a run tells, behind the one object the statter drives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TextIO

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.records import Done, Outcome
from s3pp.report.failures import HELD_SECONDS, Cause, GiveUpRule
from s3pp.report.journal import Journal
from s3pp.report.lines import Lines
from s3pp.report.log import Log
from s3pp.report.outlet import Streams
from s3pp.report.progress import Progress, open_progress
from s3pp.report.summary import left_alone, summary_text
from s3pp.report.totals import Flow, Totals
from s3pp.report.view import Detail, Rendered, View

REDRAW_SECONDS = 0.1


class Recorder:
    """Folds outcomes into totals, and shows, journals and logs them.

    Not the summary on stdout: that is the last line even where the statter died, and so the
    command line's to print (``report.summary``).
    """

    def __init__(
        self,
        job: Job,
        streams: Streams,
        *,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
    ) -> None:
        """``started``: what ``clock`` said when the run started; None: now."""
        lines, detail = Lines.of(job), Detail.of(job.output, dry_run=job.dry_run)
        self._job = job
        self._streams = streams
        self._progress = progress
        self._clock = clock
        self._started = clock() if started is None else started
        self._redraw_at = self._started
        self._release_at = self._started  # when failures have waited long enough
        self._totals = Totals()
        self._give_up = GiveUpRule(job.verb)
        self._view = View(lines, detail, json=job.output.json)
        self._log = Log(job.output.log_file, job) if job.output.log_file else None
        self._journal = Journal(job.output.journal, job) if job.output.journal else None
        if self._log is not None:
            self._complain(self._log.opening_fault)

    @classmethod
    def open(
        cls, job: Job, stdout: TextIO | None, stderr: TextIO | None, *, started: float | None = None
    ) -> Recorder:
        """The recorder of one run on these streams; ``started`` as ``time.monotonic()`` gave it.

        Raises ``UsageError`` where the journal or the log cannot be opened.
        """
        streams = Streams.of(stdout, stderr)
        listing = streams.stdout.terminal and Detail.of(job.output, dry_run=job.dry_run).done
        progress = open_progress(streams.stderr, job.output, listing=listing)
        return cls(job, streams, progress=progress, started=started)

    @property
    def totals(self) -> Totals:
        """What was folded so far; of a whole run once ``close`` was called, even if it raised."""
        return self._totals

    def listed(self, count: int, done: bool) -> None:
        """The walker has named ``count`` objects so far, in all; ``done``: it will name no more."""
        self._totals.listed = count
        self._totals.walk_done = done
        self.tick()

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Fold and tell a batch.

        Raises ``FatalError`` where the journal's or stdout's disk refuses, and where the batch
        shows that no other object would end better.
        """
        give_up = self._give_up.add(outcomes)
        if give_up is not None:
            self.ended_by(give_up.cause)  # first: what ends the run is told in one line
        self._totals.fold_all(outcomes)
        if self._job.verb == "clean":
            self._totals.fold_uploads(outcomes)
        self._whole(outcomes)
        waited = self._view.holding
        self._print(self._view.render(outcomes))
        if self._view.holding and not waited:
            self._release_at = self._clock() + HELD_SECONDS
        if self._log is not None:
            self._complain(self._log.outcomes(outcomes))
        if self._journal is not None:
            self._journal.outcomes(outcomes)
        self.tick()
        stdout = self._streams.stdout
        if stdout.trouble is not None:  # said last: by now the other records have the batch
            trouble, stdout.trouble = stdout.trouble, None
            raise FatalError(f"standard output cannot be written: {trouble}")
        if give_up is not None:
            raise FatalError(give_up.why)

    def _whole(self, outcomes: Sequence[Outcome]) -> None:
        """What is whole is counted so, and no longer by its parts."""
        for outcome in outcomes:
            if isinstance(outcome, Done) and outcome.size > self._job.parts.threshold:
                self._totals.in_parts = max(0, self._totals.in_parts - outcome.sent)

    def requests(self, count: int) -> None:
        """So many more requests were made or, in a dry run, would have been."""
        self._totals.requests += count

    def moved(self, size: int) -> None:
        """A part of ``size`` bytes of some large object was sent to where it belongs."""
        self._totals.in_parts += size
        self.tick()

    def flow(self, flow: Flow) -> None:
        """How the store takes the requests."""
        if flow.rate and not self._totals.flow.throttled:
            self.notice(
                "the store throttles requests, or does not answer them:"
                " they are sent as fast as it accepts them"
            )
        self._totals.flow = flow
        self.tick()

    def aborted(self, why: str) -> None:
        """The run ends for this reason; the command line tells it, once."""
        self._view.aborted(why)

    def ended_by(self, cause: Cause | None) -> None:
        """The run ends by a cause of failures: what ends it says so for all of them."""
        self._view.ended_by(cause)

    def notice(self, text: str) -> None:
        """Notify users of something that concerns the run and no one object."""
        self._print(Rendered([], self._view.notice(text)))
        if self._log is not None:
            self._complain(self._log.line("WARNING", text))

    def tick(self) -> None:
        """Redraw the progress display, if it is time; harmless to call at any rate."""
        if self._view.holding and self._clock() >= self._release_at:
            self._print(Rendered([], self._view.release()))
        if self._progress is None:
            return
        now = self._clock()
        if now >= self._redraw_at:
            self._redraw_at = now + REDRAW_SECONDS
            self._progress.update(self._totals, self._totals.listed, self._totals.walk_done)

    @property
    def refusal(self) -> str | None:
        """Why a run fails that came to its end: the store refused access, and accepted nothing."""
        end = self._give_up.end()
        return end and end.why

    def close(self, not_attempted: int = 0) -> Totals:
        """End the run's records and return its totals.

        ``not_attempted``: objects listed that an interrupted run left where they are. Raises
        ``FatalError`` where the journal's disk refuses.
        """
        totals, end = self._totals, self._give_up.end()
        if end is not None:
            self.ended_by(end.cause)
        if totals.young and not self._job.dry_run:
            self.notice(left_alone(totals.young))
        totals.not_attempted = not_attempted
        totals.seconds = self._clock() - self._started
        self._print(Rendered([], self._view.closing()))
        if self._progress is not None:
            self._progress.update(totals, totals.listed, totals.walk_done)
            self._progress.close()
        if self._log is not None:
            self._complain(self._log.line("INFO", summary_text(totals, self._job)))
            self._complain(self._log.close())
        if self._journal is not None:
            self._journal.close(totals)
        return totals

    def _print(self, lines: Rendered) -> None:
        if not lines.stdout and not lines.stderr:
            return
        if self._progress is not None:
            self._progress.clear()
        self._streams.stdout.lines(lines.stdout)
        self._streams.stderr.lines(lines.stderr)

    def _complain(self, complaint: str | None) -> None:
        if complaint is not None:
            self._print(Rendered([], self._view.notice(complaint)))
