"""The operations on buckets: listing them, and what little else clients ask of one."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote_from_bytes
from xml.etree import ElementTree

from loopback import answers
from loopback.answers import Answer, S3Error, escape
from loopback.listing import PAST_GROUP, Page, Query, page
from loopback.objects import bucket_of
from loopback.request import Received, Request
from loopback.store import Bucket, Store
from loopback.version import etag_of, size_of, time_of

_NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_PLAIN = bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b"-._/*"
_MAX_KEYS = 1000
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
    """DeleteObjects."""
    bucket = bucket_of(store, request)
    root = ElementTree.fromstring(received.content)
    keys = [element.text or "" for element in root.iterfind(".//{*}Key")]
    for key in keys:
        bucket.delete(key.encode())
    deleted = (b"<Deleted><Key>%b</Key></Deleted>" % escape(key.encode()) for key in keys)
    return answers.xml(b"<DeleteResult %b>%b</DeleteResult>" % (_NAMESPACE, b"".join(deleted)))


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
    found = page(bucket.ordered(), query)
    write = url_encode if asked.get(b"encoding-type") == b"url" else escape
    elements = [
        b"<Name>%b</Name><Prefix>%b</Prefix>" % (request.bucket, write(query.prefix)),
        b"<Delimiter>%b</Delimiter>" % write(query.delimiter) if query.delimiter else b"",
        b"<EncodingType>url</EncodingType>" if write is url_encode else b"",
        b"<MaxKeys>%d</MaxKeys>" % query.limit,
        b"<IsTruncated>%b</IsTruncated>" % (b"false" if found.more is None else b"true"),
        _paging(asked, found, write),
        *(_entry(key, bucket.objects[key], write) for key in found.keys),
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


@lru_cache(maxsize=_REMEMBERED)
def _entry(key: bytes, packed: bytes, write: Callable[[bytes], bytes]) -> bytes:
    return (
        b"<Contents><Key>%b</Key><LastModified>%b</LastModified><ETag>&quot;%b&quot;</ETag>"
        b"<Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>"
        % (write(key), answers.iso_date(time_of(packed)), etag_of(packed), size_of(packed))
    )
