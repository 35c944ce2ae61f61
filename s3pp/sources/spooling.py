"""Extraction of members from archives that cannot be read in place, in one pass per archive.

The tasks arrive in key order, and are sorted by their offset in the archive. Members are then
copied one after another into spool files, each of which holds a batch of tasks: at most
``batch_bytes`` or ``BATCH_LENGTH`` members, or one larger member alone. Nothing is copied before
the consumer requests the next batch, so the disk never holds more spool files than the consumer
has taken and not deleted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from s3pp.errors import FailureKind, FatalError
from s3pp.limits import MIB
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.records import Failed, PutTask
from s3pp.sources.archive import Archive, open_archive

BATCH_BYTES = 32 * MIB
BATCH_LENGTH = 128  # members


class Spooled(NamedTuple):
    """A spool file and the tasks that read from it; the consumer deletes it after the last one."""

    path: str
    tasks: list[PutTask]
    size: int  # bytes of the file


Copied = Iterator[Spooled | Failed]


def spool(tasks: Iterable[PutTask], directory: str, batch_bytes: int = BATCH_BYTES) -> Copied:
    """Copy the members that ``tasks`` name into files in ``directory``.

    Every task is yielded once: in a batch, with its entry pointing into the spool file, or as a
    ``Failed`` if the archive is damaged or has changed since its headers were read. Raises
    ``FatalError`` if a spool file cannot be written.
    """
    place = attrgetter("entry.path", "entry.offset")
    by_offset = sort_records(tasks, key=place, memory=SortMemory(RICH_RUN_LENGTH))
    for path, wanted in groupby(by_offset, key=attrgetter("entry.path")):
        yield from _Pass(wanted, directory, batch_bytes).copy_members(path)


class _Pass:
    """One pass over one archive; ``wanted`` are its tasks in archive order."""

    def __init__(self, wanted: Iterator[PutTask], directory: str, batch_bytes: int) -> None:
        self._wanted = wanted
        self._directory = directory
        self._batch_bytes = batch_bytes
        self._task: PutTask | None = next(wanted)  # the one to copy next
        self._batch: _Batch | None = None

    def copy_members(self, path: str) -> Copied:
        """Yield the batches of the archive at ``path``, then a failure for each remaining task."""
        try:
            trouble = "the archive changed while it was read"
            try:
                with open_archive(path) as archive:
                    yield from self._batches(archive)
            except FatalError:
                raise
            except Exception as error:  # tarfile documents no complete list of its errors on damage
                trouble = f"the archive cannot be read again: {error}"
            yield from self._finish_batch()
            yield from self._fail_rest(trouble)
        finally:
            if self._batch is not None:
                self._batch.discard()

    def _batches(self, archive: Archive) -> Copied:
        for member in archive.members():
            task = self._task
            if task is None:
                return
            # Both passes read the same offsets, so another offset means another archive.
            if member.offset_data == task.entry.offset and member.size == task.entry.size:
                if self._batch and not self._batch.has_room(member.size, self._batch_bytes):
                    yield from self._finish_batch()
                self._batch = self._batch or _Batch(self._directory)
                self._batch.add(task, archive.content(member))
                self._task = next(self._wanted, None)

    def _finish_batch(self) -> Iterator[Spooled]:
        batch, self._batch = self._batch, None
        if batch is not None:
            yield batch.finish()

    def _fail_rest(self, message: str) -> Iterator[Failed]:
        while (task := self._task) is not None:
            yield Failed(task.entry.source, task.entry.key, FailureKind.CHANGED, message)
            self._task = next(self._wanted, None)


class _Batch:
    """A spool file being written."""

    def __init__(self, directory: str) -> None:
        with _disk_trouble(directory):
            descriptor, self._path = tempfile.mkstemp(prefix="s3pp-spool-", dir=directory)
        self._directory = directory
        self._file = os.fdopen(descriptor, "wb")
        self._tasks: list[PutTask] = []
        self._size = 0  # bytes

    def has_room(self, size: int, batch_bytes: int) -> bool:
        """Return whether a member of ``size`` bytes still fits in this batch."""
        return len(self._tasks) < BATCH_LENGTH and self._size + size <= batch_bytes

    def add(self, task: PutTask, pieces: Iterable[bytes]) -> None:
        """Append the member; no task refers to the bytes of an incomplete one."""
        begin = self._size
        for piece in pieces:
            with _disk_trouble(self._directory):
                self._file.write(piece)
            self._size += len(piece)
        entry = task.entry._replace(path=self._path, offset=begin, spool=False)
        self._tasks.append(task._replace(entry=entry))

    def finish(self) -> Spooled:
        """Close the file and return it with its tasks."""
        with _disk_trouble(self._directory):
            self._file.close()
        return Spooled(self._path, self._tasks, self._size)

    def discard(self) -> None:
        """Delete the file."""
        os.unlink(self._path)
        with suppress(OSError):  # what is still buffered may not fit a full disk
            self._file.close()


@contextmanager
def _disk_trouble(directory: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"copying archive members to {directory}: {error.strerror}; make room there"
        raise FatalError(message) from error
