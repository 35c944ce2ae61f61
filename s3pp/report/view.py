"""The lines on stdout and stderr for outcomes.

====================  ============================  ===========================
printed               to stdout, from verbosity     to stderr, from verbosity
====================  ============================  ===========================
done, deleted         1 (dry run, --json: 0)
skipped               2 (dry run, --json: 0)        0, where it may surprise, unless
                                                    stdout has the same line
failed                -1 with --json                -1, 20 of each cause, and none of what
                                                    ends the run
notices                                             0
====================  ============================  ===========================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from s3pp.job import Job
from s3pp.output import Output
from s3pp.records import LEFT_OUT, Deleted, Done, Failed, Outcome, Skipped, SkipReason
from s3pp.report.failures import Cause, FailureLines
from s3pp.report.lines import Lines
from s3pp.report.outlet import message
from s3pp.report.voice import NOTHING, Rendered, Voice

# Skips that the user did not request and may not expect.
SURPRISING = LEFT_OUT | {SkipReason.OTHER_SIZE}


class Detail(NamedTuple):
    """The kinds of records that are printed."""

    done: bool
    skipped: bool
    failed: bool
    notices: bool

    @classmethod
    def of(cls, output: Output, *, dry_run: bool) -> Detail:
        """Return the detail for these settings."""
        level = output.verbosity
        listing = (dry_run or output.json) and level >= 0
        return cls(
            done=listing or level >= 1,
            skipped=listing or level >= 2,
            failed=level >= -1,
            notices=level >= 0,
        )

    def wants(self, outcome: Outcome) -> bool:
        """Return whether anything is printed for ``outcome``."""
        if isinstance(outcome, Done | Deleted):
            return self.done
        if isinstance(outcome, Skipped):
            return self.skipped or (self.notices and outcome.reason in SURPRISING)
        return self.failed


def names_skips(job: Job) -> bool:
    """Return whether anything that ``job`` writes names the objects that it skips as unchanged."""
    output = job.output
    if output.journal or output.voice or job.is_read_only or job.moves:
        return True
    level = output.verbosity + bool(output.log_file)  # a log has what one more -v prints
    return Detail.of(replace(output, verbosity=level), dry_run=False).skipped


class View:
    """A converter of outcomes to the lines to print; writes nothing."""

    def __init__(
        self, lines: Lines, detail: Detail, *, json: bool = False, program: str = "s3pp"
    ) -> None:
        self.lines = lines
        self._detail = detail
        self._json = json
        self._program = program
        self._remarks = detail.notices and (json or not detail.skipped)
        self._failures = FailureLines()

    def render(self, outcomes: Sequence[Outcome]) -> Rendered:
        """Return the lines for a batch."""
        wanted = self._wanted(outcomes)
        remarks = [line for outcome in wanted if (line := self._remark(outcome)) is not None]
        return Rendered(
            [line for outcome in wanted if (line := self._result(outcome)) is not None],
            remarks + self._complaints(self._failures.take(outcomes)),
        )

    @property
    def holding(self) -> bool:
        """Whether failures are held back, see ``failures``."""
        return self._failures.holding

    def accept(self) -> list[str]:
        """Record that the store accepts objects; returns lines as ``release`` does."""
        return self._complaints(self._failures.accept())

    def release(self) -> list[str]:
        """Return the lines on stderr for failures that were held back."""
        return self._complaints(self._failures.release())

    def last_lines(self) -> list[str]:
        """Return the last lines on stderr: failures held back, and counts by cause."""
        table = self._failures.table() if self._detail.failed else []
        return self.release() + [message(self._program, line) for line in table]

    def hide_cause(self, cause: Cause | None) -> None:
        """Hide failures of this cause, which ends the run."""
        self._failures.hide_cause(cause)

    def notice(self, text: str) -> Rendered:
        """Return the lines for a notice."""
        return Rendered(stderr=[message(self._program, text)]) if self._detail.notices else NOTHING

    def complaint(self, text: str) -> Rendered:
        """Return the lines for a fault of the run's own files, printed where failures are."""
        said = self.notice(text)
        if any(said) or not self._detail.failed:
            return said
        return Rendered(stderr=[message(self._program, text)])

    def hide_message(self, why: str) -> None:
        """Hide failures with this message, the reason that ends the run, on stderr."""
        self._failures.hide_message(why)

    def _wanted(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        if not self._detail.done:  # the usual case, which must be cheap
            outcomes = [outcome for outcome in outcomes if type(outcome) is not Done]
        if not self._detail.skipped:
            outcomes = [o for o in outcomes if type(o) is not Skipped or o.reason in SURPRISING]
        return [outcome for outcome in outcomes if self._detail.wants(outcome)]

    def _complaints(self, failures: Sequence[Failed]) -> list[str]:
        if not self._detail.failed:
            return []
        return [message(self._program, self.lines.text(each)) for each in failures]

    def _result(self, outcome: Outcome) -> str | None:
        if self._json:
            return self.lines.json(outcome)
        if isinstance(outcome, Failed) or (
            isinstance(outcome, Skipped) and not self._detail.skipped
        ):
            return None
        return self.lines.text(outcome)

    def _remark(self, outcome: Outcome) -> str | None:
        if self._remarks and isinstance(outcome, Skipped) and outcome.reason in SURPRISING:
            return message(self._program, self.lines.text(outcome))
        return None


class VoicedView(View):
    """The view of a run with a voice: what that leaves out is s3pp's."""

    def __init__(self, voice: Voice, lines: Lines, detail: Detail, *, program: str) -> None:
        super().__init__(lines, detail, program=program)
        self._voice = voice

    def render(self, outcomes: Sequence[Outcome]) -> Rendered:
        """Return the lines for a batch."""
        others: list[Outcome] = []
        stdout: list[str] = []
        stderr: list[str] = []
        log: list[str] = []
        for outcome in outcomes:
            said = self._voice.outcome(outcome)
            if said is None:
                others.append(outcome)
                continue
            stdout += said.stdout
            stderr += said.stderr
            log += said.log
        own = super().render(others)
        return Rendered([*stdout, *own.stdout], [*stderr, *own.stderr], log)

    def notice(self, text: str) -> Rendered:
        """Return the lines for a notice."""
        said = self._voice.notice(text)
        return super().notice(text) if said is None else said


def view_of(job: Job, voice: Voice | None) -> View:
    """Return the view for ``job``, in its voice."""
    lines, detail = Lines.of(job), Detail.of(job.output, dry_run=job.lists_decisions)
    program = job.output.program
    if voice is not None:
        return VoicedView(voice, lines, detail, program=program)
    return View(lines, detail, json=job.output.json, program=program)
