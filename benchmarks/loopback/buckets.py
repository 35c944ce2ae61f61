"""The operations on buckets: listing them, and what little else clients ask of one."""

from __future__ import annotations

import html
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote_from_bytes
from xml.etree import ElementTree

from loopback import answers
from loopback.answers import Answer, S3Error, escape
from loopback.listing import PAST_GROUP, Page, Query, page
from loopback.objects import bucket_of, check_digest
from loopback.request import Received, Request
from loopback.store import Bucket, Store
from loopback.version import etag_of, size_of, time_of

_NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_PLAIN = bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b"-._/*"
_MAX_KEYS = 1000
_OBJECT = re.compile(rb"<Object><Key>([^<]*)</Key>(?:<ETag>([^<]*)</ETag>)?</Object>")
_REMEMBERED = 1 << 18  # entries, for pages that begin elsewhere than before; some 100 MB


def create_bucket(store: Store, request: Request, received: Received) -> Answer:
    """CreateBucket; one that is there already is yours."""
    store.buckets.setdefault(request.bucket, Bucket())
    return answers.plain(b"200 OK", b"Location: /%b\r\n" % request.bucket)


def head_bucket(store: Store, request: Request, received: Received) -> Answer:
    """HeadBucket."""
    bucket_of(store, request)
    return answers.plain(b"200 OK", b"x-amz-bucket-region: us-east-1\r\n")


def delete_bucket(store: Store, request: Request, received: Received) -> Answer:
    """DeleteBucket, if empty."""
    if bucket_of(store, request).objects:
        raise S3Error("409 Conflict", "BucketNotEmpty")
    del store.buckets[request.bucket]
    return answers.empty(b"204 No Content")


def location(store: Store, request: Request, received: Received) -> Answer:
    """GetBucketLocation: us-east-1, which is written as nothing."""
    bucket_of(store, request)
    return answers.xml(b"<LocationConstraint %b/>" % _NAMESPACE)


def versioning(store: Store, request: Request, received: Received) -> Answer:
    """GetBucketVersioning: never enabled."""
    bucket_of(store, request)
    return answers.xml(b"<VersioningConfiguration %b/>" % _NAMESPACE)


def list_buckets(store: Store, request: Request, received: Received) -> Answer:
    """ListBuckets."""
    created = answers.iso_date(0)
    names = b"".join(
        b"<Bucket><Name>%b</Name><CreationDate>%b</CreationDate></Bucket>" % (name, created)
        for name in sorted(store.buckets)
    )
    return answers.xml(
        b"<ListAllMyBucketsResult %b><Owner><ID>bench</ID></Owner><Buckets>%b</Buckets>"
        b"</ListAllMyBucketsResult>" % (_NAMESPACE, names)
    )


def delete_objects(store: Store, request: Request, received: Received) -> Answer:
    """DeleteObjects, each on the condition of its ETag, if it has one."""
    check_digest(request, received)
    bucket = bucket_of(store, request)
    answer = [_delete(bucket, key, etag) for key, etag in _named(received.content)]
    return answers.xml(b"<DeleteResult %b>%b</DeleteResult>" % (_NAMESPACE, b"".join(answer)))


