"""The current rates of a run, and its estimated time left."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from s3pp.report.totals import Totals

WINDOW = 10.0  # seconds over which the current rates are measured


class Rates(NamedTuple):
    """Rates per second, over the window."""

    objects: float
    bytes: float


class Throughput:
    """Rates over the last ``WINDOW`` seconds, independent of the start of the run."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()

    def rates(self, now: float, totals: Totals) -> Rates:
        """Add the sample at ``now`` (seconds, any origin) and return the rates."""
        self._samples.append((now, totals.finished, totals.moved))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()
        then, finished, size = self._samples[0]
        if now <= then:
            return Rates(0.0, 0.0)
        seconds = now - then
        return Rates((totals.finished - finished) / seconds, (totals.moved - size) / seconds)


def seconds_left(totals: Totals, listed: int, rate: float) -> float | None:
    """Return seconds until all listed objects are done, at ``rate`` objects/s; None: unknown."""
    if rate <= 0:
        return None
    return max(0, listed - totals.finished) / rate
