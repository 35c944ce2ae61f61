"""A worker: a process with one event loop that executes its share of the tasks.

::

    TaskBatch ──▶ waiting tasks ──▶ slots × C/P ──▶ Role.transfer ──▶ complete ──▶ BatchReport

    a large object ─▶ pool of leads ─▶ Role.transfer ─▶ its parts, as requests to all workers
    PartRequest ─▶ pool of parts ─▶ Role.part ─▶ PartResult

A slot is a coroutine that executes one task after another. A batch is reported once, as a whole, so
that until then the supervisor may reassign it without counting anything twice. Tasks are executed
by a role, see ``roles``. Leads, which mostly wait, take no slots from small objects, nor from the
parts they wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
from collections import deque
from collections.abc import Callable, Sequence

from s3pp.errors import FatalError, Unfinished
from s3pp.job import Job, Side
from s3pp.limits import PLACES
from s3pp.localfs.tree import OPEN_DIRECTORIES, most_directories
from s3pp.pipeline.admission import PERIOD, Admission
from s3pp.pipeline.connect import Pause, Renewal, RetryHooks, connect
from s3pp.pipeline.loops import new_loop
from s3pp.pipeline.messages import (
    Fatal,
    Heartbeat,
    Message,
    NewKeys,
    NoMoreTasks,
    Notice,
    PartRequest,
    PartResult,
    Setup,
    StartNothing,
    TaskBatch,
    batch_report,
    pickled,
)
from s3pp.pipeline.part_client import PartClient
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.roles import Role, means, role
from s3pp.pipeline.task_pool import TaskPool
from s3pp.records import Failed, OpenUpload, Outcome, PartDone, PartFailed, Task
from s3pp.s3.client import Bucket
from s3pp.s3.congestion import RateLimit
from s3pp.s3.endpoint import Opened
from s3pp.s3.limiter import RequestLimiter
from s3pp.s3.sigv4 import Keys
from s3pp.transfer.ending import failed
from s3pp.transfer.parts.moving import part_failed
from s3pp.transfer.parts.own import OwnUploads

LEADS = 4  # large objects one worker leads at a time
_FDS_PER_SLOT = 3  # two sockets, or one and a file
_FDS_SPARE = 32  # queues, epoll, libraries, the interpreter


def run_worker(inbox: MessageReader, outbox: MessageWriter, job: Job) -> None:
    """Run a worker's process."""
    setup: Setup | None = inbox.receive()
    if setup is None:
        return
    gc.freeze()  # inherited objects are never garbage, and touching them would copy their pages
    loop = new_loop()
    loop.run_until_complete(_serve(inbox, outbox, job, setup.opened))


async def _serve(
    inbox: MessageReader, outbox: MessageWriter, job: Job, opened: dict[Side, Opened]
) -> None:
    slots = slot_count(job.speed.concurrency, job.speed.processes)
    renewals, pause = {side: Renewal(outbox, side) for side in opened}, Pause()
    # It also counts parts, which have no slot.
    limiter = RequestLimiter(slots, outbox.send)
    hooks = RetryHooks(pause, limiter)
    buckets = {
        side: connect(job.access_to(side), each, slots, renew=renewals[side], hooks=hooks)
        for side, each in opened.items()
    }
    admission, parts = Admission(slots, job.speed.processes), PartClient(outbox)
    has = means(parts, OwnUploads(outbox.send))
    acting = role(job, buckets, has)
    worker = Worker(outbox, acting, list(buckets.values()), slots=slots, job=job)

    limiter.backlog = lambda: worker.backlog
    limiter.start()

    def receive(message: Message) -> None:
        match message:
            case TaskBatch():
                worker.take(message)
            case PartRequest():
                worker.take_part(message)
            case PartResult():
                parts.resolve(message)
            case RateLimit():
                limiter.set_limit(message)
            case OpenUpload():
                has.own.inherit(message)
            case NewKeys(side, keys):
                _new_keys(buckets[side], renewals[side], keys)
            case StartNothing():
                pause.end()
                limiter.end()
                parts.end()
                has.reader.end()
                worker.finish()
            case NoMoreTasks():
                worker.end()

    worker.admit(admission.admitted)
    _listen(inbox, receive)
    _admit(worker, admission, limiter)
    _beat(outbox, job.speed.worker_timeout / 6)
    await worker.run()


class Batch:
    """A batch in progress: the number of open tasks, and the outcomes of the others."""

    def __init__(self, number: int, count: int) -> None:
        self.number = number
        self.open = count
        self.outcomes: list[Outcome] = []


