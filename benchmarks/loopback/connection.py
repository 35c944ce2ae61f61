"""One connection: bytes in, requests out to the operations, answers back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import md5
from typing import cast

from loopback import operations
from loopback.answers import Answer, Streamed
from loopback.framing import Digest, Sink, frame
from loopback.request import NOTHING, Received, Request
from loopback.store import Store

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """Reads requests one after the other, answers each ``latency`` seconds after its last byte."""

    def __init__(self, store: Store, *, latency: float = 0.0) -> None:
        self._store = store
        self._latency = latency
        self._transport = cast(asyncio.Transport, None)  # set by connection_made
        self._rest = b""  # bytes not yet understood: a head that is not whole
        self._request: Request | None = None  # its body is on the way
        self._digest = Digest(keep=False)
        self._body: Sink = self._digest
        self._blocks: Iterator[memoryview] | None = None  # an answer on its way out
        self._paused = False
        self._last = False  # close after the present answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's: a client connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._store.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop's: the client went away."""
        self._blocks = None

    def data_received(self, data: bytes) -> None:
        """The loop's: bytes came in."""
        if self._request is None:
            data = self._rest + data if self._rest else data
            self._rest = b""
        while data:
            if self._blocks is not None:
                self._rest = data
                return
            following = self._begin(data) if self._request is None else self._go_on(data)
            if following is None:
                return
            data = following

    def _begin(self, data: bytes) -> bytes | None:
        """Read a head; return what follows the request, or None when more has to come."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._rest = data
            return None
        request = Request(data[: end + 2])
        self._last = request.rare(b"connection") == b"close"
        body = data[end + 4 :]
        length = int(request.header(b"content-length") or 0)
        if not (request.plain or _is_sized(request)) or length > len(body):
            return self._begin_body(request, body)
        self._answer(request, self._received(request, body[:length]) if length else NOTHING)
        return body[length:]

    def _received(self, request: Request, body: bytes) -> Received:
        digest = self._known(request) or md5(body, usedforsecurity=False).digest()
        return Received(len(body), digest, body if self._keeps(request) else b"")

    def _keeps(self, request: Request) -> bool:
        return self._store.keep or request.method == b"POST"

    def _known(self, request: Request) -> bytes | None:
        return request.promised() if self._store.trust else None

    def _begin_body(self, request: Request, body: bytes) -> bytes | None:
        self._request = request
        self._digest = Digest(keep=self._keeps(request), known=self._known(request))
        self._body = frame(request, self._digest)
        if not body and request.rare(b"expect") is not None:
            self._after_latency(_CONTINUE)
        return self._go_on(body) if body else None

    def _go_on(self, data: bytes) -> bytes | None:
        following = self._body.write(data)
        if following is None or self._request is None:
            return None
        request, self._request = self._request, None
        self._answer(request, self._digest.received())
        return following

    def _answer(self, request: Request, received: Received) -> None:
        self._after_latency(operations.answer(self._store, request, received))

    def _after_latency(self, answer: Answer) -> None:
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        if isinstance(answer, Streamed):
            self._transport.write(answer.head)
            self._blocks = answer.blocks
            self._pump()
            return
        self._transport.write(answer)
        if self._last and answer is not _CONTINUE:
            self._transport.close()

    def _pump(self) -> None:
        """Write blocks until the client falls behind."""
        while self._blocks is not None and not self._paused:
            block = next(self._blocks, None)
            if block is None:
                self._end_of_stream()
            else:
                self._transport.write(block)

    def _end_of_stream(self) -> None:
        self._blocks = None
        if self._last:
            self._transport.close()
        rest, self._rest = self._rest, b""
        self.data_received(rest)

    def pause_writing(self) -> None:
        """The loop's: the client reads too slowly."""
        self._paused = True

    def resume_writing(self) -> None:
        """The loop's: the client has caught up."""
        self._paused = False
        self._pump()


def _is_sized(request: Request) -> bool:
    """Whether Content-Length alone says where the body ends, and it is the object itself."""
    if request.rare(b"transfer-encoding") is not None:
        return False
    return not (request.header(b"x-amz-content-sha256") or b"").startswith(b"STREAMING-")
