"""Where files are read, and how many bytes of them are held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FatalError, RunEnding
from s3pp.transfer.resources import Budget, Reader, StopSwitch

HERE = threading.main_thread()
FAST, SLOW = 0.00002, 0.005  # seconds: the page cache, and a network file system


class Disk:
    """Reads that take as long as they are told to, on a clock of their own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.readers: list[threading.Thread] = []

    def clock(self) -> float:
        return self.now

    def read(self, seconds: float) -> str:
        self.now += seconds
        self.readers.append(threading.current_thread())
        return "content"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def reads(reader: Reader, disk: Disk, seconds: float, count: int) -> None:
    for _ in range(count):
        assert await reader.run(disk.read, seconds) == "content"


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def test_quick_reads_stay_on_the_loop(threads: ThreadPoolExecutor) -> None:
    disk = Disk()
    run(reads(Reader(threads, clock=disk.clock), disk, FAST, 500))
    assert set(disk.readers) == {HERE}


def test_slow_reads_move_to_threads_and_quick_ones_back(threads: ThreadPoolExecutor) -> None:
    disk = Disk()
    reader = Reader(threads, clock=disk.clock)

    async def main() -> None:
        await reads(reader, disk, SLOW, 50)
        assert disk.readers[0] is HERE
        assert len(set(disk.readers)) == 2
        await reads(reader, disk, SLOW, 50)
        assert disk.readers[-50:].count(HERE) < 10, "some may be made here, to measure"
        await reads(reader, disk, FAST, 3000)
        assert set(disk.readers[-50:]) == {HERE}

    run(main())


def test_reads_made_here_are_measured_as_well(threads: ThreadPoolExecutor) -> None:
    disk = Disk()
    reader = Reader(threads, clock=disk.clock)
    for seconds, count, threaded in ((FAST, 500, False), (SLOW, 50, True), (FAST, 3000, False)):
        for _ in range(count):
            assert reader.here(disk.read, seconds) == "content"
        assert reader.threaded is threaded
    assert set(disk.readers) == {HERE}


def test_one_long_pause_is_no_slow_disk(threads: ThreadPoolExecutor) -> None:
    disk = Disk()
    reader = Reader(threads, clock=disk.clock)

    async def main() -> None:
        await reads(reader, disk, FAST, 20)
        await reads(reader, disk, 60.0, 1)
        await reads(reader, disk, FAST, 20)

    run(main())
    assert set(disk.readers) == {HERE}


def test_a_disk_between_quick_and_slow_does_not_flutter(threads: ThreadPoolExecutor) -> None:
    disk = Disk()
    reader = Reader(threads, clock=disk.clock)
    threaded = []

    async def main() -> None:
        await reads(reader, disk, SLOW, 50)
        for _ in range(1000):
            await reads(reader, disk, 0.0005, 1)
            threaded.append(reader.threaded)

    run(main())
    assert set(threaded) == {True}


@pytest.mark.parametrize("seconds", [FAST, SLOW])
def test_what_a_read_raises_surfaces(seconds: float, threads: ThreadPoolExecutor) -> None:
    disk = Disk()
    reader = Reader(threads, clock=disk.clock)

    def broken(_: None) -> None:
        raise OSError("broken")

    async def main() -> None:
        await reads(reader, disk, seconds, 50)
        with pytest.raises(OSError, match="broken"):
            await reader.run(broken, None)

    run(main())


def test_work_sent_away_is_never_on_the_loop(threads: ThreadPoolExecutor) -> None:
    disk = Disk()
    reader = Reader(threads, clock=disk.clock)

    async def main() -> None:
        for _ in range(10):
            assert await reader.away(lambda: disk.read(60.0)) == "content"
        await reads(reader, disk, FAST, 1)

    run(main())
    assert HERE not in disk.readers[:10]
    assert disk.readers[10] is HERE, "long work says nothing about the disk"