class Worker:
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
        self._leads: TaskPool[tuple[Batch, Task]] = TaskPool(min(LEADS, slots), self._lead)
        self._parts: TaskPool[PartRequest] = TaskPool(min(job.speed.places, slots), self._move)
        self._outbox = outbox
        self._role = role
        self._buckets = buckets
        self._slots = slots
        self._admitted = slots
        self._active = slots  # those that are not idle; all, until they find nothing to do
        self._waiting: deque[tuple[Batch, Task]] = deque()
        self._idle: list[asyncio.Future[None]] = []
        self._ended = False
        self._reported = 0  # requests, so far

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
        for task in tasks.tasks:
            if task.size > self._large:
                self._leads.add((batch, task))
            else:
                self._waiting.append((batch, task))
        self._wake(len(self._waiting))

    def take_part(self, part: PartRequest) -> None:
        """Queue a part of an object that some worker leads."""
        self._parts.add(part)

    def finish(self) -> None:
        """Start no more tasks; those in flight finish, the others are dropped."""
        self._parts.drop()
        left, self._waiting = [*self._waiting, *self._leads.drop()], deque()
        for batch, _ in left:
            self._close_one(batch)

    def end(self) -> None:
        """Let ``run`` return once all tasks have ended: no more will come."""
        self._ended = True
        self._admitted = self._slots
        self._wake(self._slots)

    async def _slot(self) -> None:
        while True:
            while not self._waiting or self._active > self._admitted:
                if self._ended and not self._waiting:
                    return
                turn = asyncio.get_running_loop().create_future()
                self._idle.append(turn)
                self._active -= 1
                await turn
            await self._lead(self._waiting.popleft())

    async def _lead(self, work: tuple[Batch, Task]) -> None:
        batch, task = work
        try:
            batch.outcomes.append(await self._role.transfer(task))
        except Unfinished:
            pass  # counted as not attempted
        except FatalError as error:
            self._outbox.send(Fatal(str(error)))
            batch.outcomes.append(Failed(task.source, task.target, error.kind, str(error)))
        except Exception as error:  # a defect in the role; the batch must be reported all the same
            batch.outcomes.append(failed(task, error))
        self._close_one(batch)

    async def _move(self, request: PartRequest) -> None:
        part = request.open()
        try:
            outcome = await self._role.part(part)
        except Unfinished:  # its lead was also notified that the run is ending
            return
        except FatalError as error:
            self._outbox.send(Fatal(str(error)))
            outcome = PartFailed(part.span.number, error.kind, str(error))
        except Exception as error:
            outcome = part_failed(part.span.number, error)
        size = outcome.size if isinstance(outcome, PartDone) and outcome.moved else 0
        self._outbox.send(PartResult(request.number, size, self._spent(), pickled(outcome)))

    def _wake(self, count: int) -> None:
        for _ in range(min(count, len(self._idle), self._admitted - self._active)):
            self._active += 1
            self._idle.pop().set_result(None)

    def _close_one(self, batch: Batch) -> None:
        batch.open -= 1
        if batch.open == 0:
            self._report(batch)

    def _report(self, batch: Batch) -> None:
        while self._role.notes:
            self._outbox.send(Notice(self._role.notes.pop()))
        self._outbox.send(batch_report(batch.outcomes, self._spent(), batch=batch.number))

    def _spent(self) -> int:
        """The number of requests since the last call."""
        requests = self._role.requests_spared + sum(each.requests for each in self._buckets)
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


def _listen(inbox: MessageReader, receive: Callable[[Message], None]) -> None:
    """Pass each message to ``receive`` as it arrives; exit when the supervisor is gone."""

    def readable() -> None:
        for message in inbox.once():
            receive(message)
        if inbox.closed:
            os._exit(1)

    for message in inbox.buffered():  # a worker that replaces another gets its tasks at once
        receive(message)
    os.set_blocking(inbox.fd, False)
    asyncio.get_running_loop().add_reader(inbox.fd, readable)


def _new_keys(bucket: Bucket, renewal: Renewal, keys: Keys | None) -> None:
    if keys:
        bucket.signer.keys = keys
    renewal.reply(keys)


def _admit(worker: Worker, admission: Admission, limiter: RequestLimiter) -> None:
    """Decide periodically whether to admit more slots, until all are admitted.

    None are while the store limits the rate: their requests would only wait.
    """
    if not admission.settled:
        wanted = worker.wants_more and not limiter.limited
        worker.admit(admission.look(wanted=wanted))
        asyncio.get_running_loop().call_later(PERIOD, _admit, worker, admission, limiter)


def _beat(outbox: MessageWriter, period: float) -> None:
    """Send a heartbeat every ``period`` seconds, which shows that the event loop is running."""
    outbox.send(Heartbeat())
    asyncio.get_running_loop().call_later(period, _beat, outbox, period)
