"""The facts of a run: counts and sums, folded from outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from s3pp.records import Done, Outcome, Skipped, SkipReason

SILENCE = 5.0  # seconds without an answer that are worth a word


class Fact(NamedTuple):
    """A part of what a display says, in two lengths."""

    text: str
    short: str
    rank: int = 0  # where there is no room the highest is left out first


class Flow(NamedTuple):
    """How the store takes the requests of a run. Producer: the supervisor; consumer: displays."""

    throttled: int = 0  # requests that the store refused for being too many, so far
    rate: float = 0.0  # requests a second that it is sent at the most; 0: there is no limit
    silent: float = 0.0  # seconds for which no request was answered, though some are waiting

    @property
    def told(self) -> tuple[Fact, ...]:
        """What a user should know of it, in a few words."""
        facts = []
        if self.rate:
            rate, refused = f"{self.rate:,.0f}", ""
            if self.throttled:
                refused = f" ({self.throttled:,} throttled)"
            facts.append(Fact(f"limited to {rate} requests/s{refused}", f"limit {rate}/s{refused}"))
        if self.silent >= SILENCE:
            time = f"{self.silent:.0f} s"
            facts.append(Fact(f"no answer from the store for {time}", f"no answer for {time}"))
        return tuple(facts)


@dataclass(slots=True)
class Totals:
    """Counts of a run so far. Producer: the statter's ``Recorder``; consumer: supervisor, views."""

    listed: int = 0  # objects the walker named
    walk_done: bool = False  # it has named all there are
    done: int = 0
    skipped: int = 0
    failed: int = 0
    not_attempted: int = 0  # of an interrupted run: named, but left where they are
    bytes: int = 0  # of the sources that are done
    sent: int = 0  # bytes that moved for them: fewer where compressed, or there in part already
    requests: int = 0  # to the store, listings included; in a dry run, those that would be
    in_parts: int = 0  # bytes of parts that were sent, of objects that are not done
    seconds: float = 0.0  # since the run started
    flow: Flow = field(default_factory=Flow)
    young: int = 0  # of a clean: uploads skipped that may be in use
    unknown_sizes: int = 0  # of a clean: uploads done whose bytes the store does not tell

    def fold(self, outcome: Outcome) -> None:
        """Add one outcome."""
        self.fold_all((outcome,))

    def fold_all(self, outcomes: Iterable[Outcome]) -> None:
        """Add a batch. On the path of every object: locals, and one pass."""
        done = skipped = failed = size = sent = 0
        for outcome in outcomes:
            if isinstance(outcome, Done):
                done += 1
                size += outcome.size
                sent += outcome.sent
            elif isinstance(outcome, Skipped):
                skipped += 1
            else:
                failed += 1
        self.done += done
        self.skipped += skipped
        self.failed += failed
        self.bytes += size
        self.sent += sent

    def fold_uploads(self, outcomes: Iterable[Outcome]) -> None:
        """Add what only the outcomes of a clean have, besides ``fold_all``."""
        for outcome in outcomes:
            upload = outcome.upload if isinstance(outcome, Done) else None
            self.unknown_sizes += upload is not None and upload.parts is None
            self.young += isinstance(outcome, Skipped) and outcome.reason is SkipReason.YOUNG

    @property
    def there(self) -> int:
        """Bytes that are where they belong, those sent of unfinished objects included."""
        return self.bytes + self.in_parts

    @property
    def moved(self) -> int:
        """Bytes that moved, by which rates are told: what was there already took no time."""
        return self.sent + self.in_parts

    @property
    def finished(self) -> int:
        """Objects that have their outcome."""
        return self.done + self.skipped + self.failed

    @property
    def balanced(self) -> bool:
        """Whether every object listed is accounted for, exactly once."""
        return self.listed == self.finished + self.not_attempted
