"""What the other processes do for an object, of a tree or a listing that meets no trouble.

Counted as ``transfer/test_hot_path`` counts what a worker does, which also says what to do about
a failure. Here objects pass by in batches: a figure is the difference between many and a few,
divided by their number.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import Mock

import pytest
from hot_path import ROOM, Blocks, counted

from s3pp.job import Job, Mode
from s3pp.pipeline.messages import Message, batch_report, encode, task_batch
from s3pp.pipeline.pipes import MessageWriter
from s3pp.pipeline.statter import Statter
from s3pp.pipeline.walker import FULL, Batcher
from s3pp.pipeline.walks import Surroundings, walk
from s3pp.places import Origin, Place, Side, Source
from s3pp.records import CopyTask, Dest, Done, Entry, GetTask, PutTask, SendReason, Skipped, Task
from s3pp.report.recorder import Recorder
from s3pp.s3.listing import Listed, Page
from s3pp.sources.destination_index import DestinationIndex, ListingLookup
from s3pp.sources.filters import NameChoice, filters_of
from s3pp.transfer.copy_planner import CopyPlanner
from s3pp.transfer.overlap import Overlap
from s3pp.transfer.planners import GetPlanner

FEW, MANY = FULL // 4, FULL  # objects; more take long, as each instruction is looked at
ETAG, TIME = "9e107d9d372bb6826bd81d3542a419d6", "2026-01-02T03:04:05.000Z"
MTIME = 1_767_323_045_123_456_789  # nanoseconds
ORIGIN, DEST = Origin("source", "photos/"), Place("dest", "photos")

Run = Callable[[], None]
Prepare = Callable[[Path, int], Run]


class Outbox(MessageWriter):
    """Drops what it has encoded."""

    def __init__(self) -> None:
        super().__init__(-1)

    def send(self, message: Message) -> None:
        encode(message)


def name(number: int) -> str:
    return f"2026/d{number // 1000:04d}/f{number:07d}.jpg"


def listed(count: int) -> list[Listed]:
    return [Listed(f"photos/{name(n)}", 4096, ETAG, TIME, "STANDARD") for n in range(count)]


def walk_put(folder: Path, count: int) -> Run:
    """Walk a tree, and send batches of it."""
    source = folder / str(count)
    source.mkdir(exist_ok=True)
    for number in range(count):
        (source / f"f{number:07d}.jpg").touch()
    job = Job("put", (Source(str(source)),), DEST, mode=Mode.STUPID)

    def run() -> None:
        batcher = Batcher(Outbox(), 2, large=1 << 30, clock=lambda: 0.0)
        for task in walk(
            job, Surroundings({Side.DEST: Mock()}, print, NameChoice(filters_of(job.choosing)))
        ):
            assert isinstance(task, PutTask)
            batcher.add(task)
        batcher.end(0)

    return run


def plan_get(folder: Path, count: int) -> Run:
    """Plan the downloads of a listing."""
    job = Job("get", origins=(ORIGIN,), directory=str(folder / "into"), mode=Mode.STUPID)
    found = listed(count)
    return lambda: _exhaust(GetPlanner.of(job, ORIGIN).plan(found), GetTask)


def plan_copy(folder: Path, count: int) -> Run:
    """Plan the copies of a listing."""
    job = Job("copy", origins=(ORIGIN,), dest=DEST, mode=Mode.STUPID)
    found = listed(count)
    index = DestinationIndex.of(job, Mock(), print)
    planner = CopyPlanner(job, ORIGIN, index, overlap=Overlap())
    return lambda: _exhaust(planner.plan(found), CopyTask)


def plan_unchanged(folder: Path, count: int) -> Run:
    """Find by two listings that nothing has to be copied, and report it."""
    job = Job("copy", origins=(ORIGIN,), dest=DEST)
    found = listed(count)
    there = [each._replace(key=DEST.key(each.key)) for each in found]

    def fetch(coroutine: Coroutine[Any, Any, Page]) -> Future[Page]:
        coroutine.close()
        page: Future[Page] = Future()
        page.set_result(Page(there, None))
        return page

    def run() -> None:
        index = DestinationIndex(job, ListingLookup(Mock(), "", run=fetch), print)
        batcher = Batcher(Outbox(), 2, large=1 << 30, clock=lambda: 0.0)
        for step in CopyPlanner(job, ORIGIN, index, overlap=Overlap()).plan(found):
            assert isinstance(step, Skipped)
            batcher.add_outcome(step)
        batcher.end(0)

    return run


def _exhaust(steps: object, kind: type[Task]) -> None:
    assert isinstance(steps, Iterator)
    for step in steps:
        assert isinstance(step, kind)


def fold(folder: Path, count: int) -> Run:
    """Count and show outcomes, in reports of few each."""
    outcomes = [
        Done(str(folder / name(n)), f"photos/{name(n)}", 4096, 4096, ETAG, SendReason.NEW)
        for n in range(count)
    ]
    reports = [batch_report(outcomes[at : at + FEW], FEW) for at in range(0, count, FEW)]
    job = Job("put", (Source(str(folder)),), DEST)
    statter = Statter(Recorder.open(job, io.StringIO(), io.StringIO()), Outbox())

    def run() -> None:
        for report in reports:
            statter.receive(report)

    return run


class Bounds(NamedTuple):
    """Of what an object takes."""

    prepare: Prepare
    calls: float
    blocks: float


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(walk_put, 13, 47),
        Bounds(plan_get, 8, 21),
        Bounds(plan_copy, 5, 14),
        Bounds(plan_unchanged, 4.1, 10),
        Bounds(fold, 1, 10),
    ],
    ids=lambda bounds: bounds.prepare.__name__,
)
def test_an_object_takes_few_calls_and_blocks(
    tmp_path: Path, small_process: Executor, bounds: Bounds
) -> None:
    folders, prepares = [tmp_path] * 2, [bounds.prepare] * 2
    few, many = small_process.map(_measure, prepares, folders, (FEW, MANY))
    calls = (len(many.calls) - len(few.calls)) / (MANY - FEW)
    assert calls <= bounds.calls * ROOM, many.calls[-30:]
    blocks = (many.blocks - few.blocks) / (MANY - FEW)
    assert blocks <= bounds.blocks * ROOM, f"{blocks} blocks\n{many.most}"


@pytest.fixture(scope="module")
def small_process() -> Iterator[Executor]:
    """A process that has loaded little: to count blocks takes longer the more there are."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


