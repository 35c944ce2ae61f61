"""A process's connections to buckets, and its event loop; both are created after the fork.

Keys are renewed by the supervisor: a child whose keys have expired requests new ones once, and all
its requests that failed for that reason wait for the same reply.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, NamedTuple, Protocol, TypeVar

from s3pp.access import Access, Keys
from s3pp.errors import ExitStatus, FailureKind, ObjectError, no_thread, unexpected
from s3pp.pipeline.messages import KeysExpired, Message, Retries
from s3pp.pipeline.pipes import MessageWriter
from s3pp.places import Side
from s3pp.s3.allowance import Allowance, allowance_of, own_allowance
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket
from s3pp.s3.endpoint import Opened
from s3pp.s3.exchange import Sink, WireSettings
from s3pp.s3.limiter import RequestLimiter
from s3pp.s3.recovery import Recovery
from s3pp.s3.sigv4 import Signer
from s3pp.s3.wire import Wire
from s3pp.speed import Speed

T = TypeVar("T")

CONNECTIONS = 16  # kept open by a walker, for listings
REPORTED = 0.25  # seconds after which failed attempts are reported


class Renews(Protocol):
    """A source of new keys for expired ones."""

    async def __call__(self) -> Keys | None:
        """Return new keys; None if there are none."""

    def reply(self, keys: Keys | None) -> None:
        """Accept keys, requested or not."""


class Renewal:
    """Requests new keys from the supervisor, for one process; used on its event loop."""

    def __init__(self, outbox: MessageWriter, side: Side) -> None:
        self._outbox = outbox
        self._side = side
        self._asked: asyncio.Future[Keys | None] | None = None

    async def __call__(self) -> Keys | None:
        """Request new keys, or wait for a pending request; None if there are none."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            self._outbox.send(KeysExpired(self._side))
        return await asyncio.shield(self._asked)

    def reply(self, keys: Keys | None) -> None:
        """Resolve the pending request, if any."""
        asked, self._asked = self._asked, None
        if asked and not asked.done():
            asked.set_result(keys)


class RetryHooks(NamedTuple):
    """The hooks of ``Recovery`` that attempts wait for."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    limiter: RequestLimiter | None = None
    notify: Callable[[str], None] | None = None  # informs the user that the store throttles
    allowance: Allowance | None = None  # what the user's limits allow this process
    on_failure: Callable[[str], None] | None = None  # counts a failed attempt, by its cause

    def limited(self, speed: Speed, outbox: MessageWriter) -> RetryHooks:
        """The hooks of a process that asks the supervisor for what the limits allow."""
        allowance = allowance_of(speed, outbox.send)
        if self.limiter is not None and allowance is not None:
            self.limiter.expects_silence = allowance.is_pacing
        return self._replace(allowance=allowance)

    def limited_alone(self, speed: Speed) -> RetryHooks:
        """The hooks of a run that has no other process."""
        return self._replace(allowance=own_allowance(speed))

    def allow(self, permit: Message) -> None:
        """Process the supervisor's answer, a ``Permit``."""
        if self.allowance is not None:
            self.allowance.grant(*permit)

    def end(self) -> None:
        """End the run: requests that were not sent are dropped, later ones do not wait."""
        for each in (self.limiter, self.allowance):
            if each is not None:
                each.end()


_NO_HOOKS = RetryHooks()


class RetryCounter:
    """Counts the failed attempts of one process by cause; used on its event loop."""

    def __init__(self, outbox: MessageWriter) -> None:
        self._outbox = outbox
        self._counts: dict[str, int] = {}  # that have not been reported

    def __call__(self, cause: str) -> None:
        """Count an attempt, which is reported soon, with others."""
        if not self._counts:
            asyncio.get_running_loop().call_later(REPORTED, self._report)
        self._counts[cause] = self._counts.get(cause, 0) + 1

    def _report(self) -> None:
        counts, self._counts = self._counts, {}
        self._outbox.send(Retries(tuple(counts.items())))


class Pause:
    """The wait before another attempt; once the run is ending there is none."""

    def __init__(self) -> None:
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Wake all who wait."""
        self._ending.set()

    async def __call__(self, seconds: float) -> None:
        """Wait. Raises ``ObjectError`` where that is in vain."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)
        if self._ending.is_set():
            raise ObjectError(FailureKind.STORE, "not tried again: the run is ending")


