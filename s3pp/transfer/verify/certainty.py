"""What a HEAD shows of an object whose ETag is not that of a file."""

from __future__ import annotations

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.compare import Body, compare
from s3pp.integrity.etag import is_md5, proves_content
from s3pp.integrity.stored_object import StoredObject
from s3pp.records import SendReason
from s3pp.transfer.verify.verdicts import Reason


async def certain_reason(stored: StoredObject, body: Body) -> Reason:
    """Return what a HEAD shows of a body whose ETag is not that of an object.

    Never ``ETAG`` for an object whose ETag is not known to be a digest of its bytes. Raises
    ``ObjectError``: what the store refuses to show is not decided.
    """
    if is_md5(stored.listed.etag):
        answer = await stored.head()
        if answer is None:
            raise ObjectError(FailureKind.CHANGED, "it was replaced meanwhile: verify it again")
        if proves_content(answer.etag, answer.response, stored.endpoint):
            return SendReason.ETAG
    return await compare(stored, body, conclusive=True)
