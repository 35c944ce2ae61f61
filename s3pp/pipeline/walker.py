"""The walker: merges source and destination in key order, and sends tasks in batches.

::

    put    files ───────────▶ PutPlanner ──Task─┐
                dest's listing ──▲              │
    get    source's listing ▶ GetPlanner ──Task─┼▶ (by size) ──▶ Batcher ──TaskBatch──▶ supervisor
    copy   source's listing ▶ CopyPlanner ─Task─┘                  │
                dest's listing ──▲   └─Skipped, Failed ────────────┴─BatchReport──▶ supervisor
    remove source's listing ▶ plan_removal ─DeleteTask─▶ Batcher

Its main thread walks; one thread runs the event loop of the listings, a page ahead; one thread
listens to the supervisor, and ends the process when that is gone. The walker writes only to its
queue (and removes files that killed getters left), so it may be killed at any time.

A message costs about 33 µs in each direction regardless of size, so tasks are sent in batches; but
a batch goes to one worker, so the first are small, a large source is alone, and none waits long.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from threading import Event
from typing import TYPE_CHECKING, Any

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.pipeline.connect import (
    DistantBucket,
    LoopThread,
    Renewal,
    RetryCounter,
    RetryHooks,
    start_thread,
)
from s3pp.pipeline.messages import (
    Fatal,
    NamesExcluded,
    NewKeys,
    Notice,
    SendDeletes,
    Setup,
    SpoolFile,
    WalkDone,
    batch_report,
    file_digests,
    task_batch,
)
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.walks import Surroundings, walk
from s3pp.places import Side
from s3pp.records import (
    CopyTask,
    DeleteTask,
    GetTask,
    Outcome,
    PutTask,
    Skipped,
    SkipReason,
    Task,
    VerifyTask,
)
from s3pp.report.view import names_skips
from s3pp.s3.congestion import Permit
from s3pp.sources import rules_of
from s3pp.sources.filters import Filters, NameChoice, filters_of, unmatched_notice
from s3pp.transfer.planners import smallest_first

if TYPE_CHECKING:
    from s3pp.pipeline.mirror import Mirror
    from s3pp.pipeline.planned_deletions import PlannedDeletions

FULL = 128  # tasks in a batch, once the run is under way
HEAVY = 8 * 1024 * 1024  # bytes of sources in a batch; a larger source is a batch of its own
GROWTH = 8  # tasks sent to each worker for which the next batch has one more
FULL_TALLY = 1000  # unchanged objects reported at once
STALE = 0.05  # seconds after which an incomplete batch is sent
FULL_REMOVAL, STALE_REMOVAL = 1000, 1.0  # the same of a batch to delete, which is one request
# Not as a union, which is made anew for each object.
_TASKS = (PutTask, GetTask, CopyTask, DeleteTask, VerifyTask)
_SAME_ETAG = SkipReason.SAME_ETAG  # evaluated once: until Python 3.12 it takes 0.25 µs


def run_walker(
    inbox: MessageReader, outbox: MessageWriter, spool_dir: str, stdin: Connection | None
) -> None:
    """Run the walker's process."""
    setup: Setup | None = inbox.receive()
    if setup is None:
        return
    job, notify = setup.job, partial(_notify, outbox)
    thread = LoopThread(partial(give_up, outbox))
    hooks = RetryHooks(notify=notify, on_failure=RetryCounter(outbox)).limited(job.speed, outbox)
    buckets = connect_sides(setup, outbox, thread, hooks)
    approved = Event()

    def allow(permit: Permit) -> None:
        thread.call(partial(hooks.allow, permit))

    start_thread(listen, inbox, buckets, approved, allow)
    tallies = not names_skips(job)
    batcher = Batcher(outbox, job.speed.all_processes, large=job.parts.threshold, tallies=tallies)
    stream = os.fdopen(stdin.fileno(), "rb", closefd=False) if stdin else None
    choice = NameChoice(filters_of(job.choosing), stream, buckets.get(Side.INVENTORY))
    mirror = _mirror(job, buckets, choice.filters)
    count = batcher.count_unchanged if tallies else None
    steps, rules = walk(job, Surroundings(buckets, notify, choice, mirror, count)), rules_of(job)
    if rules is not None:
        steps = rules.follow(steps)
    if job.speed.etag_cache is not None:
        steps = _skip_known(job, steps, notify, outbox)
    found = StepsUntilError(steps)
    _send(job, _tasks(found, batcher), batcher, spool_dir)
    if mirror is not None and found.error is None:
        batcher.flush()  # the rest of the destination may take long
        mirror.finish()
    requests = sum(bucket.requests for bucket in buckets.values())
    if found.error is not None:
        batcher.report(requests)
        raise found.error  # the supervisor already has all that came before it
    unmatched = [*choice.filters.unmatched, *(rules.unmatched if rules else ())]
    _report_names(job, choice.filters.refused, unmatched, outbox)
    if mirror is not None:
        batcher.report(requests)
        outbox.send(mirror.done())
        approved.wait()
        requests = 0
        for deletes in mirror.batches():
            batcher.send_deletes(deletes)
    batcher.end(requests)


