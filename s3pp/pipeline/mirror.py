"""The walker's part in ``--delete``: what the source does not have is noted, and sent at the end.

::

    walk ──steps──▶ Mirror.follow ──the same steps──▶ batches of transfers
                        │  ▲
      what is there ────┘  └─ DeleteSpool ──▶ batches of deletions, after SendDeletes

The destination is listed once, whole and in order: the same listing answers the lookups of the
planner. Nothing is sent before the supervisor has found that every transfer has succeeded (see
``delete_phase``). Whatever keeps the destination from being known sets ``fault``, and then nothing
is deleted; transfers continue all the same.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from s3pp.errors import FatalError, ObjectError, S3ppError
from s3pp.job import Job
from s3pp.localfs.tree import Tree
from s3pp.pipeline.connect import DistantBucket
from s3pp.pipeline.delete_spool import DeleteSpool
from s3pp.pipeline.messages import WalkDone
from s3pp.places import Side
from s3pp.records import (
    LEFT_OUT,
    DeleteReason,
    DeleteTask,
    Failed,
    Outcome,
    Skipped,
    SkipReason,
    Task,
)
from s3pp.s3.listing import Listed, ListingError
from s3pp.s3.retry import StoreError
from s3pp.sources.destination_index import RemoteBucket, UnorderedListing, listing_fault
from s3pp.sources.extraneous import (
    DeletionRule,
    Extraneous,
    MirrorScope,
    Subtrees,
    UnorderedTargets,
    as_the_system_names,
    list_in_order,
    walk_directory,
)
from s3pp.sources.filters import Filters, key_bytes, key_fault
from s3pp.sources.left_out import LeftOut, OfAnotherShard
from s3pp.transfer.bodies import stamp_of

_NOT_FOLLOWED = frozenset({SkipReason.SYMLINK, SkipReason.LOOP})
_NO_OBJECT = LEFT_OUT | _NOT_FOLLOWED

Step = Task | Outcome


class Mirror:
    """What the destination of one run holds, and which of it is to be deleted."""

    def __init__(self, job: Job, filters: Filters) -> None:
        """``filters``: of the source."""
        filters.names_left_out = True
        self.fault = ""  # why what the destination holds is not known
        self._source = job.reads[0]
        self._place = job.writes
        self._scope = MirrorScope.of(job)
        self._rule = DeletionRule.of(job, filters)
        self._shard = job.choosing.shard
        self._spool = DeleteSpool()
        self._present = 0  # objects that the source has
        self._irregular = False  # it has what can be none
        self._held = 0  # that the destination has, in scope
        self._below_links = Subtrees()
        self._merge: Extraneous[Any]

    def lookup(self, key: str) -> Any:
        """Return what the destination has under ``key``, as ``ListingLookup`` does."""
        try:
            return self._merge.claim(key)
        except UnorderedTargets:
            self.fault = f"{self._source} is not read in the order of its keys"
            raise UnorderedListing from None
        except (UnorderedListing, StoreError, ListingError) as error:
            self.fault = listing_fault(error, self._place)
            raise

    def follow(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Yield ``steps``, whose targets ascend, but for those that say what was left out."""
        for step in steps:
            if isinstance(step, Failed):  # nothing will be deleted, and it may be out of order
                yield step
            elif isinstance(step, Skipped) and not _is_key(step.target):  # likewise
                self._present += 1
                if not isinstance(step, LeftOut):
                    yield step
            elif isinstance(step, OfAnotherShard):
                self._pass_over(step)
            elif isinstance(step, LeftOut):
                self._leave_out(step.target)
            else:
                self._keep(step)
                yield step

    def finish(self) -> None:
        """Read what is left of the destination; every step has been followed."""
        try:
            self._read_rest()
        except FatalError as error:
            self.fault = str(error)
        except ObjectError as error:
            self.fault = f"list {self._place}: {error}"

    def done(self) -> WalkDone:
        """Return the message that ends the walk."""
        empty = self._present == 0
        return WalkDone(self._spool.count, self._held, empty, self.fault, self._irregular)

    def batches(self) -> Iterator[list[DeleteTask]]:
        """Yield tasks to send."""
        return self._spool.batches()

    def _read_rest(self) -> None:
        try:
            self._merge.finish()
        except (UnorderedListing, StoreError, ListingError) as error:
            self.fault = listing_fault(error, self._place)

    def _keep(self, step: Step) -> None:
        reason = step.reason if isinstance(step, Skipped) else None
        if reason in _NO_OBJECT:
            self._irregular = True
        else:
            self._present += 1
        if self._claim(step.target) is not None:
            self._held += 1
        if reason in _NOT_FOLLOWED:
            self._below_links.add(step.target)

    def _leave_out(self, target: str) -> None:
        """Take note of an object that the source has, of a size or age that is not chosen."""
        self._present += 1
        found = self._claim(target)
        if found is not None and self._rule.excluded:
            self._add(found, DeleteReason.EXCLUDED)

    def _pass_over(self, step: OfAnotherShard) -> None:
        """Take note of what another shard has: whatever it is there, it is not extraneous."""
        if step.reason in _NO_OBJECT:
            self._irregular = True
        else:
            self._present += 1
        self._claim(step.target)
        if step.reason in _NOT_FOLLOWED:
            self._below_links.add(step.target)

    def _claim(self, target: str) -> Any:
        try:
            return self.lookup(target)
        except (UnorderedListing, StoreError, ListingError):
            return None  # noted as ``fault``
        except ObjectError as error:
            raise FatalError(f"list {self._place}: {error}") from None

    def _drop(self, found: Any) -> None:
        """Decide about an element of the destination that no step has named."""
        name = self._name(found)
        if self._shard is not None and not self._shard.has(key_bytes(name)):
            return  # it is for another run to delete
        if self._below_links.contain(name):
            return
        reason = self._rule.decide(name[self._scope.cut :])
        if reason is not None:
            self._add(found, reason)

    def _add(self, found: Any, reason: DeleteReason) -> None:
        self._held += 1
        if self.fault:
            return
        task = self._task(found, reason)
        try:
            if task is not None:
                self._spool.add(task)
        except FatalError as error:
            self.fault = str(error)

    def _name(self, found: Any) -> str:
        """Return the target of an element."""
        raise NotImplementedError

    def _task(self, found: Any, reason: DeleteReason) -> DeleteTask | None:
        """Return the task that deletes an element; None where it is none that may be deleted."""
        raise NotImplementedError


