"""The totals of a run: counts and sums of its outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from s3pp.records import Done, Outcome, Skipped, SkipReason

SILENCE = 5.0  # seconds without an answer after which a display mentions it


class Fact(NamedTuple):
    """A part of a display's text, in two lengths."""

    text: str
    short: str
    rank: int = 0  # the highest is dropped first for lack of space


class Flow(NamedTuple):
    """The state of the store under a run's load. Producer: the supervisor; consumer: displays."""

    throttled: int = 0  # requests that the store has throttled so far
    rate: float = 0.0  # maximum requests per second sent to it; 0: no limit
    silent: float = 0.0  # seconds without an answer while requests are waiting

    @property
    def told(self) -> tuple[Fact, ...]:
        """The parts of a display's text that describe it."""
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

    listed: int = 0  # objects found by the walker
    walk_done: bool = False  # the walker has finished
    done: int = 0
    skipped: int = 0
    failed: int = 0
    not_attempted: int = 0  # of an interrupted run: listed, but not started
    bytes: int = 0  # of the sources that are done
    sent: int = 0  # bytes transferred for them: fewer if compressed or resumed
    requests: int = 0  # to the store, listings included; in a dry run, those that would be
    in_parts: int = 0  # bytes of parts transferred, of objects that are not done
    seconds: float = 0.0  # since the start of the run
    flow: Flow = field(default_factory=Flow)
    young: int = 0  # of a clean: uploads skipped that may be in use
    unknown_sizes: int = 0  # of a clean: uploads done with an unknown number of bytes

    def fold(self, outcome: Outcome) -> None:
        """Add one outcome."""
        self.fold_all((outcome,))

    def fold_all(self, outcomes: Iterable[Outcome]) -> None:
        """Add a batch. Runs for every object, hence local variables and one pass."""
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
        """Bytes at the destination, including those sent of unfinished objects."""
        return self.bytes + self.in_parts

    @property
    def moved(self) -> int:
        """Bytes transferred, from which rates are computed: resumed bytes took no time."""
        return self.sent + self.in_parts

    @property
    def finished(self) -> int:
        """The number of objects that have their outcome."""
        return self.done + self.skipped + self.failed

    @property
    def balanced(self) -> bool:
        """Whether every object listed is accounted for exactly once."""
        return self.listed == self.finished + self.not_attempted
