"""Verification of bodies that were fetched: of one answer, and of ranges in any order.

One answer (``find_fault``)::

    length    the one that the answer declares; with the listed ETag, also the listed one
    MD5       if the ETag is one
    ETag      of parts, if the body was digested in parts and has that ETag
    checksum  x-amz-checksum-*, if the ETag is no MD5 and the answer has one of the whole object

An answer with another ETag than the listed one is the object's replacement, and is compared with
its own ETag. If an answer has neither MD5 nor checksum, only its length is verified here: for an
ETag of parts, requests may show more, see ``parts_verifier``.

Ranges (``choose_verifier``); the first that applies is used::

    stored with a CRC of the whole   the CRCs of the ranges combine      no byte is read twice
    ETag of parts, of known size     the ranges are the parts, and       no byte is read twice
                                     their MD5s give the ETag
      … of parts too long for that   the bytes in order                  read once they are on disk,
    ETag is the MD5                  the bytes in order                  while others still arrive
    stored with another checksum     the bytes in order
    none of these                    nothing but the length

An ETag of parts may be of parts that are not all equally long: a different one proves that the body
is wrong only if the store reveals that its parts have the expected lengths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import (
    ALGORITHMS,
    CHEAPEST,
    begin_checksum,
    checksum,
    checksum_text,
    combine_crcs,
    digest,
)
from s3pp.integrity.etag import (
    RollingETags,
    etag_of_md5s,
    is_etag_of_md5s,
    is_md5,
    likely_sizes,
    part_count,
    proves_content,
)
from s3pp.integrity.stored_object import StoredObject, stored_checksum
from s3pp.limits import MIB
from s3pp.records import Dest, PartDone
from s3pp.s3.answers import Answer, is_gzip, no_store_message
from s3pp.s3.client import Coding
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response
from s3pp.s3.multipart import Spans


class Corrupt(ObjectError):
    """The body is not the object; fetching again may help, possibly with another ``coding``."""

    def __init__(self, what: str, coding: Coding | None = None) -> None:
        super().__init__(FailureKind.INTEGRITY, f"the body is not the object's: {what}")
        self.coding = coding


class ReceivedBody(NamedTuple):
    """A body as received."""

    size: int  # bytes
    etag: str  # computed from it: the MD5 in hex, or one of parts; empty: not computed
    pieces: Callable[[], Iterable[bytes]]  # reads it again, for digests not computed yet


class ExpectedObject(NamedTuple):
    """What a body is compared with."""

    listed: Dest  # from the listing; its ETag may be empty
    answer: Answer  # of the GET
    endpoint: Endpoint  # of the source


def body_in_memory(body: bytes) -> ReceivedBody:
    """A body that was received into memory."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return ReceivedBody(len(body), md5, lambda: (body,))


def find_fault(received: ReceivedBody, expected: ExpectedObject) -> Corrupt | None:
    """Why a body is not the object; None if nothing contradicts it.

    Reads the body again if its MD5 or a checksum is needed and not known, so do not call it on an
    event loop unless the body is small.
    """
    listed, answer, endpoint = expected
    etag, response = answer.etag, answer.response
    if etag and etag == received.etag and (etag != listed.etag or received.size == listed.size):
        return None  # nearly all
    if not answer.is_store:
        return Corrupt(no_store_message(endpoint.origin))
    if why := _length_fault(received.size, etag, expected) or _packed_fault(expected):
        return _fault_of_proxy(why, received.size, expected)
    if proves_content(etag, response, endpoint):
        known = received.etag if is_md5(received.etag) else ""
        md5 = known or digest("md5", received.pieces()).hex()
        return None if md5 == etag else Corrupt(f"its MD5 is {md5}, and its ETag says {etag}")
    return _checksum_fault(received, response)


def _length_fault(size: int, etag: str, expected: ExpectedObject) -> str | None:
    declared = expected.answer.declared
    if declared is not None and declared != size:
        return f"received {size} bytes, but the answer announced {declared}"
    listed = expected.listed
    # Without an ETag to compare, the object may have been replaced: unless an MD5 proves the body.
    known = etag == listed.etag or not (etag and listed.etag)
    proven = proves_content(etag, expected.answer.response, expected.endpoint)
    if known and size != listed.size and (etag == listed.etag or not proven):
        return f"received {size} bytes, but the listing has {listed.size} under the same ETag"
    return None


def _packed_fault(expected: ExpectedObject) -> str | None:
    """Detect the ETag that a proxy gives to a body it compressed: the object's, with a suffix."""
    etag, listed = expected.answer.etag, expected.listed.etag
    packed = listed and etag != listed and is_gzip(expected.answer.response)
    if packed and etag in (listed + "-gzip", listed + "--gzip", listed + ";gzip"):
        return f"its ETag is {etag}, and the listing has {listed}"
    return None


def _fault_of_proxy(why: str, size: int, expected: ExpectedObject) -> Corrupt:
    """The fault, with advice if a proxy seems to have compressed or decompressed the body."""
    answer, host = expected.answer, expected.endpoint.host
    response = answer.response
    if is_gzip(response):
        what = f"if {host}, or a proxy before it, compresses what it passes on, turn that off there"
        return Corrupt(f"{why}; {what}", Coding.IDENTITY)
    untold = answer.declared is None
    warned = "214" in (response.header(b"warning") or "")
    stored = "gzip" in (response.header(b"x-goog-stored-content-encoding") or "")
    if untold or warned or stored or size > expected.listed.size:
        what = f"if {host}, or a proxy before it, unpacks what is stored with Content-Encoding gzip"
        advice = "turn that off there, or store it with Cache-Control: no-transform"
        return Corrupt(f"{why}; {what}, {advice}", Coding.GZIP)
    return Corrupt(why)


