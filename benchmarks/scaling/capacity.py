"""What a supervisor takes for a batch and for a worker: its own classes, over pipes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from s3pp.job import Job
from s3pp.pipeline.assignments import Assignments
from s3pp.pipeline.flow import FlowControl
from s3pp.pipeline.messages import BatchReport, Message, TaskBatch, batch_report, encode, task_batch
from s3pp.pipeline.pipes import MessageReader, Outbox, widen
from s3pp.pipeline.walker import FULL
from s3pp.records import Done, Entry, PutTask, SendReason
from s3pp.report.failures import Cause
from s3pp.s3.congestion import Count, Feedback
from s3pp.speed import Speed
from suite.table import Table

WORKERS = (1, 10, 100, 1000)
BATCHES = 2000
REPORTS = 20_000
_KEY = "photos/2026/11/30/IMG_{:010}.jpg"  # 33 bytes


def capacity() -> Table:
    """Measure, in CPU microseconds, by the number of workers."""
    rows = [_row(workers) for workers in WORKERS]
    columns = ("workers", "batch of 128 µs", "objects/s", "feedback µs", "limit µs")
    return Table("a supervisor, one core", columns, rows)


def _row(workers: int) -> list[str]:
    batch = batch_cost(workers)
    heard, told = feedback_cost(workers)
    return [
        f"{workers:,}",
        f"{batch:.0f}",
        f"{FULL / batch * 1e6:,.0f}",
        f"{heard:.1f}",
        f"{told:.1f}",
    ]


class Link:
    """A pipe between a supervisor and a child, both of whose ends are here."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for fd in (self._read, self._write):
            os.set_blocking(fd, False)
            widen(fd)
        self.inbox, self.outbox = MessageReader(self._read), Outbox(self._write)

    def feed(self, encoded: bytes) -> None:
        """Write what a child would send."""
        os.write(self._write, encoded)

    def drain(self) -> None:
        """Read what a child would receive."""
        with suppress(BlockingIOError):
            while os.read(self._read, 1 << 20):
                pass

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read)
        os.close(self._write)


def batch_cost(workers: int, batches: int = BATCHES) -> float:
    """CPU microseconds of a batch: from the walker, to a worker, back, and to the statter."""
    job = Job("put", speed=Speed(processes=workers, concurrency=max(512, 64 * workers)))
    assignments: Assignments[int] = Assignments(job)
    for worker in range(workers):
        assignments.join(worker)
    batch, report = _messages()
    link = Link()
    begun = time.process_time()
    for number in range(1, batches + 1):
        link.feed(encode(batch._replace(number=number)))
        for received in link.inbox.once():
            assignments.add(received)
        _ = assignments.wants_more
        for worker, work in assignments.assign():
            link.outbox.send(work)
            link.drain()
            link.feed(encode(report._replace(batch=number)))
            for received in link.inbox.once():
                assignments.close(worker, received)
                link.outbox.send(received._replace(deletions=None))
                link.drain()
    spent = time.process_time() - begun
    link.close()
    return spent / batches * 1e6


def _messages() -> tuple[TaskBatch, BatchReport]:
    """A full batch, and its report."""
    keys = [_KEY.format(number) for number in range(FULL)]
    tasks = [PutTask(Entry(key, f"/srv/{key}", 4096, 1), None) for key in keys]
    etag = "620f0b67a91f7f74151bc5be745b7110"
    done = [Done(f"/srv/{key}", key, 4096, 4096, etag, SendReason.NEW) for key in keys]
    return task_batch(tasks, 1, size=FULL * 4096, large=1 << 26), batch_report(done, FULL, batch=1)


def feedback_cost(workers: int, reports: int = REPORTS) -> tuple[float, float]:
    """CPU microseconds of a worker's report while the store throttles, and of a limit sent."""
    link = Link()
    sent: list[Message] = []

    def send(_: int, message: Message) -> None:
        link.outbox.send(message)
        sent.append(message)
        if len(sent) % 100 == 0:
            link.drain()

    flow: FlowControl[int] = FlowControl(send, _ignore, Job("put"))
    for worker in range(workers):
        flow.join(worker)
    heard = _cpu(lambda: _hear(flow, link, workers, reports)) / reports
    link.drain()
    sent.clear()
    rounds = max(1, reports // workers)
    told = _cpu(lambda: _tell(flow, rounds)) / (rounds * workers)
    link.close()
    return heard * 1e6, told * 1e6


def _hear(flow: FlowControl[int], link: Link, workers: int, reports: int) -> None:
    evidence = tuple((f"bench/photos/2026/{n}/", Count(3, 0)) for n in range(4))
    quiet = Feedback(1, 12, 0, 0, 12, 1.0, 64, evidence=evidence)
    for number in range(reports):
        link.feed(encode(quiet))
        for received in link.inbox.once():
            flow.observe(number % workers, received, number / (10.0 * workers))


def _tell(flow: FlowControl[int], rounds: int) -> None:
    for _ in range(rounds):
        flow.spread()


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _ignore(why: str, cause: Cause) -> None:
    """Nothing is given up."""
