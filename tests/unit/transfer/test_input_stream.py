"""A stream that is read ahead, taken in parts, and compressed on the way."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from s3pp.limits import PIECE
from s3pp.transfer.bodies import MemoryBody
from s3pp.transfer.put.input_stream import InputStream, ReadPieces
from s3pp.transfer.resources import Reader

CONTENT = bytes(range(251)) * (3 * PIECE // 251)  # no two pieces alike


def reading(content: bytes) -> ReadPieces:
    at = 0

    async def read(count: int) -> list[bytes]:
        nonlocal at
        whole, at = content[at : at + count], at + count
        return [whole[each : each + PIECE] for each in range(0, len(whole), PIECE)]

    return read


async def parts(stream: InputStream, counts: Iterator[int]) -> list[bytes]:
    taken = []
    while await stream.peek(1):
        taken.append(b"".join(await stream.take(next(counts))))
    return taken


@given(st.integers(0, len(CONTENT)), st.integers(PIECE // 4, 2 * PIECE), st.integers(0, 2 * PIECE))
def test_it_is_taken_in_parts_of_any_size(size: int, each: int, ahead: int) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as threads:
            stream = InputStream(reading(CONTENT[:size]), Reader(threads))
            head = await stream.peek(ahead)
            assert sum(map(len, head)) >= min(ahead, size)
            taken = await parts(stream, iter(lambda: each, 0))
            assert (b"".join(taken), stream.size) == (CONTENT[:size], size)
            assert all(len(part) == each for part in taken[:-1])

    asyncio.run(main())


@given(st.sampled_from([0, 1, PIECE, len(CONTENT)]), st.sampled_from([1, PIECE, 4 * PIECE]))
def test_it_is_compressed_from_its_first_byte(size: int, ahead: int) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as threads:
            stream = InputStream(reading(CONTENT[:size] + b"end"), Reader(threads))
            await stream.peek(ahead)
            await stream.compress()
            packed = b"".join(await parts(stream, iter(lambda: 1000, 0)))
            assert gzip.decompress(packed) == CONTENT[:size] + b"end"
            assert stream.size == size + 3 > len(packed) or size < 100

    asyncio.run(main())


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.integers(1, 12))
def test_a_body_in_memory_is_read_as_often_as_wanted(pieces: list[bytes], count: int) -> None:
    body = MemoryBody(pieces)
    for _ in range(2):
        body.rewind()
        read = list(iter(lambda: body.read(count), b""))
        assert b"".join(read) == b"".join(body.pieces()) == b"".join(pieces)
        assert max(map(len, read), default=0) <= count
    assert body.size == len(b"".join(pieces))
