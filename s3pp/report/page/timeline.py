"""What happened over time, in buckets whose width doubles whenever they would be too many."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import IntEnum

FIRST_WIDTH = 0.125  # seconds
MOST_BUCKETS = 240
LONGEST = 400 * 86400.0  # seconds after the start; what is later has a wrong time


class Series(IntEnum):
    """What is added up for each bucket."""

    DONE = 0  # objects
    FAILED = 1
    BYTES = 2  # sent, of objects that were done
    BUSY = 3  # seconds of objects in progress: divided by the width, their mean number
    MOVED = 4  # bytes, as the pace has them: of objects that are not done, too
    RETRIES = 5
    THROTTLED = 6
    IN_FLIGHT = 7  # requests in flight, times the seconds for which they were
    COVERED = 8  # seconds that the pace is about


Amounts = Sequence[tuple[Series, float]]


class Timeline:
    """Sums by time; times in seconds since the start of the run."""

    def __init__(self) -> None:
        self.width = FIRST_WIDTH  # seconds
        self._buckets: list[list[float]] = []

    def __len__(self) -> int:
        return len(self._buckets)

    def add(self, began: float, ended: float, amounts: Amounts) -> None:
        """Add amounts, spread evenly over the time; what has no time of the run is left out."""
        if not 0.0 <= ended <= LONGEST:
            return
        began = min(max(0.0, began), ended)
        while ended >= self.width * MOST_BUCKETS:
            self._double()
        first, last = int(began / self.width), int(ended / self.width)
        while len(self._buckets) <= last:
            self._buckets.append([0.0] * len(Series))
        for number in range(first, last + 1):
            share = 1.0 if first == last else self._overlap(number, began, ended) / (ended - began)
            bucket = self._buckets[number]
            for series, amount in amounts:
                bucket[series] += amount * share

    def values(self, series: Series) -> list[float]:
        """Return the sums of one series."""
        return [bucket[series] for bucket in self._buckets]

    def rates(self, series: Series, seconds: float) -> list[float]:
        """Return the sums per second of a run of ``seconds``, whose last bucket is shorter."""
        return [
            bucket[series] / width
            for bucket, width in zip(self._buckets, self._widths(seconds), strict=False)
        ]

    def means(self) -> list[float | None]:
        """Return the requests in flight; None where the pace says nothing."""
        return [
            bucket[Series.IN_FLIGHT] / bucket[Series.COVERED] if bucket[Series.COVERED] else None
            for bucket in self._buckets
        ]

    def total(self, series: Series) -> float:
        """Return the sum over all buckets."""
        return math.fsum(self.values(series))

    def _overlap(self, number: int, began: float, ended: float) -> float:
        start = number * self.width
        return max(0.0, min(ended, start + self.width) - max(began, start))

    def _widths(self, seconds: float) -> Iterator[float]:
        for number in range(len(self._buckets)):
            left = seconds - number * self.width
            # What little is left at the end is no base for a rate.
            yield min(self.width, left) if left > self.width / 4 else self.width

    def _double(self) -> None:
        pairs = range(0, len(self._buckets), 2)
        self._buckets = [
            [sum(column) for column in zip(*self._buckets[at : at + 2], strict=True)]
            for at in pairs
        ]
        self.width *= 2
