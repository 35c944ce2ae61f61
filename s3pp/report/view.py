"""What is shown of the outcomes on stdout and stderr.

====================  ============================  ===========================
printed               to stdout, from verbosity     to stderr, from verbosity
====================  ============================  ===========================
done                  1 (dry run, --json: 0)
skipped               2 (dry run, --json: 0)        0, where it may surprise, unless
                                                    stdout has the same line
failed                -1 with --json                -1, 20 of each cause, and none of what
                                                    ends the run
notices                                             0
====================  ============================  ===========================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from s3pp.job import Output
from s3pp.records import Done, Failed, Outcome, Skipped, SkipReason
from s3pp.report.escape import one_line
from s3pp.report.failures import Cause, FailureLines
from s3pp.report.lines import Lines

# Nobody asked for these to be left out, or they are not what they seem.
SURPRISING = frozenset(
    {
        SkipReason.SPECIAL,
        SkipReason.LOOP,
        SkipReason.LINK_MEMBER,
        SkipReason.TEMPORARY,
        SkipReason.OTHER_SIZE,
    }
)


class Detail(NamedTuple):
    """Which records are printed at all."""

    done: bool
    skipped: bool
    failed: bool
    notices: bool

    @classmethod
    def of(cls, output: Output, *, dry_run: bool) -> Detail:
        """The detail these settings ask for."""
        level = output.verbosity
        listing = (dry_run or output.json) and level >= 0
        return cls(
            done=listing or level >= 1,
            skipped=listing or level >= 2,
            failed=level >= -1,
            notices=level >= 0,
        )

    def wants(self, outcome: Outcome) -> bool:
        """Whether anything is printed for ``outcome``."""
        if isinstance(outcome, Done):
            return self.done
        if isinstance(outcome, Skipped):
            return self.skipped or (self.notices and outcome.reason in SURPRISING)
        return self.failed


class Rendered(NamedTuple):
    """Lines, without line ends."""

    stdout: list[str]
    stderr: list[str]


class View:
    """Turns outcomes into the lines to print: decides, writes nothing."""

    def __init__(self, lines: Lines, detail: Detail, *, json: bool = False) -> None:
        self._lines = lines
        self._detail = detail
        self._json = json
        self._remarks = detail.notices and (json or not detail.skipped)
        self._failures = FailureLines()

    def render(self, outcomes: Sequence[Outcome]) -> Rendered:
        """The lines for a batch."""
        wanted = self._wanted(outcomes)
        remarks = [line for outcome in wanted if (line := self._remark(outcome)) is not None]
        return Rendered(
            [line for outcome in wanted if (line := self._result(outcome)) is not None],
            remarks + self._complaints(self._failures.take(outcomes)),
        )

    @property
    def holding(self) -> bool:
        """Whether failures wait for what the store says to others."""
        return self._failures.holding

    def release(self) -> list[str]:
        """The lines on stderr for failures that waited."""
        return self._complaints(self._failures.release())

    def closing(self) -> list[str]:
        """The last lines on stderr: what waited, and the causes of what was only counted."""
        table = self._failures.table() if self._detail.failed else []
        return self.release() + [f"s3pp: {line}" for line in table]

    def ended_by(self, cause: Cause | None) -> None:
        """The run ends by a cause of failures, which are not shown then."""
        self._failures.end(cause)

    def notice(self, text: str) -> list[str]:
        """The lines on stderr for a notice."""
        return [f"s3pp: {one_line(text)}"] if self._detail.notices else []

    def aborted(self, why: str) -> None:
        """The run ends for this reason, and says so: no failure has to say it on stderr as well."""
        self._failures.aborted(why)

    def _wanted(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        if not self._detail.done:  # the usual case, and it has to cost next to nothing
            outcomes = [outcome for outcome in outcomes if type(outcome) is not Done]
        return [outcome for outcome in outcomes if self._detail.wants(outcome)]

    def _complaints(self, failures: Sequence[Failed]) -> list[str]:
        if not self._detail.failed:
            return []
        return [f"s3pp: {self._lines.text(each)}" for each in failures]

    def _result(self, outcome: Outcome) -> str | None:
        if self._json:
            return self._lines.json(outcome)
        if isinstance(outcome, Failed) or (
            isinstance(outcome, Skipped) and not self._detail.skipped
        ):
            return None
        return self._lines.text(outcome)

    def _remark(self, outcome: Outcome) -> str | None:
        if self._remarks and isinstance(outcome, Skipped) and outcome.reason in SURPRISING:
            return f"s3pp: {self._lines.text(outcome)}"
        return None
