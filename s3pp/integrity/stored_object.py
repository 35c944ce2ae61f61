"""What the store knows of one object: its checksums by a HEAD, and how long its parts are.

::

    HEAD                size, ETag, checksums of the whole
    HEAD of part 1      how long it is, where that can be the length of all
    HEAD of each part   how long each is

Each is asked only where it is needed. What becomes of a refusal is decided here, once:

- 404 to a HEAD, and another size or ETag than the listed ones: the object is not the listed one.
- 400, 403, 405, 416 and 501 to a question about a part: the store knows no part numbers, or does
  not show them; the length is not known.
- Any other refusal, 412 and 5xx among them, is raised as ``StoreError``. Whoever only compares
  takes it for "not known" (``if_told``): to transfer the object settles the question. Whoever
  verifies what came cannot: the object fails, or is fetched again where it was replaced.
- No answer at all is ``NetworkError``, for everyone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import TypeVar

from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.multipart_etag import part_count, plausible
from s3pp.records import Dest, Span
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket, Call
from s3pp.s3.multipart import Spans
from s3pp.s3.retry import StoreError
from s3pp.s3.wire import Response

# A GET or HEAD that has this is answered with the object's checksum, if it is stored with one.
ASK_CHECKSUM = ("x-amz-checksum-mode", "ENABLED")
_HEADS = 16  # at a time
_UNTOLD = (400, 403, 405, 416, 501)  # what stores say that do not know of part numbers
T = TypeVar("T")


async def if_told(question: Awaitable[T]) -> T | None:
    """The answer to a question, or None where the store refuses to tell."""
    try:
        return await question
    except StoreError:
        return None


def whole_checksums(response: Response) -> Iterator[tuple[str, str]]:
    """The checksums of the whole object that an answer tells, as (name, base64).

    Those of a multipart upload's parts taken together are none.
    """
    if (response.header(b"x-amz-checksum-type") or "").upper() == "COMPOSITE":
        return
    for algorithm in ALGORITHMS.values():
        value = response.header(algorithm.header.encode())
        if value and "-" not in value:
            yield algorithm.name, value


def stored_checksum(response: Response, *, strong: bool = False) -> tuple[str, str] | None:
    """The cheapest of ``whole_checksums`` that this machine can compute; or of the strong ones."""
    for name, value in whole_checksums(response):
        algorithm = ALGORITHMS[name]
        if (algorithm.is_strong or not strong) and algorithm.is_available:
            return name, value
    return None


class StoredObject:
    """An object that was listed; every method but ``checksums`` raises as ``Bucket`` does."""

    def __init__(self, bucket: Bucket, key: str, listed: Dest) -> None:
        self.listed = listed
        self.endpoint = bucket.endpoint
        self._bucket = bucket
        self._key = key

    async def head(self) -> Answer | None:
        """What a HEAD tells, checksums included; None where it is not of the listed object."""
        found = await self._bucket.look(self._key, headers=(ASK_CHECKSUM,))
        same = found is not None and Dest(found.size, found.etag) == self.listed
        return found if same else None

    async def checksums(self) -> set[tuple[str, str]]:
        """Its ``whole_checksums``; none where the store refuses to tell."""
        found = await if_told(self.head())
        return set(whole_checksums(found.response)) if found else set()

    async def part_size(self) -> int | None:
        """The size of the first part in bytes, where that can be the size of all; else None."""
        count = part_count(self.listed.etag)
        if count is None or count == 1:  # of one part the size is known
            return None if count is None else max(self.listed.size, 1)
        told = await self.first_part()
        return told if told and plausible(self.listed, told) else None

    async def first_part(self) -> int | None:
        """The size of the first of several parts; None where the store does not tell it.

        One that does not know the question may answer it for the whole object.
        """
        try:
            told = await self._part(1)
        except StoreError as error:
            if error.status in _UNTOLD:
                return None
            raise
        return told if told < self.listed.size else None

    async def part_sizes(self, first: int) -> list[int] | None:
        """The sizes of all parts, where the first has ``first`` bytes, in order.

        None where they do not make the object. Costs a request for each of the others.
        """
        sizes, count = [first], part_count(self.listed.etag) or 1
        while len(sizes) < count and sum(sizes) < self.listed.size:
            numbers = range(len(sizes) + 1, min(len(sizes) + _HEADS, count) + 1)
            sizes += await asyncio.gather(*map(self._part, numbers))
        return sizes if len(sizes) == count and sum(sizes) == self.listed.size else None

    async def has_parts(self, plan: Spans) -> bool:
        """Whether its parts are those of ``plan``; of many, costs a request for each."""
        if plan.count == 1:
            return True
        for first in range(1, plan.count + 1, _HEADS):
            spans = [plan.span(n) for n in range(first, min(first + _HEADS, plan.count + 1))]
            if not all(await asyncio.gather(*map(self._has, spans))):
                return False
        return True

    async def _has(self, span: Span) -> bool:
        return await self._part(span.number) == span.size

    async def _part(self, number: int) -> int:
        path = self.endpoint.path(self._key)
        answer = await self._bucket.call(Call("HEAD", path, f"partNumber={number}"))
        # Some stores tell the part's own ETag, and would hold If-Match against that.
        if part_count(answer.etag) is not None and answer.etag != self.listed.etag:
            raise StoreError(412, "PreconditionFailed", "the object was replaced")
        return answer.size