def _notify(outbox: MessageWriter, text: str) -> None:
    outbox.send(Notice(text))


def connect_sides(
    setup: Setup, outbox: MessageWriter, thread: LoopThread, hooks: RetryHooks
) -> dict[Side, DistantBucket]:
    """Return the buckets of a run, whose requests ``thread`` makes."""
    return {
        side: DistantBucket(
            thread, setup.job.access_to(side), each, renewal=Renewal(outbox, side), hooks=hooks
        )
        for side, each in setup.opened.items()
    }


def _send(job: Job, tasks: Iterator[Task], batcher: Batcher, spool_dir: str) -> None:
    """Walk to the end, and send the tasks as they are found, or as ``job`` orders them."""
    if job.choosing.order == "size":
        tasks = smallest_first(tasks)
    if job.walk == "tar":
        import_module("s3pp.pipeline.archives").send_archives(tasks, batcher, spool_dir)
    elif job.verb == "remove":
        batcher.send_removals(tasks)
    else:
        for task in tasks:
            batcher.add(task)


def _report_names(job: Job, refused: int, unmatched: list[str], outbox: MessageWriter) -> None:
    """Report what filters have left out of a dry run, and patterns that matched nothing."""
    if job.dry_run and refused:
        outbox.send(NamesExcluded(refused))
    if text := unmatched_notice(job, unmatched):
        outbox.send(Notice(text, at_end=True))


def _skip_known(
    job: Job,
    steps: Iterator[Task | Outcome],
    notify: Callable[[str], None],
    outbox: MessageWriter,
) -> Iterator[Task | Outcome]:
    """Return ``steps``, those of files that the ETag cache shows to be unchanged as skipped."""
    known = import_module("s3pp.transfer.known_files")  # what few runs need

    def store(digests: Sequence[Any]) -> None:
        outbox.send(file_digests(digests))

    skipping: Iterator[Task | Outcome] = known.KnownFiles(job, notify, store).skip(steps)
    return skipping


def _mirror(
    job: Job, buckets: Mapping[Side, DistantBucket], filters: Filters
) -> Mirror | PlannedDeletions | None:
    if not job.deletes_last:
        return None
    if job.applies is not None or job.verb == "remove":
        from s3pp.pipeline.planned_deletions import PlannedDeletions

        return PlannedDeletions(filters)
    from s3pp.pipeline.mirror import open_mirror

    return open_mirror(job, buckets, filters)


class StepsUntilError:
    """Iterates over the steps of a walk up to its end, or up to a ``FatalError``, which is kept.

    Steps found before an error must still be sorted, spooled, batched and sent: to the code that
    does so, the walk just ends.
    """

    def __init__(self, steps: Iterable[Task | Outcome]) -> None:
        self._steps = steps
        self.error: FatalError | None = None

    def __iter__(self) -> Iterator[Task | Outcome]:
        try:
            yield from self._steps
        except FatalError as error:
            self.error = error


