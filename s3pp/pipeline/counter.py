"""The counter: finds out how much there is to do, ahead of the walker, for displays.

It changes nothing, and nothing depends on it: where it fails, or is killed, what it has counted by
then is a lower bound.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from threading import Event

from s3pp.errors import FatalError
from s3pp.pipeline.connect import DistantBucket, LoopThread, RetryHooks, start_thread
from s3pp.pipeline.messages import Setup
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.walker import connect_sides, give_up, listen
from s3pp.places import Side
from s3pp.report.totals import Extent
from s3pp.s3.congestion import Permit
from s3pp.sources.counting import Counted, CountWay, count_listings, count_local, way_to_count
from s3pp.sources.filters import NameChoice, filters_of

NICE = 5  # workers go first, where there are more processes than cores
REPORT = 0.25  # seconds between reports


def run_counter(inbox: MessageReader, outbox: MessageWriter) -> None:
    """Run the counter's process."""
    setup: Setup | None = inbox.receive()
    if setup is None:
        return
    with suppress(OSError):
        os.nice(NICE)
    with suppress(FatalError):  # the walk ends the run for the same reason
        _report(_count(setup, inbox, outbox), outbox)


def _report(counts: Iterator[Counted], outbox: MessageWriter) -> None:
    """Send the sums of ``counts`` as they grow, and all of it at the end."""
    objects = size = 0
    due = 0.0
    for counted in counts:
        objects += counted.objects
        size += counted.size
        if (now := time.monotonic()) >= due:
            due = now + REPORT
            outbox.send(Extent(objects, size))
    outbox.send(Extent(objects, size, complete=True))


def _count(setup: Setup, inbox: MessageReader, outbox: MessageWriter) -> Iterator[Counted]:
    if way_to_count(setup.job) is not CountWay.LISTINGS:
        start_thread(listen, inbox, {}, Event(), _ignore)
        return count_local(setup.job)
    thread = LoopThread(partial(give_up, outbox))
    hooks = RetryHooks().limited(setup.job.speed, outbox)
    buckets = connect_sides(setup, outbox, thread, hooks)
    start_thread(listen, inbox, buckets, Event(), _allower(thread, hooks))
    return _count_listings(setup, buckets)


def _count_listings(setup: Setup, buckets: Mapping[Side, DistantBucket]) -> Iterator[Counted]:
    choosing = filters_of(setup.job.choosing)
    choice = NameChoice(choosing, None, buckets.get(Side.INVENTORY))
    return count_listings(setup.job, buckets, choice)


def _allower(thread: LoopThread, hooks: RetryHooks) -> Callable[[Permit], None]:
    return lambda permit: thread.call(partial(hooks.allow, permit))


def _ignore(_: Permit) -> None:
    """Drop what is not needed."""
