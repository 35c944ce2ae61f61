"""A child's own way to the bucket: wire, signer and operations, made after the fork, never before.

Keys are renewed by the supervisor: a child whose keys the store calls expired says so once, and
every request that met the same answer waits for the one reply.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from s3pp.job import Job
from s3pp.pipeline.messages import Frame, Kind
from s3pp.pipeline.queues import FrameWriter
from s3pp.s3.endpoint import Opened
from s3pp.s3.operations import Bucket, Recovery
from s3pp.s3.retry import Backoff
from s3pp.s3.sigv4 import Keys, Signer
from s3pp.s3.wire import Wire, WireSettings

T = TypeVar("T")


class Renewal:
    """The keys' renewal as one process sees it; lives on its event loop."""

    def __init__(self, outbox: FrameWriter) -> None:
        self._outbox = outbox
        self._asked: asyncio.Future[Keys | None] | None = None

    async def __call__(self) -> Keys | None:
        """Ask for new keys, or join those who have asked; None if there are none."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            self._outbox.send(Frame(Kind.NEED_KEYS))
        return await asyncio.shield(self._asked)

    def reply(self, keys: Keys | None) -> None:
        """Wake those who wait."""
        asked, self._asked = self._asked, None
        if asked and not asked.done():
            asked.set_result(keys)


def connect(
    job: Job,
    opened: Opened,
    *,
    connections: int,
    renew: Callable[[], Awaitable[Keys | None]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Bucket:
    """The bucket as a job says it is to be reached; call it on the loop that will use it."""
    access = job.access
    settings = WireSettings(
        connections=connections,
        connect_timeout=access.connect_timeout,
        read_timeout=access.read_timeout,
        ca_bundle=opened.ca_bundle,
        verify=access.verify_ssl,
    )
    return Bucket(
        opened.endpoint,
        Signer(opened.keys, opened.endpoint.region),
        Wire(settings),
        recovery=Recovery(Backoff(access.max_attempts), renew, sleep),
        always=(("x-amz-request-payer", "requester"),) if access.request_payer else (),
    )


class BucketThread:
    """A bucket on an event loop in a thread of its own, for a process that is busy elsewhere."""

    def __init__(self, job: Job, opened: Opened, outbox: FrameWriter) -> None:
        self._loop = asyncio.new_event_loop()
        self._renewal = Renewal(outbox)
        self._make = partial(connect, job, opened, connections=4, renew=self._renewal)
        self._bucket: Bucket | None = None
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._bucket.requests if self._bucket else 0

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """``Bucket.list_page``, on this thread's loop; the bucket is connected at the first."""
        self._bucket = self._bucket or self._make()
        return await self._bucket.list_page(parameters)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the thread's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def take_keys(self, keys: Keys | None) -> None:
        """Hand on what the supervisor sent, be it asked for or not."""
        self._loop.call_soon_threadsafe(self._take, keys)

    def _take(self, keys: Keys | None) -> None:
        if keys and self._bucket:
            self._bucket.signer.keys = keys
        self._renewal.reply(keys)
