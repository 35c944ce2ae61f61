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
    LEAST_SPEED,
    MOST_HELD,
    Fault,
    Request,
    Response,
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
        return _receive(_Answer(sock, settings.read_timeout))


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
    """What a socket receives, as long as that is more than next to nothing."""

    def __init__(self, sock: socket.socket, patience: float) -> None:
        """``patience``: seconds for which the server may send less than ``LEAST_SPEED``."""
        self._sock = sock
        self._patience = patience
        self._since = time.monotonic()
        self._moved = 0  # bytes, since then

    def next(self, *, at_end: bool = False) -> bytes:
        """Return the next piece. Raises ``WireError``; at the end only unless ``at_end``."""
        piece = self._sock.recv(_RECEIVED)
        if not piece and not at_end:
            raise WireError(Fault.PARTIAL)
        self._moved += len(piece)
        passed = time.monotonic() - self._since
        if passed >= self._patience:
            if self._moved < LEAST_SPEED * passed:
                raise WireError(Fault.SILENT, f"{self._moved} bytes in {passed:.0f} s")
            self._since, self._moved = self._since + passed, 0
        return piece


def _receive(answer: _Answer) -> Response:
    received, interim = bytearray(), 0
    while True:
        while (end := received.find(HEAD_END)) < 0:
            received += answer.next()
            check_beginning(received, 0)
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
    while len(body) < length:
        body += answer.next()
    while length == UNTIL_CLOSED and (piece := answer.next(at_end=True)):
        body += piece
        _check_size(len(body))
    return body if length == UNTIL_CLOSED else body[:length]


def _receive_chunks(answer: _Answer, piece: bytes) -> bytes:
    chunks = ChunkedBody()
    while not chunks.feed(piece):
        _check_size(chunks.size)
        piece = answer.next()
    return bytes(chunks.content)


def _check_size(size: int) -> None:
    if size > MOST_HELD:
        raise WireError(Fault.OVERSIZED, f"its answer is longer than {MOST_HELD} bytes")