def connect(
    access: Access,
    opened: Opened,
    connections: int,
    *,
    renew: Callable[[], Awaitable[Keys | None]],
    hooks: RetryHooks = _NO_HOOKS,
) -> Bucket:
    """Create a bucket's client; call it on the event loop that will use it."""
    settings = WireSettings(
        connections=connections,
        connect_timeout=access.connect_timeout,
        read_timeout=access.read_timeout,
        request_timeout=access.request_timeout or inf,
        ca_bundle=opened.ca_bundle,
        verify=access.verify_ssl,
        proxy=opened.proxy,
        receive_buffer=hooks.allowance.receive_buffer if hooks.allowance is not None else 0,
    )
    return Bucket(
        opened.endpoint,
        Signer(opened.keys, opened.endpoint.region, service=opened.endpoint.signs_for),
        Wire(settings),
        recovery=Recovery.of(access, renew)._replace(**hooks._asdict()),
        always=(("x-amz-request-payer", "requester"),) if access.request_payer else (),
    )


def start_thread(target: Callable[..., object], *arguments: object) -> None:
    """Run ``target`` in a thread that ends with the process. Raises ``FatalError``."""
    try:
        threading.Thread(target=target, args=arguments, daemon=True).start()
    except RuntimeError:
        raise no_thread() from None


class LoopThread:
    """An event loop in a thread of its own, for a process that is busy elsewhere."""

    def __init__(self, on_defect: Callable[[str], None]) -> None:
        """``on_defect`` is called for an error in a callback, which would block waiters forever."""
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, context: _defect(context, on_defect))
        start_thread(self._loop.run_forever)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the thread's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, act: Callable[[], None]) -> None:
        """Schedule a call on the thread's loop."""
        self._loop.call_soon_threadsafe(act)


def _defect(context: dict[str, Any], on_defect: Callable[[str], None]) -> None:
    """Report errors in callbacks; ignore asyncio's reports about abandoned tasks."""
    if "handle" in context:
        on_defect(unexpected(context.get("exception") or RuntimeError(context["message"])))


class DistantBucket:
    """A bucket on another thread's loop: its coroutines must be run there."""

    def __init__(
        self,
        thread: LoopThread,
        access: Access,
        opened: Opened,
        *,
        renewal: Renews,
        hooks: RetryHooks,
    ) -> None:
        """``hooks`` are called in the thread."""
        self.run = thread.run
        self._thread = thread
        self._renewal = renewal
        self.opened = opened
        self._make = partial(connect, access, connections=CONNECTIONS, renew=renewal, hooks=hooks)
        self._bucket: Bucket | None = None

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._bucket.requests if self._bucket else 0

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """``Bucket.list_page``; the bucket is connected at the first request."""
        return await self._connect().list_page(parameters)

    async def look(self, key: str) -> Answer | None:
        """``Bucket.look``."""
        return await self._connect().look(key)

    async def fetch(self, key: str, sink: Sink) -> Answer:
        """``Bucket.get``, into ``sink``, which is written to in the loop's thread."""
        return await self._connect().get(key, sink=sink)

    def take_keys(self, keys: Keys | None) -> None:
        """Pass on keys from the supervisor, requested or not."""
        self._thread.call(lambda: self._take(keys))

    def _connect(self) -> Bucket:
        self._bucket = self._bucket or self._make(self.opened)
        return self._bucket

    def _take(self, keys: Keys | None) -> None:
        if keys and self._bucket:
            self._bucket.signer.keys = keys
        elif keys:  # no request was made yet
            self.opened = self.opened._replace(keys=keys)
        self._renewal.reply(keys)


def new_loop() -> asyncio.AbstractEventLoop:
    """Create an event loop that is not running."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def exit_at_defect(show: Callable[[list[str]], object], defect: str) -> None:
    """Exit the process after an error in a callback, whose waiters would wait forever.

    ``show`` writes lines to stderr.
    """
    show([f"s3pp: {defect}"])
    os._exit(ExitStatus.ABORTED)


def only_loop(show: Callable[[list[str]], object]) -> asyncio.AbstractEventLoop:
    """The loop of a run that has no other process; a defect in a callback of it ends the run.

    Otherwise, code that waits for the callback's effect would wait forever. ``show`` is as in
    ``exit_at_defect``.
    """

    def end(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        _defect(context, partial(exit_at_defect, show))

    loop = new_loop()
    loop.set_exception_handler(end)
    return loop
