"""What an object shows of itself that a journal can be compared with."""

from __future__ import annotations

from s3pp.integrity.etag import is_etag_of_md5s, is_md5, proves_content
from s3pp.integrity.stored_object import (
    StoredObject,
    or_unknown,
    stored_checksum,
    whole_checksums,
)
from s3pp.recorded import Recorded
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket
from s3pp.s3.multipart import Spans
from s3pp.transfer.verify.verdicts import Seen


def seen(answer: Answer, bucket: Bucket) -> Seen:
    """Return what an answer shows of an object."""
    is_digest = proves_content(answer.etag, answer.response, bucket.endpoint)
    return Seen(answer.size, answer.etag, is_digest, dict(whole_checksums(answer.response)))


def comparable(recorded: Recorded, answer: Answer, now: Seen) -> Recorded:
    """Return what of ``recorded`` bytes can be compared with.

    Of an object that was not replaced, that is also the checksum that the store has of it, where
    the ETag is no digest.
    """
    same = recorded.etag != "" and recorded.etag == now.etag
    if is_md5(recorded.etag) and same and not now.is_digest:
        recorded = recorded._replace(etag="")
    if recorded.checksum is None and same and not now.is_digest:
        return recorded._replace(checksum=stored_checksum(answer.response))
    return recorded


async def part_size_of(recorded: Recorded, stored: StoredObject) -> int | None:
    """Return the size of an object's parts, if it is needed, and the store names it."""
    decided = recorded.checksum is not None or is_md5(recorded.etag)
    if decided or recorded.etag != stored.listed.etag:
        return None
    return await or_unknown(stored.part_size())


async def etag_decides(
    recorded: Recorded, answer: Answer, stored: StoredObject, each: int | None
) -> bool:
    """Return whether bytes that do not make the recorded ETag are others for certain.

    ``each``: bytes of the parts in which they were tried. May cost a request for each part.
    """
    if is_md5(recorded.etag):
        return proves_content(answer.etag, answer.response, stored.endpoint)
    if each is None or not is_etag_of_md5s(answer, stored.endpoint):
        return False
    return bool(await or_unknown(stored.has_parts(Spans(answer.size, each))))
