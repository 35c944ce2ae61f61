"""Download of one object to standard output.

::

    HEAD ─▶ up to the threshold ─▶ GET, into memory ──▶ verify ─▶ unpack, if wanted ─▶ write
         ─▶ larger ─▶ ``StreamRanges``: written in order as they come, and verified at the end
                └ no ranges here, or to be unpacked ─▶ GET, into a temporary file ─▶ verify ─▶ …

What is verified before it is written may be fetched again. Of a larger object the consumer has the
first bytes before the last have come, and only the exit code shows whether all were right.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Protocol

from s3pp.errors import UsageError
from s3pp.integrity.verifiers import Corrupt, ReceivedBody
from s3pp.job import STREAM, Job, Mode
from s3pp.limits import STREAM_MEMORY
from s3pp.records import Done, Failed, Foreseen, GetTask, Outcome, SendReason
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM, Bucket, Coding
from s3pp.s3.exchange import Sink
from s3pp.s3.retry import StoreError
from s3pp.transfer.bodies import MemoryBody, PartBody, SpooledBody
from s3pp.transfer.errors import ObjectReplaced, failure, source_fault
from s3pp.transfer.get.file_download import checksum_headers, verify_body
from s3pp.transfer.get.stream_ranges import NoRanges, StreamRanges, WritePieces
from s3pp.transfer.get.unpacking import Unpacking
from s3pp.transfer.resources import StopSwitch, WorkerResources

_FETCHES = 3  # times an object is requested before it counts as never arriving whole
_DISCARD = "{}; discard what was written to standard output"


class _WholeSink(Sink, Protocol):
    """A sink whose body can be read afterwards."""

    def whole(self) -> PartBody:
        """Return the body, which then owns the sink's file: close that instead."""

    def close(self) -> None:
        """Free the space."""


class _MemorySink:
    """A ``_WholeSink`` in memory."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes | memoryview) -> None:
        self._pieces.append(bytes(piece))

    def whole(self) -> MemoryBody:
        return MemoryBody(self._pieces)

    def close(self) -> None:
        self._pieces.clear()


class StreamGetter:
    """Downloads the one object that is the job's origin to ``write``."""

    def __init__(
        self, job: Job, bucket: Bucket, resources: WorkerResources, write: WritePieces
    ) -> None:
        self.notes: list[str] = []  # notices for users
        self._key = job.origin.prefix
        self._where = str(job.origin)
        self._reason = SendReason.ALWAYS if job.mode is Mode.STUPID else SendReason.NEW
        self._dry_run = job.dry_run
        self._options = job.download
        self._most_held = min(job.parts.threshold, STREAM_MEMORY)
        self._bucket = bucket
        self._reader = resources.reader
        self._write = write
        self._ranges = StreamRanges(job, bucket, resources, write)
        self._switch = StopSwitch()
        self._begun = False  # whether anything was written
        self._coding = Coding.GZIP

    def stop(self) -> bool:
        """Write no more."""
        return self._switch.stop()

    async def transfer(self) -> Outcome:
        """Download the object and return its outcome.

        Raises ``FatalError``, ``RunEnding``, and ``UsageError`` if there is no such object.
        """
        try:
            return await self._switch.until_stopped(self._transfer())
        except UsageError:
            raise
        except StoreError as error:
            return self._failure(source_fault(error))
        except Exception as error:
            return self._failure(error)

    def _failure(self, error: Exception) -> Failed:
        failed = failure(self._key, STREAM, error)
        if not (self._begun or self._ranges.begun):
            return failed
        return failed._replace(message=_DISCARD.format(failed.message))

    async def _transfer(self) -> Outcome:
        """Fetch the object, again while nothing was written of one that is not the object."""
        fetches = 0
        while True:
            fetches += 1
            answer = await self._head()
            try:
                attempts = await self._fetch(answer)
                break
            except (Corrupt, ObjectReplaced) as error:
                if self._begun or self._ranges.begun or fetches >= _FETCHES:
                    raise
                self._coding = (isinstance(error, Corrupt) and error.coding) or self._coding
        size, etag = answer.size, answer.etag
        done = Done(self._key, STREAM, size, size, etag, self._reason, attempts)
        return done._replace(foreseen=self._foresee(size)) if self._dry_run else done

    async def _head(self) -> Answer:
        answer = await self._bucket.look(self._key, headers=(ASK_CHECKSUM,))
        if answer is None:
            where = f"get {self._where}"
            raise UsageError(f"{where}: no objects found: name the whole key of one object")
        return answer

    async def _fetch(self, answer: Answer) -> int:
        """Write the object that ``answer``, to a HEAD, describes; return the attempts it took."""
        if self._dry_run:
            return 0
        if answer.size <= self._most_held:
            return await self._fetch_whole(answer, _MemorySink())
        if Unpacking.of(answer, answer.size, self._options) is None:
            try:
                await self._ranges.fetch(self._key, answer)
                return answer.attempts
            except NoRanges:
                pass
        return await self._fetch_whole(answer, SpooledBody(self._where))

    def _foresee(self, size: int) -> Foreseen:
        requests = self._ranges.requests(size) if size > self._most_held else 1
        return Foreseen((("GetObject", requests),))

    async def _fetch_whole(self, head: Answer, sink: _WholeSink) -> int:
        """Write an object that is fetched with one request, and verified before."""
        task = GetTask(self._key, STREAM, head.size, head.etag, "")
        headers = checksum_headers(head.etag)
        try:
            answer = await self._bucket.get(
                self._key, headers=headers, sink=sink, coding=self._coding, size=head.size
            )
        except BaseException:
            sink.close()
            raise
        body = sink.whole()
        with closing(body):
            received = ReceivedBody(body.size, "", body.pieces)
            await verify_body(self._bucket, self._reader, task, answer, received)
            pieces: Iterable[bytes] = body.pieces()
            if unpacking := Unpacking.of(answer, body.size, self._options):
                pieces = unpacking.unpack(pieces)
            self._begun = True
            await self._write(pieces)
        return answer.attempts
