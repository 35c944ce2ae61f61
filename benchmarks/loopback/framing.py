"""Where a body ends: by Content-Length, or in chunks. Pieces are never joined on the way.

A framing takes bytes as they come off the socket, passes the body on to its sink, and says when
the body is whole. Framings nest: aws-chunked arrives inside a Content-Length, or inside chunks.
"""

from __future__ import annotations

from hashlib import md5
from typing import Protocol

from loopback.request import Received, Request


class Sink(Protocol):
    """Takes a body piece by piece."""

    def write(self, piece: bytes, /) -> bytes | None:
        """Take ``piece``; return what follows the body once it is whole, else None."""


class Digest:
    """The innermost sink: hashes the body, unless its MD5 is ``known``; keeps it where ``keep``."""

    def __init__(self, *, keep: bool, known: bytes | None = None) -> None:
        self._md5 = md5(usedforsecurity=False)
        self._known = known
        self._size = 0
        self._pieces: list[bytes] | None = [] if keep else None

    def write(self, piece: bytes, /) -> None:
        """Take ``piece``; only the framing around it knows where the body ends."""
        if self._known is None:
            self._md5.update(piece)
        self._size += len(piece)
        if self._pieces is not None:
            self._pieces.append(piece)

    def received(self) -> Received:
        """What came in."""
        digest = self._known or self._md5.digest()
        return Received(self._size, digest, b"".join(self._pieces or ()))


class Sized:
    """A body of ``left`` bytes."""

    def __init__(self, left: int, sink: Sink) -> None:
        self._left = left
        self._sink = sink

    def write(self, piece: bytes, /) -> bytes | None:
        """Take ``piece``; return what follows the body once it is whole, else None."""
        left = self._left
        self._left -= len(piece)
        if self._left > 0:
            self._sink.write(piece)
            return None
        self._sink.write(piece[:left])
        return piece[left:]


class Chunks:
    """``hex[;extension] CRLF bytes CRLF … 0 CRLF trailers CRLF``: RFC 9112, and aws-chunked."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._left = 0  # bytes of the present chunk still to come
        self._last = False  # the empty chunk has come, trailers follow
        self._rest = b""  # the beginning of a line whose end is still to come

    def write(self, piece: bytes, /) -> bytes | None:
        """Take ``piece``; return what follows the body once it is whole, else None."""
        piece = self._rest + piece if self._rest else piece
        while True:
            piece = self._content(piece)
            line, newline, after = piece.partition(b"\r\n")
            if self._left or not newline:
                self._rest = piece
                return None
            piece = after
            if self._last and not line:
                return piece
            if line and not self._last:
                self._left = int(line.partition(b";")[0], 16)
                self._last = not self._left

    def _content(self, piece: bytes) -> bytes:
        if not self._left:
            return piece
        content = piece[: self._left]
        self._sink.write(content)
        self._left -= len(content)
        return piece[len(content) :]


def frame(request: Request, digest: Digest) -> Sink:
    """The framing that ``request`` announces, around ``digest``."""
    sink: Sink = digest
    if (request.header(b"x-amz-content-sha256") or b"").startswith(b"STREAMING-"):
        sink = Chunks(sink)
    if request.rare(b"transfer-encoding") is not None:
        return Chunks(sink)
    return Sized(int(request.header(b"content-length") or 0), sink)
