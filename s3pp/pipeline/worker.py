"""A worker: a process with one event loop that executes its share of the tasks.

::

    TaskBatch ───▶ ┌────────────┐ ──Role.transfer──▶ BatchReport
    PartRequest ─▶ │ TaskRunner │ ──Role.part──────▶ PartResult
                   └────────────┘

    of a large object that this worker leads:
    lead ──run───▶ PartRequest ──▶ supervisor ──▶ any worker ──▶ PartResult ──▶ supervisor ──┐
      ▲                                                                                      │
      └──────────────────────────────── resolve ◀──────────────── PartResult ◀───────────────┘

Tasks are executed by a role, see ``roles``, in ``slots``.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from s3pp.pipeline.connect import (
    Pause,
    Renewal,
    Renews,
    RetryCounter,
    RetryHooks,
    connect,
    new_loop,
)
from s3pp.pipeline.deletions import DeletionRunner, create_deleter, moving_role
from s3pp.pipeline.messages import (
    Heartbeat,
    Message,
    NewKeys,
    NoMoreTasks,
    PartRequest,
    PartResult,
    Setup,
    StartNothing,
    TaskBatch,
)
from s3pp.pipeline.part_client import PartClient
from s3pp.pipeline.pipes import LEAVING, MessageReader, MessageWriter
from s3pp.pipeline.roles import role, worker_resources
from s3pp.pipeline.slots import PERIOD, Admission, TaskRunner, slot_count
from s3pp.places import Side
from s3pp.records import (
    OpenUpload,
)
from s3pp.s3.client import Bucket
from s3pp.s3.congestion import Permit, PrefixLimit, RateLimit
from s3pp.s3.limiter import RequestLimiter
from s3pp.transfer.resume import OwnUploads

NO_RENEWALS: Mapping[Side, Renews] = MappingProxyType({})


def run_worker(
    inbox: MessageReader,
    outbox: MessageWriter,
    setup: Setup | None = None,
    renewals: Mapping[Side, Renews] = NO_RENEWALS,
) -> None:
    """Run a worker's process; ``setup``: the first message, if it has been received.

    ``renewals`` renew keys that are not the supervisor's.
    """
    setup = setup or inbox.receive()
    if setup is None:
        return
    gc.freeze()  # inherited objects are never garbage, and touching them would copy their pages
    loop = new_loop()
    try:
        loop.run_until_complete(_serve(inbox, outbox, setup, renewals))
    except asyncio.CancelledError:  # see ``_leave``
        if tasks := asyncio.all_tasks(loop):
            loop.run_until_complete(asyncio.wait(tasks, timeout=LEAVING))
        os._exit(1)


async def _serve(
    inbox: MessageReader, outbox: MessageWriter, setup: Setup, found: Mapping[Side, Renews]
) -> None:
    job, opened = setup
    slots = slot_count(job.speed.concurrency, job.speed.processes)
    renewals, pause = {side: found.get(side) or Renewal(outbox, side) for side in opened}, Pause()
    # It also counts parts, which have no slot.
    limiter = RequestLimiter(slots, outbox.send)
    hooks = RetryHooks(pause, limiter, on_failure=RetryCounter(outbox)).limited(job.speed, outbox)
    buckets: dict[Side, Bucket] = {
        side: connect(job.access_to(side), each, slots, renew=renewals[side], hooks=hooks)
        for side, each in opened.items()
        if side not in (Side.LISTING, Side.INVENTORY)  # that only the walker uses
    }
    admission, parts = Admission(slots, job.speed.processes), PartClient(outbox)
    resources = worker_resources(parts, OwnUploads(outbox.send))
    acting = moving_role(job, role(job, buckets, resources), buckets, resources)
    runner = TaskRunner(outbox, acting, list(buckets.values()), slots=slots, job=job)
    create = partial(create_deleter, job, buckets, resources)
    deletions = DeletionRunner(outbox, create, runner.spent, keeps_facts=job.output.keeps_facts)
    runner.digests = resources.digests

    limiter.backlog = lambda: runner.backlog
    limiter.start()

    at_end = [pause.end, hooks.end, parts.end, resources.reader.end]
    at_end += [runner.finish, deletions.finish]
    receiver = _Receiver(
        runner, deletions, parts, limiter, hooks, resources.own, renewals, buckets, at_end
    )
    runner.admit(admission.admitted)
    loop = asyncio.get_running_loop()

    def leave() -> None:
        loop.call_soon_threadsafe(_leave, outbox)

    outbox.on_gone = leave
    _listen(inbox, receiver.receive, leave)
    _admit(runner, admission, limiter)
    _beat(outbox, job.speed.worker_timeout / 6)
    await runner.run()


class _Receiver(NamedTuple):
    """Passes each message of the supervisor to what it is for."""

    runner: TaskRunner
    deletions: DeletionRunner
    parts: PartClient
    limiter: RequestLimiter
    hooks: RetryHooks
    own: OwnUploads
    renewals: Mapping[Side, Renews]
    buckets: Mapping[Side, Bucket]
    at_end: Sequence[Callable[[], None]]  # called when nothing more is to be started

    def receive(self, message: Message) -> None:
        """Act on one message."""
        match message:
            case TaskBatch(deletes=True):
                self.deletions.take(message)
            case TaskBatch():
                self.runner.take(message)
            case PartRequest():
                self.runner.take_part(message)
            case PartResult():
                self.parts.resolve(message)
            case RateLimit():
                self.limiter.set_limit(message)
            case PrefixLimit():
                lanes = self.limiter.watch()
                lanes.apply(message)
                self.runner.set_limited(lanes.limits if lanes.limited else None)
            case Permit():
                self.hooks.allow(message)
            case OpenUpload():
                self.own.inherit(message)
            case NewKeys(side, keys) if side in self.buckets:
                if keys:
                    self.buckets[side].signer.keys = keys
                self.renewals[side].reply(keys)
            case StartNothing():
                for end in self.at_end:
                    end()
            case NoMoreTasks():
                self.runner.end()


def _listen(
    inbox: MessageReader, receive: Callable[[Message], None], on_gone: Callable[[], None]
) -> None:
    """Pass each message to ``receive`` as it arrives; ``on_gone``: the supervisor is gone."""
    loop = asyncio.get_running_loop()

    def readable() -> None:
        for message in inbox.once():
            receive(message)
        if inbox.closed:
            loop.remove_reader(inbox.fd)
            on_gone()

    for message in inbox.take_buffered():  # a worker that replaces another gets its tasks at once
        receive(message)
    os.set_blocking(inbox.fd, False)
    loop.add_reader(inbox.fd, readable)


def _leave(outbox: MessageWriter) -> None:
    """End the process, as the supervisor is gone: each task removes what it leaves incomplete."""
    outbox.on_gone = _do_nothing  # a second cancellation would interrupt that
    for task in asyncio.all_tasks():
        task.cancel()


def _do_nothing() -> None:
    """Do nothing."""


def _admit(runner: TaskRunner, admission: Admission, limiter: RequestLimiter) -> None:
    """Decide periodically whether to admit more slots, until all are admitted.

    None are while the store limits the rate: their requests would only wait.
    """
    if not admission.settled:
        wanted = runner.wants_more and not limiter.limited
        runner.admit(admission.update(wanted=wanted))
        asyncio.get_running_loop().call_later(PERIOD, _admit, runner, admission, limiter)


def _beat(outbox: MessageWriter, period: float) -> None:
    """Send a heartbeat every ``period`` seconds, which shows that the event loop is running."""
    outbox.send(Heartbeat())
    asyncio.get_running_loop().call_later(period, _beat, outbox, period)
