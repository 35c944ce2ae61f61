"""What the attempts of a request wait for, and where they go when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from s3pp.access import Access, Keys
from s3pp.s3.allowance import Allowance
from s3pp.s3.limiter import RequestLimiter
from s3pp.s3.retry import Backoff


class Recovery(NamedTuple):
    """How failed requests are retried, and what every attempt waits for."""

    backoff: Backoff
    renew: Callable[[], Awaitable[Keys | None]]  # new keys for expired ones; None: there are none
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep  # seconds
    limiter: RequestLimiter | None = None  # None: requests are not limited
    notify: Callable[[str], None] | None = None  # informs the user, once, that the store throttles
    allowance: Allowance | None = None  # None: the user limits nothing
    on_failure: Callable[[str], None] | None = None  # counts a failed attempt, by its cause

    @classmethod
    def of(cls, access: Access, renew: Callable[[], Awaitable[Keys | None]]) -> Recovery:
        """As a user wants it, without any hooks."""
        return cls(Backoff(access.max_attempts, access.max_throttled), renew)


class Admitted(NamedTuple):
    """An attempt that was admitted: by which limiter, under which limit, and for which path."""

    limiter: RequestLimiter | None
    epoch: int
    path: str = ""  # encoded

    def record_silence(self) -> None:
        """Record that no answer came."""
        if self.limiter is not None:
            self.limiter.record_silence(self.epoch)
