"""A limit on requests per second, as stores have one: what is beyond it is refused at once."""

from __future__ import annotations

import time
from collections.abc import Callable


class Throttle:
    """A token bucket: ``rate`` requests a second, and ``burst`` at once after a pause."""

    def __init__(
        self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self._burst = max(1.0, burst)
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Be as after a long pause."""
        self._tokens, self._at = self._burst, self._clock()

    def take(self) -> bool:
        """Whether one more request is within the limit."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + self.rate * (now - self._at))
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
