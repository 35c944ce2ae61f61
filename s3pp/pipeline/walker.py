"""The walker: the source, in key order, merged with the destination's listing, in batches.

::

    entries ──────Entry──▶ Planner ──PutTask──▶ Batcher ──TASKS──▶ supervisor
         └─Skipped, Failed──▶ └──────────────▶  └──OUTCOMES──────▶ supervisor

Its main thread walks; one thread runs the event loop that lists the destination, a page ahead;
one thread listens to the supervisor, and ends the process when that is gone. The walker writes
nothing anywhere but into its queue, so it may be killed at any time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection

from s3pp.job import Job, Mode
from s3pp.pipeline.batches import Batcher
from s3pp.pipeline.children import notice
from s3pp.pipeline.connect import BucketThread
from s3pp.pipeline.messages import Kind
from s3pp.pipeline.queues import FrameReader, FrameWriter
from s3pp.records import Outcome, PutTask
from s3pp.s3.endpoint import Opened
from s3pp.sources import Spooled, entries, spool
from s3pp.sources.bucket import DestListing
from s3pp.transfer.planner import Planner

SPOOL_BYTES = 256 * 1024 * 1024  # of members copied out of archives, waiting to be put
SPOOL_LOOK = 0.02  # seconds between looks at which of them are gone


def run_walker(
    inbox: FrameReader, outbox: FrameWriter, job: Job, spool_dir: str, stdin: Connection | None
) -> None:
    """The walker's process, from the first message to the last."""
    setup = inbox.receive()
    if setup is None:
        return
    opened: Opened = setup.open()
    bucket = BucketThread(job, opened, outbox)
    threading.Thread(target=_listen, args=(inbox, bucket), daemon=True).start()
    batcher = Batcher(outbox, job.speed.processes)
    dest = _dest_side(job, opened, bucket)
    planner = Planner(job, dest, lambda text: outbox.send(notice(text)))
    stream = os.fdopen(stdin.fileno(), "rb", closefd=False) if stdin else None
    planned = planner.plan(entries(job, stream))
    room = SpoolRoom()
    for copied in spool(_tasks(planned, batcher), spool_dir):
        if isinstance(copied, Spooled):
            batcher.send_spooled(copied)
            room.take(copied)
        else:
            batcher.ended(copied)
    batcher.end(bucket.requests)


class SpoolRoom:
    """Bounds the temporary files of compressed archives: they go when their batches are done.

    ``limit`` in bytes; one member larger than that still goes, alone.
    """

    def __init__(
        self, limit: int = SPOOL_BYTES, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._limit = limit
        self._sleep = sleep
        self._files: dict[str, int] = {}

    def take(self, spooled: Spooled) -> None:
        """Count one more file; wait until there is room for the next."""
        self._files[spooled.path] = spooled.size
        while sum(self._files.values()) >= self._limit:
            self._files = {p: size for p, size in self._files.items() if os.path.exists(p)}
            if sum(self._files.values()) >= self._limit:
                self._sleep(SPOOL_LOOK)


def _dest_side(job: Job, opened: Opened, bucket: BucketThread) -> DestListing | None:
    """The destination's listing, where the mode compares and the store lets us list."""
    if job.mode is Mode.STUPID or not opened.listable:
        return None
    prefix = f"{job.dest.prefix}/" if job.dest.prefix else ""
    return DestListing(bucket, prefix, run=bucket.run)


def _tasks(planned: Iterable[PutTask | Outcome], batcher: Batcher) -> Iterator[PutTask]:
    """Batch what can go at once; yield the members of archives that must be spooled first."""
    for step in planned:
        if not isinstance(step, PutTask):
            batcher.ended(step)
        elif step.entry.spool:
            yield step
        else:
            batcher.add(step)
    batcher.flush()


def _listen(inbox: FrameReader, bucket: BucketThread) -> None:
    """Take new keys from the supervisor; end with it."""
    while frame := inbox.receive():
        if frame.kind is Kind.KEYS:
            bucket.take_keys(frame.open())
    os._exit(1)
