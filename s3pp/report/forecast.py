"""How fast a run is, how much of it has ended, and how long the rest will take: pure functions.

A small object takes as long as some bytes of a large one, so objects and bytes are added up as
work: each object counts as ``PER_OBJECT`` bytes besides its own. Of many small objects their number
decides, of a few large ones their bytes, and of a mixture neither alone, which would be wrong by
orders of magnitude until the last large object has begun.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from s3pp.limits import KIB
from s3pp.report.totals import Totals

WINDOW = 10.0  # seconds over which the rates are measured that users see
STEADY = 30.0  # seconds over which the rate is measured that the time left is computed from
LEAST = 1.0  # seconds of a run before which nothing is foreseen
# Bytes that move in the time of a small object: 20 KiB over a line of 100 Mbit/s with 64 requests
# in flight of 100 ms each, 200 KiB where 1 GB/s and 5,000 objects/s are reached.
PER_OBJECT = 64 * KIB


class Rates(NamedTuple):
    """Rates per second, over the window."""

    objects: float = 0.0  # that came to an end
    bytes: float = 0.0  # that moved


class _Sample(NamedTuple):
    time: float  # seconds
    objects: int  # that have ended
    size: int  # bytes of them
    moved: int  # bytes


class Throughput:
    """Rates over the last seconds, independent of the start of the run."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()

    def add(self, now: float, totals: Totals) -> None:
        """Add the sample at ``now`` (seconds, any origin)."""
        samples = self._samples
        samples.append(_Sample(now, totals.finished, totals.ended_bytes, totals.moved))
        while len(samples) > 2 and samples[1].time <= now - STEADY:
            samples.popleft()

    def rates(self) -> Rates:
        """Return the rates over the last ``WINDOW`` seconds."""
        first, last = self._between(WINDOW)
        seconds = last.time - first.time
        if seconds <= 0:
            return Rates()
        return Rates((last.objects - first.objects) / seconds, (last.moved - first.moved) / seconds)

    def seconds_left(self, totals: Totals) -> float | None:
        """Return seconds until all that is known has ended; None: that cannot be foreseen."""
        first, last = self._between(STEADY)
        seconds = last.time - first.time
        size = last.size - first.size if totals.extent.bytes else 0
        ended = work(last.objects - first.objects, size)
        if seconds < LEAST or ended <= 0:
            return None
        return work_left(totals) * seconds / ended

    def _between(self, seconds: float) -> tuple[_Sample, _Sample]:
        """Return the last sample, and the one that is ``seconds`` older, or the first."""
        if not self._samples:
            return (nothing := _Sample(0.0, 0, 0, 0)), nothing
        last = first = self._samples[-1]
        for each in reversed(self._samples):
            first = each
            if each.time <= last.time - seconds:
                break
        return first, last


def work(objects: float, size: float) -> float:
    """Return the work of ``objects`` that have ``size`` bytes in all."""
    return size + objects * PER_OBJECT


def work_left(totals: Totals) -> float:
    """Return the work of what is known and has not ended; never negative."""
    extent = totals.extent
    unsized = totals.failed * extent.bytes / max(1, extent.objects)  # as large as others
    size = extent.bytes - totals.ended_bytes - unsized
    return work(max(0, extent.objects - totals.finished), max(0.0, size))


def percentage(totals: Totals) -> int | None:
    """Return how much of the work that is known has ended, in percent; None: too little is known.

    100 only once everything has ended.
    """
    extent = totals.extent
    whole = work(extent.objects, extent.bytes)
    if not whole or (totals.in_parts and not extent.bytes):
        return None
    done = extent.complete and totals.finished >= extent.objects
    return 100 if done else min(99, int(100 * (1 - work_left(totals) / whole)))
