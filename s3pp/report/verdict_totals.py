"""What a verify has found, by verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from s3pp.errors import FailureKind
from s3pp.recorded import MatchReason
from s3pp.records import Done, Failed, Outcome

# Verdicts about objects, and not failures to find one.
_FAULTS = (FailureKind.MISSING, FailureKind.DIFFERS, FailureKind.EXTRA, FailureKind.UNDECIDED)


@dataclass(slots=True)
class VerdictTotals:
    """Counts of objects so far, by what they were verified by, and by what is wrong with them."""

    verified: dict[str, int] = field(default_factory=dict)  # by the values of ``MatchReason``
    faults: dict[str, int] = field(default_factory=dict)  # by the values of ``FailureKind``

    def fold(self, outcomes: Iterable[Outcome]) -> None:
        """Add a batch."""
        for outcome in outcomes:
            if isinstance(outcome, Done):
                _count(self.verified, outcome.reason.value)
            elif isinstance(outcome, Failed) and outcome.kind in _FAULTS:
                _count(self.faults, outcome.kind.value)

    @property
    def counts(self) -> dict[str, int]:
        """The counts for the summary, by how they are called there, in a fixed order."""
        by = {f"by {each.value}": self.verified.get(each.value, 0) for each in MatchReason}
        return by | {each.value: self.faults.get(each.value, 0) for each in _FAULTS}

    @property
    def facts(self) -> dict[str, Any]:
        """The fields that the summary has for programs; all verdicts, as 0 where there is none."""
        faults = {each.value: self.faults.get(each.value, 0) for each in _FAULTS}
        return {"verified": dict(self.verified), **faults}


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
