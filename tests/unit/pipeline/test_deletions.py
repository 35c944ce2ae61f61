"""Batches of deletes: executed as a unit, reported once, and light for the ledger."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError, RunEnding
from s3pp.job import Job
from s3pp.pipeline.assignments import FIRST_HALF, Assignments, crash_report, halves
from s3pp.pipeline.deletions import BATCHES, DeletionRunner
from s3pp.pipeline.ledger import Ledger
from s3pp.pipeline.messages import (
    BatchReport,
    Fatal,
    Notice,
    TaskBatch,
    batch_report,
    task_batch,
)
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.records import Deleted, DeleteReason, DeleteTask, Failed
from s3pp.s3.retry import StoreError
from s3pp.transfer.delete.deleter import Ended, deleted

NAMES = ("a", "b", "c")


def task(name: str) -> DeleteTask:
    return DeleteTask(name, 5, "etag", "", DeleteReason.SELECTED, (1, 2, 3))


def batch(number: int, *names: str) -> TaskBatch:
    return task_batch([task(name) for name in names], number, size=1 << 40, large=1)


class Fake:
    """A deleter that deletes ``first`` tasks, and then raises ``error``."""

    def __init__(self, error: Exception | None = None, first: int = 1) -> None:
        self.notes: list[str] = []
        self.active = self.most_active = 0
        self._error = error
        self._first = first

    async def delete(self, tasks: Sequence[DeleteTask], ended: Ended) -> None:
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        await asyncio.sleep(0)
        self.active -= 1
        self.notes.append("a note")
        for each in tasks[: self._first] if self._error else tasks:
            ended[each.target] = deleted(each)
        if self._error:
            raise self._error


def run(
    fake: Fake, count: int, finish: Callable[[DeletionRunner], None] = lambda _: None
) -> list[Any]:
    """The messages of a runner that takes ``count`` batches."""
    read, write = os.pipe()
    os.set_blocking(read, False)

    async def main() -> None:
        runner = DeletionRunner(MessageWriter(write), lambda: fake, lambda: 2)
        for number in range(1, count + 1):
            runner.take(batch(number, *NAMES))
        finish(runner)
        for _ in range(100):
            await asyncio.sleep(0)

    asyncio.run(main())
    try:
        return list(MessageReader(read).available())
    finally:
        os.close(write)
        os.close(read)


def reports(messages: list[Any]) -> list[BatchReport]:
    return [each for each in messages if isinstance(each, BatchReport)]


def test_a_batch_travels_and_is_light() -> None:
    made = batch(7, *NAMES)
    assert made.tasks == [task(name) for name in NAMES]
    assert (made.objects, made.size, made.deletes, made.load) == (3, 0, True, 1)
    assert batch(1, *map(str, range(1000))).load == 126


def test_a_worker_gets_several_batches_of_1000() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(256)
    ledger.join("worker")
    for number in range(10):
        ledger.add(batch(number, *map(str, range(1000))))
    assert len(list(ledger.assign())) == BATCHES + 1


def test_each_batch_is_reported_once() -> None:
    fake = Fake()
    messages = run(fake, 10)
    found = reports(messages)
    assert [each.batch for each in found] == list(range(1, 11))
    assert found[0].outcomes == [deleted(task(name)) for name in NAMES]
    assert sum(each.requests for each in found) == 20
    assert fake.most_active == BATCHES
    assert Notice("a note") in messages


def test_the_refusal_of_all_fails_those_that_are_left() -> None:
    (report,) = reports(run(Fake(StoreError(403, "AccessDenied", "no")), 1))
    first, second, third = report.outcomes
    assert isinstance(first, Deleted)
    denied = FailureKind.ACCESS, "AccessDenied: no", "AccessDenied"
    assert second == Failed("b", "b", *denied, deleting=True, attempts=1)
    assert isinstance(third, Failed)


def test_what_ends_the_run_is_sent_with_what_was_deleted() -> None:
    messages = run(Fake(FatalError("no room", FailureKind.UNREADABLE)), 1)
    assert Fatal("no room") in messages
    (report,) = reports(messages)
    assert [type(each) for each in report.outcomes] == [Deleted, Failed, Failed]
    assert report.outcomes[1] == Failed("b", "b", FailureKind.UNREADABLE, "no room", deleting=True)


def test_what_was_not_attempted_has_no_outcome() -> None:
    (report,) = reports(run(Fake(RunEnding()), 1))
    assert [type(each) for each in report.outcomes] == [Deleted]


def test_batches_that_wait_are_dropped_in_the_end() -> None:
    found = reports(run(Fake(), 10, DeletionRunner.finish))
    assert sorted(each.batch for each in found) == list(range(1, 11))
    assert sorted(each.objects for each in found) == [*[0] * (10 - BATCHES), *[3] * BATCHES]


@pytest.mark.parametrize("names", [NAMES, ("a", "b")])
def test_a_lost_batch_is_halved(names: tuple[str, ...]) -> None:
    first, second = halves(batch(1, *names), iter((8, 9)), large=1)
    assert [each.target for each in [*first.tasks, *second.tasks]] == list(names)
    assert first.deletes
    assert second.deletes
    (outcome,) = crash_report(batch(1, "a"), "was killed").outcomes
    assert isinstance(outcome, Failed)
    assert (outcome.source, outcome.target, outcome.deleting) == ("a", "a", True)


def test_deletions_follow_their_batch_until_the_run_ends() -> None:
    assignments: Assignments[str] = Assignments(Job("put"))
    assignments.join("worker")
    for number in (1, 2):
        assignments.add(batch(number, *NAMES))
    assert len(list(assignments.assign())) == 2
    report = batch_report([], 0, batch=1)._replace(deletions=batch(0, *NAMES))
    assert assignments.close("worker", report) == len(NAMES)
    ((_, following),) = assignments.assign()
    assert isinstance(following, TaskBatch)
    assert (following.number, following.tasks) == (FIRST_HALF, [task(name) for name in NAMES])
    assignments.drop_waiting()
    assert assignments.close("worker", report._replace(batch=2)) == 0
    assert assignments.close("worker", batch_report([], 0, batch=FIRST_HALF)) == 0
    assert assignments.empty
