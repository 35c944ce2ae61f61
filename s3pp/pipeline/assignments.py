"""Who has what: the batches and the parts that are out with workers, or wait for one.

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
        """A worker is ready."""
        self._ledger.join(worker)
        self._scheduler.join(worker)

    def leave(self, worker: W) -> tuple[list[tuple[W, Message]], list[TaskBatch]]:
        """A worker has died: what it had waits again.

        Returns the messages to others, who wait for parts that were given up or inherit its
        uploads; and the batches, each of one object, that were given up.
        """
        shared, busy = self._scheduler.serves_others(worker), bool(self._ledger.batches_of(worker))
        given_up = self._ledger.leave(worker, busy=shared)
        for batch in given_up:
            self.spools.drop(batch.number)
        heirs = product(self._ledger.workers, self.uploads.leave(worker))
        return [*self._scheduler.leave(worker, busy=busy), *heirs], given_up

    def add(self, batch: TaskBatch) -> None:
        """A new batch waits."""
        self._ledger.add(batch)

    def close(self, worker: W, number: int) -> None:
        """A batch was reported."""
        self._ledger.close(worker, number)
        self.spools.drop(number)

    def offer(self, lead: W, part: PartRequest) -> None:
        """Take a part that ``lead`` wants to have moved."""
        self._scheduler.offer(lead, part)

    def part_ended(self, worker: W, result: PartResult) -> tuple[W, PartResult] | None:
        """A part that a worker had has ended. Returns who is to hear of it; None: nobody waits."""
        answer = self._scheduler.ended(worker, result)
        if answer and result.size:
            self._ledger.progress(answer[0])
        return answer

    def part_moved(self, lead: W) -> None:
        """A worker has moved a part of an object that it leads."""
        self._ledger.progress(lead)

    def assign(self) -> Iterator[tuple[W, Message]]:
        """Give what waits to those with room; yields each assignment."""
        if self._scheduler.settled:
            yield from self._ledger.assign()
        yield from self._scheduler.assign()

    def batches_of(self, worker: W) -> list[TaskBatch]:
        """The batches that a worker has."""
        return self._ledger.batches_of(worker)

    def drop_waiting(self) -> None:
        """Forget what no worker has."""
        self._ledger.drop_waiting()
        self._scheduler.drop()

    @property
    def wants_more(self) -> bool:
        """Whether some worker has room for another batch and none waits."""
        return self._ledger.wants_more

    @property
    def empty(self) -> bool:
        """Whether no batch waits and none is out."""
        return self._ledger.empty

    def _split(self, batch: TaskBatch) -> list[TaskBatch]:
        parts = halves(batch, self._halves, large=self._large)
        self.spools.share(batch.number, [part.number for part in parts])
        return parts
