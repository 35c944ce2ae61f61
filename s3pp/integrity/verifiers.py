"""What verifies a large object as a whole, though its ranges come in any order.

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
that come with one GET have their ETag of parts verified here as well, see ``get/parted``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from s3pp.integrity.checksums import ALGORITHMS, CHEAP, checksum_text, full_object, running
from s3pp.integrity.etag import made_of_md5s, proves_content
from s3pp.integrity.multipart_etag import Rolling, compound_etag, likely_sizes, part_count
from s3pp.integrity.received import Corrupt
from s3pp.integrity.stored_object import StoredObject, stored_checksum
from s3pp.limits import MIB
from s3pp.records import PartDone
from s3pp.s3.answers import Answer
from s3pp.s3.multipart import Spans

LONGEST = 128 * MIB  # bytes of a range: what is lost with a connection, or a process


class Feed(Protocol):
    """What takes the bytes of an object in order."""

    def __call__(self, piece: bytes, /) -> object:
        """The next piece."""


class Verifier:
    """Nothing but the length; the others build on it."""

    digest = CHEAP  # of each range, as ``GetPart`` has it
    part_size: int | None = None  # bytes of each range; None: whatever suits
    feed: Feed | None = None  # has to be given all bytes in order, before ``fault``
    proves = False  # whether two versions of the object, mixed, are noticed

    async def fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        """Why the parts that came, in order, are not the object; None if nothing says so."""
        return None


async def verifier_of(stored: StoredObject, answer: Answer, *, longest: int = LONGEST) -> Verifier:
    """The verifier of an object, by what a HEAD told; may ask for the size of its parts."""
    kept, etag = stored_checksum(answer.response), answer.etag
    if kept is not None and ALGORITHMS[kept[0]].is_crc:
        return _CrcOfRanges(*kept)
    if proves_content(etag, answer.response, stored.endpoint):
        return _BytesInOrder("md5", etag, "ETag")
    if made_of_md5s(answer, stored.endpoint):
        each = await stored.part_size()
        if each is not None:
            alone = each == answer.size  # so that nobody could fetch it but one
            return (_PartsInOrder if alone or each > longest else _PartsAsRanges)(stored, each)
        likely = [each for each in likely_sizes(stored.listed) if each <= longest]
        if likely:
            return _GuessedParts(stored, likely[0])
    return Verifier() if kept is None else _BytesInOrder(*kept, "checksum")


async def parts_verifier(stored: StoredObject, answer: Answer, made: str) -> Verifier:
    """The verifier, by its ETag of parts, of an object that came with one GET.

    ``made`` is the ETag that what came was found to make. Has a ``feed`` if it verifies anything
    that neither ``made`` nor ``received.fault`` has; only then the size of the parts is asked for.
    """
    if made == answer.etag or part_count(answer.etag) is None:
        return Verifier()
    if stored_checksum(answer.response) or not made_of_md5s(answer, stored.endpoint):
        return Verifier()
    each = await stored.part_size()
    return Verifier() if each is None else _PartsInOrder(stored, each)


class _CrcOfRanges(Verifier):
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


class _BytesInOrder(Verifier):
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


class _PartsAsRanges(Verifier):
    """The ranges are the parts."""

    digest = "md5"
    proves = True

    def __init__(self, stored: StoredObject, each: int) -> None:
        self.part_size = each
        self._stored = stored
        self._plan = Spans(stored.listed.size, each)

    async def fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        return await self._held(compound_etag(bytes.fromhex(part.checksum) for part in parts))

    async def _held(self, ours: str) -> Corrupt | None:
        etag = self._stored.listed.etag
        if ours == etag or not await self._stored.has_parts(self._plan):
            return None
        return Corrupt(f"its parts make the ETag {ours}, and it has {etag}")


class _PartsInOrder(_PartsAsRanges):
    """The parts are too long to be fetched as such."""

    digest = CHEAP

    def __init__(self, stored: StoredObject, each: int) -> None:
        super().__init__(stored, each)
        self.part_size = None
        self._each = each
        self._rolling = Rolling([each])
        self.feed = self._rolling.feed

    async def fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        return await self._held(self._rolling.etags()[self._each])


class _GuessedParts(_PartsAsRanges):
    """The store does not tell how long the parts are: where ours do not fit, nothing is known."""

    proves = False

    async def _held(self, ours: str) -> Corrupt | None:
        return None
