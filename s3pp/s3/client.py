"""S3 operations on a bucket, one method each; every attempt is signed anew.

Errors raised by every method: ``StoreError`` when the store refuses permanently or no attempts are
left, ``NetworkError`` when no complete answer came, ``FatalError`` when no request can succeed any
more (for example, the credentials have expired and cannot be renewed).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar

from s3pp.errors import FatalError
from s3pp.records import Dest
from s3pp.s3.allowance import Passage
from s3pp.s3.answers import Answer, Copied, etag_of, parse_tags, xml_text
from s3pp.s3.endpoint import Endpoint, copy_source, query_string
from s3pp.s3.exchange import Fault, Request, Response, Sink, Stream, WireError
from s3pp.s3.limiter import RequestLimiter
from s3pp.s3.list_requests import ListRequests
from s3pp.s3.recovery import Admitted, Recovery
from s3pp.s3.refused_head import LastReasonCheck, NextStep, Signed, next_step, skew_of
from s3pp.s3.retry import (
    NetworkError,
    NotStored,
    Oversized,
    Remedy,
    StoreError,
    ThrottledWaits,
    Trouble,
    is_whole,
    refused_by_proxy,
    retry_after,
    store_error,
    until,
)
from s3pp.s3.sigv4 import EMPTY_SHA256, Signer
from s3pp.s3.timestamps import epoch_seconds

T = TypeVar("T")

Headers = Sequence[tuple[str, str]]  # lower-case names
# A header with which an answer may contain a checksum (API reference, "GetObject").
ASK_CHECKSUM = ("x-amz-checksum-mode", "ENABLED")
_UNKNOWN_HEADER = frozenset({400, 501})  # as Backblaze B2 answers to that one
_CONFLICT = "ConditionalRequestConflict"  # API reference, "CompleteMultipartUpload", errors
COPY_SPEED = 10_000_000  # minimum bytes per second at which a store copies


class Sender(Protocol):
    """The transport that operations need; ``wire.Wire`` implements it."""

    def send(self, request: Request) -> Awaitable[Response]:
        """Send one request and return the complete answer. Raises ``WireError``."""


class Coding(str, Enum):
    """The content coding accepted for a body, besides none."""

    GZIP = "gzip"  # keeps stores and proxies from unpacking what is stored with gzip
    IDENTITY = "identity"  # keeps proxies from packing what is stored plain


# Not signed: Google's front end changes it before the store sees it.
_ACCEPT = {each: f"Accept-Encoding: {each.value}\r\n" for each in Coding}


class Call(NamedTuple):
    """A request as an operation defines it; every attempt signs it anew."""

    method: str
    path: str  # encoded
    query: str = ""  # encoded and sorted
    headers: Headers = ()
    body: bytes | Stream | None = None
    payload_hash: str = EMPTY_SHA256
    sink: Sink | None = None
    # Extra seconds that the answer may take; its body may then contain an error despite status 200.
    late: int | None = None
    unsigned: str = ""  # header lines that a proxy may change without harm
    size: int = 0  # bytes of the body that is asked for, where they are known


class Bucket:
    """One bucket, accessed through one wire; ``always`` are headers added to every request."""

    def __init__(
        self,
        endpoint: Endpoint,
        signer: Signer,
        wire: Sender,
        *,
        recovery: Recovery,
        always: Headers = (),
    ) -> None:
        self.endpoint = endpoint
        self.signer = signer
        self._wire = wire
        self._backoff, self._renew, self._sleep, self._limiter, notify = recovery[:5]
        self._allowance, self._on_failure = recovery[5:]
        self._throttled = ThrottledWaits(self._backoff, notify)
        self._always = tuple(always)
        self.requests = 0  # sent so far, every attempt counted
        self._one_checks = asyncio.Lock()  # held while finding out why a HEAD was refused
        self._last_check: LastReasonCheck | None = None
        self._refuses_asking = False  # for checksums: the store has answered only without that
        self._list_requests = ListRequests(self._list)
        self._origin, self._where = endpoint.origin, endpoint.where

    def put(
        self, key: str, body: bytes | Stream, *, headers: Headers, payload_hash: str
    ) -> Awaitable[Answer]:
        """PutObject. ``headers`` may include the content's checksum, which the store verifies."""
        return self.call(Call("PUT", self.endpoint.path(key), "", headers, body, payload_hash))

    async def get(
        self,
        key: str,
        *,
        headers: Headers = (),
        sink: Sink | None = None,
        coding: Coding = Coding.GZIP,
        size: int = 0,
    ) -> Answer:
        """GetObject. The body is in the answer, or goes to ``sink`` if there is one.

        ``size``: its bytes, where they are known. It is not decoded here. Raises ``Oversized`` for
        a body too long to hold, and any error of the sink.
        """
        path = self.endpoint.path(key)
        call = Call("GET", path, headers=headers, sink=sink, unsigned=_ACCEPT[coding], size=size)
        return await (self._ask_checksum(self.call, call) if headers else self.call(call))

    async def copy(
        self, key: str, source: tuple[str, str], *, headers: Headers, size: int
    ) -> Copied:
        """CopyObject from ``source`` (bucket and key) to ``key``.

        ``size``, in bytes, determines how long the store may take. A 200 that contains an error is
        not a success (API reference, "CopyObject"); one without an ETag proves nothing.
        """
        named = ("x-amz-copy-source", copy_source(*source))
        path, late = self.endpoint.path(key), size // COPY_SPEED
        answer = await self.call(Call("PUT", path, "", [named, *headers], b"", late=late))
        return Copied(etag_of(xml_text(answer.response.body, "ETag")), answer)

    async def tags(self, key: str) -> list[tuple[str, str]]:
        """GetObjectTagging; the tags in the store's order."""
        answer = await self.call(Call("GET", self.endpoint.path(key), "tagging="))
        return parse_tags(answer.response.body)

    async def head(self, key: str) -> Dest | None:
        """HeadObject; the size and ETag, or None where the key is absent."""
        answer = await self.look(key)
        return Dest(answer.size, answer.etag) if answer else None

    async def look(self, key: str, *, headers: Headers = ()) -> Answer | None:
        """HeadObject; None where the key is absent.

        Sent again if the answer has no size: a proxy may have announced a compressed body. Also
        raises ``NotStored``.
        """
        call = Call("HEAD", self.endpoint.path(key), headers=headers, unsigned=_ACCEPT[Coding.GZIP])
        answer = await self._ask_checksum(self._head_or_reason, call)
        if answer is not None and not answer.is_store:
            raise NotStored(self._origin)
        if answer is None or answer.declared is not None:
            return answer
        call = call._replace(unsigned=_ACCEPT[Coding.IDENTITY])
        return await self._ask_checksum(self._head_or_reason, call)

    async def _ask_checksum(self, send: Callable[[Call], Awaitable[T]], call: Call) -> T:
        """Send a request; without ``ASK_CHECKSUM`` to a store that does not know that header."""
        asks = ASK_CHECKSUM in call.headers
        less = [each for each in call.headers if each != ASK_CHECKSUM]
        if self._refuses_asking:
            return await send(call._replace(headers=less))
        try:
            return await send(call)
        except StoreError as error:
            if not asks or error.status not in _UNKNOWN_HEADER:
                raise
        answer = await send(call._replace(headers=less))
        self._refuses_asking = True
        return answer

    async def _head_or_reason(self, call: Call) -> Answer | None:
        signed = self._signed
        try:
            return await self._head_or_none(call)
        except StoreError as error:
            if error.status not in (400, 403):
                raise
            await self._prepare_second_head(call.path, error, signed)
        return await self._head_or_none(call)

    @property
    def _signed(self) -> Signed:
        return Signed(self.signer.keys, self.signer.offset)

    async def _head_or_none(self, head: Call) -> Answer | None:
        try:
            return await self.call(head)
        except StoreError as error:
            if error.status == 404:
                return None
            raise

    async def _prepare_second_head(self, path: str, error: StoreError, signed: Signed) -> None:
        """Return if the HEAD may succeed now; otherwise raise ``error``, or that of a GET."""
        # If many are refused at once, one sends a GET, and the others use the result.
        async with self._one_checks if error.status == 403 else nullcontext():
            skew = skew_of(error.date, self.signer.now)
            step = next_step(
                error.status, skew, signed=signed, now=self._signed, last=self._last_check
            )
            if step is NextStep.NOTHING:
                raise error
            if step is NextStep.GET:
                await self._find_reason(path, error)

    async def _find_reason(self, path: str, error: StoreError) -> None:
        """GET the object of a refused HEAD: the answer has the reason, and may be recoverable."""
        keys = self.signer.keys
        try:
            await self.call(Call("GET", path, headers=(("range", "bytes=0-0"),)))
        except StoreError as refusal:
            if refusal.status not in (404, 416):  # the key is absent, or empty: see the next HEAD
                raise
        except Oversized:  # a store without range support sends the whole object
            pass
        finally:
            if error.status == 403:
                self._last_check = LastReasonCheck(keys, skew_of(error.date, self.signer.now))

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """Fetch one page of a listing as XML, see ``list_requests``."""
        return await self._list_requests.page(parameters)

    async def _list(self, parameters: dict[str, str]) -> bytes:
        query = query_string(parameters)
        answer = await self.call(Call("GET", self.endpoint.path(""), query))
        return answer.response.body

    async def call(self, call: Call) -> Answer:
        """Send a request, and retry it where that may help; for errors see the module docstring."""
        method, path, query, headers, content, payload_hash, sink, late, unsigned, _ = call
        url = f"{self._origin}{path}?{query}" if query else self._origin + path
        parts = (self.endpoint.host, path, query)
        trouble: Trouble | None = None
        epoch, passage = 0, None
        while True:
            limiter = self._limiter
            if self._allowance is not None or (limiter is not None and limiter.lanes is not None):
                passage, limiter = await until(self._admit(call), trouble)
            elif limiter is not None and not limiter.take_at_once():
                await until(limiter.take(), trouble)
            if limiter is not None:
                epoch = limiter.epoch
            self.requests += 1
            lost: WireError | None = None
            try:
                head = self.signer.sign(method, parts, [*headers, *self._always], payload_hash)
                request = Request(method, url, head + unsigned, content, sink, late or 0)
                response = await (
                    self._wire.send(request)
                    if passage is None
                    else passage.send(self._wire, request)
                )
            except WireError as error:
                lost = error
            finally:
                if limiter is not None:
                    limiter.give()
            if lost is not None:
                trouble = trouble or Trouble()
                await self._after_loss(lost, trouble, Admitted(limiter, epoch))
                continue
            if response.status < 300 and (late is None or is_whole(response.body)):
                return Answer(response, trouble.attempts + 1 if trouble else 1)
            trouble = trouble or Trouble()
            refusal = store_error(response, self._where)
            if method == "POST" and refusal.code == _CONFLICT:
                raise refusal  # this upload can no longer be completed
            await self._recover(response, refusal, trouble, Admitted(limiter, epoch, path))

    async def _admit(self, call: Call) -> tuple[Passage | None, RequestLimiter | None]:
        """Wait until the user's limits, and then those of the store, admit an attempt."""
        passage = None
        if self._allowance is not None:
            reads = call.method == "GET"
            passage = await self._allowance.admit(call.body, size=call.size, reads=reads)
        try:
            return passage, await self._take(call.path)
        except BaseException:
            if passage is not None:
                passage.close()
            raise

    async def _take(self, path: str) -> RequestLimiter | None:
        limiter = self._limiter
        if limiter is not None and limiter.lanes is not None:
            return await limiter.lanes.admit(self.endpoint.place(path))
        if limiter is not None and not limiter.take_at_once():
            await limiter.take()
        return limiter

    async def _after_loss(self, error: WireError, trouble: Trouble, sent: Admitted) -> None:
        if error.fault is Fault.UNTRUSTED:
            raise FatalError(f"{self._origin}: {error}: see --ca-bundle")
        if error.fault is Fault.PROXY:
            raise FatalError(refused_by_proxy(self._origin, str(error)))
        if error.fault is Fault.OVERSIZED:
            raise Oversized(self._origin)
        if error.congested:
            sent.record_silence()
        if self._on_failure is not None:
            self._on_failure(error.label)
        trouble.failures += 1
        trouble.cause = NetworkError(error, self._where, trouble.attempts)
        if trouble.failures >= self._backoff.attempts:
            raise trouble.cause
        await self._pause(trouble)

    async def recover(self, response: Response, error: StoreError, trouble: Trouble) -> None:
        """Apply the remedy for an error that an answer has for a part of what it was asked.

        Returns when that part may be sent again. Raises ``ObjectError`` where it may not, and
        ``FatalError``.
        """
        epoch = self._limiter.epoch if self._limiter is not None else 0
        await self._recover(response, error, trouble, Admitted(self._limiter, epoch))

    async def _recover(
        self, response: Response, error: StoreError, trouble: Trouble, sent: Admitted
    ) -> None:
        """Apply the error's remedy before the next attempt, or raise."""
        if error.status == 407:
            raise FatalError(refused_by_proxy(self._origin, str(error)))
        remedy, tried = error.remedy, trouble.tried
        error.attempt = trouble.attempts + 1
        trouble.cause = error
        if self._on_failure is not None and remedy is not Remedy.NONE:
            self._on_failure(error.label)
        if remedy is Remedy.THROTTLE:
            await self._slow_down(response, error, trouble, sent)
            return
        trouble.failures += 1
        last = trouble.failures >= self._backoff.attempts
        if remedy is Remedy.KEYS and not last:
            await self._new_keys(error)
        elif error.keys_refused:
            raise FatalError(f"credentials refused: {self._origin}: {error}")
        elif remedy in (Remedy.NONE, Remedy.REREAD) or last:
            raise error
        elif remedy is Remedy.CLOCK and remedy not in tried:
            self._set_clock(response, error)
        elif remedy is Remedy.CLOCK:  # its time was already applied, in vain
            raise error
        else:
            await self._pause(trouble)
        tried.add(remedy)

    async def _slow_down(
        self, response: Response, error: StoreError, trouble: Trouble, sent: Admitted
    ) -> None:
        """Wait before another attempt while the store throttles; bounded by time, not attempts.

        With a shared limiter, the run is stopped once nothing was accepted for too long.
        """
        trouble.throttled += 1
        asked = retry_after(response.header(b"retry-after"))
        if sent.limiter is None:
            wait = self._throttled.wait(trouble, error, self._origin, asked=asked)
        else:
            sent.limiter.record_refusal(sent.epoch, error.code, f"{self._origin}: {error}")
            sent.limiter.record_place(self.endpoint.place(sent.path))
            wait = self._backoff.paced(trouble.throttled, sent.limiter.stalled, asked=asked)
        await until(self._sleep(wait), trouble)

    async def _pause(self, trouble: Trouble) -> None:
        await until(self._sleep(self._backoff.wait(trouble.failures)), trouble)
        if self._limiter is not None:
            await until(self._limiter.retry(), trouble)

    async def _new_keys(self, error: StoreError) -> None:
        keys = await self._renew()
        if keys is None:
            raise FatalError(f"credentials expired: {self._origin}: {error}; renew them")
        self.signer.keys = keys

    def _set_clock(self, response: Response, error: StoreError) -> None:
        if (now := epoch_seconds(response.header(b"date"))) is None:
            raise error
        self.signer.set_time(now)
