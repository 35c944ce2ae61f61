"""Download with one request into a file, and what the end of every download has in common.

::

    GET, into a temporary file ─▶ verify ─▶ unpack, if wanted ─▶ permissions, mtime, name

Verified is, by ``integrity/verifiers``, the length, an MD5, or a checksum of the whole. If there is
only an ETag of parts, the body has to make it::

    in parts of the likeliest size        digested while they arrive, in place of the MD5
    in parts of the first part's size     a HEAD, and the body is read again
      … which is not the size of all      a HEAD of each part: then nothing but the length is known
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

from s3pp.errors import Kept, ObjectError
from s3pp.integrity.etag import RollingETags, is_md5, likely_sizes
from s3pp.integrity.stored_object import StoredObject
from s3pp.integrity.verifiers import (
    Corrupt,
    ExpectedObject,
    Feed,
    ReceivedBody,
    find_fault,
    parts_verifier,
)
from s3pp.job import Job, Mode
from s3pp.limits import SMALL
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile
from s3pp.localfs.tree import Tree
from s3pp.records import Dest, GetTask, PartFault
from s3pp.s3.answers import Answer, pin_of
from s3pp.s3.client import ASK_CHECKSUM, Bucket, Coding, Headers
from s3pp.s3.timestamps import epoch_nanoseconds
from s3pp.transfer.errors import ObjectReplaced, check_planned, fault_of
from s3pp.transfer.get.unpacking import Unpacking, unpack_file, write_packed
from s3pp.transfer.resources import Reader


class Arrival(NamedTuple):
    """A body that was received and verified."""

    answer: Answer
    etag: str  # of the answer
    size: int  # bytes
    finished: bool  # False: in mode add, something stood in its place meanwhile
    moved: int  # bytes received; less than size if a range was there already
    md5: str = ""  # of all bytes, where it was computed


class FileSink:
    """A ``wire.Sink`` that writes a temporary file. Close it in any case."""

    def __init__(
        self, tree: Tree, path: str, *, mode: int | None, part_size: int | None = None
    ) -> None:
        """``part_size``: bytes of the parts whose ETag is computed; None: the MD5 is."""
        self._file = TemporaryFile(tree, path, mode=mode)
        self._part_size = part_size
        self._feed, self._etag = self._start_digest()

    def restart(self) -> None:
        """Start receiving a body from its first byte."""
        if self._file.size:
            self._file.restart()
        self._feed, self._etag = self._start_digest()

    def write(self, piece: bytes | memoryview) -> None:
        """Append ``piece``."""
        self._file.write(piece)
        self._feed(piece)

    @property
    def size(self) -> int:
        """The number of bytes received."""
        return self._file.size

    def body(self) -> ReceivedBody:
        """Return what was received, with its ETag."""
        return ReceivedBody(self._file.size, self._etag(), self.pieces)

    def pieces(self) -> Iterator[bytes]:
        """Yield what was received, read from the file."""
        return self._file.pieces()

    def finish(self, attributes: FileAttributes) -> bool:
        """Rename the file to its name; returns false if it must be fresh and the name exists."""
        return self._file.finish(attributes)

    def close(self) -> None:
        """Remove the file unless it was finished."""
        self._file.discard()

    def _start_digest(self) -> tuple[Feed, Callable[[], str]]:
        """Return a function that takes the pieces, and one that returns their ETag."""
        if self._part_size is None:
            whole = hashlib.md5(usedforsecurity=False)
            return whole.update, whole.hexdigest
        each, rolling = self._part_size, RollingETags([self._part_size])
        return rolling.feed, lambda: rolling.etags()[each]


class FileDownload:
    """Downloads objects of one bucket with one request each, by the rules of one job."""

    def __init__(self, job: Job, bucket: Bucket, tree: Tree, reader: Reader) -> None:
        self._only_absent = job.mode is Mode.ADD
        self._options = job.download
        self._part_size = job.parts.size
        self._bucket = bucket
        self._tree = tree
        self._reader = reader

    async def fetch(self, task: GetTask, mode: int | None, coding: Coding) -> Arrival:
        """Download an object of any size; ``mode`` is as in ``FileAttributes``.

        Raises ``Corrupt``, ``ObjectReplaced`` and ``Vanished``, after which fetching it again may
        help, and as ``Bucket`` does.
        """
        headers = get_headers(task)
        each = likely_part_size(Dest(task.size, task.etag), self._part_size)
        with closing(FileSink(self._tree, task.target, mode=mode, part_size=each)) as sink:
            answer = await self._bucket.get(
                task.source, headers=headers, sink=sink, coding=coding, size=task.size
            )
            arrived = sink.body()
            await self.verify(task, answer, arrived)
            etag = answer.etag
            attributes = self.attributes(task, answer, etag, mode)
            if unpacking := self.unpacking(answer, sink.size):
                finished = await self.unpack(task, sink.pieces(), attributes, unpacking)
            elif task.pack:
                finished = await self.pack(task, sink.pieces(), attributes)
            else:
                finished = await self._reader.away(lambda: sink.finish(attributes))
            md5 = arrived.etag if is_md5(arrived.etag) else ""
            return Arrival(answer, etag, sink.size, finished, sink.size, md5)

    async def verify(self, task: GetTask, answer: Answer, arrived: ReceivedBody) -> None:
        """Raise ``Corrupt`` if a body is not the object; other errors as ``fetch``."""
        check_planned(task, answer.etag)
        await verify_body(self._bucket, self._reader, task, answer, arrived)

    def attributes(
        self, task: GetTask, answer: Answer, etag: str, mode: int | None
    ) -> FileAttributes:
        """Return the attributes of the file; ``etag`` is that of ``answer``."""
        # What replaced the listed object has a time of its own.
        listed = etag == task.etag and task.modified
        modified = listed or answer.response.header(b"last-modified") or ""
        fsync, fresh = self._options.fsync, self._only_absent
        attributes = FileAttributes(epoch_nanoseconds(modified), mode, fsync, fresh)
        return attributes if task.planned is None else _only_over(attributes, task.planned.dest)

    async def finish(
        self, task: GetTask, file: TemporaryFile, answer: Answer, mode: int | None
    ) -> bool:
        """Unpack or rename a file that was fetched by ranges, and verified.

        If that fails it is kept where a later run can resume it. Returns as ``unpack_file`` does.
        """
        away = self._reader.away
        attributes = self.attributes(task, answer, answer.etag, mode)
        try:
            if unpacking := self.unpacking(answer, file.size):
                finished = await self.unpack(task, file.pieces(), attributes, unpacking)
                await away(file.discard)
                return finished
            if task.pack:
                finished = await self.pack(task, file.pieces(), attributes)
                await away(file.discard)
                return finished
            return await away(lambda: file.finish(attributes))
        except ObjectError as error:
            if await away(file.keep_or_discard):
                error.kept = Kept.FILE
            raise
        finally:
            await away(file.keep_or_discard)

    def unpacking(self, answer: Answer, size: int) -> Unpacking | None:
        """Return how a body of ``size`` bytes is to be unpacked; None: not at all."""
        return Unpacking.of(answer, size, self._options)

    async def pack(self, task: GetTask, body: Iterable[bytes], attributes: FileAttributes) -> bool:
        """Write a body, compressed; returns and raises as ``write_packed`` does."""
        tree, path = self._tree, task.target
        return await self._reader.away(lambda: write_packed(tree, path, body, attributes))

    async def unpack(
        self,
        task: GetTask,
        packed: Iterable[bytes],
        attributes: FileAttributes,
        unpacking: Unpacking,
    ) -> bool:
        """Write a packed body, unpacked; returns and raises as ``unpack_file`` does."""
        tree, path = self._tree, task.target
        return await self._reader.away(
            lambda: unpack_file(tree, path, packed, attributes, unpacking=unpacking)
        )


async def verify_body(
    bucket: Bucket, reader: Reader, task: GetTask, answer: Answer, arrived: ReceivedBody
) -> None:
    """Raise ``Corrupt`` if a body is not the object of ``task``; other errors as ``Bucket``."""
    expected = ExpectedObject(Dest(task.size, task.etag), answer, bucket.endpoint)
    if arrived.size <= SMALL:
        wrong = find_fault(arrived, expected)
    else:
        wrong = await reader.away(lambda: find_fault(arrived, expected))
    if wrong := wrong or await parts_fault(bucket, reader, task.source, answer, arrived):
        raise wrong


async def parts_fault(
    bucket: Bucket, reader: Reader, key: str, answer: Answer, arrived: ReceivedBody
) -> Corrupt | None:
    """Return why a body does not make an ETag of parts; None if it does, or that is unknown."""
    stored = StoredObject(bucket, key, Dest(arrived.size, answer.etag))
    try:
        verifier = await parts_verifier(stored, answer, arrived.etag)
        feed = verifier.feed
        if feed is None:
            return None
        if arrived.size <= SMALL:
            _feed_all(arrived, feed)
        else:
            await reader.whole(lambda: _feed_all(arrived, feed))
        return await verifier.find_fault(())
    except ObjectError as error:
        replaced = fault_of(error) is PartFault.REPLACED
        raise (ObjectReplaced() if replaced else error) from None


def _only_over(attributes: FileAttributes, there: Dest | None) -> FileAttributes:
    """Return ``attributes`` of a file that replaces nothing but ``there``, as a plan has it."""
    if there is None:
        return attributes._replace(fresh=True)
    return attributes._replace(over=(there.size, there.modified_ns or 0))


def get_headers(task: GetTask) -> Headers:
    """Return the headers of the GET of a task."""
    headers = checksum_headers(task.etag)
    pin = pin_of(task.etag) if task.planned is not None else ""
    return (*headers, ("if-match", pin)) if pin else headers


def checksum_headers(etag: str) -> Headers:
    """Return the headers of a GET that ask for a checksum, where the listed ETag is not an MD5."""
    return () if is_md5(etag) else (ASK_CHECKSUM,)


def _feed_all(arrived: ReceivedBody, feed: Feed) -> None:
    for piece in arrived.pieces():
        feed(piece)


def likely_part_size(there: Dest, wanted: int) -> int | None:
    """Return the size in which an object was most likely sent in parts; None: not in parts.

    ``wanted``: the size of this run's parts, in bytes.
    """
    sizes = likely_sizes(there, wanted)
    return sizes[0] if sizes else None