class Measured(NamedTuple):
    """What a run took; ``most``: the lines that have allocated most."""

    calls: list[str]
    blocks: int
    most: str


def _measure(prepare: Prepare, folder: Path, count: int) -> Measured:
    run = prepare(folder, count)
    run()  # what is found out once, and cached
    with counted() as calls:
        run()
    with Blocks() as blocks:
        run()
    return Measured(calls, blocks.total, blocks.most(20))


def entry(number: int) -> Entry:
    return Entry(f"photos/{name(number)}", f"/data/photos/{name(number)}", 4096, MTIME + number)


def etag(number: int) -> str:
    return f"{ETAG[:-7]}{number:07d}"


TASKS: dict[str, tuple[Callable[[int], Task], int]] = {
    "put": (lambda n: PutTask(entry(n), None), 99),
    "put over": (lambda n: PutTask(entry(n), Dest(4096, etag(n))), 139),
    "get": (lambda n: GetTask(f"photos/{name(n)}", name(n), 4096, etag(n), f"{TIME}{n}"), 133),
    "copy": (
        lambda n: CopyTask(f"photos/{name(n)}", f"new/{name(n)}", 4096, etag(n), "", None),
        111,
    ),
}


@pytest.mark.parametrize("what", TASKS)
def test_a_task_takes_few_bytes_on_the_pipe(what: str) -> None:
    make, most = TASKS[what]
    few, many = (
        len(encode(task_batch([make(n) for n in range(count)], 1, size=0, large=1)))
        for count in (FEW, MANY)
    )
    assert (many - few) / (MANY - FEW) <= most


def test_an_outcome_takes_few_bytes_on_the_pipe() -> None:
    def outcome(n: int) -> Done:
        source = f"/data/photos/{name(n)}"
        return Done(source, f"photos/{name(n)}", 4096, 4096, etag(n), SendReason.NEW)

    few, many = (
        len(encode(batch_report([outcome(n) for n in range(count)], count)))
        for count in (FEW, MANY)
    )
    assert (many - few) / (MANY - FEW) <= 131
