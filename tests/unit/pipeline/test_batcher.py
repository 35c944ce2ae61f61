"""Batches: nothing lost, early work for every worker, and nobody waits long."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.pipeline.assignments import crash_report, halves
from s3pp.pipeline.messages import (
    BatchReport,
    Message,
    SpoolFile,
    TaskBatch,
    WalkDone,
    task_batch,
)
from s3pp.pipeline.walker import FULL, FULL_TALLY, GROWTH, HEAVY, STALE, Batcher
from s3pp.records import (
    CopyTask,
    Entry,
    Failed,
    GetTask,
    Outcome,
    PutTask,
    Skipped,
    SkipReason,
    Task,
)


class Outbox:
    """Keeps the messages sent, and a clock that stands still unless told."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.now = 0.0

    def send(self, sent: Message) -> None:
        self.messages.append(sent)

    def batcher(self, processes: int = 2) -> Batcher:
        return Batcher(self, processes, large=1 << 40, clock=lambda: self.now)  # type: ignore[arg-type]

    @property
    def batches(self) -> list[list[Task]]:
        return [each.tasks for each in self.messages if isinstance(each, TaskBatch)]

    @property
    def keys(self) -> list[list[str]]:
        """Of the tasks in each batch."""
        return [[each.target for each in batch] for batch in self.batches]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    @property
    def outcomes(self) -> list[Outcome]:
        reports = [each for each in self.messages if isinstance(each, BatchReport)]
        return [outcome for report in reports for outcome in report.outcomes]


def task(name: object, size: int = 0) -> PutTask:
    return PutTask(Entry(str(name), f"/src/{name}", size, 0), None)


def skip(name: object) -> Skipped:
    return Skipped(f"/src/{name}", str(name), 0, SkipReason.EXISTS)


