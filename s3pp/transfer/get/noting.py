"""A getter that notes for the ETag cache what it computes of files that exist.

What is noted was computed between two looks at the file that found it in the same state. Of a file
that was just fetched nothing is noted: it was modified too shortly before.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from s3pp.errors import S3ppError
from s3pp.integrity.compare import Body
from s3pp.integrity.etag import part_count
from s3pp.job import Job
from s3pp.localfs.file_state import FileState
from s3pp.localfs.paths import is_marker
from s3pp.localfs.tree import Tree
from s3pp.records import Dest, GetTask, Skipped, SkipReason
from s3pp.s3.client import Bucket
from s3pp.transfer.file_digests import MD5, PLAIN, BodyNotes, Reading, etag_kind
from s3pp.transfer.get.existing_file import ExistingFiles, Verdict
from s3pp.transfer.get.getter import Getter
from s3pp.transfer.known_checksums import ChecksumScreen, Compared, KnownChecksums
from s3pp.transfer.resources import DigestNotes, Reader, WorkerResources
from s3pp.transfer.unchanged import FetchedObjects, compares_content, unchanged_objects


def noting_role(job: Job, bucket: Bucket, resources: WorkerResources, tree: Tree) -> ChecksumScreen:
    """Return the role of a run with an ETag cache; a dry run notes nothing."""
    reader, notes = resources.reader, resources.digests or DigestNotes()
    skip, existing = unchanged_objects(job, tree, reader), None
    if not job.dry_run:
        existing = NotingExistingFiles(job, bucket, tree, reader, notes)
        skip = skip and NotingFetchedObjects(tree, reader, notes).skip
    getter = Getter(job, bucket, tree, resources, existing)
    getter.skip_unchanged = skip
    is_used = compares_content(job) and not job.download.gunzip

    def describe(task: GetTask) -> Compared | None:
        if not is_used or task.pack or part_count(task.etag) is None or is_marker(task.target):
            return None  # the getter decides without reading, or by the MD5
        state = _state(tree, task.target)
        if state is None or state.size != task.size:
            return None
        return Compared(task.source, Dest(task.size, task.etag), state, PLAIN)

    known = KnownChecksums(bucket, job.speed.etag_cache or "", read_only=job.dry_run)
    return ChecksumScreen(getter, known, describe)


class NotingFetchedObjects(FetchedObjects):
    """Recognises small objects whose files have their bytes, and notes their MD5s."""

    def __init__(self, tree: Tree, reader: Reader, notes: DigestNotes) -> None:
        super().__init__(tree, reader)
        self._notes = notes

    def skip(self, task: GetTask) -> Skipped | None:
        """Return the outcome for an object that is known to be here; None: the getter decides."""
        if etag_kind(task.etag) != MD5 or self._reader.threaded:
            return None  # no other ETag is recognised
        reading = Reading(_state(self._tree, task.target))
        skipped = super().skip(task)
        if skipped is not None and (state := reading.settle(_state(self._tree, task.target))):
            BodyNotes(state, PLAIN, self._notes).add_etag(task.etag)
        return skipped


class NotingExistingFiles(ExistingFiles):
    """Compares objects with what exists in their place, and notes what it computes of that."""

    def __init__(
        self, job: Job, bucket: Bucket, tree: Tree, reader: Reader, notes: DigestNotes
    ) -> None:
        super().__init__(job, bucket, tree, reader)
        self._notes = notes
        self._found: dict[str, list[tuple[str, str]]] = {}  # by target, of files being compared

    async def compare(self, task: GetTask, here: os.stat_result) -> Verdict:
        """Return whether to get the object, and why; see ``ExistingFiles.compare``."""
        reading, found = Reading(FileState.of(here)), self._found.setdefault(task.target, [])
        try:
            verdict = await super().compare(task, here)
        finally:
            del self._found[task.target]
        same = task.etag if verdict is SkipReason.SAME_ETAG else ""
        if same or found:
            after = await self._reader.run(_state, self._tree, task.target)
            if state := reading.settle(after):
                notes = BodyNotes(state, PLAIN, self._notes, found)
                notes.add_etag(same)
                notes.add_found()
        return verdict

    def _body(self, task: GetTask, tried: list[int]) -> Body:
        found = self._found[task.target]
        body = super()._body(task, tried)
        return body._replace(note=lambda name, value: found.append((name, value)))


def _state(tree: Tree, path: str) -> FileState | None:
    """Return the state of a regular file; None: there is none."""
    with suppress(S3ppError):
        here = tree.status(path)
        if here is not None and stat.S_ISREG(here.st_mode):
            return FileState.of(here)
    return None
