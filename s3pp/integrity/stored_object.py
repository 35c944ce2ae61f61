"""What the store knows of one object: its checksums by a HEAD, and the sizes of its parts.

::

    HEAD                size, ETag, checksums of the whole
    HEAD of part 1      its size, where that can be the size of all parts
    HEAD of each part   their sizes

Each request is sent only if needed. One policy decides what a refusal means:

- 404 to a HEAD, and another size or ETag than the listed ones: the object is not the listed one.
- 400, 403, 405, 416 and 501 to a HEAD of a part: the store does not support part numbers, or does
  not reveal them; the size is unknown.
- Any other refusal, 412 and 5xx among them, is raised as ``StoreError``. For a comparison that
  means "unknown" (``or_unknown``): transferring the object settles the question. For verifying what
  arrived it does not: the object fails, or is fetched again if it was replaced.
- No answer at all is ``NetworkError``, in all cases.

After an upload, whether the store has the bytes that it acknowledged::

    the ETag proves the bytes           no request
    it proves others                    integrity
    it proves nothing, or is missing    HEAD ─ absent, another size, MD5 or checksum ─▶ integrity

For an object sent whole only a missing ETag requires a HEAD: the store has verified the checksum
sent with its bytes. The request that completes an upload in parts contains no bytes: see
``transfer/multipart_upload``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import TypeVar

from s3pp.errors import FailureKind
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.etag import OtherBytes, check_md5, is_plausible_part_size, part_count
from s3pp.records import Dest, Span
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM, Bucket, Call
from s3pp.s3.exchange import Response
from s3pp.s3.multipart import Spans
from s3pp.s3.retry import StoreError

_HEADS = 16  # requests at a time
_NO_PART_NUMBERS = (400, 403, 405, 416, 501)  # answers of stores that do not support them
_ABSENT = "the store acknowledged it, and HEAD finds no such object"
_WITHOUT_SIZE = "the store acknowledged it, and HEAD does not report its size"
_REFUSED = (
    "the store acknowledged it with an answer that proves nothing, and refuses to show it "
    "({}): allow HeadObject (s3:GetObject), and put it again"
)

T = TypeVar("T")


async def or_unknown(question: Awaitable[T]) -> T | None:
    """The answer to a question, or None where the store refuses it."""
    try:
        return await question
    except StoreError:
        return None


def whole_checksums(response: Response) -> Iterator[tuple[str, str]]:
    """The checksums of the whole object in an answer, as (name, base64).

    A composite checksum, of the checksums of parts, is not one.
    """
    if (response.header(b"x-amz-checksum-type") or "").upper() == "COMPOSITE":
        return
    for algorithm in ALGORITHMS.values():
        value = response.header(algorithm.header.encode())
        if value and "-" not in value:
            yield algorithm.name, value


def stored_checksum(response: Response, *, strong: bool = False) -> tuple[str, str] | None:
    """The cheapest of ``whole_checksums`` that can be computed here; ``strong``: that is strong."""
    for name, value in whole_checksums(response):
        algorithm = ALGORITHMS[name]
        if (algorithm.is_strong or not strong) and algorithm.is_available:
            return name, value
    return None


class StoredObject:
    """An object as listed; every method but ``checksums`` raises the errors of ``Bucket``."""

    def __init__(self, bucket: Bucket, key: str, listed: Dest) -> None:
        self.listed = listed
        self.endpoint = bucket.endpoint
        self._bucket = bucket
        self._key = key

    async def head(self) -> Answer | None:
        """The answer to a HEAD, with checksums; None where it is not the listed object."""
        found = await self._bucket.look(self._key, headers=(ASK_CHECKSUM,))
        same = found is not None and Dest(found.size, found.etag) == self.listed
        return found if same else None

    async def checksums(self) -> set[tuple[str, str]]:
        """Its ``whole_checksums``; empty where the store refuses."""
        found = await or_unknown(self.head())
        return set(whole_checksums(found.response)) if found else set()

    async def part_size(self) -> int | None:
        """The size of the first part in bytes, where that can be the size of all; else None."""
        count = part_count(self.listed.etag)
        if count is None or count == 1:  # the size of a single part is known
            return None if count is None else max(self.listed.size, 1)
        first = await self.first_part_size()
        return first if first and is_plausible_part_size(self.listed, first) else None

    async def first_part_size(self) -> int | None:
        """The size of the first of several parts; None where the store does not reveal it.

        A store that ignores part numbers may answer for the whole object.
        """
        try:
            size = await self._part_size(1)
        except StoreError as error:
            if error.status in _NO_PART_NUMBERS:
                return None
            raise
        return size if size < self.listed.size else None

    async def part_sizes(self, first: int) -> list[int] | None:
        """The sizes of all parts in order, given that the first has ``first`` bytes.

        None where they do not add up to the object. Costs a request for each of the others.
        """
        sizes, count = [first], part_count(self.listed.etag) or 1
        while len(sizes) < count and sum(sizes) < self.listed.size:
            numbers = range(len(sizes) + 1, min(len(sizes) + _HEADS, count) + 1)
            sizes += await asyncio.gather(*map(self._part_size, numbers))
        return sizes if len(sizes) == count and sum(sizes) == self.listed.size else None

    async def has_parts(self, plan: Spans) -> bool:
        """Whether its parts are those of ``plan``; costs a request for each of several."""
        if plan.count == 1:
            return True
        for first in range(1, plan.count + 1, _HEADS):
            spans = [plan.span(n) for n in range(first, min(first + _HEADS, plan.count + 1))]
            if not all(await asyncio.gather(*map(self._has_part, spans))):
                return False
        return True

    async def _has_part(self, span: Span) -> bool:
        return await self._part_size(span.number) == span.size

    async def _part_size(self, number: int) -> int:
        path = self.endpoint.path(self._key)
        answer = await self._bucket.call(Call("HEAD", path, f"partNumber={number}"))
        # Some stores send the ETag of the part, and would compare If-Match with that one.
        if part_count(answer.etag) is not None and answer.etag != self.listed.etag:
            raise StoreError(412, "PreconditionFailed", "the object was replaced")
        return answer.size


class HiddenObject(OtherBytes):
    """Nothing shows that the store has the object, and HEAD is not allowed."""

    def __init__(self, refusal: StoreError) -> None:
        super().__init__(_REFUSED.format(refusal))


async def confirm(bucket: Bucket, key: str, size: int) -> Answer:
    """HEAD an object that should have ``size`` bytes.

    Raises ``OtherBytes`` if it has another size or is absent, and ``ObjectError``.
    """
    try:
        answer = await bucket.look(key, headers=(ASK_CHECKSUM,))
    except StoreError as error:
        raise HiddenObject(error) if error.kind is FailureKind.ACCESS else error from None
    if answer is None:
        raise OtherBytes(_ABSENT)
    if answer.declared is None:
        raise OtherBytes(_WITHOUT_SIZE)
    if answer.size != size:
        raise OtherBytes(f"the store holds {answer.size} bytes, and {size} were sent")
    return answer


def prove_checksum(answer: Response, sent: tuple[str, str]) -> bool:
    """Return whether an answer repeats the checksum ``sent``, a header, of a body.

    A store that knows the checksum repeats it (API reference, "UploadPart" and "PutObject"), and
    has verified it.
    Raises ``OtherBytes`` if it is another.
    """
    name, value = sent
    theirs = None if name == "content-md5" else answer.header(name.encode())
    if theirs and theirs != value:
        raise OtherBytes(f"the store holds other bytes: {name} {theirs}, sent {value}")
    return bool(theirs)


async def confirm_whole(
    bucket: Bucket, key: str, answer: Answer, sent: Dest, checksum: tuple[str, str]
) -> str:
    """The ETag of an object that was sent whole, from the answer to its PUT, or from a HEAD.

    ``sent``: its size, and its MD5 or an empty string; ``checksum``: the header with its checksum.
    Raises as ``confirm`` does.
    """
    prove_checksum(answer.response, checksum)
    shown = answer if answer.etag else await confirm(bucket, key, sent.size)
    check_md5(shown, sent.etag, bucket.endpoint)
    return shown.etag
