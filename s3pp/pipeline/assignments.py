"""Assignment of batches and parts to workers.

::

    batches ─▶ Ledger ───┐
                         ├─▶ workers        a worker that dies loses both
    parts ───▶ PartScheduler ─┘
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, product
from typing import Generic, TypeVar

from s3pp.job import Job
from s3pp.pipeline.batches import halves
from s3pp.pipeline.ledger import Ledger
from s3pp.pipeline.messages import Message, PartRequest, PartResult, TaskBatch
from s3pp.pipeline.open_uploads import OpenUploads
from s3pp.pipeline.part_scheduler import PartScheduler
from s3pp.pipeline.spools import Spools
from s3pp.pipeline.worker import slot_count

FIRST_HALF = 1 << 48  # number of the first batch that is half of another: beyond the walker's

W = TypeVar("W")


class Assignments(Generic[W]):
    """The ledger and the scheduler of one run, and the files that batches read."""

    def __init__(self, job: Job) -> None:
        self._large = job.parts.threshold
        slots = slot_count(job.speed.concurrency, job.speed.processes)
        self._ledger: Ledger[W, TaskBatch] = Ledger(slots, split=self._split)
        self._scheduler: PartScheduler[W] = PartScheduler(job.speed.places)
        self._halves = count(FIRST_HALF)
        self.spools = Spools()
        self.uploads: OpenUploads[W] = OpenUploads()

    def join(self, worker: W) -> None:
        """Add a worker that is ready."""
        self._ledger.join(worker)
        self._scheduler.join(worker)

    def leave(self, worker: W) -> tuple[list[tuple[W, Message]], list[TaskBatch]]:
        """Remove a worker that has died; its work is queued again.

        Returns the messages to send to other workers, which wait for abandoned parts or inherit its
        uploads; and the abandoned batches, of one object each.
        """
        shared, busy = self._scheduler.serves_others(worker), bool(self._ledger.batches_of(worker))
        given_up = self._ledger.leave(worker, busy=shared)
        for batch in given_up:
            self.spools.drop(batch.number)
        heirs = product(self._ledger.workers, self.uploads.leave(worker))
        return [*self._scheduler.leave(worker, busy=busy), *heirs], given_up

    def add(self, batch: TaskBatch) -> None:
        """Queue a new batch."""
        self._ledger.add(batch)

    def close(self, worker: W, number: int) -> None:
        """Remove a batch that was reported."""
        self._ledger.close(worker, number)
        self.spools.drop(number)

    def offer(self, lead: W, part: PartRequest) -> None:
        """Queue a part that ``lead`` wants transferred."""
        self._scheduler.offer(lead, part)

    def part_ended(self, worker: W, result: PartResult) -> tuple[W, PartResult] | None:
        """Remove an ended part. Returns the lead and the result to send it; None: it is gone."""
        answer = self._scheduler.ended(worker, result)
        if answer and result.size:
            self._ledger.progress(answer[0])
        return answer

    def part_moved(self, lead: W) -> None:
        """Record that a worker has transferred a part of an object that it leads."""
        self._ledger.progress(lead)

    def assign(self) -> Iterator[tuple[W, Message]]:
        """Assign queued work to workers with capacity; yields each assignment."""
        if self._scheduler.settled:
            yield from self._ledger.assign()
        yield from self._scheduler.assign()

    def batches_of(self, worker: W) -> list[TaskBatch]:
        """The batches assigned to a worker."""
        return self._ledger.batches_of(worker)

    def drop_waiting(self) -> None:
        """Drop all unassigned work."""
        self._ledger.drop_waiting()
        self._scheduler.drop()

    @property
    def wants_more(self) -> bool:
        """Whether some worker has capacity for another batch and none is queued."""
        return self._ledger.wants_more

    @property
    def empty(self) -> bool:
        """Whether no batch is queued or assigned."""
        return self._ledger.empty

    def _split(self, batch: TaskBatch) -> list[TaskBatch]:
        parts = halves(batch, self._halves, large=self._large)
        self.spools.share(batch.number, [part.number for part in parts])
        return parts
