"""Counts of values by magnitude, in memory that is bounded by their range."""

from __future__ import annotations

import math
from collections import Counter

STEPS = 16  # classes for each doubling of the value: 4.4% wide
LEAST, MOST = 1e-6, 1e18  # values beyond count as these


class Histogram:
    """Counts of values by magnitude: percentiles are exact to 2.2%."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.largest = 0.0
        self._classes: Counter[int] = Counter()

    def add(self, value: float) -> None:
        """Count a value, which is not negative."""
        self.count += 1
        self.sum += value
        self.largest = max(self.largest, value)
        bounded = min(MOST, max(LEAST, value))
        self._classes[math.floor(math.log2(bounded) * STEPS)] += 1

    def percentile(self, share: float) -> float:
        """Return the value that ``share`` (0 to 1) of all do not exceed; 0 if there are none."""
        wanted, seen = share * self.count, 0
        for number in sorted(self._classes):
            seen += self._classes[number]
            if seen >= wanted:
                middle: float = 2.0 ** ((number + 0.5) / STEPS)
                return min(self.largest, middle)
        return self.largest

    def bands(self, base: float) -> dict[int, int]:
        """Return the counts by the power of ``base`` that is reached: ``{0: …}`` from 1 on."""
        found: Counter[int] = Counter()
        for number, count in self._classes.items():
            found[math.floor((number + 0.5) / STEPS / math.log2(base))] += count
        return dict(found)
