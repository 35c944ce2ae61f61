"""The batches of deletes of a worker: each is executed as a unit, and reported as one.

::

    TaskBatch ─▶ pool ─▶ Deleter.delete ─▶ BatchReport

They take no slots, since one request deletes up to 1,000 objects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import cast

from s3pp.errors import FatalError, RunEnding
from s3pp.job import Job
from s3pp.pipeline.messages import Fatal, Notice, TaskBatch, batch_report
from s3pp.pipeline.pipes import MessageWriter
from s3pp.pipeline.roles import Buckets, Role
from s3pp.pipeline.slots import TaskPool
from s3pp.places import Side
from s3pp.records import DeleteTask, Failed, with_times
from s3pp.transfer.delete.deleter import Deleter, Ended, PlannedDeleter, not_deleted
from s3pp.transfer.resources import WorkerResources

BATCHES = 4  # that one worker executes at once


def moving_role(job: Job, acting: Role, buckets: Buckets, resources: WorkerResources) -> Role:
    """Return ``acting``, or of a move a role that has it transfer what is to be deleted."""
    if not job.moves:
        return acting
    from s3pp.localfs.tree import Tree
    from s3pp.transfer.move.mover import Mover, Proof
    from s3pp.transfer.move.proofs import CopyProof, GetProof, PutProof

    proof: Proof = PutProof()
    if job.verb == "get":
        tree = Tree(job.directory)
        proof = GetProof(job, buckets[Side.SOURCE], tree, resources.reader)
    elif job.verb == "copy":
        proof = CopyProof(job, buckets[Side.SOURCE], buckets[Side.DEST])
    return Mover(acting, proof, dry_run=job.dry_run)


def create_deleter(job: Job, buckets: Buckets, resources: WorkerResources) -> Deleter:
    """Create the deleter of one of ``job``'s workers: of what it writes, or moves or removes."""
    deleter = _deleter(job, buckets, resources)
    return deleter if job.applies is None else PlannedDeleter(deleter)


def _deleter(job: Job, buckets: Buckets, resources: WorkerResources) -> Deleter:
    if job.moves and job.sources:
        from s3pp.transfer.delete.files import SourceDeleter

        paths = [source.path for source in job.sources]
        return SourceDeleter(paths, resources.reader, dry_run=job.dry_run)
    if job.directory and not job.moves:
        from s3pp.localfs.tree import Tree
        from s3pp.transfer.delete.files import FileDeleter

        return FileDeleter(Tree(job.directory), resources.reader, dry_run=job.dry_run)
    from s3pp.transfer.delete.objects import ObjectDeleter

    side = Side.SOURCE if job.moves or job.verb == "remove" else Side.DEST
    return ObjectDeleter.of(job, buckets[side], resources.reader)


class DeletionRunner:
    """Runs batches of deletes, ``BATCHES`` side by side."""

    def __init__(
        self,
        outbox: MessageWriter,
        create: Callable[[], Deleter],
        spent: Callable[[], int],
        *,
        keeps_facts: bool = False,
    ) -> None:
        """``create`` makes the deleter when it is needed; ``keeps_facts``: outcomes have times.

        ``spent`` returns the number of requests of the worker since the last call.
        """
        self._keeps_facts = keeps_facts
        self._outbox = outbox
        self._create = create
        self._spent = spent
        self._deleter: Deleter | None = None
        self._pool: TaskPool[TaskBatch] = TaskPool(BATCHES, self._run)

    def take(self, batch: TaskBatch) -> None:
        """Queue a batch."""
        self._pool.add(batch)

    def finish(self) -> None:
        """Start no more batches; those in flight finish, the others are dropped."""
        for batch in self._pool.drop():
            self._outbox.send(batch_report([], 0, batch=batch.number))

    async def _run(self, batch: TaskBatch) -> None:
        tasks: list[DeleteTask] = cast("list[DeleteTask]", batch.tasks)
        ended: Ended = {}
        began = time.time()
        try:
            self._deleter = self._deleter or self._create()
            await self._deleter.delete(tasks, ended)
        except RunEnding:
            pass  # tasks without an outcome count as not attempted
        except FatalError as error:
            self._outbox.send(Fatal(str(error)))
            for task in _left(tasks, ended):
                message = str(error)
                ended[task.target] = Failed(
                    task.target, task.target, error.kind, message, deleting=True
                )
        except Exception as error:  # the store's refusal of them all, or a defect
            for task in _left(tasks, ended):
                ended[task.target] = not_deleted(task, error)
        while self._deleter is not None and self._deleter.notes:
            self._outbox.send(Notice(self._deleter.notes.pop()))
        outcomes = [ended[task.target] for task in tasks if task.target in ended]
        if self._keeps_facts:
            outcomes = [with_times(outcome, began) for outcome in outcomes]
        self._outbox.send(batch_report(outcomes, self._spent(), batch=batch.number))


def _left(tasks: Iterable[DeleteTask], ended: Ended) -> list[DeleteTask]:
    return [task for task in tasks if task.target not in ended]
