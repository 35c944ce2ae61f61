"""One HTTP/1.1 connection, on which one exchange at a time takes place.

::

    start(SentRequest) ──▶ send ──▶ socket ──readable──▶ recv ──▶ head, body ──▶ Response
                                                                    └──▶ WireError

Bodies that do not fit in memory pass through it in pieces: see ``sending`` and ``receiving``.

It is kept for another exchange only where nothing is in doubt: all of the request was sent, all of
the answer and nothing else was received, and neither side asks for the end.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from math import inf
from typing import Any, Protocol

from s3pp.s3.exchange import MOST_HELD, TICK, Fault, Response, TimeLimits, WireError
from s3pp.s3.framing import (
    CHUNKED,
    HEAD_END,
    MOST_INTERIM,
    UNTIL_CLOSED,
    ChunkedBody,
    check_beginning,
    parse_head,
    unreadable,
)
from s3pp.s3.receiving import (
    NOT_YET,
    RECORD,
    IncomingBody,
    exchange_error,
    is_undeclared_end,
    receiver,
)
from s3pp.s3.sending import JOINED, SendingHalf, SentRequest

RECEIVE = 64 * 1024  # bytes received at a time
# Seconds for which a connection is kept without an exchange: firewalls forget it without a word,
# and then the next request would wait for its time to run out. libcurl's limit, too.
MOST_IDLE = 118.0


class Pool(Protocol):
    """The owner of connections to one peer."""

    session: ssl.SSLSession | None  # to be resumed by later connections
    buffer: memoryview  # for what sinks receive, on all connections

    def give(self, connection: Connection) -> None:
        """Keep a connection for another exchange."""

    def remove(self, connection: Connection) -> None:
        """Forget a connection, which is closed."""

    def distrust(self, address: Any) -> None:
        """Connect to other addresses first: a connection to this one broke."""

    def send_again(self, request: SentRequest) -> None:
        """Send on a new connection: the kept one was closed before a byte of an answer came."""


class Connection(SendingHalf):
    """A connection, and the exchange on it, if there is one; its socket is in the event loop."""

    __slots__ = (
        "_address",
        "_body",
        "_chunks",
        "_fresh",
        "_head",
        "_heard",
        "_idle",
        "_incoming",
        "_interim",
        "_kept",
        "_length",
        "_limits",
        "_pool",
        "_received",
        "_recv",
        "_request",
        "_status",
        "_timed",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, pool: Pool, *, address: Any
    ) -> None:
        """``sock`` is connected, does not block, and belongs to the connection from here on."""
        super().__init__(loop, sock)
        self._pool = pool
        self._address = address
        self._recv = sock.read if isinstance(sock, ssl.SSLSocket) else sock.recv
        self._request: SentRequest | None = None
        self._fresh = True  # no exchange has ended on it
        self._heard = False  # something of an answer was received
        self._received = bytearray()  # the beginning of a head
        self._interim = 0  # bytes of interim answers
        self._head = b""
        self._status = 0
        self._length = 0
        self._kept = True
        self._body = bytearray()
        self._chunks: ChunkedBody | None = None
        self._incoming: IncomingBody | None = None  # what the sink receives
        self._idle = 0.0  # seconds without an exchange
        self._timed: SentRequest | None = None  # at the last tick, which ``_limits`` bound
        self._limits = TimeLimits(inf, inf)
        loop.add_reader(self._fd, self._on_readable)

    def start(self, request: SentRequest) -> None:
        """Send a request; the future resolves to its answer.

        Or it fails with ``WireError``, or an error of the stream or the sink.
        """
        self._request = request
        self._heard = False
        self._interim = 0
        head, body = request.head, request.body
        if body is None:
            self._unsent.append(head)
        elif isinstance(body, bytes) and len(body) <= JOINED:
            self._unsent.append(head + body)
        else:
            self._queue(head, body, request.pace)
        if self._outgoing is not None or request.sink is not None:
            request.future.add_done_callback(self._on_done)
        self._flush()

    def tick(self) -> None:
        """Account for a ``TICK``: end what is silent, slow, idle or cancelled for too long."""
        moved, self._moved = self._moved, 0
        request, before = self._request, self._timed
        self._timed = request
        if request is None:
            self._idle = 0.0 if moved else self._idle + TICK
            if self._idle >= MOST_IDLE:
                self.close()
        elif request.future.done():  # cancelled
            self.close()
        elif request is not before:
            self._limits = TimeLimits(request.patience, request.total)
        # The time in which it waits for its pace is not the peer's. A head that has begun must be
        # complete in time, however slowly it comes.
        elif not self._held and (late := self._limits.tick(0 if self._received else moved)):
            self.fail(late)

    def fail(self, error: Exception) -> None:
        """End the exchange without an answer, and close the connection.

        ``error`` is a ``WireError``, or one of a stream or a sink.
        """
        request = self._request
        if request is not None and isinstance(error, WireError) and error.congested:
            self._pool.distrust(self._address)
        self.close()
        if request is not None and not request.future.done():
            request.future.set_exception(error)

    def close(self) -> None:
        """Close the connection; there is no exchange, or it was cancelled."""
        self._request = self._incoming = self._outgoing = None
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        if self._writing:
            self._stop_writing()
        self._unsent.clear()
        self._fd = -1
        self._sock.close()
        self._pool.remove(self)

    # Receiving

    def _on_readable(self) -> None:
        if self._request is None:
            self._on_unasked()
            return
        if self._unsent and not self._writing and self._failure is None:
            self._flush()
        try:
            while self._request is not None:
                if self._incoming is not None:
                    self._receive(self._incoming)
                    return
                piece = self._recv(RECEIVE)
                if not piece:
                    self._on_end(sure=True)
                    return
                self._heard = True
                self._moved += len(piece)
                if self._head:
                    self._take_body(piece)
                else:
                    self._take_head(piece)
        except NOT_YET:
            if self._failure is not None:  # no answer was sent before
                self._lose(exchange_error(self._failure))
        except OSError as error:
            if is_undeclared_end(error):
                self._on_end(sure=False)
            else:
                self._lose(exchange_error(error))
        except WireError as error:
            self.fail(error)

    def _receive(self, incoming: IncomingBody) -> None:
        """Pass on to a sink what has come, as much as fits. Raises the errors of the socket."""
        if incoming.pace is not None:
            self._receive_paced(incoming)
            return
        buffer, receive = self._pool.buffer, receiver(self._sock)
        at, size, ended = 0, len(buffer), False
        try:
            while at <= size - RECORD and not ended:
                count = receive(size - at, buffer[at:])
                at, ended = at + count, not count
        finally:  # what came before an error is the body's
            self._moved += at
            self._pass_on(incoming, buffer[:at])
        if ended and self._incoming is incoming:
            self._on_end(sure=True)

    def _receive_paced(self, incoming: IncomingBody) -> None:
        """As ``_receive``, no more than the pace allows; until nothing is left that has come."""
        buffer, receive = self._pool.buffer, receiver(self._sock)
        while self._incoming is incoming:
            count = incoming.receive(receive, buffer, self._resume_receiving)
            if count is None:
                self._held = True
                self._loop.remove_reader(self._fd)
                return
            self._moved += count
            self._pass_on(incoming, buffer[:count])
            if not count and self._incoming is incoming:
                self._on_end(sure=True)

    def _resume_receiving(self) -> None:
        if self._held and self._incoming is not None:
            self._held = False
            self._loop.add_reader(self._fd, self._on_readable)
            self._on_readable()

    def _pass_on(self, incoming: IncomingBody, piece: memoryview) -> None:
        request = self._request
        assert request is not None
        if request.future.done():  # cancelled: the sink may be closed
            self.close()
            return
        try:
            whole = incoming.take(piece)
        except Exception as error:
            self.fail(error)
            return
        if whole:
            self._kept = self._kept and not incoming.excess
            self._finish(b"")

    def _on_done(self, future: asyncio.Future[Response]) -> None:
        """If the exchange was cancelled, nothing more is read from its stream, or sent."""
        if self._request is not None and self._request.future is future:
            self.close()

    def _on_unasked(self) -> None:
        """Something came outside of an exchange: the end, a stray answer, or a ticket of TLS."""
        if self._fd < 0:
            return
        try:
            self._recv(1)
        except NOT_YET:
            return
        except OSError:
            pass
        self.close()

    def _take_head(self, piece: bytes) -> None:
        """Process a head, or what there is of one, and what follows it. Raises ``WireError``."""
        request = self._request
        assert request is not None
        end = -1 if self._received else piece.find(HEAD_END)
        if end < 0:
            piece, end = self._collect(piece)
        start = 0
        while end >= 0:
            head = piece[start : end + 2]
            status, length, kept = parse_head(head, bodiless=request.bodiless)
            start = end + len(HEAD_END)
            if status >= 200:
                break
            self._skip_interim(status, len(head))
            end = piece.find(HEAD_END, start)
            if end < 0:
                self._collect(piece[start:])
        else:  # the rest of it is still to come
            return
        self._head, self._status, self._length, self._kept = head, status, length, kept
        if request.sink is not None and status < 300:
            self._begin_sink(request, piece[start:])
            return
        if length > MOST_HELD:
            raise WireError(Fault.OVERSIZED)
        if len(piece) - start == length:  # nearly always
            self._finish(piece[start:])
            return
        self._chunks = ChunkedBody() if length == CHUNKED else None
        self._take_body(piece[start:])

    def _collect(self, piece: bytes) -> tuple[bytes, int]:
        """Add to the beginning of a head; return it and where it ends, -1 if it does not yet."""
        received = self._received
        searched = max(0, len(received) - len(HEAD_END) + 1)
        received += piece
        end = received.find(HEAD_END, searched)
        if end < 0:
            check_beginning(received, searched)
            return b"", end
        self._received = bytearray()
        return bytes(received), end

    def _begin_sink(self, request: SentRequest, piece: bytes) -> None:
        assert request.sink is not None
        try:
            incoming = self._incoming = IncomingBody(request.sink, self._length, request.pace)
        except Exception as error:
            self.fail(error)
            return
        if request.pace is not None:
            request.pace.charge(len(piece))
        self._pass_on(incoming, memoryview(piece))

    def _skip_interim(self, status: int, size: int) -> None:
        self._interim += size
        if status == 101 or self._interim > MOST_INTERIM:
            raise unreadable()

    def _take_body(self, piece: bytes) -> None:
        chunks = self._chunks
        if chunks is not None:
            whole = chunks.feed(piece)
            if chunks.size > MOST_HELD:
                raise WireError(Fault.OVERSIZED)
            if whole:
                self._kept = self._kept and not chunks.excess
                self._finish(bytes(chunks.content))
            return
        body, length = self._body, self._length
        body += piece
        if length == UNTIL_CLOSED:
            if len(body) > MOST_HELD:
                raise WireError(Fault.OVERSIZED)
        elif len(body) >= length:
            self._kept = self._kept and len(body) == length
            self._finish(bytes(memoryview(body)[:length]))

    def _finish(self, body: bytes) -> None:
        """Deliver the answer, and keep the connection if that is certain to be in order."""
        request, head = self._request, self._head
        assert request is not None
        future = request.future
        self._request, self._head, self._incoming = None, b"", None
        sent = not self._unsent and self._failure is None and self._outgoing is None
        if self._fresh or self._body or self._chunks:
            self._settle()
        if self._kept and sent and not future.done():
            self._pool.give(self)
        else:
            self.close()
        if not future.done():
            future.set_result(Response(self._status, head, body))

    def _settle(self) -> None:
        """Forget an unusual answer, and keep the session of a new connection."""
        if self._fresh and isinstance(self._sock, ssl.SSLSocket):
            self._pool.session = self._sock.session
        self._fresh = False
        self._body, self._chunks = bytearray(), None

    def _on_end(self, *, sure: bool) -> None:
        """The connection was closed; ``sure``: by the peer, which over TLS it has to declare."""
        if self._head and self._length == UNTIL_CLOSED and sure:
            self._finish(bytes(self._body))
        elif self._heard:
            self.fail(WireError(Fault.PARTIAL))
        else:
            self._lose(WireError(Fault.CUT))

    def _lose(self, error: WireError) -> None:
        """The connection broke; nothing can come any more."""
        request = self._request
        if self._fresh or self._heard or request is None:
            self.fail(error)
        else:
            self.close()
            self._pool.send_again(request)
