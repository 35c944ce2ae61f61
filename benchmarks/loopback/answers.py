"""HTTP responses, as bytes that are ready to be written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from functools import lru_cache
from typing import NamedTuple


class Streamed(NamedTuple):
    """A response too large to be built at once."""

    head: bytes
    blocks: Iterator[memoryview]


Answer = bytes | Streamed


class S3Error(Exception):
    """The request is refused with ``status`` (such as ``404 Not Found``) and an S3 error code."""

    def __init__(self, status: str, code: str) -> None:
        super().__init__(f"{status}: {code}")
        self.status = status
        self.code = code


@lru_cache(maxsize=64)
def http_date(seconds: int) -> bytes:
    """``seconds`` since the epoch as HTTP writes it."""
    return formatdate(seconds, usegmt=True).encode()


@lru_cache(maxsize=4096)
def iso_date(seconds: int) -> bytes:
    """``seconds`` since the epoch as S3's XML writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds)).encode()


@lru_cache(maxsize=4)
def common(now: int) -> bytes:
    """The headers of every response; S3 sends as many, and clients must read past them."""
    return (
        b"Server: loopback\r\nx-amz-id-2: peer\r\nx-amz-request-id: 0000000000000001\r\n"
        b"Date: %b\r\n" % http_date(now)
    )


def plain(status: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    """A whole response; each of ``headers`` ends in CRLF."""
    return b"HTTP/1.1 %b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
        status,
        common(int(time.time())),
        headers,
        len(body),
        body,
    )


def empty(status: bytes) -> bytes:
    """A response without a body, such as 204, which must not state a length."""
    return b"HTTP/1.1 %b\r\n%b\r\n" % (status, common(int(time.time())))


def xml(body: bytes, headers: bytes = b"") -> bytes:
    """A 200 with ``body``, an XML element; each of ``headers`` ends in CRLF."""
    return plain(b"200 OK", b"Content-Type: application/xml\r\n" + headers, _DECLARATION + body)


def refusal(error: S3Error, resource: bytes, *, bodiless: bool) -> bytes:
    """What S3 says for ``error``; the answer to a HEAD is ``bodiless``."""
    status = error.status.encode()
    if bodiless:
        return plain(status)
    body = b"<Error><Code>%b</Code><Message>%b</Message><Resource>%b</Resource></Error>" % (
        error.code.encode(),
        status,
        escape(resource),
    )
    return plain(status, b"Content-Type: application/xml\r\n", _DECLARATION + body)


def escape(text: bytes) -> bytes:
    """``text`` as the content of an XML element."""
    if text.translate(None, _MARKUP) != text:
        for byte, entity in _ENTITIES:
            text = text.replace(byte, entity)
    return text


_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_MARKUP = b"&<>\r\n"
_ENTITIES = (
    (b"&", b"&amp;"),
    (b"<", b"&lt;"),
    (b">", b"&gt;"),
    (b"\r", b"&#13;"),
    (b"\n", b"&#10;"),
)
