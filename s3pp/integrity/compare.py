"""Comparison of a stored object with a body, where its ETag alone is not conclusive.

::

    HEAD ─ a strong checksum of the whole ─▶ compute it ─▶ same checksum | checksum differs
         ─ none, and the ETag is one of parts ─▶ HEAD of part 1 ─▶ the ETag in parts of that size
                                                  equal ─▶ same etag
                                                  else, if ``conclusive``: HEADs of all parts
                                                  ─ all of that size ─▶ etag differs
         ─ anything else, or a refusal ─▶ etag unknown

An object uploaded in parts has an ETag that its copy, made in one piece, cannot have. Stores that
keep a checksum of the whole object copy it with the object (API reference, "CopyObject",
ChecksumAlgorithm), and two HEADs are cheaper than copying an unchanged object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from s3pp.integrity.checksums import ALGORITHMS, checksum
from s3pp.integrity.etag import is_etag_of_md5s, matches_in_parts
from s3pp.integrity.stored_object import StoredObject, or_unknown, stored_checksum
from s3pp.records import Dest, SendReason, SkipReason
from s3pp.s3.multipart import Spans

T = TypeVar("T")


class BodyReader(Protocol):
    """Reads large bodies on threads."""

    async def whole(self, function: Callable[[], T]) -> T:
        """Run ``function``, which reads a body to its end."""


class Body(NamedTuple):
    """The local body, or that of a source; it can be read repeatedly."""

    pieces: Callable[[], Iterable[bytes]]  # from its first byte
    reader: BodyReader
    tried: Sequence[int]  # part sizes, in bytes, for which its ETag was already compared
    # Called with each checksum of the whole that is computed: its algorithm, and base64.
    note: Callable[[str, str], None] | None = None

    async def matches(self, there: Dest, sizes: Sequence[int]) -> bool:
        """Whether it has the ETag of ``there``, in parts of one of ``sizes``."""
        return await self.reader.whole(lambda: matches_in_parts(self.pieces(), there, sizes))


async def compare(stored: StoredObject, body: Body, *, conclusive: bool) -> SkipReason | SendReason:
    """Compare a stored object with a body that does not have its ETag in the sizes ``tried``.

    Sends one or two requests, and reads the body where that helps. ``conclusive``: where the ETag
    differs, one request for each part, to show that the bytes differ too. Raises ``NetworkError``.
    """
    return await or_unknown(_compare(stored, body, conclusive=conclusive)) or SendReason.UNKNOWN


async def _compare(
    stored: StoredObject, body: Body, *, conclusive: bool
) -> SkipReason | SendReason | None:
    found = await stored.head()
    if found is None:
        return None
    if kept := stored_checksum(found.response, strong=True):
        name, value = kept
        ours = await body.reader.whole(lambda: checksum(name, body.pieces()))
        if body.note is not None:
            body.note(name, ours)
        return SkipReason.SAME_CHECKSUM if ours == value else SendReason.CHECKSUM
    there, each = stored.listed, await stored.part_size()
    if each is None:
        return None
    if each not in body.tried and await body.matches(there, [each]):
        return SkipReason.SAME_ETAG
    if conclusive and is_etag_of_md5s(found, stored.endpoint):
        return SendReason.ETAG if await stored.has_parts(Spans(there.size, each)) else None
    return None


async def same_checksum(one: StoredObject, other: StoredObject) -> bool:
    """Whether both objects, as listed, have a strong checksum of the same kind, and it is equal.

    Costs a request for each. What a store refuses to reveal is unknown, and never equal.
    """
    here, there = await asyncio.gather(one.checksums(), other.checksums())
    return any(ALGORITHMS[name].is_strong for name, _ in here & there)
