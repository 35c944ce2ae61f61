"""Parts on their way: a window of so many, and an end for every one that was begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind, ObjectError, RunEnding
from s3pp.records import PartDone, PartFailed, PartOutcome, PutPart, Span
from s3pp.s3.retry import StoreError
from s3pp.transfer.parts import PartError, part_failed, run_arriving_parts, run_parts

Move = Callable[[PutPart], Awaitable[PartOutcome]]
REFUSED = PartFailed(2, FailureKind.STORE, "SlowDown: later", "SlowDown")


def part(number: int) -> PutPart:
    return PutPart("/src/a", "/src/a", 0, (1, 2, 3), Span(number, 0, 10), "a", "id")


def done(number: int) -> PartDone:
    return PartDone(number, 10, "etag")


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run, and see that asyncio has nothing to complain about: it would do so on stderr."""
    errors: list[dict[str, Any]] = []

    async def bounded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        await asyncio.wait_for(main, 10)
        await asyncio.sleep(0)

    asyncio.run(bounded())
    assert errors == []


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 6))
@settings(deadline=None)
def test_all_are_moved_with_so_many_under_way(waits: list[int], at_once: int) -> None:
    flying = most = 0

    async def move(each: PutPart) -> PartOutcome:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await turns(waits[each.span.number - 1])
        flying -= 1
        return done(each.span.number)

    async def main() -> None:
        numbers = range(1, len(waits) + 1)
        assert await run_parts(map(part, numbers), move, at_once=at_once) == list(
            map(done, numbers)
        )
        assert most <= at_once
        assert most == min(at_once, len(waits)) or 0 in waits

    run(main())


def test_parts_are_made_as_they_are_offered() -> None:
    """10,000 of them are no list."""
    made: list[int] = []

    def parts() -> Any:
        for number in range(1, 100):
            made.append(number)
            yield part(number)

    async def main() -> None:
        go = asyncio.Event()

        async def move(each: PutPart) -> PartOutcome:
            await go.wait()
            return done(each.span.number)

        moving = asyncio.ensure_future(run_parts(parts(), move, at_once=3))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(made) <= 4
        go.set()
        assert len(await moving) == 99

    run(main())


@pytest.mark.parametrize("moved_one", [False, True])
@pytest.mark.parametrize("settled", [False, True])
def test_the_first_that_is_refused_ends_it(settled: bool, moved_one: bool) -> None:
    """The others are waited for where that is wanted, and where none has been moved."""

    async def main() -> None:
        ended: list[int] = []
        refused = asyncio.Event()

        async def move(each: PutPart) -> PartOutcome:
            if each.span.number == 0:
                return done(0)
            if each.span.number == 2:
                await turns(5)  # part 0 is heard of before
                refused.set()
                return REFUSED
            await refused.wait()
            await turns(50)
            ended.append(each.span.number)
            return done(each.span.number)

        with pytest.raises(PartError, match="part 2: SlowDown: later") as caught:
            await run_parts(map(part, range(not moved_one, 9)), move, at_once=4, settled=settled)
        assert (caught.value.kind, caught.value.code) == (FailureKind.STORE, "SlowDown")
        others = [1, 3, 4] if settled or not moved_one else []
        assert ended == others
        await asyncio.sleep(0.03)
        assert ended == others, "nobody waits for them, nor begins others"

    run(main())


@pytest.mark.parametrize("together", [False, True])
def test_what_ends_the_run_is_passed_on_once(together: bool) -> None:
    """All those that wait hear of it at the same moment."""

    async def main() -> None:
        go = asyncio.Event()

        async def move(each: PutPart) -> PartOutcome:
            await go.wait()
            if together or each.span.number == 2:
                raise RunEnding
            await asyncio.sleep(60)
            raise AssertionError

        moving = asyncio.ensure_future(run_parts(map(part, range(1, 9)), move, at_once=4))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(RunEnding):
            await moving

    run(main())


def test_parts_that_arrive_run_while_others_are_made() -> None:
    async def main() -> None:
        running, wakes = 0, asyncio.Event()

        async def arrive() -> AsyncIterator[PutPart]:
            for number in range(1, 6):
                if number == 5:  # made once all others run
                    assert running == 4
                    wakes.set()
                yield part(number)
                await turns(3)

        async def move(each: PutPart) -> PartOutcome:
            nonlocal running
            running += 1
            await wakes.wait()
            return done(each.span.number)

        assert await run_arriving_parts(arrive(), move) == [done(n) for n in range(1, 6)]

    run(main())


@pytest.mark.parametrize("fails", ["part", "source", "ending"])
def test_when_parts_that_arrive_fail(fails: str) -> None:
    """All that run are waited for, as the upload is aborted then, unless the run is ending."""
    ended: list[int] = []

    async def arrive() -> AsyncIterator[PutPart]:
        for number in range(1, 4):
            yield part(number)
        if fails == "part":
            await asyncio.sleep(60)
        raise RunEnding if fails == "ending" else ObjectError(FailureKind.UNREADABLE, "broken")

    async def move(each: PutPart) -> PartOutcome:
        if each.span.number == 2 and fails == "part":
            return REFUSED
        await asyncio.sleep(0.01)
        ended.append(each.span.number)
        return done(each.span.number)

    async def main() -> None:
        with pytest.raises((PartError, ObjectError, RunEnding)):
            await run_arriving_parts(arrive(), move)
        await asyncio.sleep(0.03)

    run(main())
    assert sorted(ended) == {"part": [1], "source": [1, 2, 3], "ending": []}[fails]


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (
            StoreError(404, "NoSuchUpload", "gone"),
            PartFailed(3, FailureKind.NOT_FOUND, "NoSuchUpload: gone", "NoSuchUpload"),
        ),
        (ObjectError(FailureKind.CHANGED, "it did"), PartFailed(3, FailureKind.CHANGED, "it did")),
        (
            RuntimeError("x"),
            PartFailed(3, FailureKind.INTERNAL, "internal error: RuntimeError: x"),
        ),
    ],
)
def test_how_a_part_failed(error: Exception, failed: PartFailed) -> None:
    assert part_failed(3, error) == failed