def _checksum_fault(received: ReceivedBody, response: Response) -> Corrupt | None:
    stored = stored_checksum(response)
    if stored is None:
        return None
    name, value = stored
    ours = checksum(name, received.pieces())
    return None if ours == value else Corrupt(f"its {name} is {ours}, and {value} is stored")


LONGEST = 128 * MIB  # bytes of a range: what is lost with a connection, or a process


class Feed(Protocol):
    """Accepts the bytes of an object in order."""

    def __call__(self, piece: bytes | memoryview, /) -> object:
        """Add the next piece."""


class Verifier:
    """Verifies nothing but the length; base of the others."""

    digest = CHEAPEST  # the digest of each range, see ``GetPart``
    part_size: int | None = None  # bytes of each range; None: any
    feed: Feed | None = None  # to be called with all bytes in order, before ``find_fault``
    proves = False  # whether a mixture of two versions of the object is detected

    async def find_fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        """Why ``parts``, in order, are not the object; None if nothing contradicts it."""
        return None


async def choose_verifier(
    stored: StoredObject, answer: Answer, *, longest: int = LONGEST
) -> Verifier:
    """The verifier for an object, given the answer to a HEAD; may request the size of its parts."""
    kept, etag = stored_checksum(answer.response), answer.etag
    if kept is not None and ALGORITHMS[kept[0]].is_crc:
        return _CrcOfRanges(*kept)
    if proves_content(etag, answer.response, stored.endpoint):
        return _BytesInOrder("md5", etag, "ETag")
    if is_etag_of_md5s(answer, stored.endpoint):
        each = await stored.part_size()
        if each is not None:
            alone = each == answer.size  # one part, which only one worker could fetch
            return (_PartsInOrder if alone or each > longest else _PartsAsRanges)(stored, each)
        likely = [each for each in likely_sizes(stored.listed) if each <= longest]
        if likely:
            return _GuessedParts(stored, likely[0])
    return Verifier() if kept is None else _BytesInOrder(*kept, "checksum")


async def parts_verifier(stored: StoredObject, answer: Answer, made: str) -> Verifier:
    """The verifier for an object with an ETag of parts that was fetched with one GET.

    ``made`` is the ETag computed from the body so far. The verifier has a ``feed`` only if it
    verifies more than ``made`` and ``find_fault`` did; only then the part size is requested.
    """
    if made == answer.etag or part_count(answer.etag) is None:
        return Verifier()
    if stored_checksum(answer.response) or not is_etag_of_md5s(answer, stored.endpoint):
        return Verifier()
    each = await stored.part_size()
    return Verifier() if each is None else _PartsInOrder(stored, each)


class _CrcOfRanges(Verifier):
    proves = True

    def __init__(self, name: str, value: str) -> None:
        self.digest = name
        self._value = value

    async def find_fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        crcs = ((bytes.fromhex(part.checksum), part.size) for part in parts)
        ours = combine_crcs(self.digest, crcs)
        if ours == self._value:
            return None
        return Corrupt(f"its {self.digest} is {ours}, and {self._value} is stored")


class _BytesInOrder(Verifier):
    """A digest that needs all bytes in order: an ETag in hex, or a checksum in base64."""

    proves = True

    def __init__(self, name: str, wanted: str, what: str) -> None:
        self._state = begin_checksum(name)
        self._name, self._wanted, self._what = name, wanted, what
        self.feed = self._state.update

    async def find_fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        digest = self._state.digest()
        ours = digest.hex() if self._what == "ETag" else checksum_text(digest)
        if ours == self._wanted:
            return None
        return Corrupt(f"its {self._name} is {ours}, and its {self._what} says {self._wanted}")


class _PartsAsRanges(Verifier):
    """Ranges that are the parts."""

    digest = "md5"
    proves = True

    def __init__(self, stored: StoredObject, each: int) -> None:
        self.part_size = each
        self._stored = stored
        self._plan = Spans(stored.listed.size, each)

    async def find_fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        return await self._etag_fault(etag_of_md5s(bytes.fromhex(part.checksum) for part in parts))

    async def _etag_fault(self, ours: str) -> Corrupt | None:
        etag = self._stored.listed.etag
        if ours == etag or not await self._stored.has_parts(self._plan):
            return None
        return Corrupt(f"its parts make the ETag {ours}, and it has {etag}")


class _PartsInOrder(_PartsAsRanges):
    """Parts that are too long to be fetched as ranges."""

    digest = CHEAPEST

    def __init__(self, stored: StoredObject, each: int) -> None:
        super().__init__(stored, each)
        self.part_size = None
        self._each = each
        self._rolling = RollingETags([each])
        self.feed = self._rolling.feed

    async def find_fault(self, parts: Sequence[PartDone]) -> Corrupt | None:
        return await self._etag_fault(self._rolling.etags()[self._each])


class _GuessedParts(_PartsAsRanges):
    """Parts of a guessed size: if the ETag differs, that proves nothing."""

    proves = False

    async def _etag_fault(self, ours: str) -> Corrupt | None:
        return None
