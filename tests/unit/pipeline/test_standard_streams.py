"""Reading and writing whole buffers through descriptors that hand out less."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from s3pp.errors import FatalError, ObjectError
from s3pp.limits import PIECE
from s3pp.pipeline.standard_streams import BlockingCalls, ReaderGone, read_pieces, write_pieces

CONTENT = os.urandom(3 * PIECE + 17)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


@pytest.mark.parametrize("blocking", [True, False])
def test_all_passes_through_a_pipe(pipe: tuple[int, int], blocking: bool) -> None:
    reading, writing = pipe
    for end in pipe:
        os.set_blocking(end, blocking)
    pieces = [CONTENT[:5], b"", *([CONTENT[5:105]] * 200), CONTENT[105:]]

    def write() -> None:
        write_pieces(writing, pieces)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    first = read_pieces(reading, PIECE + 1)
    rest = read_pieces(reading, 100 * PIECE)
    thread.join()
    assert [len(piece) for piece in first] == [PIECE, 1]
    assert b"".join(first + rest) == b"".join(pieces)
    assert read_pieces(reading, 1) == []


def test_errors_are_told_apart(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    with pytest.raises(ReaderGone):
        write_pieces(writing, [b"x"])
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(FatalError, match="No space"):
        write_pieces(full.fileno(), [b"x"])
    directory = os.open("/", os.O_RDONLY)
    with pytest.raises(ObjectError, match="standard input cannot be read: Is a directory"):
        read_pieces(directory, 1)
    os.close(directory)


def test_a_call_that_is_no_longer_awaited_keeps_nobody() -> None:
    async def main() -> None:
        calls, go = BlockingCalls(), threading.Event()
        waiting = asyncio.ensure_future(calls.run(go.wait))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        assert await calls.run(lambda: 5) == 5
        with pytest.raises(ZeroDivisionError):
            await calls.run(lambda: 1 // 0)

    asyncio.run(main())