class Batcher:
    """Collects tasks into batches: small at first, so that even few files reach every worker."""

    def __init__(
        self,
        outbox: MessageWriter,
        processes: int,
        *,
        large: int,
        tallies: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``large`` is the size in bytes above which an object's parts are shared among all.

        ``tallies``: outcomes of unchanged objects may be replaced by their number.
        """
        self._outbox = outbox
        self._large = large
        self._processes = processes
        self._clock = clock
        self._tasks: list[Task] = []
        self._outcomes: list[Outcome] = []
        self._unchanged = 0  # objects without an outcome
        self._unchanged_bytes = 0
        self._tallies = tallies
        self._size = 0
        self._since = 0.0
        self._batches = 0
        self._sent = 0  # tasks
        self._full = 1  # tasks in the next batch

    def add(self, task: Task) -> None:
        """Add a task; send the batch if this completes it."""
        size, now = task.size, self._clock()
        if self._tasks and self._size + size > HEAVY:
            self.flush()
        if not self._tasks:
            self._since = now
        self._tasks.append(task)
        self._size += size
        if len(self._tasks) >= self._full or self._size >= HEAVY or now - self._since > STALE:
            self.flush()

    def add_outcome(self, outcome: Outcome) -> None:
        """Add an outcome determined by the walker itself."""
        if self._tallies and isinstance(outcome, Skipped) and outcome.reason is _SAME_ETAG:
            self.count_unchanged(1, outcome.size)
            return
        self._outcomes.append(outcome)
        if len(self._outcomes) >= FULL:
            self._flush_outcomes()

    def count_unchanged(self, objects: int, size: int) -> None:
        """Add objects skipped as ``SAME_ETAG``; their outcomes would cost ten times as much.

        ``size``: bytes of them.
        """
        self._unchanged += objects
        self._unchanged_bytes += size
        if self._unchanged >= FULL_TALLY:
            self._flush_outcomes()

    def flush(self) -> None:
        """Send the batch, even if incomplete."""
        if self._tasks:
            self._send(self._tasks, self._size)
            self._tasks, self._size = [], 0
        self._flush_outcomes()

    def send_spooled(self, path: str, tasks: Sequence[Task], size: int) -> None:
        """Send a batch whose sources are in one temporary file, at ``path``; ``size`` in bytes."""
        self._outbox.send(SpoolFile(self._batches + 1, path))
        self._send(tasks, size)

    def send_deletes(self, tasks: Sequence[Task]) -> None:
        """Send a batch of deletions, and outcomes that wait."""
        if tasks:
            self._send(tasks, 0)
        self._flush_outcomes()

    def send_removals(self, tasks: Iterable[Task]) -> None:
        """Send tasks to delete, in batches of as many as one request takes."""
        batch: list[Task] = []
        since = 0.0
        for task in tasks:
            since = since if batch else self._clock()
            batch.append(task)
            if len(batch) == FULL_REMOVAL or self._clock() - since > STALE_REMOVAL:
                self.send_deletes(batch)
                batch = []
        self.send_deletes(batch)

    def report(self, requests: int) -> None:
        """Send what is left, and the number of requests that the walk took."""
        self.flush()
        if requests:
            self._outbox.send(batch_report([], requests))

    def end(self, requests: int) -> None:
        """Send what is left, and ``WalkDone``."""
        self.report(requests)
        self._outbox.send(WalkDone())

    def _send(self, tasks: Sequence[Task], size: int) -> None:
        self._batches += 1
        self._sent += len(tasks)
        self._full = min(FULL, 1 + self._sent // (GROWTH * self._processes))
        self._outbox.send(task_batch(tasks, self._batches, size=size, large=self._large))

    def _flush_outcomes(self) -> None:
        if self._outcomes or self._unchanged:
            report = batch_report(self._outcomes, 0, unchanged=self._unchanged)
            size, unchanged = _size_of(self._outcomes), self._unchanged_bytes
            self._outbox.send(
                report._replace(unchanged_bytes=unchanged, listed_bytes=size + unchanged)
            )
            self._outcomes, self._unchanged, self._unchanged_bytes = [], 0, 0


def _size_of(outcomes: Iterable[Outcome]) -> int:
    """Return the bytes of the sources of ``outcomes``, as far as they are known."""
    return sum(each.size for each in outcomes if isinstance(each, Skipped))


def _tasks(steps: Iterable[Task | Outcome], batcher: Batcher) -> Iterator[Task]:
    """Yield the tasks among ``steps``; pass the outcomes to ``batcher``."""
    for step in steps:
        if isinstance(step, _TASKS):
            yield step
        else:
            batcher.add_outcome(step)


def give_up(outbox: MessageWriter, defect: str) -> None:
    """End the process for a defect, after which it would wait forever."""
    outbox.send(Fatal(defect))
    os._exit(1)


def listen(
    inbox: MessageReader,
    buckets: Mapping[Side, DistantBucket],
    approved: Event,
    allow: Callable[[Permit], None],
) -> None:
    """Receive new keys, permits and the approval of deletions; exit when the supervisor is gone."""
    while (message := inbox.receive()) is not None:
        match message:
            case NewKeys(side, keys) if side in buckets:
                buckets[side].take_keys(keys)
            case Permit():
                allow(message)
            case SendDeletes():
                approved.set()
    os._exit(1)
