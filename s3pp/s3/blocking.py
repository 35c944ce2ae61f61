"""One HTTP/1.1 exchange on a blocking connection of its own, for a process without an event loop.

The exception of a signal ends it at any time. The standard library's client would do, but takes
longer to import than anything else that a run of one object needs.
"""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.parse import urlsplit

from s3pp import __version__
from s3pp.s3.exchange import Fault, Request, Response, WireError, WireSettings
from s3pp.s3.framing import (
    CHUNKED,
    HEAD_END,
    UNTIL_CLOSED,
    ChunkedBody,
    check_beginning,
    parse_head,
)
from s3pp.s3.peers import tls_context

MOST_HELD = 1 << 20  # bytes of a body
_RECEIVED = 1 << 16  # bytes at a time
_CRLF = "\r\n"
_PORTS = {"http": 80, "https": 443}


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
        return _receive(sock)


def _connect(text: str, settings: WireSettings) -> socket.socket:
    url = urlsplit(text)
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    sock = socket.create_connection((host, port), settings.connect_timeout)
    if url.scheme == "http":
        return sock
    try:
        context = tls_context(settings.ca_bundle, verify=settings.verify)
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def _receive(sock: socket.socket) -> Response:
    received = bytearray()
    while (end := received.find(HEAD_END)) < 0:
        received += _next_piece(sock)
        check_beginning(received, 0)
    start = end + len(HEAD_END)
    head, body = bytes(received[:start]), bytes(received[start:])
    status, length, _ = parse_head(head, bodiless=False)
    if length == CHUNKED:
        return Response(status, head, _receive_chunks(sock, body))
    if length == UNTIL_CLOSED:
        return Response(status, head, _receive_all(sock, body))
    _check_size(length)
    while len(body) < length:
        body += _next_piece(sock)
    return Response(status, head, body[:length])


def _receive_all(sock: socket.socket, body: bytes) -> bytes:
    while piece := sock.recv(_RECEIVED):
        body += piece
        _check_size(len(body))
    return body


def _receive_chunks(sock: socket.socket, piece: bytes) -> bytes:
    chunks = ChunkedBody()
    while not chunks.feed(piece):
        _check_size(chunks.size)
        piece = _next_piece(sock)
    return bytes(chunks.content)


def _next_piece(sock: socket.socket) -> bytes:
    piece = sock.recv(_RECEIVED)
    if not piece:
        raise WireError(Fault.PARTIAL)
    return piece


def _check_size(size: int) -> None:
    if size > MOST_HELD:
        raise WireError(Fault.OVERSIZED)
