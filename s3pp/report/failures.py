"""Failures by their cause: which of them are shown, and which cause no object escapes.

A cause may hit every object of a run. It is then shown at most ``SHOWN`` times and counted after
that; the journal and the log name every object. As long as the store has accepted nothing, what it
refuses waits here for a moment: where that turns out to end the run, one line says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from s3pp.errors import FailureKind
from s3pp.records import Failed, Outcome, SendReason, SkipReason

SHOWN = 20  # failures of one cause
HELD_SECONDS = 3.0  # for which a failure waits until something is accepted
ENOUGH_REFUSALS = 50  # objects to which access was refused alike, with none accepted
ENOUGH_ALIKE = 100  # objects refused alike for any other cause
ENOUGH_SILENCE = 100  # objects in a row, each tried to the end, that no answer came for

# Reasons that show that the store let us in.
_ACCEPTED = frozenset(
    {
        *SendReason,
        SkipReason.EXISTS,
        SkipReason.OTHER_SIZE,
        SkipReason.SAME_ETAG,
        SkipReason.SAME_CHECKSUM,
        SkipReason.SAME_TIME,
    }
)


class Cause(NamedTuple):
    """Why objects failed: alike, if kind and code are the same."""

    kind: FailureKind
    code: str  # what the store calls it; empty for what concerns an object alone

    @property
    def decides(self) -> bool:
        """Whether it may be the cause for every object: the store's, not the object's own."""
        return bool(self.code) or self.kind is FailureKind.ACCESS

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.code})" if self.code else self.kind.value


def cause_of(failed: Failed) -> Cause:
    """The cause of a failure."""
    return Cause(failed.kind, failed.code)


def accepted(outcomes: Iterable[Outcome]) -> bool:
    """Whether one of these shows that the store accepts objects."""
    return any(not isinstance(each, Failed) and each.reason in _ACCEPTED for each in outcomes)


class GiveUp(NamedTuple):
    """The reason to end a run: no other object would end better."""

    why: str  # one line
    cause: Cause | None  # by which all were refused: no failure has to say the same


class GiveUpRule:
    """Finds out that a store refuses everything alike, or does not answer any more."""

    def __init__(self, verb: str) -> None:
        clean = verb == "clean"  # whose objects are uploads
        self._object, self._access = ("abort", "every abort") if clean else ("object", "access")
        self._accepted = False
        self._counts: Counter[Cause] = Counter()
        self._unreached = 0  # objects in a row that no answer came for
        self._denied: Failed | None = None  # the last that access was refused to

    def add(self, outcomes: Sequence[Outcome]) -> GiveUp | None:
        """Take a batch. Returns the reason that it gives to end the run, if any, once."""
        silent = self._silence(outcomes)
        refused = None if self._accepted else self._refusal(outcomes)
        if refused is None:
            return silent and GiveUp(f"the store does not answer any more: {silent.message}", None)
        rest = f"every {self._object}, and the rest is not tried"
        return GiveUp(f"the store refuses {rest}: {refused.message}", cause_of(refused))

    def end(self) -> GiveUp | None:
        """The reason that there is at the end: access was refused, and nothing accepted."""
        if self._denied is None or self._accepted:
            return None
        why = f"the store refuses {self._access}: {self._denied.message}"
        return GiveUp(why, cause_of(self._denied))

    def _silence(self, outcomes: Sequence[Outcome]) -> Failed | None:
        found = None
        for each in outcomes:
            if not isinstance(each, Failed) or each.kind is not FailureKind.NETWORK:
                self._unreached = 0
                continue
            self._unreached += 1
            found = each if self._unreached == ENOUGH_SILENCE else found
        return found

    def _refusal(self, outcomes: Sequence[Outcome]) -> Failed | None:
        self._accepted = accepted(outcomes)
        found = None
        for each in outcomes:
            if isinstance(each, Failed) and (cause := cause_of(each)).decides:
                self._counts[cause] += 1
                found = each if self._counts[cause] == _limit(cause) else found
            if isinstance(each, Failed) and each.kind is FailureKind.ACCESS:
                self._denied = each
        return None if self._accepted else found


def _limit(cause: Cause) -> int:
    return ENOUGH_REFUSALS if cause.kind is FailureKind.ACCESS else ENOUGH_ALIKE


class CauseCounts:
    """Counts failures by cause, each of which is shown ``SHOWN`` times."""

    def __init__(self) -> None:
        self._counts: Counter[Cause] = Counter()

    def add(self, cause: Cause) -> bool:
        """Count one failure; returns whether it is to be shown."""
        self._counts[cause] += 1
        return self._counts[cause] <= SHOWN

    def table(self, *, ended_by: Cause | None = None) -> list[str]:
        """Lines that count the failures by cause; empty where each of them was shown.

        ``ended_by``: the one that ended the run, and is said with its end.
        """
        counts = [(cause, n) for cause, n in self._counts.most_common() if cause != ended_by]
        if all(count <= SHOWN for _, count in counts):
            return []
        rows = [f"{count:>8}  {cause}" for cause, count in counts]
        named = f"the first {SHOWN} of each are named above; --journal names all"
        return [f"failures by cause ({named}):", *rows]


class FailureLines:
    """Chooses the failures that are shown on stderr; writes nothing."""

    def __init__(self) -> None:
        self._accepted = False
        self._counts = CauseCounts()
        self._held: list[Failed] = []
        self._ended_by: Cause | None = None
        self._why: str | None = None  # the run is aborted, in words

    @property
    def holding(self) -> bool:
        """Whether failures wait to be shown."""
        return bool(self._held)

    def take(self, outcomes: Sequence[Outcome]) -> list[Failed]:
        """Count the failures of a batch; returns those to be shown now."""
        self._accepted = self._accepted or accepted(outcomes)
        shown = self.release() if self._accepted else []
        for each in outcomes:
            if type(each) is Failed and each.message != self._why:
                cause = cause_of(each)
                if self._counts.add(cause) and cause != self._ended_by:
                    wait = cause.decides and not self._accepted
                    (self._held if wait else shown).append(each)
        return shown

    def end(self, cause: Cause | None) -> None:
        """The run ends by this cause, and says so: no failure has to say it as well."""
        self._ended_by = cause
        self._held = [each for each in self._held if cause_of(each) != cause]

    def aborted(self, why: str) -> None:
        """The run ends for this reason, and says so: no failure has to say the same."""
        self._why = why
        self._held = [each for each in self._held if each.message != why]

    def release(self) -> list[Failed]:
        """Those that waited."""
        held, self._held = self._held, []
        return held

    def table(self) -> list[str]:
        """As ``CauseCounts.table``; what the end of the run says of objects is not counted."""
        return self._counts.table(ended_by=self._ended_by)
