"""What proves a large object whole, when its ranges come in any order.

::

    stored with a CRC of the whole   the CRCs of the ranges make it      nothing is read twice
    ETag of parts, of known size     ranges are the parts, and           likewise
                                     their MD5s make the ETag
      … of parts too long for that   the bytes in order                  read once they are there,
    ETag is the MD5                  likewise                            while others still come
    stored with another checksum     likewise
    none of these                    nothing but the length

The first that applies is taken. An ETag of parts may be of parts that are not all equally long: one
that ours do not make says that the body is wrong only if the store tells the same lengths. Objects
that come with one GET have their ETag of parts proved here as well, see ``parted``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from s3pp.integrity.checksums import ALGORITHMS, CHEAP, checksum_text, full_object, running
from s3pp.integrity.etag import proves_content
from s3pp.integrity.multipart_etag import (
    Rolling,
    compound_etag,
    likely_sizes,
    part_count,
    plausible,
)
from s3pp.integrity.received import Corrupt, stored_checksum
from s3pp.limits import MIB
from s3pp.records import Dest, PartDone, Span
from s3pp.s3.operations import Answer, Bucket, Call
from s3pp.s3.part_plan import Spans
from s3pp.s3.retry import StoreError

LONGEST = 128 * MIB  # bytes of a range: what is lost with a connection, or a process
_HEADS = 16  # at a time
_UNTOLD = (400, 403, 405, 416, 501)  # what stores say that do not know of part numbers


class Feed(Protocol):
    """What takes the bytes of an object in order."""

    def __call__(self, piece: bytes, /) -> object:
        """The next piece."""


class Proof:
    """Nothing but the length; the others build on it."""

    digest = CHEAP  # of each range, as ``GetPart`` has it
    part_size: int | None = None  # bytes of each range; None: whatever suits
    feed: Feed | None = None  # has to be given all bytes in order, before ``fault``
    proves = False  # whether two versions of the object, mixed, are noticed

    async def fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        """Why the parts that came, in order, are not the object; None if nothing says so."""
        return None


async def proof_of(bucket: Bucket, key: str, answer: Answer, *, longest: int = LONGEST) -> Proof:
    """The proof for the object that a HEAD told of; may ask for the size of its parts."""
    stored, etag = stored_checksum(answer.response), answer.etag
    if stored is not None and ALGORITHMS[stored[0]].is_crc:
        return _Crc(*stored)
    if proves_content(etag, answer.response, bucket.endpoint):
        return _InOrder("md5", etag, "ETag")
    if made_of_md5s(answer, bucket):
        parts = Parts(bucket, key, Dest(answer.size, etag))
        each = await parts.size()
        if each is not None:
            alone = each == answer.size  # so that nobody could fetch it but one
            return (_LargeParted if alone or each > longest else _Parted)(parts, each)
        likely = [each for each in likely_sizes(parts.there) if each <= longest]
        if likely:
            return _Guessed(parts, likely[0])
    return Proof() if stored is None else _InOrder(*stored, "checksum")


async def proof_in_order(bucket: Bucket, key: str, answer: Answer, size: int) -> Proof:
    """The proof by its ETag of parts for the object, ``size`` bytes long, that came in ``answer``.

    Has a ``feed``, if it is more than none. Asks for the size of the parts.
    """
    if not made_of_md5s(answer, bucket):
        return Proof()
    parts = Parts(bucket, key, Dest(size, answer.etag))
    each = await parts.size()
    return Proof() if each is None else _LargeParted(parts, each)


def made_of_md5s(answer: Answer, bucket: Bucket) -> bool:
    """Whether an ETag of parts, as the answer's, must be made of their MD5s."""
    # MinIO that was started with --no-compat makes up ETags, which end so (minio/minio, MD5Current-
    # HexString); what has one says the same of its parts as what was sent in one part.
    server = answer.response.header(b"server") or ""
    if answer.etag.endswith("-1") and server.startswith("MinIO"):
        return False
    # Of MD5s it is made wherever that of a single PUT is one.
    return proves_content(answer.etag.partition("-")[0], answer.response, bucket.endpoint)


