"""The recorder: all output of a run, behind one object that the statter drives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from s3pp.errors import ExitStatus, FatalError
from s3pp.job import Job
from s3pp.records import Done, Outcome
from s3pp.report.failures import HELD_SECONDS, Cause, GiveUpRule, Standstill
from s3pp.report.lines import Lines, throttled_notice
from s3pp.report.outlet import Streams
from s3pp.report.totals import (
    ActiveObject,
    Extent,
    Flow,
    Retries,
    Totals,
    left_alone_notice,
    run_report,
    settled,
    summary_text,
)
from s3pp.report.view import view_of
from s3pp.report.voice import Rendered, voice_of

if TYPE_CHECKING:
    from s3pp.report.journal import Log
    from s3pp.report.plan_writer import PlanWriter
    from s3pp.report.progress import Progress
    from s3pp.report.run_records import RunRecords

REDRAW_SECONDS = 0.1
ACTIVE_SECONDS = 5.0  # for which what a worker says of its large objects is believed
FOLLOW_SECONDS = 1.0  # between looks at whether the journal and the log were renamed


class Recorder:
    """The recorder of a run: counts, shows, journals and logs outcomes.

    The summary on stdout is not printed here but by ``app``, so that
    it is the last line even if the statter died.
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
        """Open the log and journal of ``job``; ``started``: ``clock()`` at the start; None: now."""
        self._job = job
        self._streams = streams
        self._progress = progress
        self._clock = clock
        self._started = clock() if started is None else started
        self._redraw_at = self._started
        self._standstill = Standstill(self._started)
        self._limited: set[str] = set()  # what users know to be limited, or "" for all
        self._follow_at = self._started
        self._release_at = self._started  # when failures have waited long enough
        self._totals = Totals.of(job)
        # Whether how long an object takes depends on its size.
        self._by_bytes = job.verb != "remove" and (not job.verifies or job.verification.deep)
        self._give_up = GiveUpRule(job.verb)
        self._voice = voice_of(job)
        self._view = view_of(job, self._voice)
        self._log, self._records = _log(job), _run_records(job)
        self._plan = _plan_writer(job)
        self._aborted = False
        self._active: dict[int, tuple[float, Sequence[ActiveObject]]] = {}  # by worker, with times
        replaced = self._voice is not None and self._voice.replaces_log
        self._own_log = None if replaced else self._log  # the log, where s3pp's lines belong in it
        if self._log is not None:
            self._complain(self._log.opening_fault)
        if self._voice is not None:
            self._print(self._voice.start())

    @classmethod
    def open(
        cls, job: Job, stdout: TextIO | None, stderr: TextIO | None, *, started: float | None = None
    ) -> Recorder:
        """Return the recorder of a run on these streams; ``started`` is a ``time.monotonic()``.

        Raises ``UsageError`` if the journal or the log cannot be opened.
        """
        return cls.on(Streams.of(stdout, stderr), job, started=started)

    @classmethod
    def on(cls, streams: Streams, job: Job, *, started: float | None = None) -> Recorder:
        """As ``open``, with the display that there is to be on ``streams``."""
        return cls(job, streams, progress=_display(streams, job), started=started)

    @property
    def totals(self) -> Totals:
        """The totals so far; of the whole run after ``close``, even if that raised."""
        return self._totals

    def settle(self, job: Job) -> None:
        """Name outcomes as ``job`` does, which has been settled since this was opened.

        Raises ``FatalError`` if the journal cannot be written.
        """
        lines = Lines.of(job)
        for each in (self._view, self._log, self._records):
            if each is not None:
                each.lines = lines
        if self._voice is not None:
            self._voice.job = job
        if self._plan is not None:
            self._plan.settle(job)
        if self._records is not None:
            self._records.start(job)

    def set_listed(self, count: int, done: bool, *, size: int | None = None) -> None:
        """Record that the walker has listed ``count`` objects so far; ``done``: it has finished.

        ``size``: bytes of them; None: as before.
        """
        totals = self._totals
        totals.listed, totals.walk_done = count, done
        if size is not None and self._by_bytes:
            totals.listed_bytes = size
        self.tick()

    def set_counted(self, counted: Extent) -> None:
        """Record how much there is to do, as far as it was counted ahead of the walker."""
        objects, size, complete = counted
        steps = 2 if self._job.moves else 1  # what is moved is deleted, too
        self._totals.counted = Extent(steps * objects, size if self._by_bytes else 0, complete)
        self.tick()

    def set_active(self, worker: int, objects: Sequence[ActiveObject]) -> None:
        """Record the large objects that a worker is transferring now."""
        now = self._clock()
        self._active[worker] = (now, objects)
        # A worker that has died says nothing more.
        fresh = [each for at, each in self._active.values() if now - at < ACTIVE_SECONDS]
        largest = sorted((one for each in fresh for one in each), key=lambda one: -one.size)
        self._totals.active = tuple(largest)
        self.tick()

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Record a batch.

        Raises ``FatalError`` if the journal or stdout cannot be written, or if the batch proves
        that every other object would fail too.
        """
        give_up = self._give_up.add(outcomes)
        if give_up is not None:
            self.hide_cause(give_up.cause)  # first: the end of the run is reported in one line
        self._totals.fold_all(outcomes)
        if self._totals.foreseen is not None:
            self._totals.requests += self._totals.foreseen.fold(outcomes)
        if self._totals.verdicts is not None:
            self._totals.verdicts.fold(outcomes)
        if self._job.verb == "clean":
            self._totals.fold_uploads(outcomes)
        self._whole(outcomes)
        waited = self._view.holding
        self._print(self._view.render(outcomes))
        if self._view.holding and not waited:
            self._release_at = self._clock() + HELD_SECONDS
        if self._own_log is not None:
            self._complain(self._own_log.record(outcomes))
        if self._records is not None:
            self._records.record(outcomes)
        if self._plan is not None:
            self._plan.record(outcomes)
        self.tick()
        stdout = self._streams.stdout
        if stdout.trouble is not None:  # raised last, when the other records have the batch
            trouble, stdout.trouble = stdout.trouble, None
            raise FatalError(f"standard output cannot be written: {trouble}")
        if give_up is not None:
            raise FatalError(give_up.why)

    def count_unchanged(self, count: int, size: int) -> None:
        """Record ``count`` objects that are skipped as unchanged, and that nobody wants named.

        ``size``: bytes of them.
        """
        self._give_up.accept()
        self._totals.skipped += count
        self._totals.skipped_bytes += size
        if self._records is not None:
            self._records.skip_unchanged(count)
        self._print(Rendered(stderr=self._view.accept()))
        self.tick()

    def _whole(self, outcomes: Sequence[Outcome]) -> None:
        """Stop counting the parts of objects that are now counted as done."""
        for outcome in outcomes:
            if isinstance(outcome, Done) and outcome.size > self._job.parts.threshold:
                self._totals.in_parts = max(0, self._totals.in_parts - outcome.sent)

    def count_requests(self, count: int) -> None:
        """Add requests that were made or, in a dry run, would have been."""
        self._totals.requests += count

    def exclude(self, count: int) -> None:
        """Add ``count`` names that filters have left out of a dry run."""
        if self._totals.foreseen is not None:
            self._totals.foreseen.exclude(count)

    def count_moved(self, size: int) -> None:
        """Add ``size`` bytes, a part of a large object that was transferred."""
        self._totals.in_parts += size
        self.tick()

    def count_retries(self, retries: Retries) -> None:
        """Add attempts that have failed."""
        self._standstill.update(self._totals, self._clock())
        found = self._totals.retries
        for cause, count in retries.counts:
            found[cause] = found.get(cause, 0) + count
        self.tick()

    def set_flow(self, flow: Flow) -> None:
        """Set the rate limit and response state of the store; report the first throttling."""
        for prefix in ([""] if flow.rate else []) + [each for each, _ in flow.below]:
            if prefix not in self._limited:
                self._limited.add(prefix)
                self.notice(throttled_notice(prefix))
        self._totals.flow = flow
        if self._records is not None:
            self._records.set_flow(flow, self._clock())
        self.tick()

    def hide_message(self, why: str) -> None:
        """Hide failures with this message, which ends the run: the command line reports it once."""
        self._aborted = True
        self._view.hide_message(why)

    def hide_cause(self, cause: Cause | None) -> None:
        """Hide failures of this cause, which ends the run and is reported once for all."""
        self._view.hide_cause(cause)

    def notice(self, text: str) -> None:
        """Notify users of something that concerns the run and no single object."""
        self._print(self._view.notice(text))
        if self._own_log is not None:
            self._complain(self._own_log.line("WARNING", text))

    def tick(self) -> None:
        """Redraw the progress display if it is due; may be called as often as needed."""
        if self._view.holding and self._clock() >= self._release_at:
            self._print(Rendered(stderr=self._view.release()))
        if self._voice is not None:
            self._print(self._voice.beat(self._totals))
        if self._log is not None or self._records is not None:
            self._follow_files()
        if self._progress is None and not self._totals.retries:
            return
        now = self._clock()
        if now >= self._redraw_at:
            self._redraw_at = now + REDRAW_SECONDS
            self._explain(now)
            if self._progress is not None:
                self._progress.update(self._totals)

    def _explain(self, now: float) -> None:
        """Have the display say why nothing moves; without one, notify users now and then."""
        causes = self._totals.standstill = self._standstill.update(self._totals, now)
        notice = self._standstill.take_notice(causes, now)
        if notice and self._progress is None:
            self.notice(notice)
        elif notice and self._own_log is not None:
            self._complain(self._own_log.line("WARNING", notice))

    def _follow_files(self) -> None:
        """Go on in the files that have the names of the log and the journal by now."""
        now = self._clock()
        if now < self._follow_at:
            return
        self._follow_at = now + FOLLOW_SECONDS
        if self._log is not None:
            self._complain(self._log.follow())
        if self._records is not None:
            with suppress(FatalError):  # the next record of the journal raises it
                self._complain(self._records.tick(self._totals, now))

    @property
    def refusal(self) -> str | None:
        """Why a finished run counts as failed: access was denied, and no object accepted."""
        end = self._give_up.end()
        return end and end.why

    def close(
        self,
        not_attempted: int = 0,
        *,
        error: str | None = None,
        signal: ExitStatus | None = None,
    ) -> Totals:
        """End the run's records and return its totals.

        ``not_attempted``: objects that an interrupted run listed but did not start. ``error`` and
        ``signal`` are as those of ``run_report``. Raises ``FatalError`` if the journal cannot be
        written.
        """
        totals, end = self._totals, self._give_up.end()
        if end is not None:
            self.hide_cause(end.cause)
        if totals.young and not self._job.dry_run:
            self.notice(left_alone_notice(totals.young))
        if totals.listed == totals.left_out:
            self._notice_empty()
        totals.not_attempted = not_attempted
        totals.seconds = self._clock() - self._started
        self._print(Rendered(stderr=self._view.last_lines()))
        if self._progress is not None:
            self._progress.update(totals)
            self._progress.close()
        if self._own_log is not None:
            self._complain(self._own_log.line("INFO", summary_text(totals, self._job)))
        if self._log is not None:
            self._complain(self._log.close())
        if self._records is not None:
            ended = run_report(totals, refusal=self.refusal, error=error, signal=signal)
            self._complain(self._records.close(totals, settled(ended, self._job).status))
        if self._plan is not None:
            self._close_plan(self._plan)
        return totals

    def _notice_empty(self) -> None:
        from s3pp.report.emptiness import empty_notice  # what few runs need

        if text := empty_notice(self._totals, self._job):
            self.notice(text)

    def _close_plan(self, plan: PlanWriter) -> None:
        """Write the plan, unless there may be more to plan than was found."""
        totals, is_whole = self._totals, not self._aborted and self.refusal is None
        if is_whole and totals.walk_done and not totals.not_attempted:
            plan.close(totals)
            return
        plan.discard()
        why = "the run did not come to its end: run it again"
        if totals.not_deleted:
            why = "what it would delete is refused"
        self.notice(f"no plan is written, as {why}")

    def _print(self, lines: Rendered) -> None:
        if lines.log and self._log is not None:
            self._complain(self._log.append(lines.log))
        if not lines.stdout and not lines.stderr:
            return
        if self._progress is not None:
            self._progress.clear()
        self._streams.stdout.lines(lines.stdout)
        self._streams.stderr.lines(lines.stderr)

    def _complain(self, complaint: str | None) -> None:
        if complaint is not None:
            self._print(self._view.complaint(complaint).without_log())


def _plan_writer(job: Job) -> PlanWriter | None:
    if job.plan is None:
        return None
    from s3pp.report.plan_writer import PlanWriter

    return PlanWriter(job)


def _log(job: Job) -> Log | None:
    if not job.output.log_file:
        return None
    from s3pp.report.journal import Log

    return Log(job.output.log_file, job)


def _run_records(job: Job) -> RunRecords | None:
    output = job.output
    if not (output.keeps_facts or output.metrics):
        return None
    from s3pp.report.run_records import RunRecords

    return RunRecords(job)


def _display(streams: Streams, job: Job) -> Progress | None:
    """Open the progress display, where there is to be one."""
    if not streams.stderr.terminal and not job.output.progress:
        return None
    from s3pp.report.progress import open_progress

    return open_progress(streams, job)
