"""The deleter of objects.

::

    AWS      DeleteObjects with the ETag of each object as it was seen
    others   look at the objects again ─▶ replaced: Failed, gone: Skipped
                  └▶ DeleteObjects, with the ETags unless the store refuses them
    mirrors of a directory   look at its files last of all ─▶ back: Skipped
    keys that XML cannot carry, or all of a store without DeleteObjects: a DELETE each, likewise

AWS honours the ETag of each key. Other stores may ignore it, which nothing shows until an object
that was replaced is lost. So their objects are looked at once more right before they are deleted:
what another writer stores between that look and the deletion is lost, but nothing that it had
stored before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s3pp.errors import ObjectError
from s3pp.job import Job
from s3pp.records import Calls, Deleted, DeleteTask, Failed, Skipped
from s3pp.s3.answers import pin_of
from s3pp.s3.client import Bucket
from s3pp.s3.deletes import MOST_KEYS, BatchAnswer, DeleteRequests, Pinned, fits_batch
from s3pp.s3.retry import Remedy, StoreError
from s3pp.transfer.delete.deleter import (
    Ended,
    deleted,
    foresee,
    gone,
    is_unverified,
    not_deleted,
    replaced,
    run_each,
    unverified,
)
from s3pp.transfer.delete.second_look import SecondLook
from s3pp.transfer.delete.source_look import SourceLook
from s3pp.transfer.resources import Reader

REFUSED = (
    "{} refuses deletions on condition ({}): each object is looked at right before it is deleted,"
    " and what another writer stores in between is deleted"
)
# Of a store that does not have the operation; 400 has many meanings, of which this is one.
_NO_OPERATION = frozenset({400, 404, 405, 411, 415, 501})
_NO_CONDITION = frozenset({400, 501})
# Also of a condition that the store cannot evaluate: it needs permission to read the object, and
# the same form of its ETag.
_DOUBTFUL = frozenset({403, 412})


@dataclass
class Conditions:
    """What is known of a store's conditions in one kind of request."""

    honoured: bool  # False: it may ignore them
    sent: bool = True  # False: it has refused them
    met: bool = False  # an object has been deleted on condition

    def pin(self, task: DeleteTask) -> str:
        """The condition for ``task``; empty: none."""
        return pin_of(task.etag) if self.sent else ""

    def refuse(self) -> None:
        """Send none from now on."""
        self.honoured = self.sent = False

    def is_doubtful(self, error: StoreError) -> bool:
        """Whether it may have been the condition that was refused, and not the deletion."""
        trusted = self.honoured and error.status == 412
        return self.sent and not self.met and error.status in _DOUBTFUL and not trusted


