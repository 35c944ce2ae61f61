"""Where the ETag could not tell whether an object is the body: what else the store knows of it.

::

    HEAD ─ a strong checksum of the whole ─▶ compare it ─▶ same checksum | checksum differs
         ─ none, and sent in parts ─▶ HEAD of part 1 ─ its size ─▶ compare the ETag ─▶ same etag
         ─ anything else ─▶ etag unknown
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from s3pp.integrity.checksums import checksum
from s3pp.integrity.multipart_etag import part_count, plausible, same_in_parts
from s3pp.integrity.received import ASK_CHECKSUM, stored_checksum
from s3pp.records import Dest, SendReason, SkipReason
from s3pp.s3.operations import Bucket, Call
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.put.prepare import Prepared
from s3pp.transfer.reading import Reader

Verdict = SkipReason | SendReason


class Compared(NamedTuple):
    """A body that was compared already, and how."""

    prepared: Prepared
    tried: Sequence[int]  # part sizes, in bytes
    reader: Reader  # reads it again


async def second_look(bucket: Bucket, key: str, there: Dest, source: Compared) -> Verdict:
    """The verdict on a body where its MD5, and parts of likely sizes, told nothing of ``there``.

    Costs one request or two, and reads the body where they help. What the store refuses to tell
    is not known. A streamed body may have changed meanwhile: see ``Prepared.check``.
    """
    prepared, tried, reader = source
    try:
        stored = await _stored(bucket, key, there)
        if stored is not None:
            name, value = stored
            ours = await reader.whole(lambda: checksum(name, prepared.pieces()))
            return modes.by_checksum(ours, value)
        size = await _first_part(bucket, key, there)
    except StoreError:
        return SendReason.UNKNOWN
    if size is None or size in tried:
        return SendReason.UNKNOWN
    same = await reader.whole(lambda: same_in_parts(prepared.pieces(), there, [size]))
    return SkipReason.SAME_ETAG if same else SendReason.UNKNOWN


async def _stored(bucket: Bucket, key: str, there: Dest) -> tuple[str, str] | None:
    found = await bucket.look(key, headers=(ASK_CHECKSUM,))
    if found is None or Dest(found.size, found.etag) != there:
        return None
    return stored_checksum(found.response, strong=True)


async def _first_part(bucket: Bucket, key: str, there: Dest) -> int | None:
    """The size of an object's first part; None if that cannot be the size of all."""
    count = part_count(there.etag)
    if count is None or count == 1:  # of one part the size is known
        return None
    answer = await bucket.call(Call("HEAD", bucket.endpoint.path(key), "partNumber=1"))
    # A store that does not know the question tells the size of the whole, which is not plausible.
    return answer.size if plausible(there, answer.size) else None