class BucketMirror(Mirror):
    """The objects below a prefix, which a put or a copy makes like its source."""

    def __init__(self, job: Job, filters: Filters, bucket: RemoteBucket) -> None:
        super().__init__(job, filters)
        found = list_in_order(bucket, self._scope.prefix, listers=job.speed.listers)
        self._merge = Extraneous(found, name=attrgetter("key"), drop=self._drop)

    def _name(self, found: Listed) -> str:
        return found.key

    def _task(self, found: Listed, reason: DeleteReason) -> DeleteTask:
        return DeleteTask(found.key, found.size, found.etag, found.modified, reason)


class DirectoryMirror(Mirror):
    """The files of DIRECTORY, which a get makes like its source."""

    def __init__(self, job: Job, filters: Filters) -> None:
        super().__init__(job, filters)
        self._tree = Tree(job.directory)
        names = filter(
            self._scope.has, walk_directory(self._tree, self._enters, self._note_trouble)
        )
        found, place = as_the_system_names(names, job.directory, write=not job.dry_run)
        self._merge = Extraneous(found, name=str, drop=self._drop, place=place)

    def _enters(self, directory: str) -> bool:
        inside = self._scope.has(f"{directory}/") or self._scope.prefix.startswith(f"{directory}/")
        return inside and self._rule.enters(directory[self._scope.cut :])

    def _note_trouble(self, why: str) -> None:
        self.fault = self.fault or why

    def _name(self, found: str) -> str:
        return found

    def _task(self, found: str, reason: DeleteReason) -> DeleteTask | None:
        try:
            status = self._tree.status(found)
        except S3ppError as error:
            self._note_trouble(str(error))
            return None
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        stamp = stamp_of(status)
        return DeleteTask(found, status.st_size, "", "", reason, stamp, status.st_nlink)


def open_mirror(job: Job, buckets: Mapping[Side, DistantBucket], filters: Filters) -> Mirror:
    """Return the mirror of a job with ``--delete``; ``filters`` choose from its source."""
    if job.verb == "get":
        return DirectoryMirror(job, filters)
    return BucketMirror(job, filters, buckets.get(Side.LISTING) or buckets[Side.DEST])


def _is_key(target: str) -> bool:
    """Return whether the destination could hold ``target``: what is skipped may have any name."""
    return target.isascii() or key_fault(key_bytes(target)) is None
