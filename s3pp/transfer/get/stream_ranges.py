"""The ranges of a large object, fetched side by side into memory and passed on in order.

::

    HEAD ─▶ what will prove it ─▶ ranges, pinned to the ETag ─▶ in order, to the consumer
                                       └─▶ their digests, or all bytes in order ─▶ verify

How many are held is bounded by their bytes. A range whose connection breaks is fetched again, from
the same object: its first byte has not been passed on before the last has come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing

from s3pp.errors import ObjectError
from s3pp.integrity.checksums import begin_checksum
from s3pp.integrity.stored_object import StoredObject
from s3pp.integrity.verifiers import Feed, Verifier, choose_verifier
from s3pp.job import STREAM, Job
from s3pp.limits import PLACES, STREAM_MEMORY
from s3pp.localfs.range_file import WrongRange
from s3pp.records import Dest, GetPart, PartDone, PartFault, PartOutcome
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket
from s3pp.s3.multipart import Spans
from s3pp.transfer.errors import ObjectReplaced, fault_of, object_vanished
from s3pp.transfer.get.range_fetcher import RangeFetcher
from s3pp.transfer.parts import PartError
from s3pp.transfer.resources import WorkerResources

# Passes bytes on to the consumer.
WritePieces = Callable[[Iterable[bytes]], Awaitable[None]]


class NoRanges(Exception):
    """Raised, before anything is passed on, when an object cannot be fetched by ranges."""


class MemoryRange:
    """One range of an object, in memory; a ``range_fetcher.RangePlace``."""

    def __init__(self, part: GetPart) -> None:
        self._part = part
        self.restart()

    def restart(self) -> None:
        """Start receiving a body from its first byte."""
        self.pieces: list[bytes] = []
        self.size = 0  # bytes received
        self._state = begin_checksum(self._part.digest)

    def write(self, piece: bytes | memoryview) -> None:
        """Append ``piece``. Raises ``WrongRange`` if it exceeds the range."""
        self.size += len(piece)
        if self.size > self._part.span.size:
            raise WrongRange(f"received more than {self._part.span.size} bytes")
        self._state.update(piece)
        self.pieces.append(bytes(piece))

    @property
    def digest(self) -> str:
        """The digest of the data received, in hex."""
        return self._state.digest().hex()

    def digest_in_file(self) -> str:
        """Return an empty string: there is no file."""
        return ""

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def record(self) -> None:
        """Do nothing: no later run can use the range."""

    def close(self) -> None:
        """Do nothing: whoever passes it on holds the memory."""


class StreamRanges:
    """Fetches one object of a bucket by ranges, by the rules of one job."""

    def __init__(
        self, job: Job, bucket: Bucket, resources: WorkerResources, write: WritePieces
    ) -> None:
        self.begun = False  # whether anything was passed on
        self._bucket = bucket
        self._reader = resources.reader
        self._report = resources.parts.report
        self._write = write
        self._part_size = job.parts.size
        self._concurrency = job.speed.concurrency
        self._fetcher = RangeFetcher(bucket, resources.reader, self._open)
        self._ranges: dict[int, MemoryRange] = {}  # by part number

    def requests(self, size: int) -> int:
        """Return the number of requests for the ranges of an object of ``size`` bytes."""
        return Spans(size, self._part_size).count

    async def fetch(self, key: str, answer: Answer) -> None:
        """Pass on the object that ``answer``, to a HEAD, describes.

        Raises ``NoRanges``, ``ObjectReplaced``, ``Corrupt`` and other ``ObjectError``, and the
        errors of ``write``.
        """
        verifier = await self._choose_verifier(key, answer)
        pin = answer.pin
        if not answer.etag or not (pin or verifier.proves):
            raise NoRanges
        spans = Spans(answer.size, verifier.part_size or self._part_size)
        first = GetPart(key, answer.etag, spans.span(1), STREAM, verifier.digest, pin=pin)
        done = []
        async with aclosing(self._fetch_in_order(first, spans)) as fetched:
            async for part in fetched:
                await self._pass_on(part, verifier)
                done.append(part)
        if fault := await verifier.find_fault(done):
            raise fault

    async def _choose_verifier(self, key: str, answer: Answer) -> Verifier:
        stored = StoredObject(self._bucket, key, Dest(answer.size, answer.etag))
        try:
            return await choose_verifier(stored, answer, longest=self._part_size)
        except ObjectError as error:
            replaced = fault_of(error) is PartFault.REPLACED
            raise (ObjectReplaced() if replaced else error) from None

    async def _fetch_in_order(self, first: GetPart, spans: Spans) -> AsyncGenerator[PartDone, None]:
        # One more is held while it is passed on.
        at_once = min(PLACES, self._concurrency, max(1, STREAM_MEMORY // spans.part_size - 1))
        running: deque[asyncio.Future[PartOutcome]] = deque()
        try:
            for span in spans:
                part = first._replace(span=span)
                running.append(asyncio.ensure_future(self._fetcher.part(part)))
                if len(running) >= at_once:
                    yield self._take(await running.popleft())
            while running:
                yield self._take(await running.popleft())
        finally:
            for each in running:
                each.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
                each.cancel()

    def _take(self, outcome: PartOutcome) -> PartDone:
        """Return the outcome of a range that was fetched; raise what another one means."""
        if isinstance(outcome, PartDone):
            return outcome
        if outcome.fault is PartFault.NO_RANGES and not self.begun:
            raise NoRanges
        if outcome.fault is PartFault.REPLACED:
            raise ObjectReplaced
        raise object_vanished() if outcome.fault is PartFault.REMOVED else PartError(outcome)

    async def _pass_on(self, part: PartDone, verifier: Verifier) -> None:
        pieces, feed = self._ranges.pop(part.number).pieces, verifier.feed
        self.begun = True

        if feed is None:
            await self._write(pieces)
        else:
            digest = self._reader.away(lambda: _feed_all(feed, pieces))
            await asyncio.gather(self._write(pieces), digest)
        self._report(part.size)

    def _open(self, part: GetPart) -> MemoryRange:
        opened = self._ranges[part.span.number] = MemoryRange(part)
        return opened


def _feed_all(feed: Feed, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        feed(piece)