def test_nobody_waits_for_whole_bodies_once_the_run_is_ending() -> None:
    threads = ThreadPoolExecutor(2)
    go_on, done = threading.Event(), threading.Event()

    def read() -> None:
        go_on.wait(20)
        done.set()

    async def main() -> None:
        reader = Reader(threads)
        assert await reader.whole(lambda: 5) == 5
        with pytest.raises(ValueError, match="a defect"):
            await reader.whole(lambda: int("a defect"))
        reading = asyncio.ensure_future(reader.whole(read))
        await asyncio.sleep(0.01)
        reader.end()
        with pytest.raises(RunEnding):
            await asyncio.wait_for(reading, 10)
        with pytest.raises(RunEnding):
            await reader.whole(lambda: 5)
        assert await reader.away(lambda: 5) == 5  # what is to be tidied up still is

    asyncio.run(main())
    assert not done.is_set()
    go_on.set()
    threads.shutdown()


SIZE = 10


@given(st.lists(st.tuples(st.integers(0, 3 * SIZE), st.integers(0, 4)), max_size=12))
@settings(deadline=None)
def test_the_budget_is_kept_and_those_who_wait_are_served_in_order(
    wanted: list[tuple[int, int]],
) -> None:
    budget = Budget(SIZE)
    held, served = [0], []

    async def body(at: int, count: int, turns: int) -> None:
        grant = budget.grant(count)
        await budget.take(grant)
        served.append(at)
        held[0] += grant
        assert held[0] <= SIZE
        for _ in range(turns):
            await asyncio.sleep(0)
        held[0] -= grant
        budget.give(grant)

    async def main() -> None:
        tasks = (body(at, count, turns) for at, (count, turns) in enumerate(wanted))
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
        await asyncio.wait_for(budget.take(SIZE), 10)  # all of it is there again

    asyncio.run(main())
    assert served == list(range(len(wanted)))


def test_a_small_body_does_not_overtake_a_large_one_that_waits() -> None:
    async def main() -> list[str]:
        budget, order = Budget(SIZE), []

        async def take(name: str, count: int) -> None:
            await budget.take(count)
            order.append(name)

        await budget.take(6)
        waiting = [asyncio.ensure_future(take("large", 9)), asyncio.ensure_future(take("small", 1))]
        await asyncio.sleep(0)
        assert order == []
        budget.give(6)
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(main()) == ["large", "small"]


def test_nothing_is_granted_that_is_not_there() -> None:
    budget = Budget(SIZE)
    assert [budget.grant(count) for count in (0, 1, SIZE, SIZE + 1)] == [0, 1, SIZE, SIZE]


def test_who_waits_no_more_takes_nothing_along() -> None:
    async def main() -> None:
        budget = Budget(SIZE)
        await budget.take(SIZE)
        waiting = [asyncio.ensure_future(budget.take(SIZE)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # before it is served
        budget.give(SIZE)
        waiting[1].cancel()  # when it is, and has not heard of it
        await asyncio.wait_for(waiting[2], 10)
        budget.give(SIZE)
        assert budget.take_at_once(SIZE)
        assert not budget.take_at_once(1)

    asyncio.run(main())


class NoThreads(ThreadPoolExecutor):
    """As under ``ulimit -u``: the standard library raises what it raises for other mistakes too."""

    def submit(self, *arguments: Any, **named: Any) -> Any:
        raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("way", ["away", "whole"])
def test_where_no_thread_can_be_started_the_limit_is_named(way: str) -> None:
    with pytest.raises(FatalError, match=r"threads .* raise ulimit -u .*lower --processes"):
        asyncio.run(getattr(Reader(NoThreads()), way)(lambda: None))


def test_an_error_of_the_work_is_its_own(threads: ThreadPoolExecutor) -> None:
    def work() -> None:
        raise RuntimeError("oh")

    with pytest.raises(RuntimeError, match="oh"):
        asyncio.run(Reader(threads).away(work))


def test_a_switch_ends_the_wait_that_there_is_and_later_ones() -> None:
    async def main() -> None:
        switch = StopSwitch()
        assert await switch.until_stopped(asyncio.sleep(0, 5)) == 5
        assert not StopSwitch().stop(), "nobody waits"
        waiting = asyncio.ensure_future(switch.until_stopped(asyncio.sleep(60)))
        await asyncio.sleep(0.01)
        assert switch.stop()
        for each in (waiting, switch.until_stopped(asyncio.sleep(0))):
            with pytest.raises(RunEnding):
                await each

    run(main())
