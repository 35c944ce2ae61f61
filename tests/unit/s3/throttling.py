"""Stores that throttle, simulated: workers with real limiters under one congestion control."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from s3pp.s3.congestion import CongestionControl, Feedback
from s3pp.s3.limiter import RequestLimiter

LATENCY = 0.002  # seconds of a request
DELIVERY = 0.001  # seconds of a message between worker and supervisor
BALANCE = 0.25  # seconds between two distributions of the shares
FIRST = 32  # requests in flight at the start, of all workers; they double while that pays
Rate = Callable[[float], float]  # requests per second that a store takes at a time


class Store(Protocol):
    def accepts(self, now: float) -> bool:
        """Whether it takes a request that comes ``now``."""


class TokenBucket:
    def __init__(self, rate: Rate, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, 0.0

    def accepts(self, now: float) -> bool:
        grown = self._tokens + self._rate(now) * (now - self._at)
        self._tokens, self._at = min(self._burst, grown), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class EachSecond:
    """So many in each second of the clock, however they are spread."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._second, self._count = -1, 0

    def accepts(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= self._rate(now)


class AnySecond:
    """So many in any second: what was refused does not count."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._accepted: deque[float] = deque()

    def accepts(self, now: float) -> bool:
        while self._accepted and self._accepted[0] <= now - 1.0:
            self._accepted.popleft()
        if len(self._accepted) >= self._rate(now):
            return False
        self._accepted.append(now)
        return True


class Unreliable:
    """Takes any rate, and refuses a share of all requests."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._random = random.Random(3)

    def accepts(self, now: float) -> bool:
        return self._random.random() >= self._share


@dataclass
class Simulation:
    """``objects`` sent by ``workers`` that have so many ``lanes`` each."""

    store: Store
    workers: int
    lanes: int
    objects: int
    sent: int = 0
    refused: int = 0
    done: list[float] = field(default_factory=list)  # when each object was

    async def run(self) -> Simulation:
        loop = asyncio.get_running_loop()
        self._control: CongestionControl[int] = CongestionControl()
        self._limiters = [
            RequestLimiter(self.lanes, self._reporter(each), clock=loop.time)
            for each in range(self.workers)
        ]
        self._left = self.objects
        for worker, limiter in enumerate(self._limiters):
            self._control.join(worker)
            loop.call_later(0.0003 * worker, limiter.start)
        self._balance()
        pairs = [(worker, lane) for worker in range(self.workers) for lane in range(self.lanes)]
        await asyncio.gather(*(self._lane(*pair) for pair in pairs))
        return self

    @property
    def wasted(self) -> float:
        return self.refused / self.sent

    @property
    def seconds(self) -> float:
        return self.done[-1]

    def rate(self, start: float, end: float) -> float:
        """Objects a second between two moments."""
        return sum(start <= when < end for when in self.done) / (end - start)

    def _reporter(self, worker: int) -> Callable[[Feedback], None]:
        def hear(feedback: Feedback) -> None:
            if self._control.observe(worker, feedback, asyncio.get_running_loop().time()):
                self._spread()

        return lambda feedback: _later(DELIVERY, lambda: hear(feedback))

    def _spread(self) -> None:
        control = self._control
        for worker, limiter in enumerate(self._limiters):
            share = control.limit.share(control.share(worker))
            asyncio.get_running_loop().call_later(DELIVERY, limiter.set_limit, share)

    def _balance(self) -> None:
        if self._control.limit.active(asyncio.get_running_loop().time()):
            self._spread()
        _later(BALANCE, self._balance)

    async def _lane(self, worker: int, lane: int) -> None:
        first = max(1, FIRST // self.workers)
        doublings = (lane // first).bit_length()
        await asyncio.sleep(0.0003 * worker + 0.03 * doublings)
        while self._left > 0:
            self._left -= 1
            await self._object(self._limiters[worker])

    async def _object(self, limiter: RequestLimiter) -> None:
        clock = asyncio.get_running_loop().time
        attempt = 0
        while True:
            attempt += 1
            if not limiter.take_at_once():
                await limiter.take()
            epoch = limiter.epoch
            self.sent += 1
            await asyncio.sleep(LATENCY)
            accepted = self.store.accepts(clock())
            limiter.give()
            if accepted:
                self.done.append(clock())
                return
            self.refused += 1
            limiter.record_refusal(epoch)
            await asyncio.sleep(random.uniform(0.0, min(1.0, 0.2 * 2.0**attempt)))


def _later(seconds: float, act: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, act)
