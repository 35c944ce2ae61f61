"""Assignment of batches and parts to workers, and what a worker that dies leaves behind.

::

    batches ─▶ Ledger ────────┐
                              ├─▶ workers        a worker that dies loses both
    parts ───▶ PartScheduler ─┘

Of a dead worker remain: batches, which are halved and queued again; uploads, which others inherit
(``OpenUploads``); and temporary files, of members of archives (``Spools``) and of downloads
(``DeadGetters``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from itertools import count, product
from typing import Generic, TypeVar

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Job
from s3pp.pipeline.ledger import MOST_LOSSES, Ledger, PartScheduler
from s3pp.pipeline.messages import (
    BatchReport,
    Message,
    PartRequest,
    PartResult,
    SpoolFile,
    TaskBatch,
    batch_report,
    task_batch,
)
from s3pp.pipeline.slots import slot_count
from s3pp.records import Failed, OpenUpload
from s3pp.report.lines import pluralize

# Number of the first batch that is half of another, or follows one: beyond the walker's.
FIRST_HALF = 1 << 48

W = TypeVar("W")


class Assignments(Generic[W]):
    """The ledger and the scheduler of one run, and the files that batches read."""

    def __init__(self, job: Job) -> None:
        self._large = job.parts.threshold
        slots = slot_count(job.speed.concurrency, job.speed.processes)
        self._ledger: Ledger[W, TaskBatch] = Ledger(slots, split=self._split)
        self._scheduler: PartScheduler[W] = PartScheduler(job.speed.places)
        self._halves = count(FIRST_HALF)
        self._ending = False
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

    def record(self, child: W, message: SpoolFile | OpenUpload) -> None:
        """Record a file that a batch reads, or an upload that a worker has created or ended."""
        if isinstance(message, SpoolFile):
            self.spools.add(*message)
        else:
            self.uploads.update(child, message)

    def close(self, worker: W, report: BatchReport) -> int:
        """Remove a batch that was reported, and queue the deletions that follow it.

        Returns their number.
        """
        self._ledger.close(worker, report.batch)
        self.spools.drop(report.batch)
        if report.deletions is None or self._ending:
            return 0
        self._ledger.add(report.deletions._replace(number=next(self._halves)))
        return report.deletions.objects

    def offer(self, lead: W, part: PartRequest) -> None:
        """Queue a part that ``lead`` wants transferred."""
        self._scheduler.offer(lead, part)

    def close_part(self, worker: W, result: PartResult) -> tuple[W, PartResult] | None:
        """Remove an ended part. Returns the lead and the result to send it; None: it is gone."""
        answer = self._scheduler.close(worker, result)
        if answer and result.size:
            self._ledger.progress(answer[0])
        return answer

    def record_progress(self, lead: W) -> None:
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
        """Drop all unassigned work, and queue no deletions any more: the run is ending."""
        self._ending = True
        self._ledger.drop_waiting()
        self._scheduler.drop()

    @property
    def wants_more(self) -> bool:
        """Whether some worker has capacity for another batch and none is queued."""
        return self._ledger.wants_more

    @property
    def crowded(self) -> bool:
        """Whether another worker would pay: for batches, or for a part, as those are large."""
        return self._ledger.crowded or self._scheduler.waiting

    @property
    def empty(self) -> bool:
        """Whether no batch is queued or assigned."""
        return self._ledger.empty

    def _split(self, batch: TaskBatch) -> list[TaskBatch]:
        parts = halves(batch, self._halves, large=self._large)
        self.spools.share(batch.number, [part.number for part in parts])
        return parts


def halves(batch: TaskBatch, numbers: Iterator[int], *, large: int) -> list[TaskBatch]:
    """Split a batch in two; ``large`` in bytes, as for ``Batcher``."""
    tasks = batch.tasks
    middle = len(tasks) // 2
    return [
        task_batch(part, next(numbers), size=sum(task.size for task in part), large=large)
        for part in (tasks[:middle], tasks[middle:])
    ]


def crash_report(batch: TaskBatch, how: str) -> BatchReport:
    """The report of a batch whose workers died; ``how`` describes the end of the last one."""
    message = f"{MOST_LOSSES} workers died while they had only this object; the last {how}"
    kind = FailureKind.CRASHED
    outcomes = [
        Failed(task.source, task.target, kind, message, deleting=batch.deletes)
        for task in batch.tasks
    ]
    return batch_report(outcomes, 0, batch=batch.number)


def unrecorded(ended: int, *, journal: bool) -> str:
    """What is lost with the statter, when ``ended`` objects had their outcomes."""
    known = "the journal may lack the last of them" if journal else "which of them is not recorded"
    return f"{pluralize(ended, 'object')} had ended, and {known}: run the same command again"


class DeadGetters:
    """The directories in which dead getters may have left files."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._directories: set[str] = set()  # below DIRECTORY

    def record(self, batches: Iterable[TaskBatch]) -> None:
        """Record the batches of a worker that died."""
        if self._job.verb == "get" and not self._job.is_read_only:
            for batch in (each for each in batches if not each.deletes):
                self._directories |= {t.target.rpartition("/")[0] for t in batch.tasks}

    def sweep(self) -> None:
        """Remove the files. All workers of this run must have ended; never raises."""
        if not self._directories:
            return
        from s3pp.localfs.stale_files import sweep
        from s3pp.localfs.tree import Tree

        tree = Tree(self._job.directory, follow=self._job.choosing.follow_symlinks is True)
        with contextlib.suppress(FatalError):  # no descriptors: the next run sweeps as well
            for directory in sorted(self._directories):
                sweep(tree, directory)
        self._directories.clear()


