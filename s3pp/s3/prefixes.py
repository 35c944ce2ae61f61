"""Prefixes that a store limits by themselves: found from what it refuses and accepts.

::

    Bucket.call ── Lanes.admit ──▶ RequestLimiter of all, or of a limited prefix
                      │    refuse
                      └──▶ Feedback.evidence ──▶ PrefixFinder ──▶ PrefixLimit ──▶ Lanes.apply

S3 scales each partition of the keys by itself (User Guide, "Optimizing S3 performance": at least
3,500 writes and 5,500 reads a second and partitioned prefix). A request belongs to a *place*: its
bucket and key, ``bucket/logs/2024/a``. Counted are the directories of places, and only while the
store throttles. The limit is that of a prefix if requests below it were refused while so many
others were accepted at the same time that it cannot be chance; else it is that of all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import log
from typing import Generic, Protocol, TypeVar

from s3pp.s3.congestion import NO_LIMIT, Count, PrefixLimit, RateLimit

MOST_PREFIXES = 4  # limited at a time; beyond that the limit is that of all
DEEPEST = 8  # components of a prefix that is found, the bucket counted
MOST_DIRECTORIES = 256  # that are counted at a time; others are not evidence
# What happens in one bin happens at the same time: it lasts so many seconds, and until it has so
# many answers, since at a low rate each comes alone.
BIN, LEAST_IN_BIN = 0.2, 10
BINS = 20  # that are remembered

LEAST_REFUSED = 8  # requests below each prefix that is found
LEAST_SHARE = 0.03  # of the requests below it, refused
# How little chance explains what was accepted elsewhere, were it refused as below the prefix: the
# logarithm of 1 in 20,000.
SURPRISE = 10.0

LimiterT = TypeVar("LimiterT", bound="Limiter")


Evidence = tuple[tuple[str, Count], ...]  # by directory, as in ``bucket/logs/2024/``


class Limiter(Protocol):
    """What admits requests below one prefix, see ``limiter.RequestLimiter``."""

    def take_at_once(self) -> bool:
        """Admit a request if it need not wait; return whether it was admitted."""

    async def take(self) -> None:
        """Wait until a request is admitted."""

    def put_back(self) -> None:
        """Take back the admission of a request that was not sent."""

    def set_limit(self, limit: RateLimit) -> None:
        """Apply ``limit`` from now on."""

    def end(self) -> None:
        """End the run."""

    def close(self) -> None:
        """Send no more reports."""


class Lanes(Generic[LimiterT]):
    """The limiters of one process, and the evidence for others; exists while a store throttles."""

    def __init__(self, of_all: LimiterT, create: Callable[[str], LimiterT]) -> None:
        """``create`` makes the limiter of a prefix."""
        self._of_all = of_all
        self._create = create
        self._seen: dict[str, list[int]] = {}  # by directory: sent, refused
        self.limited: dict[str, LimiterT] = {}

    async def admit(self, place: str) -> LimiterT:
        """Wait until a request is admitted; return by which limiter. Raises ``RunEnding``."""
        while True:
            limiter = self._of(place)
            if not limiter.take_at_once():
                await limiter.take()
            if self._of(place) is limiter:
                if limiter is self._of_all:
                    self._count(place, 0)
                return limiter
            limiter.put_back()  # meanwhile its prefix is limited by itself, or is no longer

    def refuse(self, place: str) -> None:
        """Count a request as refused that was admitted by the limiter of all."""
        self._count(place, 1)

    def limits(self, *keys: str) -> bool:
        """Whether one of these keys, of whatever bucket, is below a limited prefix."""
        below = tuple(each.partition("/")[2] for each in self.limited)
        return any(key.startswith(below) for key in keys)

    def take_evidence(self) -> Evidence:
        """What was counted since the last call."""
        seen, self._seen = self._seen, {}
        return tuple((each, Count(max(0, sent - no), no)) for each, (sent, no) in seen.items())

    def apply(self, message: PrefixLimit) -> None:
        """Limit a prefix, or no longer."""
        prefix, limit = message
        limiter = self.limited.get(prefix)
        if limit.ceiling:
            limiter = limiter or self.limited.setdefault(prefix, self._create(prefix))
            limiter.set_limit(limit)
        elif limiter is not None:
            del self.limited[prefix]
            limiter.set_limit(NO_LIMIT)  # what waits is sent
            limiter.close()

    def _of(self, place: str) -> LimiterT:
        below = (each for prefix, each in self.limited.items() if place.startswith(prefix))
        return next(below, self._of_all)

    def _count(self, place: str, at: int) -> None:
        directory = place[: place.rfind("/") + 1]
        seen = self._seen.get(directory)
        if seen is None and directory and len(self._seen) < MOST_DIRECTORIES:
            seen = self._seen[directory] = [0, 0]
        if seen is not None:
            seen[at] += 1


class PrefixFinder:
    """Collects the evidence of all processes over the last seconds."""

    def __init__(self) -> None:
        self._bins: deque[_Bin] = deque(maxlen=BINS)

    def add(self, evidence: Evidence, now: float) -> None:
        """Add what a process has counted by ``now``, in seconds."""
        if not self._bins or self._bins[-1].is_full(now):
            self._bins.append(_Bin(now))
        self._bins[-1].add(evidence, now)

    def find(self) -> dict[str, float]:
        """The prefixes that are limited, and the requests a second that were accepted below."""
        # Where nothing was refused, what was accepted is no evidence: it was not at the same time.
        bins = [each for each in self._bins if any(n.refused for n in each.counts.values())]
        counts: dict[str, Count] = {}
        for each in bins:
            for directory, count in each.counts.items():
                counts[directory] = counts.get(directory, Count()).plus(count)
        seconds = max(BIN, sum(max(BIN, each.ended - each.began) for each in bins))
        return {
            prefix: _below(prefix, counts).accepted / seconds for prefix in limited_prefixes(counts)
        }

    def clear(self) -> None:
        """Forget everything: from now on other limits apply."""
        self._bins.clear()


@dataclass
class _Bin:
    began: float
    ended: float = 0.0
    counts: dict[str, Count] = field(default_factory=dict)

    def is_full(self, now: float) -> bool:
        return now >= self.began + BIN and _sum(self.counts.values()).total >= LEAST_IN_BIN

    def add(self, evidence: Evidence, now: float) -> None:
        self.ended, counts = now, self.counts
        for directory, count in evidence:
            if directory in counts or len(counts) < MOST_DIRECTORIES:
                counts[directory] = counts.get(directory, Count()).plus(count)


def limited_prefixes(counts: Mapping[str, Count]) -> list[str]:
    """The shortest prefixes that explain all refusals; none where the evidence does not suffice.

    ``counts``: by directory, of requests at the same time.
    """
    everything = _sum(counts.values())
    for depth in range(1, DEEPEST + 1):
        below = _by_prefix(counts, depth)
        hot = {each: count for each, count in below.items() if _is_hot(count)}
        inside = _sum(hot.values())
        outside = Count(*(a - b for a, b in zip(everything, inside, strict=True)))
        if 0 < len(hot) <= MOST_PREFIXES and _explains(inside, outside):
            return sorted(hot)
    return []


def _is_hot(count: Count) -> bool:
    return count.refused >= LEAST_REFUSED and count.share >= LEAST_SHARE


def _explains(inside: Count, outside: Count) -> bool:
    surprise = -outside.total * log(1.0 - min(inside.share, 0.9))
    return surprise >= SURPRISE and outside.share <= 0.1 * inside.share


def _below(prefix: str, counts: Mapping[str, Count]) -> Count:
    return _sum(count for directory, count in counts.items() if directory.startswith(prefix))


def _by_prefix(counts: Mapping[str, Count], depth: int) -> dict[str, Count]:
    """The counts of the directories below each prefix of ``depth`` components."""
    found: dict[str, Count] = {}
    for directory, count in counts.items():
        components = directory.split("/", depth)
        if len(components) > depth:
            prefix = directory[: len(directory) - len(components[depth])]
            found[prefix] = found.get(prefix, Count()).plus(count)
    return found


def _sum(counts: Iterable[Count]) -> Count:
    total = Count()
    for each in counts:
        total = total.plus(each)
    return total
