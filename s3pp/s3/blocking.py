"""One HTTP/1.1 exchange on a blocking connection of its own, for a process without an event loop.

The exception of a signal ends it at any time. The standard library's client would do, but takes
longer to import than anything else that a run of one object needs.
"""

from __future__ import annotations

import socket
import time
from contextlib import closing
from urllib.parse import urlsplit

from s3pp import __version__
from s3pp.s3.endpoint import PORTS
from s3pp.s3.exchange import (
    MOST_HELD,
    TICK,
    Fault,
    Request,
    Response,
    TimeLimits,
    WireError,
    WireSettings,
)
from s3pp.s3.framing import (
    CHUNKED,
    HEAD_END,
    MOST_INTERIM,
    UNTIL_CLOSED,
    ChunkedBody,
    check_beginning,
    parse_head,
)
from s3pp.s3.peers import tls_context

_RECEIVED = 1 << 16  # bytes at a time
_CRLF = "\r\n"


def exchange(request: Request, settings: WireSettings) -> Response:
    """Send a request without a body, once, and return the answer.

    Raises ``WireError``, ``OSError``, and ``ValueError`` for a host or a port that cannot exist.
    """
    url = urlsplit(request.url)
    target = request.url[len(f"{url.scheme}://{url.netloc}") :]
    lines = (
        f"{request.method} {target} HTTP/1.1",
        f"Host: {url.netloc}",
        f"User-Agent: s3pp/{__version__}",
        "Connection: close",
        request.head,
    )
    with closing(_connect(request.url, settings)) as sock:
        sock.settimeout(settings.read_timeout)
        sock.sendall(f"{_CRLF.join(lines)}{_CRLF}".encode("ascii"))
        return _receive(_Answer(sock, TimeLimits(settings.read_timeout, settings.request_timeout)))


def _connect(text: str, settings: WireSettings) -> socket.socket:
    url = urlsplit(text)
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    sock = socket.create_connection((host, port), settings.connect_timeout)
    if url.scheme == "http":
        return sock
    try:
        context = tls_context(settings.ca_bundle, verify=settings.verify)
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


class _Answer:
    """What a socket receives, within the limits of time."""

    def __init__(self, sock: socket.socket, limits: TimeLimits) -> None:
        self._sock = sock
        self._limits = limits
        self._tick_at = time.monotonic() + TICK
        self._moved = 0  # bytes, in this tick
        self._heard = False  # something was received

    def next(self, *, at_end: bool = False) -> bytes:
        """Return the next piece. Raises ``WireError``; at the end only unless ``at_end``."""
        while (piece := self._receive()) is None:
            pass
        if not piece and not at_end:
            raise WireError(Fault.PARTIAL)
        self._moved += len(piece)
        self._heard = True
        return piece

    def _receive(self) -> bytes | None:
        """Return what comes until the next tick; None if nothing does.

        Raises ``WireError``; ``TimeoutError`` where nothing at all has come.
        """
        now = time.monotonic()
        if now >= self._tick_at:
            self._tick_at, moved, self._moved = now + TICK, self._moved, 0
            if late := self._limits.tick(moved):
                raise late if self._heard else TimeoutError(str(late))
        self._sock.settimeout(self._tick_at - now)
        try:
            return self._sock.recv(_RECEIVED)
        except TimeoutError:
            return None


def _receive(answer: _Answer) -> Response:
    received, interim = bytearray(), 0
    while True:
        while (end := received.find(HEAD_END)) < 0:
            check_beginning(received, 0)
            received += answer.next()
        start = end + len(HEAD_END)
        head, body = bytes(received[:start]), bytes(received[start:])
        status, length, _ = parse_head(head, bodiless=False)
        if status >= 200:
            return Response(status, head, _receive_body(answer, body, length))
        interim += start
        if interim > MOST_INTERIM:
            raise WireError(Fault.OVERSIZED, "it sends interim answers without end")
        received = bytearray(body)


def _receive_body(answer: _Answer, body: bytes, length: int) -> bytes:
    if length == CHUNKED:
        return _receive_chunks(answer, body)
    _check_size(length)
    received = bytearray(body)
    while len(received) < length:
        received += answer.next()
    while length == UNTIL_CLOSED and (piece := answer.next(at_end=True)):
        received += piece
        _check_size(len(received))
    return bytes(received if length == UNTIL_CLOSED else received[:length])


def _receive_chunks(answer: _Answer, piece: bytes) -> bytes:
    chunks = ChunkedBody()
    while not chunks.feed(piece):
        _check_size(chunks.size)
        piece = answer.next()
    return bytes(chunks.content)


def _check_size(size: int) -> None:
    if size > MOST_HELD:
        raise WireError(Fault.OVERSIZED, f"its answer is longer than {MOST_HELD} bytes")
