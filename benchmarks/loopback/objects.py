"""The operations on one object."""

from __future__ import annotations

import re
import time
from binascii import b2a_base64, hexlify
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from loopback import answers
from loopback.answers import Answer, S3Error, Streamed
from loopback.request import Received, Request
from loopback.store import Bucket, Store
from loopback.version import digest_of, etag_of, parts_of, size_of, time_of, version

# Below this a response is cheaper built whole than streamed.
_WHOLE = 1 << 16
_BLOCK = 1 << 18
_STORED = b'HTTP/1.1 200 OK\r\n%bETag: "%b"\r\nContent-Length: 0\r\n\r\n'
_RANGE = re.compile(rb"bytes=(\d*)-(\d*)\Z")


class _Asked(NamedTuple):
    start: int
    end: int  # exclusive
    partial: bool  # of a range or a part, which is told with another status than the whole


def put_object(store: Store, request: Request, received: Received) -> Answer:
    """PutObject, with Content-MD5 and ``If-None-Match: *``."""
    bucket = bucket_of(store, request)
    check_digest(request, received)
    check_absent(bucket, request)
    now = int(time.time())
    content = received.content if store.keep else None
    bucket.put(request.key, version(received, now), content)
    return _STORED % (answers.common(now), hexlify(received.digest))


def head_object(store: Store, request: Request, received: Received) -> Answer:
    """HeadObject, with ``If-Match`` and ``partNumber``."""
    packed = _find(bucket_of(store, request), request.key)
    check_match(request.rare(b"if-match"), packed)
    asked = _Asked(0, size_of(packed), False)
    if b"partNumber" in request.query:
        asked = _asked(store, request, packed)
    return _describe_part(packed, asked, _told(store, request, packed))


def get_object(store: Store, request: Request, received: Received) -> Answer:
    """GetObject, with ``Range``, ``partNumber`` and ``If-Match``."""
    bucket = bucket_of(store, request)
    packed = _find(bucket, request.key)
    check_match(request.rare(b"if-match"), packed)
    asked = _asked(store, request, packed)
    start, end, _ = asked
    content = bucket.bodies.get(request.key)
    if content is None:
        blocks = store.preload.body_of(packed, start, end)
    else:
        blocks = _blocks(content, start, end)
    if blocks is None:  # any other body would fail the check of whoever compares it with its ETag
        raise S3Error("501 Not Implemented", "BodyNotKept")
    told = b"" if request.rare(b"range") else _told(store, request, packed)
    head = _describe_part(packed, asked, told)
    return b"".join((head, *blocks)) if end - start <= _WHOLE else Streamed(head, blocks)


def copy_object(store: Store, request: Request, received: Received) -> Answer:
    """CopyObject: S3 makes a single-part object of it, but keeps no body here to hash anew."""
    bucket = bucket_of(store, request)
    check_absent(bucket, request)
    source, key, packed = _copy_source(store, request)
    now = int(time.time())
    copied = version(Received(size_of(packed), digest_of(packed)), now) + packed[28:]
    bucket.put(request.key, copied, source.bodies.get(key))
    return answers.xml(
        b'<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<LastModified>%b</LastModified><ETag>&quot;%b&quot;</ETag></CopyObjectResult>"
        % (answers.iso_date(now), etag_of(copied))
    )


def delete_object(store: Store, request: Request, received: Received) -> Answer:
    """DeleteObject: a key that is not there is as good as deleted."""
    bucket_of(store, request).delete(request.key)
    return answers.empty(b"204 No Content")


def bucket_of(store: Store, request: Request) -> Bucket:
    """The bucket that ``request`` names, or a 404."""
    try:
        return store.buckets[request.bucket]
    except KeyError:
        raise S3Error("404 Not Found", "NoSuchBucket") from None