def _named(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys to delete as they are written, each with its ETag; none: it is empty."""
    plain = _OBJECT.findall(body)
    if len(plain) == body.count(b"<Object>"):
        yield from plain
        return
    for each in ElementTree.fromstring(body).iterfind("{*}Object"):
        key, etag = (each.findtext(f"{{*}}{name}") or "" for name in ("Key", "ETag"))
        yield escape(key.encode()), etag.encode()


def _delete(bucket: Bucket, written: bytes, etag: bytes) -> bytes:
    key = html.unescape(written.decode()).encode() if b"&" in written else written
    if etag:
        code = _refusal(bucket.objects.get(key), etag.replace(b"&quot;", b"").strip(b'"'))
        if code:
            return b"<Error><Key>%b</Key><Code>%b</Code><Message/></Error>" % (written, code)
    bucket.delete(key)
    return b"<Deleted><Key>%b</Key></Deleted>" % written


def _refusal(packed: bytes | None, etag: bytes) -> bytes:
    if packed is None:
        return b"NoSuchKey"
    return b"" if etag_of(packed) == etag else b"PreconditionFailed"


def list_objects(store: Store, request: Request, received: Received) -> Answer:
    """ListObjectsV2, and the first version for clients that still speak it."""
    bucket = bucket_of(store, request)
    return answers.xml(bucket.page(request.target, lambda: _listed(bucket, request)))


def _listed(bucket: Bucket, request: Request) -> bytes:
    asked = request.query
    query = Query(
        prefix=asked.get(b"prefix", b""),
        after=_after(asked),
        delimiter=asked.get(b"delimiter", b""),
        limit=min(int(asked.get(b"max-keys") or _MAX_KEYS), _MAX_KEYS),
    )
    keys = bucket.ordered(exactly=bool(query.delimiter))
    found = page(keys, query, bucket.gone)
    write = url_encode if asked.get(b"encoding-type") == b"url" else escape
    elements = [
        b"<Name>%b</Name><Prefix>%b</Prefix>" % (request.bucket, write(query.prefix)),
        b"<Delimiter>%b</Delimiter>" % write(query.delimiter) if query.delimiter else b"",
        b"<EncodingType>url</EncodingType>" if write is url_encode else b"",
        b"<MaxKeys>%d</MaxKeys>" % query.limit,
        b"<IsTruncated>%b</IsTruncated>" % (b"false" if found.more is None else b"true"),
        _paging(asked, found, write),
        *_entries(bucket, found.keys, write),
        *(b"<CommonPrefixes><Prefix>%b</Prefix></CommonPrefixes>" % write(g) for g in found.groups),
    ]
    return b"<ListBucketResult %b>%b</ListBucketResult>" % (_NAMESPACE, b"".join(elements))


def url_encode(key: bytes) -> bytes:
    """``key`` as ``encoding-type=url`` writes it."""
    # Most keys are plain, and quoting costs more than all the rest of an entry.
    if not key.translate(None, _PLAIN):
        return key
    return quote_from_bytes(key, safe="-._/*").encode()


def _after(asked: dict[bytes, bytes]) -> bytes:
    if b"continuation-token" in asked:
        return urlsafe_b64decode(asked[b"continuation-token"])
    marker = asked.get(b"marker", b"")
    delimiter = asked.get(b"delimiter", b"")
    if marker and delimiter and marker.endswith(delimiter):
        return marker + PAST_GROUP  # version 1 hands out a group's own name
    return marker or asked.get(b"start-after", b"")


def _paging(asked: dict[bytes, bytes], found: Page, write: Callable[[bytes], bytes]) -> bytes:
    if asked.get(b"list-type") != b"2":
        marker = b"<Marker>%b</Marker>" % write(asked.get(b"marker", b""))
        if found.more is None:
            return marker
        following = write(found.more.removesuffix(PAST_GROUP))
        return marker + b"<NextMarker>%b</NextMarker>" % following
    count = b"<KeyCount>%d</KeyCount>" % (len(found.keys) + len(found.groups))
    if b"start-after" in asked:
        count += b"<StartAfter>%b</StartAfter>" % write(asked[b"start-after"])
    if b"continuation-token" in asked:
        count += b"<ContinuationToken>%b</ContinuationToken>" % asked[b"continuation-token"]
    if found.more is None:
        return count
    token = urlsafe_b64encode(found.more)
    return count + b"<NextContinuationToken>%b</NextContinuationToken>" % token


def _entries(
    bucket: Bucket, keys: Sequence[bytes], write: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    if bucket.alike is None:
        return (_entry(key, bucket.objects[key], write) for key in keys)
    described = _described(bucket.alike)
    return (b"<Contents><Key>%b%b" % (write(key), described) for key in keys)


@lru_cache(maxsize=_REMEMBERED)
def _entry(key: bytes, packed: bytes, write: Callable[[bytes], bytes]) -> bytes:
    return b"<Contents><Key>%b%b" % (write(key), _described(packed))


def _described(packed: bytes) -> bytes:
    """The end of an entry, after the key."""
    return (
        b"</Key><LastModified>%b</LastModified><ETag>&quot;%b&quot;</ETag>"
        b"<Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>"
        % (answers.iso_date(time_of(packed)), etag_of(packed), size_of(packed))
    )
