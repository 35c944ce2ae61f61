"""Who reads ranges in their order: all of them, once, never far behind those that are fetched."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3pp.errors import S3ppError
from s3pp.localfs.temporary_file import TemporaryFile
from s3pp.localfs.tree import Tree
from s3pp.s3.multipart import Spans
from s3pp.transfer.get.follower import Follower
from s3pp.transfer.reading import Reader

EACH, COUNT = 1000, 40
BODY = random.Random(5).randbytes(EACH * COUNT - 17)
PLAN = Spans(len(BODY), EACH)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TemporaryFile]:
    file = TemporaryFile(Tree(str(tmp_path)), "object")
    file.write(BODY)
    yield file
    file.discard()


def follower(file: TemporaryFile, fed: bytearray, *, ahead: int) -> Follower:
    return Follower(file, PLAN, fed.extend, Reader(ThreadPoolExecutor(2)), ahead=ahead)


async def settled() -> None:
    """Whatever can happen has happened."""
    for _ in range(20):
        await asyncio.sleep(0.001)


def test_ranges_are_fed_in_order_however_they_come(file: TemporaryFile) -> None:
    async def follow() -> bytes:
        fed = bytearray()
        following = follower(file, fed, ahead=COUNT)
        for number in random.Random(7).sample(range(1, COUNT + 1), COUNT):
            following.hear(number)
            await asyncio.sleep(0)
        await following.done()
        return bytes(fed)

    assert asyncio.run(asyncio.wait_for(follow(), 20)) == BODY


def test_no_range_is_begun_far_ahead_of_what_was_fed(file: TemporaryFile) -> None:
    async def follow() -> None:
        following = follower(file, bytearray(), ahead=3)
        begun: list[int] = []

        async def begin(number: int) -> None:
            await following.near(number)
            begun.append(number)

        beginning = [asyncio.ensure_future(begin(number)) for number in range(1, COUNT + 1)]
        for number in range(1, COUNT + 1):
            await settled()
            assert sorted(begun) == list(range(1, min(number + 2, COUNT) + 1))
            following.hear(number)
        await asyncio.gather(*beginning)
        await following.done()

    asyncio.run(asyncio.wait_for(follow(), 20))


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_nobody_waits_for_a_follower_that_has_ended(file: TemporaryFile, how: str) -> None:
    async def follow() -> None:
        following = follower(file, bytearray(), ahead=1)
        waiting = asyncio.ensure_future(following.near(COUNT))
        await settled()
        assert not waiting.done()
        if how == "failed":
            file.discard()  # what is read next is not open any more
            following.hear(1)
            await waiting
            with pytest.raises(S3ppError):
                await following.done()
        else:
            await following.stop()
            await waiting
        await following.stop()

    asyncio.run(asyncio.wait_for(follow(), 20))
