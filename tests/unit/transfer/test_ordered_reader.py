"""Ranges are read in order: all of them, once, never far behind those that are fetched."""

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
from s3pp.records import GetPart, PartDone, PartOutcome
from s3pp.s3.multipart import Spans
from s3pp.transfer.get.range_download import OrderedReader
from s3pp.transfer.resources import Reader

EACH, COUNT = 1000, 40
BODY = random.Random(5).randbytes(EACH * COUNT - 17)
PLAN = Spans(len(BODY), EACH)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TemporaryFile]:
    file = TemporaryFile(Tree(str(tmp_path)), "object")
    file.write(BODY)
    yield file
    file.discard()


def ordered(file: TemporaryFile, fed: bytearray, *, ahead: int) -> OrderedReader:
    return OrderedReader(file, PLAN, fed.extend, Reader(ThreadPoolExecutor(2)), ahead=ahead)


def part(number: int) -> GetPart:
    return GetPart("k", "etag", PLAN.span(number), "object", "md5")


async def fetch(part: GetPart) -> PartOutcome:
    return PartDone(part.span.number, part.span.size, "etag")


async def settled() -> None:
    """Whatever can happen has happened."""
    for _ in range(20):
        await asyncio.sleep(0.001)


def test_ranges_are_read_in_order_however_they_arrive(file: TemporaryFile) -> None:
    async def read() -> bytes:
        fed = bytearray()
        reader = ordered(file, fed, ahead=COUNT)
        for number in random.Random(7).sample(range(1, COUNT + 1), COUNT):
            await reader.run_part(part(number), fetch)
        await reader.wait()
        return bytes(fed)

    assert asyncio.run(asyncio.wait_for(read(), 20)) == BODY


def test_no_range_is_started_far_ahead_of_what_was_read(file: TemporaryFile) -> None:
    async def read() -> None:
        reader = ordered(file, bytearray(), ahead=3)
        started: list[int] = []
        released = [asyncio.Event() for _ in range(COUNT + 1)]

        async def run(part: GetPart) -> PartOutcome:
            started.append(part.span.number)
            await released[part.span.number].wait()
            return await fetch(part)

        running = [
            asyncio.ensure_future(reader.run_part(part(number), run))
            for number in range(1, COUNT + 1)
        ]
        for number in range(1, COUNT + 1):
            await settled()
            assert sorted(started) == list(range(1, min(number + 2, COUNT) + 1))
            released[number].set()
        await asyncio.gather(*running)
        await reader.wait()

    asyncio.run(asyncio.wait_for(read(), 20))


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_no_range_waits_for_a_reader_that_has_ended(file: TemporaryFile, how: str) -> None:
    async def read() -> None:
        reader = ordered(file, bytearray(), ahead=1)
        waiting = asyncio.ensure_future(reader.run_part(part(COUNT), fetch))
        await settled()
        assert not waiting.done()
        if how == "failed":
            file.discard()  # what is read next is not open any more
            await reader.run_part(part(1), fetch)
            await waiting
            with pytest.raises(S3ppError):
                await reader.wait()
        else:
            await reader.stop()
            await waiting
        await reader.stop()

    asyncio.run(asyncio.wait_for(read(), 20))
