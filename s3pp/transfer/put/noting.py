"""A putter that notes for the ETag cache what it computes of files.

What is noted was computed from bytes that were read between two looks at the file that found it in
the same state; of a stream, and of parts, the open file is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from s3pp.integrity.checksum_choice import DestinationTraits
from s3pp.integrity.checksums import Digests
from s3pp.integrity.compare import Body
from s3pp.integrity.etag import etag_of_parts
from s3pp.job import Job
from s3pp.localfs.file_state import FileState
from s3pp.records import (
    Dest,
    Entry,
    PartDone,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.s3.client import Bucket
from s3pp.transfer.file_digests import MD5, BodyKinds, BodyNotes, Reading, etag_kind
from s3pp.transfer.known_checksums import ChecksumScreen, Compared, KnownChecksums
from s3pp.transfer.parts import completion_headers
from s3pp.transfer.put.prepare import Prepared, Preparer
from s3pp.transfer.put.putter import Putter
from s3pp.transfer.resources import DigestNotes, Reader, WorkerResources
from s3pp.transfer.unchanged import StoredFiles, compares_content, unchanged_files


def noting_role(job: Job, bucket: Bucket, resources: WorkerResources) -> ChecksumScreen:
    """Return the role of a run with an ETag cache; a dry run notes nothing."""
    reader, notes = resources.reader, resources.digests or DigestNotes()
    md5s = DestinationTraits.of(job.objects, bucket.endpoint).etags_are_md5s
    skip = unchanged_files(job, reader) if md5s else None
    if job.dry_run:
        putter = Putter(job, bucket, Preparer(job, bucket, reader), resources)
    else:
        putter = Putter(job, bucket, NotingPreparer(job, bucket, reader, notes), resources)
        skip = skip and NotingStoredFiles(reader, notes).skip
    putter.skip_unchanged = skip
    kinds, is_used = BodyKinds(job.objects), compares_content(job)

    def describe(task: PutTask) -> Compared | None:
        entry, dest, _, _ = task
        if not is_used or dest is None or (md5s and etag_kind(dest.etag) == MD5):
            return None
        if dest.size != entry.size and not kinds.varies:
            return None
        return Compared(entry.key, dest, _state(entry.path), kinds.of(entry.source))

    known = KnownChecksums(bucket, job.speed.etag_cache or "", read_only=job.dry_run)
    return ChecksumScreen(putter, known, describe)


class NotingStoredFiles(StoredFiles):
    """Recognises small files that the store has already, and notes their MD5s."""

    def __init__(self, reader: Reader, notes: DigestNotes) -> None:
        super().__init__(reader)
        self._notes = notes

    def skip(self, task: PutTask) -> Skipped | None:
        """Return the outcome for a file that is known to be stored; None: the putter decides."""
        dest, path = task.dest, task.entry.path
        if dest is None or etag_kind(dest.etag) != MD5 or self._reader.threaded:
            return None  # no other ETag is recognised
        reading = Reading(_state(path))
        skipped = super().skip(task)
        if skipped is not None and (state := reading.settle(_state(path))):
            self._notes.add(state, MD5, dest.etag)
        return skipped


@dataclass
class NotedBody(Prepared):
    """A body whose digests are noted."""

    notes: BodyNotes = field(kw_only=True)


class NotingPreparer(Preparer):
    """A factory of bodies that notes their digests."""

    def __init__(self, job: Job, bucket: Bucket, reader: Reader, notes: DigestNotes) -> None:
        super().__init__(job, bucket, reader)
        self._notes = notes
        self._kinds = BodyKinds(job.objects)

    async def prepare(self, entry: Entry, there: Dest | None = None) -> Prepared:
        """Read an entry, see ``Preparer.prepare``."""
        reading = Reading(await self._reader.run(_state, entry.path))
        prepared = await super().prepare(entry, there)
        if prepared.source is not None:
            after: FileState | None = FileState.of(os.fstat(prepared.source.fileno()))
        else:
            after = await self._reader.run(_state, entry.path)
        state = reading.settle(after)
        if state is None:
            return prepared
        notes = BodyNotes(state, self._kinds.of(entry.source), self._notes)
        notes.add_etag(prepared.parts_etag)
        notes.add(MD5, prepared.digests.md5 if prepared.digests else "")
        return NotedBody(**vars(prepared), notes=notes)

    def digest(self, prepared: Prepared) -> Digests:
        """Return the digests for the PUT of a body."""
        digests = super().digest(prepared)
        if isinstance(prepared, NotedBody):
            prepared.notes.add(MD5, digests.md5)
        return digests

    async def compare(self, key: str, prepared: Prepared, dest: Dest) -> SkipReason | SendReason:
        """Return whether to replace the object ``dest`` by a body, and why."""
        reason = await super().compare(key, prepared, dest)
        if isinstance(prepared, NotedBody):
            if reason is SkipReason.SAME_ETAG:
                prepared.notes.add_etag(dest.etag)
            prepared.notes.add_found()  # computed before the source was checked again
        return reason

    def note_parts(self, prepared: Prepared, parts: Sequence[PartDone], checksum: str) -> None:
        """Note the ETag and the checksum of a body that was sent in parts, each verified."""
        if isinstance(prepared, NotedBody):
            prepared.notes.add_etag(etag_of_parts(part.md5 for part in parts))
            for _, value in completion_headers(checksum, parts)[:1]:
                prepared.notes.add(checksum, value)

    def _compared(self, prepared: Prepared, dest: Dest) -> Body:
        body = super()._compared(prepared, dest)
        return body._replace(note=prepared.notes.find) if isinstance(prepared, NotedBody) else body


def _state(path: str) -> FileState | None:
    with suppress(OSError):
        return FileState.of(os.stat(path))
    return None
