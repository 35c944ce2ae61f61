"""One process's part of the limits that a user sets: requests and bodies wait for it.

::

    Bucket.call ── admit ──▶ Passage ── send ──▶ wire ──▶ BodyPace.take, for each piece of a body
                     │                                       │
                     └──────▶ Stock ◀──────── waits ─────────┘
                               │  ▲
                        Demand ▼  │ Permit
                               Quotas

A body of one piece is paid for before its request is sent, a longer one as it moves. Of those only
so many move at a time that each does so every few seconds, or the peer would take us for dead: the
others wait, before they are signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from s3pp.limits import KIB, MIB
from s3pp.s3.body_pace import BodyFlow, BodyPace, BytesSink, BytesStream, Stock
from s3pp.s3.congestion import Demand
from s3pp.s3.exchange import Request, Response, Stream
from s3pp.s3.quotas import FOREVER, Quotas, are_limited, monotonic_quotas
from s3pp.speed import Speed

# Bytes that a connection receives before they are read: what the limit allows in a quarter of a
# second, so that a distant store is not slowed down, but what is not yet permitted is little.
BUFFERS = 4
LEAST_BUFFER, MOST_BUFFER = 16 * KIB, MIB
TOGETHER = 0.005  # seconds between two demands: each is a message


class Wires(Protocol):
    """What sends a request."""

    def send(self, request: Request) -> Awaitable[Response]:
        """As ``Wire.send``."""


class Passage:
    """One attempt of a request that was admitted."""

    def __init__(self) -> None:
        self.sending: BodyPace | None = None
        self.receiving: BodyPace | None = None
        self._held: BytesSink | None = None  # receives a body that is to be in the answer

    async def send(self, wire: Wires, request: Request) -> Response:
        """Send the request, at the pace of its body; as ``Wire.send``."""
        try:
            response = await wire.send(self._paced(request))
        finally:
            self.close()
        held = self._held
        return response if held is None else response._replace(body=held.content or response.body)

    def close(self) -> None:
        """End it, sent or not."""
        for pace in (self.sending, self.receiving):
            if pace is not None:
                pace.close()

    def _paced(self, request: Request) -> Request:
        body, sending = request.body, self.sending
        if sending is not None and body is not None:
            if isinstance(body, bytes) and len(body) <= sending.paid:
                sending.charge(len(body))
                return request
            stream = BytesStream(body) if isinstance(body, bytes) else body
            return request._replace(body=stream, pace=sending)
        if self.receiving is None:
            return request
        if request.sink is None:
            self._held = BytesSink()
        return request._replace(sink=request.sink or self._held, pace=self.receiving)


class Allowance:
    """What one process may use of the limits; used on its event loop."""

    def __init__(self, speed: Speed, ask: Callable[[Demand], None]) -> None:
        """``ask`` sends a demand; each is answered by calls of ``grant``."""
        bandwidth = self._bandwidth = speed.max_bandwidth
        self._send = ask
        self._requests = Stock(self._ask) if speed.max_requests is not None else None
        self._flows: tuple[BodyFlow, ...] = ()
        if bandwidth is not None:
            processes = speed.all_processes
            self._flows = tuple(BodyFlow(bandwidth, processes, self._ask) for _ in range(2))
        self._timer: asyncio.TimerHandle | None = None
        self._asked = 0.0  # when, on the loop's clock
        self._ended = False

    @property
    def receive_buffer(self) -> int:
        """Bytes that the system may receive on a connection before they are permitted.

        0: as many as it likes, since the limit is beyond what it takes for one connection.
        """
        rates = [] if self._bandwidth is None else [step.rate for step in self._bandwidth.steps]
        ahead = min((rate // BUFFERS for rate in rates if rate is not None), default=MOST_BUFFER)
        return max(LEAST_BUFFER, ahead) if ahead < MOST_BUFFER else 0

    def is_pacing(self) -> bool:
        """Whether bodies are moving that wait in between."""
        return any(flow.moving > 0 for flow in self._flows)

    async def admit(self, body: bytes | Stream | None, *, size: int, reads: bool) -> Passage:
        """Wait until a request with ``body`` may be sent. Raises ``RunEnding``.

        ``reads``: it asks for a body, which has ``size`` bytes; 0 where that is not known.
        """
        passage = Passage()
        if self._ended:
            return passage
        try:
            if self._flows:
                await self._admit_bodies(passage, body, size if reads else None)
            if self._requests is not None:
                await self._requests.acquire(1)
        except BaseException:
            passage.close()
            raise
        return passage

    def grant(self, requests: int, *moved: int) -> None:
        """Add what was asked for: the fields of a ``Permit``."""
        if self._requests is not None and requests:
            self._requests.grant(requests)
        for flow, amount in zip(self._flows, moved, strict=False):
            if amount:
                flow.stock.grant(amount)

    def end(self) -> None:
        """End the run: what waits to be sent is dropped, what comes later does not wait."""
        self._ended = True
        if self._requests is not None:
            self._requests.end()
        for flow in self._flows:
            flow.end()

    async def _admit_bodies(
        self, passage: Passage, body: bytes | Stream | None, size: int | None
    ) -> None:
        sent, received = self._flows
        if body:
            length = len(body) if isinstance(body, bytes) else body.size
            passage.sending = await sent.admit(length)
        elif size is not None:
            passage.receiving = await received.admit(size)

    def _ask(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            due = max(loop.time(), self._asked + TOGETHER)
            self._timer = loop.call_at(due, self._on_ask)

    def _on_ask(self) -> None:
        self._timer, self._asked = None, asyncio.get_running_loop().time()
        requests = self._requests.missing() if self._requests is not None else 0
        demand = Demand(requests, *(flow.stock.missing() for flow in self._flows))
        if any(demand):
            self._send(demand)


def allowance_of(speed: Speed, ask: Callable[[Demand], None]) -> Allowance | None:
    """The allowance of one process of a run; None where nothing is limited."""
    return Allowance(speed, ask) if are_limited(speed) else None


def own_allowance(speed: Speed) -> Allowance | None:
    """The allowance of a run that has one process, on the event loop that will use it."""
    if not are_limited(speed):
        return None
    local = _LocalQuotas(monotonic_quotas(speed))
    allowance = local.allowance = Allowance(speed, local.ask)
    return allowance


class _LocalQuotas:
    """Permits what the only process of a run asks for."""

    allowance: Allowance

    def __init__(self, quotas: Quotas[None]) -> None:
        self._quotas = quotas
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, demand: Demand) -> None:
        self._quotas.demand(None, demand)
        self._hand_out()

    def _hand_out(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        for permit in self._quotas.permits(loop.time()).values():
            self.allowance.grant(*permit)
        wait = self._quotas.wait(loop.time())
        self._timer = loop.call_later(wait, self._hand_out) if wait < FOREVER else None
