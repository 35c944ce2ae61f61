"""What s3pp asks of a bucket, each operation one method; every attempt signed anew.

Errors raised by every method: ``StoreError`` when the store refuses for good or attempts are used
up, ``NetworkError`` when no whole answer came, ``FatalError`` when no request can succeed any more
(the credentials have expired and no new ones are to be had).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

from s3pp.errors import FatalError
from s3pp.records import Dest
from s3pp.s3.endpoint import Endpoint, query_string
from s3pp.s3.retry import Backoff, NetworkError, Remedy, StoreError, store_error
from s3pp.s3.sigv4 import EMPTY_SHA256, Keys, Signer
from s3pp.s3.wire import Request, Response, Stream, WireError

Headers = Sequence[tuple[str, str]]  # lower-case names


class Sender(Protocol):
    """The wire, as far as operations know it."""

    async def send(self, request: Request) -> Response:
        """Send one request and return its whole answer, or raise ``WireError``."""


class Answer(NamedTuple):
    """A successful answer and how many attempts it took."""

    response: Response
    attempts: int

    @property
    def etag(self) -> str:
        """The ETag without its quotes; empty where there is none."""
        return (self.response.header(b"etag") or "").strip('"')


class Bucket:
    """One bucket, reached through one wire.

    ``renew`` is asked for new keys when the store calls ours expired; it returns None when there
    are none. ``always`` are headers of every request (requester pays). ``sleep`` takes seconds.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        signer: Signer,
        wire: Sender,
        *,
        backoff: Backoff,
        renew: Callable[[], Awaitable[Keys | None]],
        always: Headers = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.signer = signer
        self._wire = wire
        self._backoff = backoff
        self._renew = renew
        self._always = tuple(always)
        self._sleep = sleep
        self.requests = 0  # sent so far, every attempt counted
        self._origin = f"{endpoint.scheme}://{endpoint.host}"

    async def put(
        self, key: str, body: bytes | Stream, *, headers: Headers, payload_hash: str
    ) -> Answer:
        """PutObject. ``headers`` may hold the content's checksum, which the store verifies."""
        path = self.endpoint.path(key)
        return await self._call("PUT", path, "", headers=headers, body=(body, payload_hash))

    async def head(self, key: str) -> Dest | None:
        """HeadObject, as size and ETag; None where the key is absent."""
        try:
            answer = await self._call("HEAD", self.endpoint.path(key), "")
        except StoreError as error:
            if error.status == 404:
                return None
            raise
        size = answer.response.header(b"content-length")
        return Dest(int(size or 0), answer.etag)

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """ListObjectsV2, one page as XML."""
        query = query_string({"list-type": "2", "encoding-type": "url", **parameters})
        answer = await self._call("GET", self.endpoint.path(""), query)
        return answer.response.body

    async def _call(
        self,
        method: str,
        path: str,
        query: str,
        *,
        headers: Headers = (),
        body: tuple[bytes | Stream, str] | None = None,
    ) -> Answer:
        content, payload_hash = body if body else (None, EMPTY_SHA256)
        url = f"{self._origin}{path}?{query}" if query else self._origin + path
        parts = (self.endpoint.host, path, query)
        # libcurl would wait for "100 Continue" before a large body, and would name a form's type.
        typed = any(name == "content-type" for name, _ in headers)
        unsigned = ("Expect:",) if typed else ("Expect:", "Content-Type:")
        attempt = 0
        while True:
            attempt += 1
            self.requests += 1
            lines = self.signer.sign(method, parts, [*headers, *self._always], payload_hash)
            if content is not None:
                lines += unsigned
            try:
                response = await self._wire.send(Request(method, url, lines, content))
            except WireError as error:
                if attempt >= self._backoff.attempts or error.untrusted:
                    raise NetworkError(error) from None
                await self._sleep(self._backoff.wait(attempt))
                continue
            if response.status < 300:
                return Answer(response, attempt)
            await self._recover(response, attempt)

    async def _recover(self, response: Response, attempt: int) -> None:
        """Do what lets the next attempt succeed, or raise."""
        error = store_error(response)
        remedy = error.remedy
        if remedy in (Remedy.NONE, Remedy.REREAD) or attempt >= self._backoff.attempts:
            raise error
        if remedy is Remedy.KEYS:
            await self._new_keys(error)
        elif remedy is Remedy.CLOCK:
            self._set_clock(response, error)
        else:
            await self._sleep(self._backoff.wait(attempt))

    async def _new_keys(self, error: StoreError) -> None:
        keys = await self._renew()
        if keys is None:
            raise FatalError(f"the credentials are no longer accepted ({error}); renew them")
        self.signer.keys = keys

    def _set_clock(self, response: Response, error: StoreError) -> None:
        date = response.header(b"date")
        if date is None:
            raise error
        self.signer.set_time(parsedate_to_datetime(date).timestamp())
