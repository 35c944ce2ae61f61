"""A worker with a role that does as it is told: batches are reported once, and whole."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.body_options import Parts
from s3pp.errors import FailureKind, FatalError, ObjectError, RunEnding
from s3pp.job import Job, Mode
from s3pp.limits import MIB, PLACES
from s3pp.localfs.tree import most_directories
from s3pp.pipeline.child import Child, start_context
from s3pp.pipeline.connect import Pause
from s3pp.pipeline.messages import (
    BatchReport,
    Fatal,
    NoMoreTasks,
    Notice,
    PartRequest,
    PartResult,
    Setup,
    pickled,
    task_batch,
)
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.slots import LEADS, TaskRunner, slot_count
from s3pp.pipeline.worker import run_worker
from s3pp.places import Place, Side, Source
from s3pp.records import (
    Done,
    Entry,
    Failed,
    Outcome,
    PartDone,
    PartFailed,
    PartOutcome,
    PutPart,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
    Span,
)
from s3pp.s3.endpoint import Endpoint, Opened
from s3pp.speed import Speed
from s3pp.transfer.unchanged import SkipUnchanged

SLOTS = 3
THRESHOLD = 5 * MIB
JOB = Job(
    "put",
    (Source("/src"),),
    Place("bucket"),
    mode=Mode.STUPID,
    parts=Parts(threshold=THRESHOLD),
    speed=Speed(processes=1, concurrency=SLOTS),
)


def task(name: object) -> PutTask:
    return PutTask(Entry(str(name), f"/src/{name}", 1, 0), None)


def done(each: PutTask) -> Outcome:
    return Done(each.entry.source, each.entry.key, 1, 1, "etag", SendReason.NEW)


class Fake:
    """The role and the bucket of a worker; ``act`` is what it does with a task."""

    def __init__(self, act: Callable[[PutTask], Awaitable[Outcome]]) -> None:
        self.act = act
        self.move: Callable[[PutPart], Awaitable[PartOutcome]] = moved_at_once
        self.begun: list[str] = []
        self.flying = self.most_flying = 0
        self.requests = 0  # the bucket's
        self.notes: list[str] = []
        self.skip_unchanged: SkipUnchanged | None = None

    async def transfer(self, each: PutTask) -> Outcome:
        self.begun.append(each.entry.key)
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            return await self.act(each)
        finally:
            self.requests += 1
            self.flying -= 1

    async def part(self, part: PutPart) -> PartOutcome:
        return await self.move(part)


async def at_once(each: PutTask) -> Outcome:
    return done(each)


async def moved_at_once(part: PutPart) -> PartOutcome:
    return PartDone(part.span.number, part.span.size, "etag")


class Scene:
    """A worker that reports into a pipe."""

    def __init__(
        self,
        act: Callable[[PutTask], Awaitable[Outcome]] = at_once,
        skip_unchanged: SkipUnchanged | None = None,
    ) -> None:
        read, self._write = os.pipe()
        os.set_blocking(read, False)
        self._reader = MessageReader(read)
        self.fake = Fake(act)
        self.fake.skip_unchanged = skip_unchanged
        outbox = MessageWriter(self._write)
        self.worker = TaskRunner(outbox, self.fake, [self.fake], slots=SLOTS, job=JOB)  # type: ignore[list-item]
        self.messages: list[Any] = []

    def take(self, number: int, *names: object) -> list[PutTask]:
        tasks = [task(name) for name in names]
        self.worker.take(task_batch(tasks, number, size=len(tasks), large=1 << 40))
        return tasks

    def heard(self) -> list[Any]:
        """All that was sent so far."""
        self.messages += self._reader.available()
        return self.messages

    def reports(self) -> dict[int, list[Outcome]]:
        """The outcomes by batch; no batch may come twice."""
        found: dict[int, list[Outcome]] = {}
        for each in self.heard():
            if isinstance(each, BatchReport):
                assert each.batch not in found, "a batch was reported twice"
                found[each.batch] = each.outcomes
                assert each.objects == len(found[each.batch])
        return found

    def close(self) -> None:
        os.close(self._write)
        os.close(self._reader.fd)


@pytest.fixture
def scene() -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(*arguments: Any) -> Scene:
        scenes.append(Scene(*arguments))
        return scenes[-1]

    yield make
    for each in scenes:
        each.close()


async def turns(count: int = 50) -> None:
    """Let everybody else run until nothing moves any more."""
    for _ in range(count):
        await asyncio.sleep(0)


def run(main: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(main, 20)

    asyncio.run(bounded())


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), max_size=6), st.integers(0, 30)
)
@settings(deadline=None)
def test_each_batch_is_reported_once_and_whole(batches: list[list[int]], pause: int) -> None:
    """Each number is a task that takes so many turns of the loop; batches come as time passes."""

    async def act(each: PutTask) -> Outcome:
        await turns(int(each.entry.key.partition(" ")[0]))
        return done(each)

    scene = Scene(act)
    expected: dict[int, set[Outcome]] = {}

    async def main() -> None:
        running = asyncio.ensure_future(scene.worker.run())
        for number, lengths in enumerate(batches, 1):
            names = [f"{length} {number} {at}" for at, length in enumerate(lengths)]
            expected[number] = {done(each) for each in scene.take(number, *names)}
            await turns(pause)
        scene.worker.end()
        await running

    run(main())
    found = scene.reports()
    assert {number: set(outcomes) for number, outcomes in found.items()} == expected
    assert all(len(found[number]) == len(expected[number]) for number in expected)
    scene.close()


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=5), max_size=5), st.integers(0, 9))
@settings(deadline=None)
def test_a_screened_batch_is_reported_once_and_whole(batches: list[list[bool]], pause: int) -> None:
    """Some tasks are found unchanged, so that no slot executes them."""

    def unchanged(each: PutTask) -> Skipped | None:
        if each.entry.key.startswith("True"):
            return Skipped(each.source, each.target, 1, SkipReason.SAME_ETAG)
        return None

    scene = Scene(skip_unchanged=unchanged)

    async def main() -> None:
        running = asyncio.ensure_future(scene.worker.run())
        for number, same in enumerate(batches, 1):
            scene.take(number, *(f"{each} {number} {at}" for at, each in enumerate(same)))
            await turns(pause)
        await turns()
        scene.worker.end()
        await running

    run(main())
    found = {
        number: Counter(isinstance(each, Skipped) for each in outcomes)
        for number, outcomes in scene.reports().items()
    }
    assert found == {number: Counter(same) for number, same in enumerate(batches, 1)}
    assert len(scene.fake.begun) == sum(each.count(False) for each in batches)
    scene.close()


def test_finishing_leaves_what_was_not_screened(scene: Callable[..., Scene]) -> None:
    here = scene(at_once, lambda _: None)

    async def main() -> None:
        running = asyncio.ensure_future(here.worker.run())
        here.take(1, "a", "b")
        here.worker.finish()
        await turns()
        assert (here.reports(), here.fake.begun) == ({1: []}, [])
        here.worker.end()
        await running

    run(main())


def test_it_keeps_its_slots_busy_and_no_more(scene: Callable[..., Scene]) -> None:
    async def slow(each: PutTask) -> Outcome:
        await turns(3)
        return done(each)

    here = scene(slow)

    async def main() -> None:
        here.take(1, *range(2))
        here.take(2, *range(20))
        here.worker.end()
        await here.worker.run()

    run(main())
    assert here.fake.most_flying == SLOTS
    assert len(here.fake.begun) == 22


def test_tasks_begin_in_order(scene: Callable[..., Scene]) -> None:
    here = scene()

    async def main() -> None:
        running = asyncio.ensure_future(here.worker.run())
        here.take(1, "a", "b")
        await turns()
        here.take(2, "c", "d")
        here.worker.end()
        await running

    run(main())
    assert here.fake.begun == ["a", "b", "c", "d"]


def test_it_waits_for_work_until_it_is_told_the_end(scene: Callable[..., Scene]) -> None:
    here = scene()

    async def main() -> None:
        running = asyncio.ensure_future(here.worker.run())
        for number in range(1, 4):
            here.take(number, number)
            await turns()
            assert len(here.reports()) == number
        assert not running.done()
        here.worker.end()
        await running

    run(main())


def test_finishing_leaves_what_has_not_begun(scene: Callable[..., Scene]) -> None:
    release = asyncio.Event

    async def main() -> None:
        go = release()

        async def hold(each: PutTask) -> Outcome:
            await go.wait()
            return done(each)

        here = scene(hold)
        running = asyncio.ensure_future(here.worker.run())
        first = here.take(1, "a", "b")
        second = here.take(2, "c", "d", "e")
        here.take(3, "f")
        await turns()
        assert here.fake.begun == ["a", "b", "c"]
        here.worker.finish()
        assert here.reports() == {3: []}, "a batch nobody began is let go at once"
        go.set()
        await turns()
        assert here.fake.begun == ["a", "b", "c"]
        assert {number: set(each) for number, each in here.reports().items()} == {
            1: {done(each) for each in first},
            2: {done(second[0])},
            3: set(),
        }
        here.worker.end()
        await running

    run(main())


def test_what_ends_the_run_is_said_and_the_batch_still_reported(
    scene: Callable[..., Scene],
) -> None:
    async def refused(each: PutTask) -> Outcome:
        if each.entry.key == "b":
            raise FatalError("the keys have expired")
        return done(each)

    here = scene(refused)

    async def main() -> None:
        tasks = here.take(1, "a", "b", "c")
        here.worker.end()
        await here.worker.run()
        outcomes = set(here.reports()[1])
        failed = {each for each in outcomes if isinstance(each, Failed)}
        assert outcomes - failed == {done(tasks[0]), done(tasks[2])}
        assert [each.target for each in failed] == ["b"]

    run(main())
    fatal = [each.text for each in here.heard() if isinstance(each, Fatal)]
    assert fatal == ["the keys have expired"]


@pytest.mark.parametrize("kind", [FailureKind.ACCESS, FailureKind.UNREADABLE])
def test_the_object_it_was_noticed_at_says_what_it_was(
    kind: FailureKind, scene: Callable[..., Scene]
) -> None:
    async def full(each: PutTask) -> Outcome:
        raise FatalError("no room", kind)

    here = scene(full)

    async def main() -> None:
        here.take(1, "a")
        here.worker.end()
        await here.worker.run()

    run(main())
    assert here.reports()[1] == [Failed("/src/a", "a", kind, "no room")]


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("x"), OSError("disk")])
def test_a_defect_of_the_role_is_never_silent(
    error: Exception, scene: Callable[..., Scene]
) -> None:
    """A role promises to raise nothing else; if it does, nobody may wait for the batch."""

    async def broken(each: PutTask) -> Outcome:
        if each.entry.key == "b":
            raise error
        return done(each)

    here = scene(broken)

    async def main() -> None:
        here.take(1, "a", "b", "c")
        here.worker.end()
        try:
            await here.worker.run()
        except type(error):
            assert 1 not in here.reports(), "another worker will do it again"
        else:
            failed = [each for each in here.reports()[1] if isinstance(each, Failed)]
            assert [each.kind for each in failed] == [FailureKind.INTERNAL]

    run(main())


def test_every_request_is_counted_once(scene: Callable[..., Scene]) -> None:
    here = scene()

    async def main() -> None:
        for number in range(1, 5):
            here.take(number, *range(number))
        here.worker.end()
        await here.worker.run()

    run(main())
    reports = [each for each in here.heard() if isinstance(each, BatchReport)]
    assert sum(report.requests for report in reports) == here.fake.requests == 10


def test_notes_are_passed_on_once(scene: Callable[..., Scene]) -> None:
    async def noting(each: PutTask) -> Outcome:
        if each.entry.key == "a":
            here.fake.notes.append("by the way: é \udcff")
        return done(each)

    here = scene(noting)

    async def main() -> None:
        here.take(1, "a")
        here.take(2, "b")
        here.worker.end()
        await here.worker.run()

    run(main())
    notices = [each.text for each in here.heard() if isinstance(each, Notice)]
    assert notices == ["by the way: é \udcff"]


@pytest.mark.skipif(sys.platform != "linux", reason="fork is not safe elsewhere")
def test_tasks_that_came_together_with_the_setup_are_heard() -> None:
    """A worker that replaces another gets its batches while it is still starting."""
    endpoint = Endpoint("http", "127.0.0.1:9", "/bucket", "us-east-1", "bucket")
    job = Job("put", (Source("/src"),), Place("bucket"), mode=Mode.STUPID)
    child = Child("putter 1", run_worker, context=start_context("fork"), arguments=())
    child.outbox.send(Setup(job, {Side.DEST: Opened(endpoint, None, None, True)}))
    child.outbox.send(task_batch([task("gone/a"), task("gone/b")], 1, size=2, large=1 << 40))
    child.outbox.send(NoMoreTasks())
    child.start(())
    try:
        child.process.join(40)
        assert child.process.exitcode == 0, "it waits for what it already has"
        reports = [each for each in child.inbox.available() if isinstance(each, BatchReport)]
        assert [(each.batch, each.objects) for each in reports] == [(1, 2)]
        kinds = [each.kind for each in reports[0].outcomes if isinstance(each, Failed)]
        assert kinds == [FailureKind.NOT_FOUND] * 2
    finally:
        child.kill()
        child.close()


# The pause between attempts


def test_a_pause_ends_with_its_time() -> None:
    async def main() -> None:
        await Pause()(0.0)

    run(main())


def test_no_other_attempt_is_made_once_the_run_is_to_finish() -> None:
    async def main() -> None:
        pause = Pause()
        waiting = asyncio.ensure_future(pause(3600.0))
        await turns()
        assert not waiting.done()
        pause.end()
        for each in (waiting, pause(3600.0)):
            with pytest.raises(ObjectError) as caught:
                await each
            assert caught.value.kind is FailureKind.STORE

    run(main())


# How many slots


@pytest.mark.parametrize(
    ("concurrency", "processes", "slots"), [(512, 2, 256), (4, 4, 1), (1, 8, 1), (512, 512, 1)]
)
def test_slots_are_a_workers_share(concurrency: int, processes: int, slots: int) -> None:
    assert slot_count(concurrency, processes) == slots


@given(st.integers(1, 600), st.integers(1, 64))
def test_all_slots_together_are_no_more_than_asked_for(concurrency: int, processes: int) -> None:
    slots = slot_count(concurrency, processes)
    assert slots >= 1
    assert slots == 1 or slots * processes <= concurrency


@pytest.mark.parametrize("limit", [16, 64, 256])
def test_slots_are_as_many_as_descriptors_allow(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (limit, limit))
    monkeypatch.setattr("resource.setrlimit", lambda which, limits: None)
    slots = slot_count(512, 1)
    assert 1 <= slots <= max(1, limit // 2)


def test_the_soft_limit_is_raised_as_far_as_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(64, 4096)]
    monkeypatch.setattr("resource.getrlimit", lambda which: limits[-1])
    monkeypatch.setattr("resource.setrlimit", lambda which, wanted: limits.append(wanted))
    assert slot_count(256, 1) == 256
    assert limits[-1][0] <= 4096


# Large objects


def large(name: object) -> PutTask:
    return PutTask(Entry(str(name), f"/src/{name}", THRESHOLD + 1, 0), None)


def part(number: int) -> PutPart:
    return PutPart("/src/a", "/src/a", 0, (1, 2, 3), Span(number, 0, 10 * number), "a", "id")


def test_a_lead_takes_no_slot_from_small_objects(scene: Callable[..., Scene]) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def act(each: PutTask) -> Outcome:
            if each.size > THRESHOLD:
                await go.wait()
            return done(each)

        here = scene(act)
        running = asyncio.ensure_future(here.worker.run())
        tasks = [large(n) for n in range(6)]
        here.worker.take(task_batch(tasks, 1, size=0, large=1 << 40))
        small = here.take(2, *range(100, 120))
        await turns(200)
        assert here.fake.begun[: min(LEADS, SLOTS)] == ["0", "1", "2"]
        assert set(here.reports()[2]) == {done(each) for each in small}
        assert 1 not in here.reports()
        go.set()
        here.worker.end()
        await running
        assert set(here.reports()[1]) == {done(each) for each in tasks}

    run(main())


@pytest.mark.parametrize("size", [THRESHOLD, THRESHOLD + 1])
def test_what_is_led_is_larger_than_the_threshold(size: int, scene: Callable[..., Scene]) -> None:
    """All slots are taken: only a lead finds room beside them."""

    async def main() -> None:
        go = asyncio.Event()

        async def hold(each: PutTask) -> Outcome:
            await go.wait()
            return done(each)

        here = scene(hold)
        running = asyncio.ensure_future(here.worker.run())
        here.take(1, *range(SLOTS))
        here.worker.take(
            task_batch([PutTask(Entry("x", "/src/x", size, 0), None)], 2, size=0, large=1 << 40)
        )
        await turns()
        assert ("x" in here.fake.begun) == (size > THRESHOLD)
        go.set()
        here.worker.end()
        await running

    run(main())


def test_each_part_is_answered_under_its_number(scene: Callable[..., Scene]) -> None:
    here = scene()

    async def main() -> None:
        here.fake.requests = 7
        for number in range(1, 6):
            here.worker.take_part(PartRequest(100 + number, 10, pickled(part(number))))
        await turns()

    run(main())
    ended = [each for each in here.heard() if isinstance(each, PartResult)]
    assert {each.number: each.open() for each in ended} == {
        100 + number: PartDone(number, 10 * number, "etag") for number in range(1, 6)
    }
    assert sum(each.size for each in ended) == 150
    assert sum(each.requests for each in ended) == 7, "requests of parts are told with them"


def test_a_part_that_was_there_has_moved_no_bytes(scene: Callable[..., Scene]) -> None:
    here = scene()

    async def move(each: PutPart) -> PartOutcome:
        return PartDone(each.span.number, 10, "etag", moved=each.span.number == 2)

    async def main() -> None:
        here.fake.move = move
        for number in (1, 2, 3):
            here.worker.take_part(PartRequest(number, 10, pickled(part(number))))
        await turns()

    run(main())
    ended = [each for each in here.heard() if isinstance(each, PartResult)]
    assert {each.number: each.size for each in ended} == {1: 0, 2: 10, 3: 0}


def test_no_more_parts_at_once_than_there_are_places(scene: Callable[..., Scene]) -> None:
    here, flying, most = scene(), 0, 0

    async def move(each: PutPart) -> PartOutcome:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await turns(3)
        flying -= 1
        return PartDone(each.span.number, 1, "etag")

    async def main() -> None:
        here.fake.move = move
        for number in range(1, 21):
            here.worker.take_part(PartRequest(number, 10, pickled(part(number))))
        await turns(100)

    run(main())
    assert most == JOB.speed.places == SLOTS
    assert len([each for each in here.heard() if isinstance(each, PartResult)]) == 20


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("x")])
def test_a_defect_in_a_part_is_told_to_its_lead(
    error: Exception, scene: Callable[..., Scene]
) -> None:
    here = scene()

    async def broken(each: PutPart) -> PartOutcome:
        raise error

    async def main() -> None:
        here.fake.move = broken
        here.worker.take_part(PartRequest(1, 10, pickled(part(3))))
        await turns()

    run(main())
    (ended,) = [each.open() for each in here.heard() if isinstance(each, PartResult)]
    assert isinstance(ended, PartFailed)
    assert (ended.number, ended.kind) == (3, FailureKind.INTERNAL)


def test_what_ends_the_run_at_a_part_is_said(scene: Callable[..., Scene]) -> None:
    here = scene()

    async def refused(each: PutPart) -> PartOutcome:
        raise FatalError("the keys have expired")

    async def main() -> None:
        here.fake.move = refused
        here.worker.take_part(PartRequest(1, 10, pickled(part(3))))
        await turns()

    run(main())
    fatal, ended = here.heard()
    assert fatal == Fatal("the keys have expired")
    assert ended.open() == PartFailed(3, FailureKind.ACCESS, "the keys have expired")


def test_a_defect_of_a_lead_is_never_silent(scene: Callable[..., Scene]) -> None:
    async def broken(each: PutTask) -> Outcome:
        raise RuntimeError("a defect")

    here = scene(broken)

    async def main() -> None:
        here.worker.take(task_batch([large("a")], 1, size=0, large=1 << 40))
        here.worker.end()
        await here.worker.run()

    run(main())
    (failed,) = here.reports()[1]
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.INTERNAL


def test_finishing_leaves_leads_and_parts_that_have_not_begun(scene: Callable[..., Scene]) -> None:
    async def main() -> None:
        async def left(each: PutTask) -> Outcome:
            await go.wait()
            raise RunEnding

        async def move(each: PutPart) -> PartOutcome:
            begun.append(each.span.number)
            await go.wait()
            return PartDone(each.span.number, 1, "etag")

        begun: list[int] = []
        go, here = asyncio.Event(), scene(left)
        here.fake.move = move
        running = asyncio.ensure_future(here.worker.run())
        for number in range(1, 7):
            here.worker.take(task_batch([large(number)], number, size=0, large=1 << 40))
            here.worker.take_part(PartRequest(number, 10, pickled(part(number))))
        await turns()
        here.worker.finish()
        assert here.reports() == {4: [], 5: [], 6: []}, "what nobody began is let go at once"
        go.set()
        await turns()
        assert here.reports() == {number: [] for number in range(1, 7)}
        assert begun == [1, 2, 3]
        here.worker.end()
        await running

    run(main())


@given(st.integers(0, 4096), st.integers(1, 600))
def test_slots_and_bays_fit_into_the_descriptors(limit: int, concurrency: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resource.getrlimit", lambda which: (limit, limit))
        patch.setattr("resource.setrlimit", lambda which, limits: None)
        slots = slot_count(concurrency, 1)
        room = limit - most_directories() - 32
    assert 1 <= slots <= concurrency
    assert slots == 1 or 3 * (slots + min(PLACES, slots) + min(LEADS, slots)) <= room
