"""Whether to get an object in whose place something exists already.

::

    not a regular file       mode add leaves a link alone; else a conflict
    another size             the mode decides
    --compare size, mtime    the size, and the time, decide
    ETag is an MD5           the file's MD5
    ETag of parts            the file in parts of likely sizes, a checksum, the parts' real size
    any other                the time, which a getter sets on every file that it writes

A file that the object is compressed to (``--gzip-suffix``) is compared by the size that it had
before, and by the time. With ``--gunzip`` a file may be what the object was unpacked to, which only
the time shows.
"""

from __future__ import annotations

import os
import stat

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import digest
from s3pp.integrity.compare import Body, compare
from s3pp.integrity.etag import is_md5, likely_sizes, part_count, proves_content
from s3pp.integrity.stored_object import StoredObject
from s3pp.job import Compare, Job, Mode
from s3pp.limits import SMALL
from s3pp.localfs.tree import Tree
from s3pp.records import Dest, GetTask, SendReason, SkipReason
from s3pp.s3.answers import GZIP_MAGIC, is_gzip
from s3pp.s3.client import Bucket
from s3pp.transfer import modes
from s3pp.transfer.errors import object_vanished
from s3pp.transfer.get.file_facts import MODULUS, by_time, file_state, unpacked_size
from s3pp.transfer.resources import Reader

Verdict = SkipReason | SendReason

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (lambda _: True, "not a regular file"),
)


class ExistingFiles:
    """Compares objects with what exists in their place, by the rules of one job."""

    def __init__(self, job: Job, bucket: Bucket, tree: Tree, reader: Reader) -> None:
        self._rule = modes.SendRule.of(job)
        self._gunzip = job.download.gunzip
        self._part_size = job.parts.size
        self._bucket = bucket
        self._tree = tree
        self._reader = reader

    async def compare(self, task: GetTask, here: os.stat_result) -> Verdict:
        """Return whether to get the object, and why; ``here`` is the lstat of what is in its place.

        Raises ``ObjectError`` if no file can take its place, and as ``Bucket`` does.
        """
        if not stat.S_ISREG(here.st_mode):
            return self._refuse(task, here.st_mode)
        if task.pack:
            return await self._compare_packed(task, here)
        verdict = modes.decide_get(self._rule, task.size, here.st_size)
        if verdict is None and self._rule.compare is Compare.MTIME:
            return by_time(task, here)
        if verdict is None:
            return await self._compare_content(task, here)
        if verdict is SkipReason.OTHER_SIZE and self._gunzip:
            return SkipReason.EXISTS  # another size is what unpacking makes
        if verdict is SendReason.SIZE and self._gunzip:
            return await self._check_time(task, here, verdict)
        return verdict

    async def _compare_packed(self, task: GetTask, here: os.stat_result) -> Verdict:
        """Compare a file that the object was compressed to: by the size before, and the time."""
        size = await self._reader.run(unpacked_size, self._tree, task.target)
        verdict = modes.decide_get(self._rule, task.size % MODULUS, -1 if size is None else size)
        return by_time(task, here) if verdict is None else verdict

    def size(self, task: GetTask, here: os.stat_result | None) -> int | None:
        """Return the size of a file that is the object, or would be, in bytes; None: no such file.

        Raises as ``Tree.open_read`` does.
        """
        if here is None or not stat.S_ISREG(here.st_mode):
            return None
        return unpacked_size(self._tree, task.target) if task.pack else here.st_size

    def describe(self, here: os.stat_result | None) -> Dest | None:
        """Return what a plan notes of what is in the place of an object; None: nothing is."""
        return file_state(here)

    def _refuse(self, task: GetTask, mode: int) -> Verdict:
        """Mode ``add`` skips links; nothing but a file is ever replaced."""
        if stat.S_ISLNK(mode) and self._rule.mode is Mode.ADD:
            return SkipReason.EXISTS
        kind = next(word for test, word in _KINDS if test(mode))
        message = f"{task.target!r} is {kind} here, and is not replaced: move it away"
        raise ObjectError(FailureKind.CONFLICT, message)

    async def _compare_content(self, task: GetTask, here: os.stat_result) -> Verdict:
        """Compare a file of the object's size."""
        if task.size == 0 and not self._gunzip:
            return modes.by_emptiness(task.etag, modes.EMPTY_MD5)
        if is_md5(task.etag):
            verdict = modes.by_content(await self._digest(task), task.etag)
            if verdict is SendReason.ETAG:
                return await self._check_time(task, here, verdict)
        else:
            verdict = await self._compare_other(task, here)
        if verdict is SkipReason.SAME_ETAG and self._gunzip and await self._check_packed(task):
            return SendReason.SIZE  # the file is the object as it is stored, to be unpacked now
        return verdict

    async def _digest(self, task: GetTask) -> str:
        if task.size <= SMALL:
            return await self._reader.run(md5_of, self._tree, task.target)
        return await self._reader.whole(lambda: md5_of(self._tree, task.target))

    async def _compare_other(self, task: GetTask, here: os.stat_result) -> Verdict:
        """Compare a file with an object whose ETag is not an MD5."""
        verdict = await self._compare_parts(task)
        # What differs may be what it was unpacked to, which only the time shows.
        unpacked = self._gunzip and isinstance(verdict, SendReason)
        return by_time(task, here) if verdict is SendReason.UNKNOWN or unpacked else verdict

    async def _compare_parts(self, task: GetTask) -> Verdict:
        if part_count(task.etag) is None:
            return SendReason.UNKNOWN
        there = Dest(task.size, task.etag)
        likely = likely_sizes(there, self._part_size)
        body = self._body(task, likely)
        if likely and await body.matches(there, likely):
            return SkipReason.SAME_ETAG
        stored = StoredObject(self._bucket, task.source, there)
        return await compare(stored, body, conclusive=True)

    def _body(self, task: GetTask, tried: list[int]) -> Body:
        return Body(lambda: self._tree.read(task.target), self._reader, tried)

    async def _check_time(
        self, task: GetTask, here: os.stat_result, verdict: SendReason
    ) -> Verdict:
        """Return ``verdict``, unless the file differs for another reason than its content.

        It may have been unpacked, or the ETag may only look like an MD5. Only a HEAD shows that,
        and in both cases the time decides. Costs a request for a file that has the object's time.
        """
        if by_time(task, here) is not SkipReason.SAME_TIME:
            return verdict
        answer = await self._bucket.look(task.source)
        if answer is None:
            raise object_vanished()
        response = answer.response
        opaque = not proves_content(answer.etag, response, self._bucket.endpoint)
        if (verdict is SendReason.ETAG and opaque) or (self._gunzip and is_gzip(response)):
            return SkipReason.SAME_TIME
        return verdict

    async def _check_packed(self, task: GetTask) -> bool:
        if not await self._reader.run(self._starts_packed, task):
            return False
        answer = await self._bucket.look(task.source)
        return answer is not None and is_gzip(answer.response)

    def _starts_packed(self, task: GetTask) -> bool:
        fd = self._tree.open_read(task.target)
        try:
            return os.read(fd, len(GZIP_MAGIC)) == GZIP_MAGIC
        finally:
            os.close(fd)


def md5_of(tree: Tree, path: str) -> str:
    """Return the MD5 of a file in ``tree``, in hex. Raises as ``Tree.open_read`` does."""
    return digest("md5", tree.read(path)).hex()