def check_digest(request: Request, received: Received) -> None:
    """Refuse a body that is not what its Content-MD5 says."""
    promised = request.header(b"content-md5")
    if promised is not None and promised != b2a_base64(received.digest, newline=False):
        raise S3Error("400 Bad Request", "BadDigest")


def check_absent(bucket: Bucket, request: Request) -> None:
    """Refuse to overwrite under ``If-None-Match: *``."""
    if request.rare(b"if-none-match") == b"*" and request.key in bucket.objects:
        raise S3Error("412 Precondition Failed", "PreconditionFailed")


def check_match(expected: bytes | None, packed: bytes) -> None:
    """Refuse where the ETag is not the ``expected`` one."""
    if expected is not None and expected.strip(b'"') not in (b"*", etag_of(packed)):
        raise S3Error("412 Precondition Failed", "PreconditionFailed")


def _find(bucket: Bucket, key: bytes) -> bytes:
    try:
        return bucket.objects[key]
    except KeyError:
        raise S3Error("404 Not Found", "NoSuchKey") from None


def _copy_source(store: Store, request: Request) -> tuple[Bucket, bytes, bytes]:
    header = request.rare(b"x-amz-copy-source") or b""
    path = unquote_to_bytes(header.partition(b"?")[0]).removeprefix(b"/")
    name, _, key = path.partition(b"/")
    if name not in store.buckets:
        raise S3Error("404 Not Found", "NoSuchBucket")
    packed = _find(store.buckets[name], key)
    check_match(request.rare(b"x-amz-copy-source-if-match"), packed)
    return store.buckets[name], key, packed


def _head(status: bytes, packed: bytes, length: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\n%b%b" % (
        status,
        answers.common(int(time.time())),
        _describe(packed, length),
    )


def _describe(packed: bytes, length: bytes) -> bytes:
    return (
        b'ETag: "%b"\r\nLast-Modified: %b\r\nAccept-Ranges: bytes\r\n'
        b"Content-Type: binary/octet-stream\r\n%b\r\n"
        % (etag_of(packed), answers.http_date(time_of(packed)), length)
    )


def _describe_part(packed: bytes, asked: _Asked, told: bytes) -> bytes:
    start, end, partial = asked
    length = b"Content-Length: %d\r\n%b" % (end - start, told)
    if not partial:
        return _head(b"200 OK", packed, length)
    place = b"Content-Range: bytes %d-%d/%d\r\n" % (start, end - 1, size_of(packed))
    return _head(b"206 Partial Content", packed, length + place)


def _asked(store: Store, request: Request, packed: bytes) -> _Asked:
    """What a request names of an object, or a 416."""
    size = size_of(packed)
    if b"partNumber" in request.query:
        number = int(request.query[b"partNumber"])
        return _Asked(*store.layout_of(packed).part(number, size), True)
    asked = request.rare(b"range")
    return _Asked(*_range(asked, size), asked is not None)


def _told(store: Store, request: Request, packed: bytes) -> bytes:
    """What is told of an object only if asked for: how many parts it has, and its checksum."""
    told = b""
    if b"partNumber" in request.query and parts_of(packed):
        told = b"x-amz-mp-parts-count: %d\r\n" % parts_of(packed)
    if store.layouts and request.header(b"x-amz-checksum-mode") is not None:
        told += store.layout_of(packed).told()
    return told


def _range(asked: bytes | None, size: int) -> tuple[int, int]:
    """The half-open range of bytes that ``asked`` names, or a 416."""
    if asked is None:
        return 0, size
    matched = _RANGE.match(asked)
    first, last = matched.groups() if matched else (b"", b"")
    if first:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    else:
        start, end = max(0, size - int(last or 0)), size
    if start >= end:
        raise S3Error("416 Requested Range Not Satisfiable", "InvalidRange")
    return start, end


def _blocks(content: bytes, start: int, end: int) -> Iterator[memoryview]:
    view = memoryview(content)
    return (view[at : min(at + _BLOCK, end)] for at in range(start, end, _BLOCK))
