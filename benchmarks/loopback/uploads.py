"""The operations of a multipart upload."""

from __future__ import annotations

import re
import time
from hashlib import md5

from loopback import answers
from loopback.answers import Answer, S3Error, escape
from loopback.objects import bucket_of, check_absent, check_digest
from loopback.request import Received, Request
from loopback.store import Store, Upload
from loopback.version import etag_of, version

_PART = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")
_NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def create_upload(store: Store, request: Request, received: Received) -> Answer:
    """CreateMultipartUpload."""
    store.uploads_begun += 1
    upload_id = b"upload-%08d" % store.uploads_begun
    bucket_of(store, request).uploads[upload_id] = Upload(request.key)
    return answers.xml(
        b"<InitiateMultipartUploadResult %b><Bucket>%b</Bucket><Key>%b</Key>"
        b"<UploadId>%b</UploadId></InitiateMultipartUploadResult>"
        % (_NAMESPACE, request.bucket, escape(request.key), upload_id)
    )


def upload_part(store: Store, request: Request, received: Received) -> Answer:
    """UploadPart."""
    if request.rare(b"x-amz-copy-source") is not None:
        raise S3Error("501 Not Implemented", "NotImplemented")
    check_digest(request, received)
    _upload(store, request).parts[int(request.query[b"partNumber"])] = received
    return answers.plain(b"200 OK", b'ETag: "%b"\r\n' % received.digest.hex().encode())


def complete_upload(store: Store, request: Request, received: Received) -> Answer:
    """CompleteMultipartUpload, with ``If-None-Match: *``."""
    upload = _upload(store, request)
    bucket = bucket_of(store, request)
    check_absent(bucket, request)
    numbers = [int(number) for number in _PART.findall(received.content)]
    if not numbers or sorted(set(numbers)) != numbers or not upload.parts.keys() >= set(numbers):
        raise S3Error("400 Bad Request", "InvalidPart")
    joined = _join([upload.parts[number] for number in numbers])
    packed = version(joined, int(time.time()), len(numbers))
    bucket.put(request.key, packed, joined.content if store.keep else None)
    del bucket.uploads[request.query[b"uploadId"]]
    return answers.xml(
        b"<CompleteMultipartUploadResult %b><Bucket>%b</Bucket><Key>%b</Key>"
        b"<ETag>&quot;%b&quot;</ETag></CompleteMultipartUploadResult>"
        % (_NAMESPACE, request.bucket, escape(request.key), etag_of(packed))
    )


def abort_upload(store: Store, request: Request, received: Received) -> Answer:
    """AbortMultipartUpload."""
    _upload(store, request)
    del bucket_of(store, request).uploads[request.query[b"uploadId"]]
    return answers.empty(b"204 No Content")


def list_parts(store: Store, request: Request, received: Received) -> Answer:
    """ListParts, on one page however many there are."""
    parts = b"".join(
        b"<Part><PartNumber>%d</PartNumber><ETag>&quot;%b&quot;</ETag><Size>%d</Size></Part>"
        % (number, part.digest.hex().encode(), part.size)
        for number, part in sorted(_upload(store, request).parts.items())
    )
    return answers.xml(
        b"<ListPartsResult %b><Bucket>%b</Bucket><Key>%b</Key><UploadId>%b</UploadId>"
        b"<IsTruncated>false</IsTruncated>%b</ListPartsResult>"
        % (_NAMESPACE, request.bucket, escape(request.key), request.query[b"uploadId"], parts)
    )


def list_uploads(store: Store, request: Request, received: Received) -> Answer:
    """ListMultipartUploads, on one page however many there are."""
    uploads = b"".join(
        b"<Upload><Key>%b</Key><UploadId>%b</UploadId></Upload>" % (escape(upload.key), upload_id)
        for upload_id, upload in bucket_of(store, request).uploads.items()
    )
    return answers.xml(
        b"<ListMultipartUploadsResult %b><Bucket>%b</Bucket><IsTruncated>false</IsTruncated>%b"
        b"</ListMultipartUploadsResult>" % (_NAMESPACE, request.bucket, uploads)
    )


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
