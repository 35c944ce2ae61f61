"""One HTTP request as the peer reads it, searched, not parsed: most headers are never used."""

from __future__ import annotations

import re
from binascii import a2b_base64
from hashlib import md5
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

# The headers that change how a request is framed or answered. Nearly none has one, and to learn
# that in one search costs what looking up a single header does.
_CHECKSUM = re.compile(rb"\nx-amz-checksum-((?:crc|sha)[0-9a-z]+):")
_RARE = re.compile(
    rb"\n(?:connection|expect|if-|range|transfer-encoding|x-amz-copy-source"
    rb"|x-amz-content-sha256: *streaming-|x-amz-checksum-(?:crc|sha))"
)


class Request:
    """The head of a request. Producer: connection; consumer: operations.

    ``head`` holds the request line and the headers, each ended by CRLF, without the empty line.
    """

    __slots__ = ("_head", "_lower", "bucket", "key", "method", "plain", "query", "target")

    def __init__(self, head: bytes) -> None:
        method, target, _ = head[: head.find(b"\r\n")].split(b" ", 2)
        path, _, query = target.partition(b"?")
        bucket, _, key = path[1:].partition(b"/")
        self.method = method
        self.target = target
        self.bucket = bucket
        self.key = unquote_to_bytes(key) if b"%" in key else key
        self.query = parse_query(query) if query else {}
        self._head = head
        self._lower = head.lower()
        self.plain = _RARE.search(self._lower) is None

    def header(self, name: bytes) -> bytes | None:
        """The value of the header ``name`` (lower case), or None."""
        start = self._lower.find(b"\r\n" + name + b":")
        if start < 0:
            return None
        start += len(name) + 3
        return self._head[start : self._head.find(b"\r\n", start)].strip()

    def rare(self, name: bytes) -> bytes | None:
        """The same, for the names in ``_RARE`` only: nearly free where the request has none."""
        return None if self.plain else self.header(name)

    def checksum(self) -> Checksum | None:
        """The checksum sent in a header, other than Content-MD5; in a trailer it is not found."""
        found = None if self.plain else _CHECKSUM.search(self._lower)
        if found is None:
            return None
        return Checksum(found[1], self.header(b"x-amz-checksum-" + found[1]) or b"")

    def promised(self) -> bytes | None:
        """An MD5 to take the body's for without hashing it, or None where nothing tells one.

        Content-MD5; else what stands for it, so that a body of another checksum has another ETag.
        """
        told = self.header(b"content-md5")
        if told is not None:
            return a2b_base64(told)
        checksum = self.checksum()
        return checksum and md5(checksum.value, usedforsecurity=False).digest()


class Checksum(NamedTuple):
    """What a client told of a body besides its MD5."""

    name: bytes  # such as crc64nvme
    value: bytes  # base64

    def header(self) -> bytes:
        """The header that echoes it."""
        return b"x-amz-checksum-%b: %b\r\n" % self

    def element(self) -> bytes:
        """The XML element that tells it."""
        name = self.name.upper()
        return b"<Checksum%b>%b</Checksum%b>" % (name, self.value, name)


class Received(NamedTuple):
    """The decoded body of a request; ``content`` is empty unless somebody needs it."""

    size: int  # bytes
    digest: bytes  # MD5, 16 bytes
    content: bytes = b""


def parse_query(query: bytes) -> dict[bytes, bytes]:
    """``b"a=1&b"`` -> ``{b"a": b"1", b"b": b""}``, percent-decoded."""
    pairs = (pair.partition(b"=") for pair in query.replace(b"+", b"%20").split(b"&"))
    return {unquote_to_bytes(name): unquote_to_bytes(value) for name, _, value in pairs}


NOTHING = Received(0, md5(b"", usedforsecurity=False).digest())
