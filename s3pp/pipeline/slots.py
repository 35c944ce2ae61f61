"""The concurrency of a worker: slots for small objects, and pools for large ones beside them.

::

    TaskBatch ──▶ waiting tasks ──▶ slots × C/P ──▶ Role.transfer ──▶ complete ──▶ BatchReport
        └─ Screening ─▶ unchanged: no slot ────────────────────────────────┘

    a large object ─▶ pool of leads ─▶ Role.transfer ─▶ its parts, as requests to all workers
    PartRequest ─▶ pool of parts ─▶ Role.part ─▶ PartResult

A slot is a coroutine that executes one task after another. A batch is reported once, as a whole, so
that until then the supervisor may reassign it without counting anything twice. Leads, which mostly
wait, take no slots from small objects, nor from the parts they wait for.

Requests in flight hide latency. Without latency to hide (a nearby store, a slow core), more of
them only lengthen the queue, and their connections cost cache and memory: measured against a
loopback peer, 64 in flight instead of 512 take 10% less CPU per object. So a worker starts with
few active slots, and doubles them whenever it finds that it slept while tasks were waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar, cast

from s3pp.errors import FatalError, RunEnding
from s3pp.job import Job
from s3pp.limits import PLACES
from s3pp.localfs.tree import OPEN_DIRECTORIES, most_directories
from s3pp.pipeline.large_objects import LargeObjects
from s3pp.pipeline.messages import (
    Fatal,
    Notice,
    PartRequest,
    PartResult,
    TaskBatch,
    batch_report,
    file_digests,
    pickled,
    task_batch,
)
from s3pp.pipeline.pipes import MessageWriter
from s3pp.pipeline.roles import MovingRole, Role
from s3pp.pipeline.screening import Screening
from s3pp.records import Done, Failed, Outcome, PartDone, PartFailed, Skipped, Task
from s3pp.s3.client import Bucket
from s3pp.transfer.errors import failed
from s3pp.transfer.parts import part_failed
from s3pp.transfer.resources import DigestNotes

LEADS = 4  # large objects one worker leads at a time
FIRST = 32  # initial slots, over all workers
PERIOD = 0.03  # seconds between decisions
SPARE = 0.15  # share of time slept above which more slots are worthwhile
_FDS_PER_SLOT = 3  # two sockets, or one and a file
_FDS_SPARE = 32  # queues, epoll, libraries, the interpreter

T = TypeVar("T")


class TaskPool(Generic[T]):
    """Runs ``work`` on up to ``most`` elements at once, in order; ``work`` must not raise."""

    def __init__(self, most: int, work: Callable[[T], Awaitable[None]]) -> None:
        self._most = most
        self._work = work
        self._waiting: deque[T] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def add(self, each: T) -> None:
        """Add one element."""
        self._waiting.append(each)
        self._start()

    def drop(self) -> list[T]:
        """Start no more elements; returns those not started."""
        left = list(self._waiting)
        self._waiting.clear()
        return left

    async def idle(self) -> None:
        """Wait until nothing is running."""
        while self._running:
            await asyncio.wait(self._running)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._most:
            task = asyncio.ensure_future(self._work(self._waiting.popleft()))
            self._running.add(task)
            task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()


class Admission:
    """Decides how many of ``slots`` may be active; ``busy`` and ``clock`` return seconds."""

    def __init__(
        self,
        slots: int,
        processes: int,
        *,
        busy: Callable[[], float | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._busy = busy or busy_seconds
        self._clock = clock
        now = self._busy()
        self.admitted = slots if now is None else min(slots, max(1, FIRST // processes))
        self._then = (clock(), now or 0.0)

    @property
    def settled(self) -> bool:
        """Whether all slots are admitted, so that nothing is left to decide."""
        return self.admitted >= self._slots

    def update(self, *, wanted: bool) -> int:
        """Update and return the number of admitted slots; ``wanted``: more would have had work."""
        (then, before), now, busy = self._then, self._clock(), self._busy() or 0.0
        self._then = (now, busy)
        if wanted and 1 - (busy - before) / max(now - then, 1e-9) > SPARE:
            self.admitted = min(self._slots, 2 * self.admitted)
        return self.admitted


def busy_seconds() -> float | None:
    """Seconds this process ran, or waited for a CPU; None where the system does not count them.

    Linux counts both, in nanoseconds, for the main thread, which is the event loop's.
    """
    try:
        with open("/proc/self/schedstat", "rb", buffering=0) as file:
            ran, waited, _ = file.read().split()
    except (OSError, ValueError):
        return None
    return (int(ran) + int(waited)) / 1e9


class Batch:
    """A batch in progress: the number of open tasks, and the outcomes of the others."""

    def __init__(self, number: int, count: int) -> None:
        self.number = number
        self.open = count
        self.outcomes: list[Outcome] = []


class TaskRunner:
    """Runs up to ``slots`` tasks concurrently, and reports batches as they complete."""

    def __init__(
        self,
        outbox: MessageWriter,
        role: Role,
        buckets: Sequence[Bucket],
        *,
        slots: int,
        job: Job,
    ) -> None:
        self._large = job.parts.threshold  # bytes: larger objects are transferred in parts
        # Neither has more room than there are slots: where descriptors are few, so are these.
        self._leads: TaskPool[tuple[Batch, Task]] = TaskPool(min(LEADS, slots), self._lead_large)
        self._parts: TaskPool[PartRequest] = TaskPool(min(job.speed.places, slots), self._move)
        self._large_objects = LargeObjects(outbox.send)
        self._outbox = outbox
        self._role = role
        self._buckets = buckets
        self._slots = slots
        self._admitted = slots
        self._active = slots  # those that are not idle; all, until they find nothing to do
        self._waiting: deque[tuple[Batch, Task]] = deque()
        self._mover = cast(MovingRole, role) if job.moves else None
        self._screening: Screening[Batch] | None = None
        if role.skip_unchanged is not None:
            self._screening = Screening(role.skip_unchanged, self._take_screened)
        self._is_limited: Callable[[str, str], bool] | None = None  # see ``set_limited``
        self._limited = 0  # such tasks in slots
        self._idle: list[asyncio.Future[None]] = []
        self._ended = False
        self._reported = 0  # requests, so far
        self.digests: DigestNotes | None = None  # sent beside the reports

    async def run(self) -> None:
        """Work until ``end`` has been called and every task taken has ended."""
        await asyncio.gather(*(self._slot() for _ in range(self._slots)))
        await self._leads.idle()

    @property
    def backlog(self) -> int:
        """The number of tasks that no slot has started."""
        return len(self._waiting)

    @property
    def wants_more(self) -> bool:
        """Whether more slots than admitted would have work."""
        return len(self._waiting) > 0

    def admit(self, slots: int) -> None:
        """Set the number of slots that may be active; at the end of the run, all may."""
        self._admitted = self._slots if self._ended else slots
        self._wake(len(self._waiting))

    def take(self, tasks: TaskBatch) -> None:
        """Queue a batch of tasks."""
        batch = Batch(tasks.number, tasks.objects)
        if self._screening is not None:
            self._screening.add(batch, tasks.tasks)
        else:
            self._queue(batch, tasks.tasks)

    def take_part(self, part: PartRequest) -> None:
        """Queue a part of an object that some worker leads."""
        self._parts.add(part)

    def set_limited(self, is_limited: Callable[[str, str], bool] | None) -> None:
        """Set whether the store limits tasks by their source and target; None: none of them."""
        self._is_limited = is_limited

    def finish(self) -> None:
        """Start no more tasks; those in flight finish, the others are dropped."""
        self._parts.drop()
        left, self._waiting = [*self._waiting, *self._leads.drop()], deque()
        left += self._screening.drop() if self._screening else []
        for batch, _ in left:
            self._close(batch)

    def end(self) -> None:
        """Let ``run`` return once all tasks have ended: no more will come."""
        self._ended = True
        self._admitted = self._slots
        self._wake(self._slots)

    def _take_screened(
        self, batch: Batch, outcomes: list[Done | Skipped], others: list[Task]
    ) -> None:
        self._queue(batch, others)
        if outcomes:
            batch.outcomes += outcomes
            self._close(batch, len(outcomes))

    def _queue(self, batch: Batch, tasks: list[Task]) -> None:
        for task in tasks:
            if task.size > self._large:
                self._leads.add((batch, task))
            else:
                self._waiting.append((batch, task))
        self._wake(len(self._waiting))

    async def _slot(self) -> None:
        while True:
            while not self._waiting or self._active > self._admitted:
                if self._ended and not self._waiting:
                    return
                turn = asyncio.get_running_loop().create_future()
                self._idle.append(turn)
                self._active -= 1
                await turn
            if self._is_limited is None:
                await self._lead(self._waiting.popleft())
            else:
                await self._lead_beside(self._is_limited)

    async def _lead_beside(self, is_limited: Callable[[str, str], bool]) -> None:
        """Execute the next task; those that wait for a limit take half of the slots at most.

        Unless there are no others: these overtake, as far as the worker has them.
        """
        for _ in range(len(self._waiting)):
            _, task = self._waiting[0]
            limited = is_limited(task.source, task.target)
            if not limited or self._limited < self._slots // 2:
                break
            self._waiting.rotate(-1)
        work = self._waiting.popleft()
        self._limited += limited
        try:
            await self._lead(work)
        finally:
            self._limited -= limited

    async def _lead(self, work: tuple[Batch, Task]) -> None:
        batch, task = work
        try:
            batch.outcomes.append(await self._role.transfer(task))
        except RunEnding:
            pass  # counted as not attempted
        except FatalError as error:
            self._outbox.send(Fatal(str(error)))
            batch.outcomes.append(Failed(task.source, task.target, error.kind, str(error)))
        except Exception as error:  # a defect in the role; the batch must be reported all the same
            batch.outcomes.append(failed(task, error))
        self._close(batch)

    async def _lead_large(self, work: tuple[Batch, Task]) -> None:
        with self._large_objects.lead(work[1]):
            await self._lead(work)

    async def _move(self, request: PartRequest) -> None:
        part = request.open()
        try:
            outcome = await self._role.part(part)
        except RunEnding:  # its lead was also notified that the run is ending
            return
        except FatalError as error:
            self._outbox.send(Fatal(str(error)))
            outcome = PartFailed(part.span.number, error.kind, str(error))
        except Exception as error:
            outcome = part_failed(part.span.number, error)
        size = outcome.size if isinstance(outcome, PartDone) and outcome.moved else 0
        self._outbox.send(PartResult(request.number, size, self.spent(), pickled(outcome)))

    def _wake(self, count: int) -> None:
        for _ in range(min(count, len(self._idle), self._admitted - self._active)):
            self._active += 1
            self._idle.pop().set_result(None)

    def _close(self, batch: Batch, count: int = 1) -> None:
        batch.open -= count
        if batch.open == 0:
            self._report(batch)

    def _report(self, batch: Batch) -> None:
        while self._role.notes:
            self._outbox.send(Notice(self._role.notes.pop()))
        if self.digests is not None and self.digests.waiting:
            self._outbox.send(file_digests(self.digests.take()))
        report = batch_report(batch.outcomes, self.spent(), batch=batch.number)
        if self._mover is not None and (moved := self._mover.take_deletions(batch.outcomes)):
            report = report._replace(deletions=task_batch(moved, 0, size=0, large=self._large))
        self._outbox.send(report)

    def spent(self) -> int:
        """Return the number of requests of the worker since the last call."""
        requests = sum(each.requests for each in self._buckets)
        spent, self._reported = requests - self._reported, requests
        return spent


def slot_count(concurrency: int, processes: int) -> int:
    """The number of slots of one worker: its share, as far as descriptors allow."""
    share = max(1, concurrency // processes)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (share + PLACES + LEADS) * _FDS_PER_SLOT + OPEN_DIRECTORIES + _FDS_SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return share
    return min(share, _slots_in((soft - most_directories() - _FDS_SPARE) // _FDS_PER_SLOT))


def _slots_in(groups: int) -> int:
    """The number of slots that ``groups`` of descriptors permit, in addition to the pools."""
    both_full, leads_full = groups - PLACES - LEADS, (groups - LEADS) // 2
    return max(1, both_full, min(leads_full, PLACES), min(groups // 3, LEADS))
