"""Upload of standard input, whose size is not known, as one object.

::

    read up to the threshold ─ that is all ─▶ ``Putter``, with the bytes in place of a file
                             └ more ─▶ ``StreamUploader``, in parts

In mode ``update`` only what fits in one request is compared, since more is never held in memory. In
mode ``add`` a HEAD comes before the first byte is read.
"""

from __future__ import annotations

import time

from s3pp.job import STREAM, Job, Mode
from s3pp.records import (
    Dest,
    Done,
    Entry,
    Foreseen,
    Outcome,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.s3.client import Bucket
from s3pp.transfer.conditional_write import AlreadyExists, head_if_allowed
from s3pp.transfer.errors import failure
from s3pp.transfer.put.input_stream import InputStream, ReadPieces
from s3pp.transfer.put.prepare import Prepared, Preparer
from s3pp.transfer.put.putter import Putter
from s3pp.transfer.put.stream_parts import StreamUploader
from s3pp.transfer.resources import StopSwitch, WorkerResources


class _BytesPreparer(Preparer):
    """Prepares ``body``, whatever the entry's file; the type is guessed from the key."""

    body = b""

    async def prepare(self, entry: Entry, there: Dest | None = None) -> Prepared:
        return await self._small(entry, self.body, there)

    def _named(self, entry: Entry) -> str:
        return entry.key


class StreamPutter:
    """Uploads one stream to the key that is the job's destination."""

    def __init__(
        self, job: Job, bucket: Bucket, resources: WorkerResources, read: ReadPieces
    ) -> None:
        self.notes: list[str] = []  # notices for users
        self._job = job
        self._key = job.dest.prefix
        self._bucket = bucket
        self._resources = resources
        self._stream = InputStream(read, resources.reader)
        self._preparer = _BytesPreparer(job, bucket, resources.reader)
        self._switch = StopSwitch()

    def stop(self) -> bool:
        """Read no more, and abort what was begun; false: all is read, and the end is near."""
        return self._switch.stop()

    async def transfer(self) -> Outcome:
        """Upload the stream and return its outcome. Raises ``FatalError`` and ``RunEnding``."""
        try:
            return await self._transfer()
        except AlreadyExists:
            return Skipped(STREAM, self._key, self._stream.size, SkipReason.EXISTS)
        except Exception as error:
            return failure(STREAM, self._key, error)

    async def _transfer(self) -> Outcome:
        if self._job.mode is Mode.ADD and await head_if_allowed(self._bucket, self._key):
            raise AlreadyExists
        threshold = self._job.parts.threshold
        head = await self._switch.until_stopped(self._stream.peek(threshold + 1))
        if sum(map(len, head)) <= threshold:
            return await self._put_whole(head)
        return await self._put_parts(head[0])

    async def _put_whole(self, pieces: list[bytes]) -> Outcome:
        """Upload a stream that fits in one request."""
        self._preparer.body = b"".join(pieces)
        pieces.clear()
        task = PutTask(self._entry, None, ask=self._job.mode is Mode.UPDATE)
        putter = Putter(self._job, self._bucket, self._preparer, self._resources)
        outcome = await putter.transfer(task)
        self.notes += putter.notes
        return outcome

    async def _put_parts(self, head: bytes) -> Outcome:
        """Upload a longer stream, which begins with ``head``."""
        entry, stream = self._entry, self._stream
        dest = await self._look()
        describe = self._preparer.describe
        headers, gzip = await self._resources.reader.away(lambda: describe(entry, head))
        if gzip:
            await stream.compress()
        uploader = StreamUploader(
            self._job, self._bucket, self._resources, switch=self._switch, notify=self.notes.append
        )
        sent = await (uploader.measure if self._job.dry_run else uploader.send)(stream, headers)
        reason = self._reason(sent.size, dest)
        done = Done(STREAM, self._key, stream.size, sent.size, sent.etag, reason, sent.attempts)
        foreseen = Foreseen(sent.calls) if self._job.dry_run else None
        encoding = "gzip" if gzip else ""
        done = done._replace(encoding=encoding, checksum=sent.checksum, foreseen=foreseen)
        return done._replace(facts=sent.facts)

    async def _look(self) -> Dest | None:
        """Return the object that the stream replaces, which only the reason depends on."""
        if self._job.mode is not Mode.UPDATE:
            return None
        return await head_if_allowed(self._bucket, self._key)

    def _reason(self, size: int, dest: Dest | None) -> SendReason:
        if self._job.mode is Mode.STUPID:
            return SendReason.ALWAYS
        if dest is None:
            return SendReason.NEW
        return SendReason.UNKNOWN if dest.size == size else SendReason.SIZE

    @property
    def _entry(self) -> Entry:
        return Entry(self._key, STREAM, self._stream.size, time.time_ns())  # newer than any object