class Spools:
    """Maps batches to the files they read, which members of compressed archives are copied to."""

    def __init__(self) -> None:
        self.directory = ""  # of the files, where there are any
        self._paths: dict[int, str] = {}  # by the batch's number

    def create_directory(self) -> None:
        """Create the directory of the files."""
        import tempfile  # few runs need it

        self.directory = tempfile.mkdtemp(prefix="s3pp-")

    def remove_directory(self) -> None:
        """Remove the directory, if there is one."""
        if self.directory:
            import shutil

            shutil.rmtree(self.directory, ignore_errors=True)

    def add(self, batch: int, path: str) -> None:
        """Record that ``batch`` reads ``path``."""
        self._paths[batch] = path

    def share(self, batch: int, parts: Iterable[int]) -> None:
        """Replace ``batch`` by ``parts``, which read the same file."""
        path = self._paths.pop(batch, None)
        if path is not None:
            self._paths.update(dict.fromkeys(parts, path))

    def drop(self, batch: int) -> None:
        """Remove ``batch``, which has ended, and its file unless another batch reads it."""
        path = self._paths.pop(batch, None)
        if path is not None and path not in self._paths.values():
            with contextlib.suppress(OSError):
                os.unlink(path)


class OpenUploads(Generic[W]):
    """Tracks the worker that leads each upload."""

    def __init__(self) -> None:
        self.orphans: list[OpenUpload] = []  # whose workers died; sent to new workers
        self._led: dict[W, dict[str, OpenUpload]] = {}

    def describe(self, dest: str) -> str:
        """The notice about uploads that live workers lead, as they are killed; ``""``: none."""
        led = [each.key for uploads in self._led.values() for each in uploads.values()]
        if not led:
            return ""
        more = f" and {len(led) - 1} more" if len(led) > 1 else ""
        left = f"{pluralize(len(led), 'multipart upload')} left incomplete: {min(led)!r}{more}"
        return f"{left}; the same command resumes what it can, s3pp clean {dest} aborts the rest"

    def update(self, worker: W, upload: OpenUpload) -> None:
        """Record that a worker has created an upload, or ended it."""
        led = self._led.setdefault(worker, {})
        if upload.open:
            led[upload.upload_id] = upload
        else:
            led.pop(upload.upload_id, None)

    def leave(self, worker: W) -> list[OpenUpload]:
        """Remove a worker. Returns its uploads, to be sent to the others."""
        lost = list(self._led.pop(worker, {}).values())
        self.orphans += lost
        return lost
