"""Whether a file is an object whose ETag is that of parts.

::

    the ETag in likely part sizes ─ fits ─▶ same etag
    HEAD ─ a strong checksum of the whole ─▶ same checksum | checksum differs
         ─ none ─▶ HEAD of part 1 ─ its size ─▶ the ETag in that size ─ fits ─▶ same etag
                                       └─ HEADs of all parts ─ of that size ─▶ etag differs
         ─ anything else ─▶ the time has to tell
"""

from __future__ import annotations

from s3pp.integrity.checksums import checksum
from s3pp.integrity.multipart_etag import likely_sizes, part_count, same_in_parts
from s3pp.integrity.received import ASK_CHECKSUM, stored_checksum
from s3pp.integrity.verifiers import Parts, made_of_md5s
from s3pp.job import Job
from s3pp.records import Dest, GetTask, SendReason, SkipReason
from s3pp.s3.operations import Bucket
from s3pp.s3.part_plan import Spans
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.files.tree import Tree
from s3pp.transfer.get.intake import pieces_of
from s3pp.transfer.reading import Reader


class Likeness:
    """Compares files with objects that were sent in parts."""

    def __init__(self, job: Job, bucket: Bucket, tree: Tree, reader: Reader) -> None:
        self._part_size = job.parts.size
        self._bucket = bucket
        self._tree = tree
        self._reader = reader

    async def verdict(self, task: GetTask) -> SkipReason | SendReason | None:
        """What the bytes of a file of the same size say; None: nothing.

        Costs no request, one or two, for what differs one for each part, and reads the file where
        that helps. What the store refuses to tell is not known. Raises as ``Tree.open_read``.
        """
        there = Dest(task.size, task.etag)
        if part_count(task.etag) is None:
            return None
        tried = likely_sizes(there, self._part_size)
        if tried and await self._same(task, tried):
            return SkipReason.SAME_ETAG
        try:
            return await self._asked(task, there, tried)
        except StoreError:
            return None

    async def _asked(
        self, task: GetTask, there: Dest, tried: list[int]
    ) -> SkipReason | SendReason | None:
        found = await self._bucket.look(task.source, headers=(ASK_CHECKSUM,))
        if found is None or Dest(found.size, found.etag) != there:
            return None
        stored = stored_checksum(found.response, strong=True)
        if stored is not None:
            name, value = stored
            read = self._tree, task.target
            ours = await self._reader.whole(lambda: checksum(name, pieces_of(*read)))
            return modes.by_checksum(ours, value)
        parts = Parts(self._bucket, task.source, there)
        each = await parts.size()
        if each is None:
            return None
        if each not in tried and await self._same(task, [each]):
            return SkipReason.SAME_ETAG
        known = made_of_md5s(found, self._bucket) and await parts.are(Spans(task.size, each))
        return SendReason.ETAG if known else None

    async def _same(self, task: GetTask, sizes: list[int]) -> bool:
        there = Dest(task.size, task.etag)
        return await self._reader.whole(
            lambda: same_in_parts(pieces_of(self._tree, task.target), there, sizes)
        )
