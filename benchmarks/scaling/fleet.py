"""Runs and their workers: s3pp's congestion control, limiters, clients and retries.

::

    Worker: slots ─▶ Bucket ─▶ RequestLimiter ─▶ Wire, which waits ─▶ Store
                                    │  ▲
                           Feedback ▼  │ RateLimit, PrefixLimit    after the latency of a message
    Run:                        FlowControl
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import NamedTuple

from s3pp.access import Access, Keys
from s3pp.job import Job
from s3pp.pipeline.flow import FlowControl
from s3pp.pipeline.messages import Message
from s3pp.pipeline.slots import PERIOD, Admission
from s3pp.report.failures import Cause
from s3pp.s3.client import Bucket
from s3pp.s3.congestion import Feedback, PrefixLimit, RateLimit
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Request, Response
from s3pp.s3.limiter import RequestLimiter
from s3pp.s3.recovery import Recovery
from s3pp.s3.retry import Backoff
from s3pp.s3.sigv4 import EMPTY_SHA256, Signer
from scaling.store import Store

TURN = 0.05  # seconds between two turns of a supervisor in which it balances
ENDPOINT = Endpoint("https", "s3.example.org", "/bench", "us-east-1", "bench")
_STATTER = -1
_OK = Response(200, b'HTTP/1.1 200 OK\r\nETag: "0"\r\n', b"")
_SLOW_DOWN = Response(
    503, b"HTTP/1.1 503 Slow Down\r\n", b"<Error><Code>SlowDown</Code><Message/></Error>"
)


class Span(NamedTuple):
    """Seconds, at least and at most."""

    least: float
    most: float

    def draw(self, chance: random.Random) -> float:
        """Any of them."""
        return chance.uniform(self.least, self.most)


class Network(NamedTuple):
    """How long things take."""

    request: Span  # from the start of a request to its answer, each anew
    message: Span  # from a worker to its supervisor, or back; of each machine its own
    handling: float  # of a message by a supervisor


class Unsigned(Signer):
    """Signs nothing, which would be most of the CPU."""

    def sign(
        self,
        method: str,
        parts: tuple[str, str, str],
        headers: Sequence[tuple[str, str]],
        payload_hash: str,
    ) -> str:
        """As ``Signer.sign``."""
        return ""


class Wire:
    """Answers after a while, as the store decides."""

    def __init__(self, store: Store, worker: int, latency: Span, chance: random.Random) -> None:
        self._store, self._worker = store, worker
        self._latency, self._chance = latency, chance

    async def send(self, request: Request) -> Response:
        """As ``Wire.send`` of s3pp."""
        prefix = request.url.rsplit("/", 2)[1]
        await asyncio.sleep(self._latency.draw(self._chance))
        return _OK if self._store.take(prefix, self._worker) else _SLOW_DOWN


class Worker:
    """A worker that never runs out of objects, below each of its prefixes in turn."""

    def __init__(self, wire: Wire, report: Callable[[Feedback], None], *, slots: int) -> None:
        clock = asyncio.get_running_loop().time
        self.limiter = RequestLimiter(slots, report, clock=clock)
        self.limiter.backlog = lambda: slots
        access = Access()
        recovery = Recovery(
            Backoff(access.max_attempts, access.max_throttled), _no_keys, limiter=self.limiter
        )
        self._bucket = Bucket(
            ENDPOINT, Unsigned(Keys("k", "s"), "us-east-1"), wire, recovery=recovery
        )
        self._slots: list[asyncio.Task[None]] = []

    def start(self, admission: Admission, keys: Iterable[str]) -> None:
        """Send, and admit more slots as ``pipeline.worker`` does."""
        self.limiter.start()
        self._admit(admission, keys)

    def receive(self, message: Message) -> None:
        """Act on a message of the supervisor, as ``pipeline.worker`` does."""
        if isinstance(message, RateLimit):
            self.limiter.set_limit(message)
        elif isinstance(message, PrefixLimit):
            self.limiter.watch().apply(message)

    async def end(self) -> None:
        """Stop."""
        self.limiter.close()
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)

    def _admit(self, admission: Admission, keys: Iterable[str]) -> None:
        while len(self._slots) < admission.admitted:
            self._slots.append(asyncio.ensure_future(self._slot(keys)))
        if not admission.settled:
            admission.update(wanted=not self.limiter.limited)
            asyncio.get_running_loop().call_later(PERIOD, self._admit, admission, keys)

    async def _slot(self, keys: Iterable[str]) -> None:
        for key in keys:
            await self._bucket.put(key, b"", headers=(), payload_hash=EMPTY_SHA256)


async def _no_keys() -> None:
    """There are no others."""


class Run:
    """One run: its supervisor's flow control, and its workers."""

    def __init__(self, store: Store, network: Network, chance: random.Random) -> None:
        self._store, self._network, self._chance = store, network, chance
        self._flow: FlowControl[int] = FlowControl(self._send, _abort, Job("put"))
        self._workers: dict[int, Worker] = {}
        self._delays: dict[int, float] = {}  # seconds of a message, by worker
        self._free = 0.0  # when the supervisor has handled what it has
        self.messages = 0  # from and to workers

    def add(self, number: int, slots: int, delay: float) -> None:
        """Add a worker, ``delay`` seconds away."""
        wire = Wire(self._store, number, self._network.request, self._chance)
        self._delays[number] = delay
        self._workers[number] = Worker(wire, self._reporter(number), slots=slots)
        self._flow.join(number)

    def start(self, prefixes: Sequence[str], slots: int) -> None:
        """Start all workers within the time of a message, and balance from then on."""
        loop = asyncio.get_running_loop()
        for number, worker in self._workers.items():
            admission = Admission(slots, len(self._workers), busy=_idle, clock=loop.time)
            keys = (f"{prefixes[n % len(prefixes)]}/{n}" for n in count(number))
            loop.call_later(self._delays[number], worker.start, admission, keys)
        self._balance()

    async def end(self) -> None:
        """Stop all workers."""
        for worker in self._workers.values():
            await worker.end()

    def _send(self, to: int, message: Message) -> None:
        if to != _STATTER:
            self.messages += 1
            loop = asyncio.get_running_loop()
            loop.call_later(self._delays[to], self._workers[to].receive, message)

    def _reporter(self, worker: int) -> Callable[[Feedback], None]:
        def report(seen: Feedback) -> None:
            asyncio.get_running_loop().call_later(self._delays[worker], self._hear, worker, seen)

        return report

    def _hear(self, worker: int, seen: Feedback) -> None:
        """Handle a message once those before it are."""
        self.messages += 1
        loop = asyncio.get_running_loop()
        self._free = max(self._free, loop.time()) + self._network.handling
        loop.call_at(self._free, self._observe, worker, seen)

    def _observe(self, worker: int, seen: Feedback) -> None:
        self._flow.observe(worker, seen, asyncio.get_running_loop().time())

    def _balance(self) -> None:
        loop = asyncio.get_running_loop()
        self._flow.balance(loop.time(), _STATTER)
        loop.call_later(TURN, self._balance)


def _idle() -> float:
    """A worker waits for the store, not for its processor."""
    return 0.0


def _abort(why: str, cause: Cause) -> None:
    raise AssertionError(why)
