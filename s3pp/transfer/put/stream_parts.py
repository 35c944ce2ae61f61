"""Multipart uploads of streams: each part is sent while the next ones are read.

A part is held in memory until the store has it, so that it can be sent again. How many are held is
bounded by their bytes. The first parts are equally long, see ``limits.EQUAL_PARTS``.

Nothing can be resumed, as nobody can read the stream again: whatever ends the upload aborts it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from itertools import count
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.job import STREAM, Job
from s3pp.limits import PLACES, STREAM_MEMORY
from s3pp.records import Calls, Facts, PartDone, PartOutcome, Planned, PutPart, Span
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import NewUpload, Spans, growing_part_size, size_fault
from s3pp.s3.upload_listing import Part
from s3pp.transfer.bodies import MemoryBody
from s3pp.transfer.multipart_upload import MultipartUpload
from s3pp.transfer.part_upload import PartSender, notify_of_md5s
from s3pp.transfer.parts import CreateUpload, UploadState, run_arriving_parts, upload_calls
from s3pp.transfer.put.input_stream import InputStream
from s3pp.transfer.resources import Budget, StopSwitch, WorkerResources

_UNKNOWN_STAMP = (0, 0, 0)  # nothing shows whether a stream has changed


class SentStream(NamedTuple):
    """What was sent of a stream, or would be."""

    size: int  # bytes
    etag: str
    attempts: int  # to complete the upload
    calls: Calls  # in a dry run, those that were spared
    checksum: str  # the algorithm that its parts are sent with
    facts: Facts | None = None  # in a run with a journal


class StreamUploader:
    """Uploads streams in parts by the rules of one job; ``switch`` stops it."""

    def __init__(
        self,
        job: Job,
        bucket: Bucket,
        resources: WorkerResources,
        *,
        switch: StopSwitch,
        notify: Callable[[str], None],
    ) -> None:
        self.job = job
        self.bucket = bucket
        self.resources = resources
        self.switch = switch
        self.notify = notify
        self._upload = MultipartUpload(job, bucket, notify, resources)

    async def send(self, stream: InputStream, headers: Headers) -> SentStream:
        """Upload a stream. Raises ``AlreadyExists``, ``RunEnding`` and ``ObjectError``."""
        source = _StreamSource(stream, headers, self)
        completed = await self._upload.write(source)
        etag, attempts, checksum = completed.etag, completed.attempts, completed.checksum
        facts = completed.facts and completed.facts._replace(size=source.size)
        return SentStream(source.size, etag, attempts, (), checksum, facts)

    async def measure(self, stream: InputStream, headers: Headers) -> SentStream:
        """Read a stream, as a dry run does. Raises ``RunEnding`` and ``ObjectError``."""
        source = _StreamSource(stream, headers, self)

        async def read() -> int:
            number = 0
            async for part in source.parts(UploadState("", source.part_size, {})):
                source.release(part)
                number += 1
            return number

        calls = upload_calls(await self.switch.until_stopped(read()))
        checksum = self._upload.checksums.choose(is_repeatable=False).name
        return SentStream(source.size, "", 0, calls, checksum)


class _StreamSource:
    """A stream as an ``UploadSource``."""

    is_resumable = False
    is_repeatable = False
    spoils: Collection[FailureKind] = ()

    def __init__(self, stream: InputStream, headers: Headers, uploader: StreamUploader) -> None:
        job = uploader.job
        self.key, self.name = job.dest.prefix, STREAM
        self.size = 0  # bytes of the parts read so far
        self.part_size = growing_part_size(1, job.parts.size)
        self.written = False
        self.planned: Planned | None = None
        self._stream = stream
        self._headers = headers
        self._uploader = uploader
        self._at_once = min(PLACES, job.speed.concurrency)
        self._memory = Budget(STREAM_MEMORY)
        self._bodies: dict[int, MemoryBody] = {}  # by part number
        reader = uploader.resources.reader
        self._sender = PartSender(job, uploader.bucket, reader, open_body=self._open_body)

    async def has_part(self, plan: Spans, there: Part) -> bool:
        """Return false, as nothing is resumed."""
        return False

    async def create(self, create: CreateUpload) -> NewUpload:
        """As ``UploadSource.create``."""
        return await create(self._headers)

    async def upload_parts(self, upload: UploadState) -> list[PartDone]:
        """As ``UploadSource.upload_parts``."""
        running = run_arriving_parts(self.parts(upload), self._send)
        return await self._uploader.switch.until_stopped(running)

    async def verify_parts(self, upload: UploadState, parts: list[PartDone]) -> None:
        """Do nothing but notify users: each part has been verified by its sender."""
        notify_of_md5s(upload, parts, self._uploader.notify)

    async def metadata_matches(self) -> bool:
        """Return true, as the upload was created here."""
        return True

    async def parts(self, upload: UploadState) -> AsyncIterator[PutPart]:
        """Yield each part once it is read, which waits until there is memory for it."""
        common = PutPart(STREAM, STREAM, 0, _UNKNOWN_STAMP, Span(1, 0, 0), self.key, upload.id)
        common = common._replace(checksum=upload.checksum)
        for number in count(1):
            if not await self._stream.peek(1):
                return
            size = growing_part_size(number, self.part_size)
            await self._memory.take(self._grant(number))
            body = self._bodies[number] = MemoryBody(await self._stream.take(size))
            offset, self.size = self.size, self.size + body.size
            if fault := size_fault(self.size):
                raise ObjectError(FailureKind.TOO_LARGE, fault)
            yield common._replace(span=Span(number, offset, body.size))

    def _grant(self, number: int) -> int:
        """Return the memory to take for a part: for two at least, and for as many as are sent."""
        most, at_once = self._memory.size, self._at_once
        size = growing_part_size(number, self.part_size)
        return min(max(size, most // at_once), most // min(2, at_once))

    def _open_body(self, part: PutPart) -> MemoryBody:
        return self._bodies[part.span.number]

    async def _send(self, part: PutPart) -> PartOutcome:
        try:
            outcome = await self._sender.part(part)
            self._uploader.resources.parts.report(part.span.size)
            return outcome
        finally:
            self.release(part)

    def release(self, part: PutPart) -> None:
        """Free the memory of a part that was sent, or will not be."""
        del self._bodies[part.span.number]
        self._memory.give(self._grant(part.span.number))
