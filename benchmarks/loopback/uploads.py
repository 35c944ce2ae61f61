"""The operations of a multipart upload."""

from __future__ import annotations

import re
import time
from hashlib import md5

from loopback import answers
from loopback.answers import Answer, S3Error, escape
from loopback.layout import cut
from loopback.objects import bucket_of, check_absent, check_digest
from loopback.request import Checksum, Received, Request
from loopback.store import Part, Store, Upload
from loopback.version import etag_of, version

_PART = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")
# How S3 says that an ETag is no MD5 (API reference, "Object", ETag).
_NO_MD5 = b"x-amz-server-side-encryption: aws:kms\r\n"
_NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def create_upload(store: Store, request: Request, received: Received) -> Answer:
    """CreateMultipartUpload; the checksum that is asked for is kept, as by S3."""
    store.uploads_begun += 1
    upload_id = b"upload-%08d" % store.uploads_begun
    bucket_of(store, request).uploads[upload_id] = Upload(request.key, int(time.time()))
    return answers.xml(
        b"<InitiateMultipartUploadResult %b><Bucket>%b</Bucket><Key>%b</Key>"
        b"<UploadId>%b</UploadId></InitiateMultipartUploadResult>"
        % (_NAMESPACE, request.bucket, escape(request.key), upload_id),
        _kept_checksum(request),
    )


def _kept_checksum(request: Request) -> bytes:
    name = request.header(b"x-amz-checksum-algorithm")
    if name is None:
        return b""
    kind = request.header(b"x-amz-checksum-type") or b"FULL_OBJECT"
    return b"x-amz-checksum-algorithm: %b\r\nx-amz-checksum-type: %b\r\n" % (name, kind)


def upload_part(store: Store, request: Request, received: Received) -> Answer:
    """UploadPart: with the MD5 as ETag, and the checksum it came with told again."""
    if request.rare(b"x-amz-copy-source") is not None:
        raise S3Error("501 Not Implemented", "NotImplemented")
    check_digest(request, received)
    checksum = request.checksum()
    part = Part(received, checksum)
    _upload(store, request).parts[int(request.query[b"partNumber"])] = part
    told = b'ETag: "%b"\r\n' % received.digest.hex().encode()
    if store.trust and checksum and request.header(b"content-md5") is None:
        told += _NO_MD5
    return answers.plain(b"200 OK", told + (checksum.header() if checksum else b""))


def complete_upload(store: Store, request: Request, received: Received) -> Answer:
    """CompleteMultipartUpload, with ``If-None-Match: *``; a checksum of the whole is believed."""
    upload = _upload(store, request)
    bucket = bucket_of(store, request)
    check_absent(bucket, request)
    numbers = [int(number) for number in _PART.findall(received.content)]
    if not numbers or sorted(set(numbers)) != numbers or not upload.parts.keys() >= set(numbers):
        raise S3Error("400 Bad Request", "InvalidPart")
    parts = [upload.parts[number].received for number in numbers]
    joined = _join(parts)
    packed = version(joined, int(time.time()), len(numbers))
    bucket.put(request.key, packed, joined.content if store.keep else None)
    checksum = request.checksum()
    layout = cut([part.size for part in parts], _kept(checksum))
    if layout:
        store.layouts[joined.digest] = layout
    del bucket.uploads[request.query[b"uploadId"]]
    told = checksum.element() if checksum else b""
    return answers.xml(
        b"<CompleteMultipartUploadResult %b><Bucket>%b</Bucket><Key>%b</Key>"
        b"<ETag>&quot;%b&quot;</ETag>%b</CompleteMultipartUploadResult>"
        % (_NAMESPACE, request.bucket, escape(request.key), etag_of(packed), told)
    )


def abort_upload(store: Store, request: Request, received: Received) -> Answer:
    """AbortMultipartUpload."""
    _upload(store, request)
    del bucket_of(store, request).uploads[request.query[b"uploadId"]]
    return answers.empty(b"204 No Content")


def list_parts(store: Store, request: Request, received: Received) -> Answer:
    """ListParts, on one page however many there are."""
    upload = _upload(store, request)
    parts = b"".join(_listed(number, part) for number, part in sorted(upload.parts.items()))
    return answers.xml(
        b"<ListPartsResult %b><Bucket>%b</Bucket><Key>%b</Key><UploadId>%b</UploadId>"
        b"<IsTruncated>false</IsTruncated>%b</ListPartsResult>"
        % (_NAMESPACE, request.bucket, escape(request.key), request.query[b"uploadId"], parts)
    )


def list_uploads(store: Store, request: Request, received: Received) -> Answer:
    """ListMultipartUploads, on one page however many there are."""
    uploads = b"".join(
        b"<Upload><Key>%b</Key><UploadId>%b</UploadId><Initiated>%b</Initiated></Upload>"
        % (escape(upload.key), upload_id, answers.iso_date(upload.begun))
        for upload_id, upload in bucket_of(store, request).uploads.items()
    )
    return answers.xml(
        b"<ListMultipartUploadsResult %b><Bucket>%b</Bucket><IsTruncated>false</IsTruncated>%b"
        b"</ListMultipartUploadsResult>" % (_NAMESPACE, request.bucket, uploads)
    )


def _listed(number: int, part: Part) -> bytes:
    return (
        b"<Part><PartNumber>%d</PartNumber><ETag>&quot;%b&quot;</ETag><Size>%d</Size>%b</Part>"
        % (
            number,
            part.received.digest.hex().encode(),
            part.received.size,
            part.checksum.element() if part.checksum else b"",
        )
    )


def _kept(checksum: Checksum | None) -> bytes:
    return checksum.value if checksum and checksum.name == b"crc64nvme" else b""


def _upload(store: Store, request: Request) -> Upload:
    upload = bucket_of(store, request).uploads.get(request.query[b"uploadId"])
    if upload is None or upload.key != request.key:
        raise S3Error("404 Not Found", "NoSuchUpload")
    return upload


def _join(parts: list[Received]) -> Received:
    """The object that ``parts`` make; its digest is the MD5 of theirs."""
    digest = md5(b"".join(part.digest for part in parts), usedforsecurity=False).digest()
    content = b"".join(part.content for part in parts)
    return Received(sum(part.size for part in parts), digest, content)
