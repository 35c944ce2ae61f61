"""Fetching of one range of a large object, unless the file has it already.

The whole is verified by its lead, as no store returns a digest of a range. Here it is checked that
the answer is the range requested, of the object meant.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Protocol

from s3pp.errors import FatalError, RunEnding
from s3pp.localfs.range_file import RangeFile, WrongRange
from s3pp.localfs.temporary_file import Vanished
from s3pp.localfs.tree import Tree
from s3pp.records import GetPart, PartDone, PartFailed, PartFault, PartOutcome
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket
from s3pp.s3.exchange import Sink
from s3pp.s3.retry import StoreError
from s3pp.transfer.errors import fault_of, source_fault
from s3pp.transfer.parts import part_failed
from s3pp.transfer.resources import Reader

_FETCHES = 3  # times a range is asked for before the store counts as returning none


class RangePlace(Sink, Protocol):
    """Receives one range: ``localfs.range_file.RangeFile``, or memory."""

    @property
    def size(self) -> int:
        """The number of bytes received."""

    @property
    def digest(self) -> str:
        """The digest of the data received, in hex."""

    def digest_in_file(self) -> str:
        """Return the digest, in hex, of what an earlier run has received."""

    def flush(self) -> None:
        """Write what is buffered."""

    def record(self) -> None:
        """Record for later runs that the range is complete."""

    def close(self) -> None:
        """Close the file."""


class RangeFetcher:
    """A fetcher of ranges for downloads that any worker may lead."""

    def __init__(
        self, bucket: Bucket, reader: Reader, open_place: Callable[[GetPart], RangePlace]
    ) -> None:
        self.bucket = bucket
        self._reader = reader
        self._open_place = open_place

    @classmethod
    def into(cls, tree: Tree, bucket: Bucket, reader: Reader) -> RangeFetcher:
        """Return a fetcher of the ranges of files in ``tree``."""
        return cls(bucket, reader, partial(RangeFile, tree))

    async def part(self, part: GetPart) -> PartOutcome:
        """Fetch one range and return its outcome. Raises only ``FatalError`` and ``RunEnding``."""
        number = part.span.number
        try:
            with closing(await self._reader.run(self._open_place, part)) as place:
                return await self._transfer(part, place)
        except (FatalError, RunEnding):
            raise
        except StoreError as error:
            fault = source_fault(error)
            return PartFailed(number, fault.kind, str(fault), error.code, fault_of(error))
        except WrongRange as error:
            return PartFailed(number, error.kind, str(error), fault=PartFault.NO_RANGES)
        except Vanished as error:
            return PartFailed(number, error.kind, str(error), fault=PartFault.FILE_REMOVED)
        except Exception as error:
            return part_failed(number, error)

    async def _transfer(self, part: GetPart, place: RangePlace) -> PartOutcome:
        if part.known and part.known == await self._reader.whole(place.digest_in_file):
            return _done(part, part.known, moved=False)
        for _ in range(_FETCHES - 1):
            try:
                return await self._fetch(part, place)
            except WrongRange:
                continue
        return await self._fetch(part, place)

    async def _fetch(self, part: GetPart, place: RangePlace) -> PartOutcome:
        span = part.span
        wanted = f"bytes={span.offset}-{span.offset + span.size - 1}"
        pin = (("if-match", part.pin),) if part.pin else ()
        headers = (*pin, ("range", wanted))
        answer = await self.bucket.get(part.source, headers=headers, sink=place, size=span.size)
        if answer.etag and answer.etag != part.etag:  # not every store heeds If-Match
            message = "the object was replaced while it was fetched"
            raise StoreError(412, "PreconditionFailed", message)
        if what := _mismatch(part, answer, place.size):
            raise WrongRange(what)
        await self._reader.run(place.flush)
        await self._reader.run(place.record)
        return _done(part, place.digest, moved=True)


def _mismatch(part: GetPart, answer: Answer, came: int) -> str | None:
    """Return why an answer is not the range requested; None if it is."""
    span, response = part.span, answer.response
    given = response.header(b"content-range") or ""
    if response.status != 206:
        return f"status {response.status}, not 206"
    if not (part.pin or answer.etag):
        return "no ETag, which alone could show whose it is"
    if given.partition("/")[0] != f"bytes {span.offset}-{span.offset + span.size - 1}":
        return f"Content-Range {given or 'missing'}"
    return None if came == span.size else f"received {came} of {span.size} bytes"


def _done(part: GetPart, digest: str, *, moved: bool) -> PartDone:
    return PartDone(part.span.number, part.span.size, part.etag, "", digest, moved)
