"""A store that limits the requests below each prefix, as S3 does, and counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from loopback.throttle import Throttle

SLICE = 0.1  # seconds that are counted together
BURST = 0.1  # seconds of the rate that go at once after a pause


class Limits(NamedTuple):
    """What a store takes below each prefix."""

    rate: float  # requests a second
    # Seconds with refusals after which a prefix is split, and takes twice as many; 0: never.
    split_after: int = 0
    most_splits: int = 3


class Prefix:
    """One prefix: a token bucket, whose rate doubles where it was not enough for long."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._bucket = Throttle(limits.rate, BURST * limits.rate, clock=clock)
        self._second, self._seconds = -1, 0  # the last one with refusals, and their number
        self.splits: list[float] = []  # when it was split

    def take(self) -> bool:
        """Whether one more request is within the limit."""
        taken = self._bucket.take()
        splits = self._limits.split_after and len(self.splits) < self._limits.most_splits
        if not taken and splits:
            self._count_refusal()
        return taken

    def _count_refusal(self) -> None:
        now = self._clock()
        if int(now) == self._second:
            return
        self._second, self._seconds = int(now), self._seconds + 1
        if self._seconds == self._limits.split_after:
            self._seconds = 0
            self._bucket.rate *= 2.0
            self.splits.append(now)


class Store:
    """Prefixes, and what was asked of them."""

    def __init__(
        self, limits: Limits, clock: Callable[[], float], *, unlimited: frozenset[str] = frozenset()
    ) -> None:
        """``unlimited``: prefixes that take everything."""
        self._limits, self._clock, self._unlimited = limits, clock, unlimited
        self.prefixes: dict[str, Prefix] = {}
        self.sent: Counter[int] = Counter()  # requests, by slice
        self.taken: Counter[int] = Counter()  # those accepted, by slice
        self.taken_of: Counter[tuple[int, int]] = Counter()  # by worker and second

    def take(self, prefix: str, worker: int) -> bool:
        """Whether the store accepts a request of ``worker`` below ``prefix``."""
        now = self._clock()
        self.sent[int(now / SLICE)] += 1
        if prefix not in self._unlimited and not self._prefix(prefix).take():
            return False
        self.taken[int(now / SLICE)] += 1
        self.taken_of[worker, int(now)] += 1
        return True

    def _prefix(self, prefix: str) -> Prefix:
        found = self.prefixes.get(prefix)
        if found is None:
            found = self.prefixes[prefix] = Prefix(self._limits, self._clock)
        return found
