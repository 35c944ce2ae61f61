"""What an ETag proves: it is the MD5 of some objects' bytes, and of others it is not.

It is one for objects put whole and either plain or encrypted with the store's own keys; it is none
after a multipart upload, under SSE-KMS or SSE-C, and in directory buckets (API reference,
"Object", ETag).
"""

from __future__ import annotations

import re

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.answers import Answer
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.wire import Response

_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_KMS = ("aws:kms", "aws:kms:dsse")


class OtherBytes(ObjectError):
    """The store does not hold what was sent, for all that can be seen of it."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.INTEGRITY, message)


class Mismatch(OtherBytes):
    """The ETag that came back is not the MD5 of what was sent."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"the store holds other bytes: ETag {got}, sent MD5 {expected}")


def is_md5(etag: str) -> bool:
    """Whether an ETag has the form of an MD5; those of multipart uploads end in ``-N``."""
    return _MD5.match(etag) is not None


def proves_content(etag: str, response: Response, endpoint: Endpoint) -> bool:
    """Whether ``etag`` must be the MD5 of the object that ``response``, a GET's or PUT's, tells of.

    In a listing, where there is no such response, ``is_md5`` is all there is to go by.
    """
    if not is_md5(etag) or endpoint.etags_are_random:
        return False
    header = response.header
    own_key = header(b"x-amz-server-side-encryption-customer-algorithm")
    return own_key is None and header(b"x-amz-server-side-encryption") not in _KMS


def check_md5(answer: Answer, md5: str, endpoint: Endpoint) -> None:
    """Raise ``Mismatch`` where the ETag of an answer proves other bytes than those with this MD5.

    ``md5`` is in hex, and empty where nobody knows it: then nothing is proved.
    """
    etag = answer.etag
    if md5 and etag != md5 and proves_content(etag, answer.response, endpoint):
        raise Mismatch(md5, etag)


def made_of_md5s(answer: Answer, endpoint: Endpoint) -> bool:
    """Whether an ETag of parts, as the answer's, must be made of their MD5s."""
    # MinIO that was started with --no-compat makes up ETags, which end so (minio/minio, MD5Current-
    # HexString); what has one says the same of its parts as what was sent in one part.
    server = answer.response.header(b"server") or ""
    if answer.etag.endswith("-1") and server.startswith("MinIO"):
        return False
    # Of MD5s it is made wherever that of a single PUT is one.
    return proves_content(answer.etag.partition("-")[0], answer.response, endpoint)
