"""How many of a worker's slots may work: more only while the worker has time to spare.

Requests in flight hide latency. Where there is none to hide (a store nearby, a slow core) more of
them only lengthen the queue, and their connections cost cache and memory: measured against a
loopback peer, 64 in flight instead of 512 take 10% less CPU for each object. So a worker begins
with few slots, and doubles them as often as it finds that it slept though tasks were waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST = 32  # slots to begin with, of all workers
PERIOD = 0.03  # seconds between looks
SPARE = 0.15  # share of the time slept above which more slots are worth it


class Admission:
    """Decides how many of ``slots`` are admitted; ``busy`` and ``clock`` give seconds."""

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
        """Whether all slots are admitted, and there is nothing left to decide."""
        return self.admitted >= self._slots

    def look(self, *, wanted: bool) -> int:
        """How many slots are admitted from now on; ``wanted``: more would have had work."""
        (then, before), now, busy = self._then, self._clock(), self._busy() or 0.0
        self._then = (now, busy)
        if wanted and 1 - (busy - before) / max(now - then, 1e-9) > SPARE:
            self.admitted = min(self._slots, 2 * self.admitted)
        return self.admitted


def busy_seconds() -> float | None:
    """How long this process ran, or could have run and was not let; None where nobody counts.

    Linux counts both, in nanoseconds, for the main thread, which is the event loop's.
    """
    try:
        with open("/proc/self/schedstat", "rb", buffering=0) as file:
            ran, waited, _ = file.read().split()
    except (OSError, ValueError):
        return None
    return (int(ran) + int(waited)) / 1e9