class ObjectDeleter:
    """A deleter of the objects in one bucket; in a dry run it sends nothing."""

    def __init__(
        self, bucket: Bucket, *, dry_run: bool, source_look: SourceLook | None = None
    ) -> None:
        """``source_look``: at the source that the objects were not in; None: at none."""
        self.notes: list[str] = []
        self._endpoint = bucket.endpoint
        self._requests = DeleteRequests(bucket)
        self._look = SecondLook(bucket, self.notes)
        self._source_look = source_look
        self._dry_run = dry_run
        self._in_batches = Conditions(honoured=bucket.endpoint.is_aws)
        self._alone = Conditions(honoured=bucket.endpoint.is_aws)
        self._has_batches = True

    @classmethod
    def of(cls, job: Job, bucket: Bucket, reader: Reader) -> ObjectDeleter:
        """Return the deleter of ``job``'s objects in ``bucket``."""
        return cls(bucket, dry_run=job.dry_run, source_look=SourceLook.of(job, reader))

    async def delete(self, tasks: Sequence[DeleteTask], ended: Ended) -> None:
        """As ``Deleter.delete``."""
        if self._dry_run:
            foresee(tasks, ended, calls_for(tasks))
            return
        if kept := {task.target: unverified(task) for task in tasks if is_unverified(task)}:
            ended.update(kept)
            tasks = [task for task in tasks if task.target not in kept]
        if self._has_batches:
            fitting = [task for task in tasks if fits_batch(task.target)]
            for start in range(0, len(fitting), MOST_KEYS):
                await self._delete_batch(fitting[start : start + MOST_KEYS], ended)
        left = [task for task in tasks if task.target not in ended]
        if not self._alone.honoured:
            left = await self._look.find_unchanged(left, ended)

        async def delete(task: DeleteTask) -> None:
            await self._delete_one(task, ended)

        await run_each(delete, left)

    async def _delete_batch(self, tasks: Sequence[DeleteTask], ended: Ended) -> None:
        """Delete by one request; tasks that get no outcome are deleted one by one."""
        conditions = self._in_batches
        if not conditions.honoured:
            tasks = await self._look.find_unchanged(tasks, ended)
        tasks = await self._find_absent(tasks, ended)
        pinned = [Pinned(task.target, conditions.pin(task)) for task in tasks]
        if not (pinned and self._has_batches):
            return
        try:
            answer = await self._requests.delete_many(pinned)
        except StoreError as error:
            if self._adapt(error, with_pins=any(each.pin for each in pinned)):
                await self._delete_batch(tasks, ended)
            return
        conditions.met = conditions.met or any(
            each.pin and each.key in answer.deleted for each in pinned
        )
        refused = answer.refused
        doubtful = [
            task
            for task, (key, pin) in zip(tasks, pinned, strict=True)
            if pin and key in refused and conditions.is_doubtful(refused[key])
        ]
        _take(answer, tasks, ended)
        if doubtful:
            await self._delete_unpinned(doubtful, ended)

    def _adapt(self, error: StoreError, *, with_pins: bool) -> bool:
        """Learn from the refusal of a batch; whether to send it again. May raise ``error``."""
        if error.remedy is not Remedy.NONE or error.code == "NoSuchBucket":
            raise error
        if with_pins and error.status in _NO_CONDITION:
            self._refuse(self._in_batches, error)
            return True
        if error.status not in _NO_OPERATION:
            raise error
        self._has_batches = False
        return False

    async def _delete_unpinned(self, tasks: Sequence[DeleteTask], ended: Ended) -> None:
        """Delete without condition where that may be what was refused, after another look."""
        refusals = {task.target: ended.pop(task.target) for task in tasks}
        tasks = await self._look.find_unchanged(tasks, ended)
        tasks = await self._find_absent(tasks, ended)
        answer = await self._requests.delete_many([Pinned(task.target) for task in tasks])
        _take(answer, tasks, ended)
        if answer.deleted:
            self._refuse(self._in_batches)
        for target, refusal in refusals.items():
            ended.setdefault(target, refusal)

    async def _delete_one(self, task: DeleteTask, ended: Ended) -> None:
        if not await self._find_absent([task], ended):
            return
        conditions = self._alone
        pin = conditions.pin(task)
        try:
            marker, attempts = await self._requests.delete(task.target, pin=pin)
        except StoreError as error:
            lacking = error.status in _NO_CONDITION and error.remedy is Remedy.NONE
            if pin and (lacking or conditions.is_doubtful(error)):
                await self._delete_one_unpinned(task, ended)
            else:
                ended[task.target] = _refused(task, error)
        except ObjectError as error:
            ended[task.target] = not_deleted(task, error)
        else:
            conditions.met = conditions.met or bool(pin)
            ended[task.target] = deleted(task, marker, attempts)

    async def _delete_one_unpinned(self, task: DeleteTask, ended: Ended) -> None:
        """As ``_delete_unpinned``, of one object."""
        if not await self._look.find_unchanged([task], ended):
            return
        try:
            marker, attempts = await self._requests.delete(task.target)
        except StoreError as error:
            ended[task.target] = _refused(task, error)
        except ObjectError as error:
            ended[task.target] = not_deleted(task, error)
        else:
            ended[task.target] = deleted(task, marker, attempts)
            self._refuse(self._alone)

    async def _find_absent(self, tasks: Sequence[DeleteTask], ended: Ended) -> Sequence[DeleteTask]:
        """Return the tasks whose objects the source still does not have."""
        look = self._source_look
        return tasks if look is None else await look.find_absent(tasks, ended)

    def _refuse(self, conditions: Conditions, error: StoreError | None = None) -> None:
        """Send no more conditions in this kind of request, and say so once."""
        if self._in_batches.sent and self._alone.sent and error is not None:
            self.notes.append(REFUSED.format(self._endpoint.origin, error))
        conditions.refuse()


def calls_for(tasks: Sequence[DeleteTask]) -> Calls:
    """The requests that delete ``tasks``, if the store has DeleteObjects."""
    together = sum(fits_batch(task.target) for task in tasks)
    counts = (("DeleteObjects", -(-together // MOST_KEYS)), ("DeleteObject", len(tasks) - together))
    return tuple((name, count) for name, count in counts if count)


def _take(answer: BatchAnswer, tasks: Sequence[DeleteTask], ended: Ended) -> None:
    """Add the outcomes of the tasks that an answer names."""
    deletions, refused = answer.deleted, answer.refused
    for task in tasks:
        target, size, etag, _, reason, *_ = task
        if (deletion := deletions.get(target)) is not None:
            marker, attempts = deletion
            ended[target] = Deleted(target, size, reason, etag, marker, attempts)
        elif (error := refused.get(target)) is not None:
            ended[target] = _refused(task, error)


def _refused(task: DeleteTask, error: StoreError) -> Failed | Skipped:
    """Return the outcome of a task that the store refused."""
    if error.status == 412:
        return replaced(task, error.code)
    return gone(task) if error.code == "NoSuchKey" else not_deleted(task, error)
