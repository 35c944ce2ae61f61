"""Whether a stored object is what is here, or another one, where its ETag alone could not tell.

::

    HEAD ─ a strong checksum of the whole ─▶ compute it ─▶ same checksum | checksum differs
         ─ none, and the ETag is one of parts ─▶ HEAD of part 1 ─▶ the ETag in parts of that size
                                                  fits ─▶ same etag
                                                  else, if asked: HEADs of all parts
                                                  ─ all of that size ─▶ etag differs
         ─ anything else, or a refusal ─▶ etag unknown

An object uploaded in parts has an ETag that its copy, made in one piece, cannot have. Stores that
keep a checksum of the whole object copy it along (API reference, "CopyObject", ChecksumAlgorithm),
and two HEADs are cheaper than copying what has not changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from s3pp.integrity.checksums import ALGORITHMS, checksum
from s3pp.integrity.etag import made_of_md5s
from s3pp.integrity.multipart_etag import same_in_parts
from s3pp.integrity.stored_object import StoredObject, if_told, stored_checksum
from s3pp.records import Dest, SendReason, SkipReason
from s3pp.s3.multipart import Spans

T = TypeVar("T")


class Reads(Protocol):
    """What reads large bodies on threads."""

    async def whole(self, function: Callable[[], T]) -> T:
        """Run ``function``, which reads a body to its end."""


class Body(NamedTuple):
    """What is here, to be read as often as it takes."""

    pieces: Callable[[], Iterable[bytes]]  # from its first byte
    reader: Reads
    tried: Sequence[int]  # the part sizes, in bytes, in which it is likely to make the ETag

    async def makes(self, there: Dest, sizes: Sequence[int]) -> bool:
        """Whether it has the ETag of what is ``there`` in parts of one of ``sizes``."""
        return await self.reader.whole(lambda: same_in_parts(self.pieces(), there, sizes))


async def compare(stored: StoredObject, body: Body, *, conclusive: bool) -> SkipReason | SendReason:
    """Compare a stored object with a body that does not make its ETag in the sizes ``tried``.

    Costs one request or two, and reads the body where that helps. ``conclusive``: where the ETag
    differs, one for each part, to show that the bytes differ too. Raises ``NetworkError``.
    """
    return await if_told(_compared(stored, body, conclusive=conclusive)) or SendReason.UNKNOWN


async def _compared(
    stored: StoredObject, body: Body, *, conclusive: bool
) -> SkipReason | SendReason | None:
    found = await stored.head()
    if found is None:
        return None
    if kept := stored_checksum(found.response, strong=True):
        name, value = kept
        ours = await body.reader.whole(lambda: checksum(name, body.pieces()))
        return SkipReason.SAME_CHECKSUM if ours == value else SendReason.CHECKSUM
    there, each = stored.listed, await stored.part_size()
    if each is None:
        return None
    if each not in body.tried and await body.makes(there, [each]):
        return SkipReason.SAME_ETAG
    if conclusive and made_of_md5s(found, stored.endpoint):
        return SendReason.ETAG if await stored.has_parts(Spans(there.size, each)) else None
    return None


async def same_checksum(one: StoredObject, other: StoredObject) -> bool:
    """Whether both objects, as listed, have a strong checksum of the same kind, and it is equal.

    Costs a request for each. What the store refuses to tell is not known, and never equal.
    """
    here, there = await asyncio.gather(one.checksums(), other.checksums())
    return any(ALGORITHMS[name].is_strong for name, _ in here & there)
