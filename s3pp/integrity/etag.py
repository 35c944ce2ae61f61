"""What an ETag proves: for some objects it is the MD5 of their bytes, for others it is not.

It is the MD5 of objects sent whole, either plain or encrypted with the store's own keys; it is not
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
    """The store has other bytes than those sent, or nothing shows that it has those."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.INTEGRITY, message)


class MD5Mismatch(OtherBytes):
    """The ETag of the answer is not the MD5 of what was sent."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"the store holds other bytes: ETag {got}, sent MD5 {expected}")


def is_md5(etag: str) -> bool:
    """Whether an ETag has the form of an MD5; those of multipart uploads end in ``-N``."""
    return _MD5.match(etag) is not None


def proves_content(etag: str, response: Response, endpoint: Endpoint) -> bool:
    """Whether ``etag`` must be an MD5, given the ``response`` to a GET, HEAD or PUT of the object.

    For a listing, which has no such response, only ``is_md5`` can be known.
    """
    if not is_md5(etag) or endpoint.etags_are_random:
        return False
    header = response.header
    own_key = header(b"x-amz-server-side-encryption-customer-algorithm")
    return own_key is None and header(b"x-amz-server-side-encryption") not in _KMS


def check_md5(answer: Answer, md5: str, endpoint: Endpoint) -> None:
    """Raise ``MD5Mismatch`` if the answer's ETag proves other bytes than those with this MD5.

    ``md5`` is in hex; empty: it is unknown, and nothing is checked.
    """
    etag = answer.etag
    if md5 and etag != md5 and proves_content(etag, answer.response, endpoint):
        raise MD5Mismatch(md5, etag)


def is_etag_of_md5s(answer: Answer, endpoint: Endpoint) -> bool:
    """Whether the answer's ETag, if it is one of parts, must be computed from their MD5s."""
    # MinIO with --no-compat invents ETags, which end like this (minio/minio, MD5CurrentHexString);
    # they cannot be told from those of uploads in one part.
    server = answer.response.header(b"server") or ""
    if answer.etag.endswith("-1") and server.startswith("MinIO"):
        return False
    # It is, wherever the ETag of a single PUT is an MD5.
    return proves_content(answer.etag.partition("-")[0], answer.response, endpoint)