class Parts:
    """What the store tells of an object's parts."""

    def __init__(self, bucket: Bucket, key: str, there: Dest) -> None:
        self.there = there
        self._bucket = bucket
        self._key = key

    async def size(self) -> int | None:
        """The size of the first part, where that can be the size of all; else None."""
        count = part_count(self.there.etag)
        if count is None or count == 1:  # of one part the size is known
            return None if count is None else max(self.there.size, 1)
        told = await self.first()
        return told if told and plausible(self.there, told) else None

    async def first(self) -> int | None:
        """The size of the first of several parts; None where the store does not tell it.

        One that does not know the question may answer it for the whole object.
        """
        try:
            told = await self._told(1)
        except StoreError as error:
            if error.status in _UNTOLD:
                return None
            raise
        return told if told < self.there.size else None

    async def sizes(self, first: int) -> list[int] | None:
        """The sizes of all parts, where the first has ``first`` bytes, in order.

        None where they do not make the object. Costs a request for each of the others.
        """
        sizes, count = [first], part_count(self.there.etag) or 1
        while len(sizes) < count and sum(sizes) < self.there.size:
            numbers = range(len(sizes) + 1, min(len(sizes) + _HEADS, count) + 1)
            sizes += await asyncio.gather(*map(self._told, numbers))
        return sizes if len(sizes) == count and sum(sizes) == self.there.size else None

    async def are(self, plan: Spans) -> bool:
        """Whether the parts are those of ``plan``; of many, costs a request for each."""
        if plan.count == 1:
            return True
        for first in range(1, plan.count + 1, _HEADS):
            spans = [plan.span(n) for n in range(first, min(first + _HEADS, plan.count + 1))]
            if not all(await asyncio.gather(*map(self._is, spans))):
                return False
        return True

    async def _is(self, span: Span) -> bool:
        return await self._told(span.number) == span.size

    async def _told(self, number: int) -> int:
        path = self._bucket.endpoint.path(self._key)
        answer = await self._bucket.call(Call("HEAD", path, f"partNumber={number}"))
        # Some stores tell the part's own ETag, and would hold If-Match against that.
        if part_count(answer.etag) is not None and answer.etag != self.there.etag:
            raise StoreError(412, "PreconditionFailed", "the object was replaced")
        return answer.size


class _Crc(Proof):
    proves = True

    def __init__(self, name: str, value: str) -> None:
        self.digest = name
        self._value = value

    async def fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        crcs = ((bytes.fromhex(part.checksum), part.size) for part in parts)
        ours = full_object(self.digest, crcs)
        if ours == self._value:
            return None
        return Corrupt(f"its {self.digest} is {ours}, and {self._value} is stored")


class _InOrder(Proof):
    """A digest that needs all bytes in order: an ETag in hex, or a checksum in base64."""

    proves = True

    def __init__(self, name: str, wanted: str, what: str) -> None:
        self._state = running(name)
        self._name, self._wanted, self._what = name, wanted, what
        self.feed = self._state.update

    async def fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        digest = self._state.digest()
        ours = digest.hex() if self._what == "ETag" else checksum_text(digest)
        if ours == self._wanted:
            return None
        return Corrupt(f"its {self._name} is {ours}, and its {self._what} says {self._wanted}")


class _Parted(Proof):
    """The ranges are the parts."""

    digest = "md5"
    proves = True

    def __init__(self, parts: Parts, each: int) -> None:
        self.part_size = each
        self._parts = parts
        self._plan = Spans(parts.there.size, each)

    async def fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        return await self._held(compound_etag(bytes.fromhex(part.checksum) for part in parts))

    async def _held(self, ours: str) -> Corrupt | None:
        etag = self._parts.there.etag
        if ours == etag or not await self._parts.are(self._plan):
            return None
        return Corrupt(f"its parts make the ETag {ours}, and it has {etag}")


class _LargeParted(_Parted):
    """The parts are too long to be fetched as such."""

    digest = CHEAP

    def __init__(self, parts: Parts, each: int) -> None:
        super().__init__(parts, each)
        self.part_size = None
        self._each = each
        self._rolling = Rolling([each])
        self.feed = self._rolling.feed

    async def fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        return await self._held(self._rolling.etags()[self._each])


class _Guessed(_Parted):
    """The store does not tell how long the parts are: where ours do not fit, nothing is known."""

    proves = False

    async def _held(self, ours: str) -> Corrupt | None:
        return None