STEPS = st.one_of(
    st.tuples(st.just("task"), st.sampled_from([0, 1, HEAVY // 3, HEAVY, HEAVY + 1])),
    st.tuples(st.just("skip"), st.just(0)),
    st.tuples(st.just("spool"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.just(0)),
)


@given(st.lists(STEPS, max_size=60), st.integers(1, 4), st.integers(0, 5))
@settings(deadline=None)
def test_nothing_is_lost_and_nothing_comes_twice(
    steps: list[tuple[str, int]], processes: int, requests: int
) -> None:
    outbox = Outbox()
    batcher = outbox.batcher(processes)
    tasks: list[PutTask] = []
    outcomes: list[Outcome] = []
    for at, (step, count) in enumerate(steps):
        if step == "task":
            tasks.append(task(at, count))
            batcher.add(tasks[-1])
        elif step == "skip":
            outcomes.append(skip(at))
            batcher.add_outcome(outcomes[-1])
        elif step == "spool":
            batcher.flush()
            spooled = [task(f"{at}.{each}", 5) for each in range(count)]
            tasks += spooled
            batcher.send_spooled(f"/tmp/{at}", spooled, 5 * count)
        else:
            outbox.now += 2 * STALE
    batcher.end(requests)

    assert [each for batch in outbox.batches for each in batch] == tasks
    assert outbox.outcomes == outcomes
    assert isinstance(outbox.messages[-1], WalkDone)
    reports = [each for each in outbox.messages if isinstance(each, BatchReport)]
    assert sum(report.requests for report in reports) == requests


@given(st.lists(st.sampled_from([0, 1, HEAVY // 3, HEAVY, HEAVY + 1]), max_size=60))
@settings(deadline=None)
def test_a_frame_tells_the_ledger_what_is_in_it(sizes: list[int]) -> None:
    outbox = Outbox()
    batcher = outbox.batcher()
    for at, size in enumerate(sizes):
        batcher.add(task(at, size))
    batcher.end(0)
    numbers = []
    for each in outbox.messages[:-1]:
        held = [inside.entry.size for inside in each.tasks]
        assert (each.objects, each.size) == (len(held), sum(held))
        assert each.objects > 0
        assert each.size <= HEAVY or each.objects == 1
        numbers.append(each.number)
    assert numbers == list(range(1, len(numbers) + 1))


def test_few_files_reach_every_worker() -> None:
    for processes in (1, 2, 8, 64):
        outbox = Outbox()
        batcher = outbox.batcher(processes)
        for at in range(2 * processes):
            batcher.add(task(at))
        assert outbox.sizes == [1] * (2 * processes)


def test_batches_grow_until_they_are_full() -> None:
    outbox = Outbox()
    batcher = outbox.batcher(2)
    for at in range(40_000):
        batcher.add(task(at))
    assert outbox.sizes == sorted(outbox.sizes)
    assert outbox.sizes[-1] == FULL
    assert 64 <= FULL <= 256
    assert len(outbox.sizes) < 40_000 / FULL + 100, "few are smaller: each costs its messages"


def test_no_worker_gets_much_more_than_others() -> None:
    for processes in (1, 2, 8):
        outbox = Outbox()
        batcher = outbox.batcher(processes)
        for at in range(20_000):
            batcher.add(task(at))
        sent = 0
        for size in outbox.sizes:
            assert (size - 1) * GROWTH * processes <= sent
            sent += size


def test_a_large_source_travels_alone() -> None:
    outbox = Outbox()
    batcher = outbox.batcher(1)
    for at in range(100):
        batcher.add(task(at))
    before = len(outbox.batches)
    batcher.flush()
    for name, size in [("a", 1), ("large", HEAVY * 100), ("b", 1)]:
        batcher.add(task(name, size))
    batcher.flush()
    assert outbox.keys[before:][-3:] == [["a"], ["large"], ["b"]]


@pytest.mark.parametrize("kind", [GetTask, CopyTask])
def test_tasks_of_the_other_directions_are_batched_by_their_objects_sizes(kind: type) -> None:
    def one(name: str, size: int) -> Any:
        rest = ("etag", "") if kind is GetTask else ("etag", "", None)
        return kind(name, name, size, *rest)

    outbox = Outbox()
    batcher = outbox.batcher(1)
    tasks = [one(f"{at:03}", 1) for at in range(100)] + [one("large", HEAVY * 100), one("z", 1)]
    for each in tasks:
        batcher.add(each)
    batcher.end(0)
    assert [each for batch in outbox.batches for each in batch] == tasks
    assert [keys for keys in outbox.keys if "large" in keys] == [["large"]]


def test_a_batch_that_waits_too_long_goes_as_it_is() -> None:
    outbox = Outbox()
    batcher = outbox.batcher(1)
    for at in range(1000):
        batcher.add(task(at))
    batcher.flush()
    before = len(outbox.batches)
    batcher.add(task("a"))
    outbox.now += STALE / 2
    batcher.add(task("b"))
    assert len(outbox.batches) == before
    outbox.now += STALE
    batcher.add(task("c"))
    assert outbox.keys[-1] == ["a", "b", "c"]


def test_the_wait_counts_from_the_first_task_of_a_batch() -> None:
    outbox = Outbox()
    batcher = outbox.batcher(1)
    for at in range(1000):
        batcher.add(task(at))
    batcher.flush()
    before = len(outbox.batches)
    outbox.now += 100 * STALE
    batcher.add(task("a"))
    batcher.add(task("b"))
    assert len(outbox.batches) == before


def test_outcomes_of_the_walkers_own_do_not_pile_up() -> None:
    outbox = Outbox()
    batcher = outbox.batcher()
    for at in range(10 * FULL):
        batcher.add_outcome(skip(at))
    assert len(outbox.outcomes) >= 9 * FULL


def test_a_spooled_batch_comes_after_the_name_of_its_file() -> None:
    outbox = Outbox()
    batcher = outbox.batcher()
    batcher.add(task("a"))
    batcher.flush()
    batcher.send_spooled("/tmp/\udcff", [task("b", 3)], 3)
    spool, tasks = outbox.messages[-2:]
    assert isinstance(spool, SpoolFile)
    assert spool.path == "/tmp/\udcff"
    assert (tasks.size, tasks.number) == (3, spool.batch)


LARGE = 6 << 20  # bytes; below HEAVY, so that it may travel with others


@pytest.mark.parametrize("extra", [0, 1])
def test_a_large_object_alone_weighs_nothing(extra: int) -> None:
    """Its bytes are everybody's: it must not keep other batches from its lead."""
    outbox = Outbox()
    batcher = Batcher(outbox, 2, large=LARGE, clock=lambda: 0.0)  # type: ignore[arg-type]
    batcher.add(task("a", LARGE + extra))
    batcher.end(0)
    (sent,) = [each for each in outbox.messages if isinstance(each, TaskBatch)]
    assert (sent.objects, sent.size) == (1, 0 if extra else LARGE)
    assert [each.size for each in sent.tasks] == [LARGE + extra]


def test_a_large_object_among_others_is_counted_with_them() -> None:
    outbox = Outbox()
    batcher = Batcher(outbox, 1, large=LARGE, clock=lambda: 0.0)  # type: ignore[arg-type]
    for at in range(10):
        batcher.add(task(at))  # by now batches are of more than one
    before = len(outbox.messages)
    batcher.add(task("small", 1))
    batcher.add(task("large", LARGE + 1))
    batcher.end(0)
    sent = [each for each in outbox.messages[before:] if isinstance(each, TaskBatch)]
    together = [each for each in sent if each.objects > 1]
    assert [each.size for each in together] == [LARGE + 2]


@given(st.lists(st.integers(0, 2 * LARGE), min_size=2, max_size=20))
def test_halves_hold_what_the_batch_held(sizes: list[int]) -> None:
    tasks = [task(at, size) for at, size in enumerate(sizes)]
    whole = task_batch(tasks, 1, size=sum(sizes), large=LARGE)
    parts = halves(whole, itertools.count(7), large=LARGE)
    assert [each for part in parts for each in part.tasks] == tasks
    assert [part.number for part in parts] == [7, 8]
    for part in parts:
        held = [each.size for each in part.tasks]
        assert part.objects == len(held) >= len(sizes) // 2
        assert part.size == (0 if len(held) == 1 and held[0] > LARGE else sum(held))


def test_a_batch_that_is_given_up_names_its_objects() -> None:
    report = crash_report(task_batch([task("a", 3)], 7, size=3, large=LARGE), "was killed")
    died = "3 workers died while they had only this object; the last was killed"
    assert report.outcomes == [Failed("/src/a", "a", FailureKind.CRASHED, died)]


@pytest.mark.parametrize("tallies", [False, True])
def test_unchanged_objects_are_counted_where_nobody_wants_their_names(tallies: bool) -> None:
    outbox = Outbox()
    batcher = Batcher(outbox, 2, large=LARGE, tallies=tallies)  # type: ignore[arg-type]
    same = Skipped("/src/a", "a", 1, SkipReason.SAME_ETAG)
    batcher.add_outcome(same)
    batcher.add_outcome(skip("b"))
    batcher.count_unchanged(FULL_TALLY + 1, 7000)  # a full report, and a last one
    batcher.add_outcome(same)
    batcher.end(0)
    reports = [each for each in outbox.messages if isinstance(each, BatchReport)]
    assert sum(each.objects for each in reports) == FULL_TALLY + 4
    assert sum(each.listed_bytes for each in reports) == 7002 + skip("b").size
    assert sum(each.unchanged_bytes for each in reports) == (7002 if tallies else 7000)
    assert outbox.outcomes == ([skip("b")] if tallies else [same, skip("b"), same])
    assert len(reports) == 2
