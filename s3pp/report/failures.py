"""Failures by cause: which of them are shown, and which cause ends the run.

A cause may affect every object of a run. It is shown at most ``SHOWN`` times and then only
counted; the journal and the log name every object. Until the store has accepted an object,
failures are held back for a moment: if their cause ends the run, a single line reports it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from s3pp.errors import FailureKind
from s3pp.recorded import MatchReason
from s3pp.records import DeleteReason, Failed, Outcome, SendReason, SkipReason

if TYPE_CHECKING:
    from s3pp.report.totals import Totals

SHOWN = 20  # failures of one cause
HELD_SECONDS = 3.0  # for which a failure is held back until an object is accepted
ENOUGH_REFUSALS = 50  # objects refused access for the same cause, with none accepted
ENOUGH_ALIKE = 100  # objects refused for the same cause of any other kind, with none accepted
ENOUGH_SILENCE = 100  # consecutive objects, with all retries used up, without an answer

QUIET = 2.0  # seconds without a transfer after which a display says why
NOTICE = 30.0  # seconds after which a run without a display says so; then after twice as many
LONGEST = 600.0  # seconds between two such notices, at most

# Reasons that prove that the store granted access.
_ACCEPTED = frozenset(
    {
        *SendReason,
        *DeleteReason,
        *MatchReason,
        SkipReason.EXISTS,
        SkipReason.OTHER_SIZE,
        SkipReason.SAME_ETAG,
        SkipReason.SAME_CHECKSUM,
        SkipReason.SAME_TIME,
    }
)


# Failures that prove the same: of a verify, whose questions were answered.
_ANSWERED = frozenset({FailureKind.MISSING, FailureKind.DIFFERS, FailureKind.EXTRA})


class Cause(NamedTuple):
    """The cause of failures, identified by kind and code."""

    kind: FailureKind
    code: str  # the store's error code; empty for a cause that concerns a single object

    @property
    def decides(self) -> bool:
        """Whether the cause may affect every object: the store's, not the object's own."""
        return bool(self.code) or self.kind is FailureKind.ACCESS

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.code})" if self.code else self.kind.value


def cause_of(failed: Failed) -> Cause:
    """Return the cause of a failure."""
    return Cause(failed.kind, failed.code)


def explain(failed: Failed) -> str:
    """Return why an object failed, and what is kept of it for the next run."""
    return f"{failed.message}; {failed.kept.value}" if failed.kept.value else failed.message


def accepted(outcomes: Iterable[Outcome]) -> bool:
    """Return whether one of the outcomes proves that the store accepts objects."""
    return any(
        each.kind in _ANSWERED if isinstance(each, Failed) else each.reason in _ACCEPTED
        for each in outcomes
    )


class GiveUp(NamedTuple):
    """The reason to end a run, because every other object would fail too."""

    why: str  # one line
    cause: Cause | None  # of all refusals, reported once; None: the store does not answer


# What the store refuses, of each object and of all, by verb; of the others objects, and access.
_REFUSED = MappingProxyType(
    {"clean": ("abort", "every abort"), "remove": ("deletion", "every deletion")}
)


class GiveUpRule:
    """A detector of a store that refuses every object for one cause, or no longer answers."""

    def __init__(self, verb: str) -> None:
        self._object, self._access = _REFUSED.get(verb, ("object", "access"))
        self._accepted = False
        self._counts: Counter[Cause] = Counter()
        self._unreached = 0  # consecutive objects without an answer
        self._denied: Failed | None = None  # the last failure with access denied

    def add(self, outcomes: Sequence[Outcome]) -> GiveUp | None:
        """Count a batch. Returns, once, the reason to end the run that it completes, if any."""
        silent = self._silence(outcomes)
        refused = None if self._accepted else self._refusal(outcomes)
        if refused is None:
            return silent and GiveUp(f"the store does not answer any more: {explain(silent)}", None)
        rest = f"every {self._object}, and the rest is not tried"
        return GiveUp(f"the store refuses {rest}: {explain(refused)}", cause_of(refused))

    def accept(self) -> None:
        """Record that the store has granted access to an object."""
        self._accepted = True
        self._unreached = 0

    def end(self) -> GiveUp | None:
        """Return a reason at the end of the run: access was denied, and no object accepted."""
        if self._denied is None or self._accepted:
            return None
        why = f"the store refuses {self._access}: {explain(self._denied)}"
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


class FailureLines:
    """The selection of failures to show on stderr; writes nothing."""

    def __init__(self) -> None:
        self._accepted = False
        self._counts: Counter[Cause] = Counter()
        self._held: list[Failed] = []
        self._ended_by: Cause | None = None
        self._why: str | None = None  # the run is aborted: the reason

    @property
    def holding(self) -> bool:
        """Whether failures are held back."""
        return bool(self._held)

    def take(self, outcomes: Sequence[Outcome]) -> list[Failed]:
        """Count the failures of a batch; returns those to show now."""
        shown = self.accept() if self._accepted or accepted(outcomes) else []
        for each in outcomes:
            if type(each) is Failed and each.message != self._why:
                cause = cause_of(each)
                self._counts[cause] += 1
                if self._counts[cause] <= SHOWN and cause != self._ended_by:
                    wait = cause.decides and not self._accepted
                    (self._held if wait else shown).append(each)
        return shown

    def hide_cause(self, cause: Cause | None) -> None:
        """Drop failures of this cause, which ends the run and is reported with its end."""
        self._ended_by = cause
        self._held = [each for each in self._held if cause_of(each) != cause]

    def hide_message(self, why: str) -> None:
        """Drop failures with this message, the reason that ends the run, which is reported once."""
        self._why = why
        self._held = [each for each in self._held if each.message != why]

    def accept(self) -> list[Failed]:
        """Record that the store accepts objects; returns failures as ``release`` does."""
        self._accepted = True
        return self.release()

    def release(self) -> list[Failed]:
        """Return the failures held back, and hold them no more."""
        held, self._held = self._held, []
        return held

    def table(self) -> list[str]:
        """Return lines with the failures by cause; empty if each failure was shown.

        The cause that ended the run is left out: it is reported elsewhere.
        """
        counts = [(cause, n) for cause, n in self._counts.most_common() if cause != self._ended_by]
        if all(count <= SHOWN for _, count in counts):
            return []
        rows = [f"{count:>8}  {cause}" for cause, count in counts]
        named = f"the first {SHOWN} of each are named above; --journal names all"
        return [f"failures by cause ({named}):", *rows]


class Standstill:
    """Why nothing moves: the attempts that have failed since anything was transferred.

    Of one run; times in seconds of one clock.
    """

    def __init__(self, now: float) -> None:
        self._moved = (0, 0)
        self._since = now
        self._before: dict[str, int] = {}  # failed attempts by cause, when anything moved last
        self._due = NOTICE

    def update(self, totals: Totals, now: float) -> str:
        """Take what was transferred by ``now``; return why nothing is, for a display, or ``""``."""
        moved = (totals.done + totals.skipped + totals.deleted, totals.moved)
        if moved != self._moved:
            self._moved, self._since = moved, now
            self._before, self._due = dict(totals.retries), NOTICE
        return self._causes(totals) if now - self._since >= QUIET else ""

    def take_notice(self, causes: str, now: float) -> str:
        """Return the notice that is due for ``causes``, as ``update`` returned them, or ``""``."""
        seconds = now - self._since
        if not causes or seconds < self._due:
            return ""
        self._due += min(self._due, LONGEST)
        return f"nothing was transferred for {seconds:.0f} s: {causes}"

    def _causes(self, totals: Totals) -> str:
        before = self._before
        counts = {cause: n - before.get(cause, 0) for cause, n in totals.retries.items()}
        ranked = sorted((-count, cause) for cause, count in counts.items() if count)
        found = ", ".join(f"{cause} × {-count:,}" for count, cause in ranked)
        return f"retrying: {found}" if found else ""
