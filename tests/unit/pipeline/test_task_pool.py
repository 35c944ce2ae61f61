"""A pool: so many at once, in order, and the rest waits or is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from s3pp.pipeline.slots import TaskPool


def run(main: Coroutine[Any, Any, None]) -> None:
    errors: list[dict[str, Any]] = []

    async def bounded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        await asyncio.wait_for(main, 10)

    asyncio.run(bounded())
    assert errors == []


@given(st.integers(1, 5), st.lists(st.integers(0, 4), max_size=20))
def test_all_come_to_their_end_in_order_and_never_too_many(most: int, turns: list[int]) -> None:
    begun: list[int] = []
    flying = highest = ended = 0

    async def work(number: int) -> None:
        nonlocal flying, highest, ended
        begun.append(number)
        flying += 1
        highest = max(highest, flying)
        for _ in range(turns[number]):
            await asyncio.sleep(0)
        flying -= 1
        ended += 1

    async def main() -> None:
        pool: TaskPool[int] = TaskPool(most, work)
        for number in range(len(turns)):
            pool.add(number)
        await pool.idle()
        assert begun == list(range(len(turns)))
        assert ended == len(turns)
        assert highest <= most
        assert pool.drop() == []

    run(main())


def test_what_is_dropped_is_not_begun() -> None:
    async def main() -> None:
        go, begun = asyncio.Event(), []

        async def work(number: int) -> None:
            begun.append(number)
            await go.wait()

        pool: TaskPool[int] = TaskPool(2, work)
        for number in range(5):
            pool.add(number)
        await asyncio.sleep(0)
        assert pool.drop() == [2, 3, 4]
        go.set()
        await pool.idle()
        assert begun == [0, 1]
        pool.add(9)
        await pool.idle()
        assert begun == [0, 1, 9]

    run(main())


def test_a_bay_that_is_empty_is_idle() -> None:
    async def work(number: int) -> None:
        raise AssertionError(number)

    run(TaskPool[int](1, work).idle())
