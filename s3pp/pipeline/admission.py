"""Limit on a worker's active slots, raised only while the worker has idle time.

Requests in flight hide latency. Without latency to hide (a nearby store, a slow core), more of
them only lengthen the queue, and their connections cost cache and memory: measured against a
loopback peer, 64 in flight instead of 512 take 10% less CPU per object. So a worker starts with
few slots, and doubles them whenever it finds that it slept while tasks were waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST = 32  # initial slots, over all workers
PERIOD = 0.03  # seconds between decisions
SPARE = 0.15  # share of time slept above which more slots are worthwhile


class Admission:
    """Decides how many of ``slots`` may be active; ``busy`` and ``clock`` return seconds."""

    def __init__(
        self,
        slots: int,
        processes: int,
        *,
        busy: Callable[[], float | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._busy = busy or busy_seconds
        self._clock = clock
        now = self._busy()
        self.admitted = slots if now is None else min(slots, max(1, FIRST // processes))
        self._then = (clock(), now or 0.0)

    @property
    def settled(self) -> bool:
        """Whether all slots are admitted, so that nothing is left to decide."""
        return self.admitted >= self._slots

    def look(self, *, wanted: bool) -> int:
        """Update and return the number of admitted slots; ``wanted``: more would have had work."""
        (then, before), now, busy = self._then, self._clock(), self._busy() or 0.0
        self._then = (now, busy)
        if wanted and 1 - (busy - before) / max(now - then, 1e-9) > SPARE:
            self.admitted = min(self._slots, 2 * self.admitted)
        return self.admitted


def busy_seconds() -> float | None:
    """Seconds this process ran, or waited for a CPU; None where the system does not count them.

    Linux counts both, in nanoseconds, for the main thread, which is the event loop's.
    """
    try:
        with open("/proc/self/schedstat", "rb", buffering=0) as file:
            ran, waited, _ = file.read().split()
    except (OSError, ValueError):
        return None
    return (int(ran) + int(waited)) / 1e9
