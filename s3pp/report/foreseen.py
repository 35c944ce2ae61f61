"""What a dry run would do, by reason: the table before its summary, and the same for programs.

::

    would  reason        objects      bytes  requests
    put    new                 3       4096         3
    skip   same etag          12      81920         -
    fail   conflict            1          -         -
    leave  excluded            2          -         -
    requests: 3 PutObject; 2 to list and compare, made by the dry run too
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from s3pp.records import Done, Failed, Outcome, Skipped

DELETE, SKIP, FAIL, LEAVE = "delete", "skip", "fail", "leave"
HEADING = ("would", "reason", "objects", "bytes", "requests")
_ORDER = (SKIP, FAIL, LEAVE)  # of actions, after those that transfer


@dataclass(slots=True)
class ReasonTotal:
    """The objects that have an action and a reason in common."""

    action: str  # what would become of them: the verb, ``DELETE``, ``SKIP``, ``FAIL`` or ``LEAVE``
    reason: str  # of a failure: its kind
    objects: int = 0
    bytes: int | None = 0  # None: not known
    requests: int = 0  # to transfer them

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        size = "-" if self.bytes is None else str(self.bytes)
        requests = "-" if self.action in _ORDER else str(self.requests)
        return self.action, self.reason, str(self.objects), size, requests

    @property
    def facts(self) -> dict[str, Any]:
        """The row for programs: what is not known, or does not apply, is left out."""
        facts: dict[str, Any] = {
            "action": self.action,
            "reason": self.reason,
            "objects": self.objects,
        }
        if self.bytes is not None:
            facts["bytes"] = self.bytes
        return facts if self.action in _ORDER else facts | {"requests": self.requests}


@dataclass(slots=True)
class ForeseenTotals:
    """Counts of a dry run so far, by reason. Their number does not grow with that of objects."""

    verb: str
    reasons: dict[str, ReasonTotal] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)  # to transfer all, by S3 operation

    def fold(self, outcomes: Iterable[Outcome]) -> int:
        """Add a batch. Returns the number of requests that would transfer it."""
        return sum(map(self._fold, outcomes))

    def exclude(self, count: int) -> None:
        """Add ``count`` names that the filters leave out."""
        self._add(LEAVE, "excluded", None, count)

    @property
    def rows(self) -> list[ReasonTotal]:
        """One total for each reason: what would be transferred first, by number of objects."""
        return sorted(self.reasons.values(), key=_place)

    @property
    def requests(self) -> int:
        """The number of requests that would transfer all."""
        return sum(self.calls.values())

    @property
    def facts(self) -> dict[str, Any]:
        """The fields that the summary of a dry run has for programs."""
        reasons = [each.facts for each in self.rows]
        return {"reasons": reasons, "requests_by_operation": dict(self.calls)}

    def _fold(self, outcome: Outcome) -> int:
        if isinstance(outcome, Failed):
            self._add(FAIL, outcome.kind.value, None)
            return 0
        if isinstance(outcome, Skipped):
            self._add(SKIP, outcome.reason.value, outcome.size)
            return 0
        action = self.verb if isinstance(outcome, Done) else DELETE
        total = self._add(action, outcome.reason.value, outcome.size)
        if outcome.foreseen is None:
            return 0
        for operation, count in outcome.foreseen.calls:
            self.calls[operation] = self.calls.get(operation, 0) + count
        total.requests += outcome.foreseen.requests
        return outcome.foreseen.requests

    def _add(self, action: str, reason: str, size: int | None, count: int = 1) -> ReasonTotal:
        total = self.reasons.setdefault(f"{action} {reason}", ReasonTotal(action, reason))
        total.objects += count
        total.bytes = None if total.bytes is None or size is None else total.bytes + size
        return total


def _place(total: ReasonTotal) -> tuple[int, int, str]:
    rank = _ORDER.index(total.action) + 1 if total.action in _ORDER else 0
    return rank, -total.objects, total.reason


def table(totals: ForeseenTotals, requests: int) -> list[str]:
    """Return the lines of the table; ``requests``: all of the run, as far as they are known."""
    rows = [HEADING, *(each.cells for each in totals.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [*(_row(cells, widths) for cells in rows), _requests(totals, requests)]


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    action, reason, *numbers = cells
    texts = [action.ljust(widths[0]), reason.ljust(widths[1])]
    return "  ".join([*texts, *map(str.rjust, numbers, widths[2:])])


def _requests(totals: ForeseenTotals, requests: int) -> str:
    by_operation = ", ".join(f"{count} {operation}" for operation, count in totals.calls.items())
    reads = f"{requests - totals.requests} to list and compare, made by the dry run too"
    return f"requests: {by_operation}; {reads}" if by_operation else f"requests: {reads}"
