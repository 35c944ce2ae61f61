"""Bodies that pass through a connection piece by piece: from a stream, and to a sink."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.exchange import MOST_HELD, Fault, Response, Sink, WireError
from s3pp.s3.receiving import BUFFER
from s3pp.s3.sending import SENT, SentRequest

from .test_http1 import GET, LENGTH, OK, Ends, chunks, turns, until

PATTERN = bytes(range(256)) * 4096  # 1 MiB


class Kept:
    """A sink that copies what it receives."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.starts = 0
        self.body = bytearray()
        self.sizes: list[int] = []
        self._fails_at = fails_at

    def restart(self) -> None:
        self.starts += 1
        self.body.clear()

    def write(self, piece: bytes | memoryview) -> None:
        assert self.starts
        self.sizes.append(len(piece))
        self.body += piece
        if self._fails_at is not None and len(self.body) >= self._fails_at:
            raise ZeroDivisionError("the disk is full")


class Counted:
    """A stream that counts what was read of it."""

    def __init__(self, content: bytes, size: int | None = None) -> None:
        self.size = len(content) if size is None else size
        self.read_to = 0
        self._content = content

    def read(self, count: int) -> bytes:
        assert 0 < count <= SENT
        piece = self._content[self.read_to : self.read_to + count]
        self.read_to += len(piece)
        return piece

    def rewind(self) -> None:
        self.read_to = 0


class Stepwise:
    """A pace that lets so many bytes pass each time it is allowed to."""

    def __init__(self) -> None:
        self.left = 0
        self._resume: Callable[[], None] | None = None

    def take(self, most: int, resume: Callable[[], None]) -> int:
        taken = min(most, max(0, self.left))
        self.left -= taken
        if not taken:
            self._resume = resume
        return taken

    def give_back(self, count: int) -> None:
        self.left += count

    def charge(self, count: int) -> None:
        self.left -= count

    def allow(self, count: int) -> None:
        """Let ``count`` bytes pass."""
        self.left += count
        if self.left > 0 and self._resume is not None:
            resume, self._resume = self._resume, None
            resume()


class Streaming(Ends):
    """A connection, whose requests may have streams and sinks, and its peer's end."""

    def send(
        self,
        *,
        sink: Sink | None = None,
        stream: Counted | None = None,
        pace: Stepwise | None = None,
    ) -> asyncio.Future[Response]:
        future: asyncio.Future[Response] = self._loop.create_future()
        self.connection.start(SentRequest(GET, stream, False, 60.0, future, sink, pace=pace))
        return future


# To a sink


@st.composite
def answers(draw: Any) -> tuple[bytes, bytes, bool]:
    """An answer, its body, and whether its connection can be used again."""
    body = draw(st.binary(max_size=300))
    framing = draw(st.sampled_from(["length", "chunks", "closed"]))
    excess = draw(st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]))
    if framing == "closed":
        return OK + b"\r\n" + body, body, False
    if framing == "length":
        head = OK + b"Content-Length: %d\r\n\r\n" % len(body)
        return head + body + excess, body, not excess
    cut = draw(st.integers(0, len(body)))
    pieces = [piece for piece in (body[:cut], body[cut:]) if piece]
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    return head + chunks(pieces) + excess, body, not excess


@given(answers(), st.lists(st.integers(1, 400), max_size=6))
def test_a_sink_receives_the_body_however_it_is_cut(
    answer: tuple[bytes, bytes, bool], cuts: list[int]
) -> None:
    raw, body, kept = answer
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})

    async def main() -> None:
        with closing(Streaming()) as ends:
            sink = Kept()
            future = ends.send(sink=sink)
            for start, end in pairwise(places):
                if not future.done():
                    await ends.answer(raw[start:end])
            ends.theirs.shutdown(socket.SHUT_WR)
            response = await asyncio.wait_for(future, 10)
            assert (sink.starts, bytes(sink.body)) == (1, body)
            assert (response.status, response.body) == (200, b"")
            # Where the excess comes by itself, the connection is closed as an idle one is.
            assert ends.pool.given <= kept or ends.pool.removed

    asyncio.run(main())


def test_a_sink_receives_what_no_memory_would_hold_in_pieces_that_fit(run: Any) -> None:
    count = MOST_HELD // len(PATTERN) + 2

    async def main() -> None:
        with closing(Streaming()) as ends:
            sink = Kept()
            future = ends.send(sink=sink)
            await ends.answer(OK + b"Content-Length: %d\r\n\r\n" % (count * len(PATTERN)))
            for _ in range(count):
                await ends.answer(PATTERN)
            assert (await asyncio.wait_for(future, 10)).body == b""
            assert sink.body == PATTERN * count
            assert max(sink.sizes) <= BUFFER
            assert ends.pool.given == 1

    run(main())


@pytest.mark.parametrize("fails_at", [1, 300_000])
def test_what_a_sink_raises_ends_the_exchange_and_the_connection(fails_at: int, run: Any) -> None:
    async def main() -> None:
        with closing(Streaming()) as ends:
            future = ends.send(sink=Kept(fails_at))
            ends.theirs.setblocking(True)
            data = OK + b"\r\n" + PATTERN
            sending = asyncio.create_task(asyncio.to_thread(_send_until_closed, ends.theirs, data))
            with pytest.raises(ZeroDivisionError, match="the disk is full"):
                await asyncio.wait_for(future, 10)
            assert (ends.pool.given, ends.pool.removed) == (0, 1)
            await sending

    run(main())


def _send_until_closed(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(data)


@pytest.mark.parametrize("rest", [b"", b"half of it"])
def test_a_body_that_breaks_off_is_no_answer(rest: bytes, run: Any) -> None:
    async def main() -> None:
        with closing(Streaming()) as ends:
            sink = Kept()
            future = ends.send(sink=sink)
            await _receive(ends, len(GET))
            await ends.answer(OK + b"Content-Length: 100\r\n\r\n" + rest)
            ends.theirs.close()
            with pytest.raises(WireError) as caught:
                await asyncio.wait_for(future, 10)
            assert caught.value.fault is Fault.PARTIAL
            assert bytes(sink.body) == rest

    run(main())


def test_a_sink_is_left_alone_from_the_moment_of_the_cancellation(run: Any) -> None:
    """Its file may be closed by then, and the descriptor be another's."""

    async def main() -> None:
        with closing(Streaming()) as ends:
            sink = Kept()
            future = ends.send(sink=sink)
            await ends.answer(OK + b"Content-Length: 100\r\n\r\nfirst")
            ends.theirs.send(b"second")
            future.cancel()
            ends.connection._on_readable()  # before the loop has run what follows the cancellation
            assert bytes(sink.body) == b"first"
            await until(lambda: ends.pool.removed == 1)
            assert ends.pool.given == 0

    run(main())


def test_bytes_that_trickle_into_a_sink_count_as_silence() -> None:
    async def main() -> None:
        with closing(Streaming()) as ends:
            future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
            request = SentRequest(GET, None, False, 3.0, future, Kept())
            ends.connection.start(request)
            await ends.answer(OK + b"Content-Length: 100\r\n\r\n")
            ends.connection.tick()
            for _ in range(3):
                assert not future.done()
                await ends.answer(b"x")
                ends.connection.tick()
            with pytest.raises(WireError) as caught:
                await future
            assert caught.value.fault is Fault.SILENT

    asyncio.run(main())


# From a stream


async def _receive(ends: Ends, size: int) -> bytes:
    got = bytearray()
    loop = asyncio.get_running_loop()
    while len(got) < size:
        got += await loop.sock_recv(ends.theirs, 100_000)
    return bytes(got)


@pytest.mark.parametrize("size", [0, 1, SENT, len(PATTERN)])
def test_a_stream_is_sent_whole_however_slowly_the_peer_reads(size: int, run: Any) -> None:
    content = PATTERN[:size]

    async def main() -> None:
        with closing(Streaming()) as ends:
            stream = Counted(content)
            for _ in range(2):  # the second time on a kept connection
                future = ends.send(stream=stream)
                assert await _receive(ends, len(GET) + size) == GET + content
                await ends.answer(OK + LENGTH + b"\r\nhi")
                assert (await asyncio.wait_for(future, 10)).body == b"hi"
            assert ends.pool.given == 2

    run(main())


def test_a_stream_that_is_too_short_is_an_error(run: Any) -> None:
    async def main() -> None:
        with closing(Streaming()) as ends:
            future = ends.send(stream=Counted(b"short", size=10))
            with pytest.raises(WireError, match="5 bytes before its size") as caught:
                await asyncio.wait_for(future, 10)
            assert caught.value.fault is Fault.OTHER
            assert ends.pool.removed == 1

    run(main())


def test_a_refusal_before_the_whole_stream_was_sent_is_received(run: Any) -> None:
    """The rest is not sent, and the connection, on which it would be expected, is closed."""

    async def main() -> None:
        with closing(Streaming()) as ends:
            stream = Counted(PATTERN * 8)
            future = ends.send(stream=stream)
            await ends.answer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            response = await asyncio.wait_for(future, 10)
            assert (response.status, response.body) == (403, b"no")
            assert stream.read_to < stream.size
            assert (ends.pool.given, ends.pool.removed) == (0, 1)

    run(main())


def test_nothing_of_a_stream_is_read_after_a_cancellation(run: Any) -> None:
    async def main() -> None:
        with closing(Streaming()) as ends:
            stream = Counted(PATTERN * 8)
            future = ends.send(stream=stream)
            await _receive(ends, SENT)
            future.cancel()
            read_to = stream.read_to
            await until(lambda: ends.pool.removed == 1)
            assert stream.read_to == read_to < stream.size

    run(main())


def test_a_stream_is_read_before_the_peer_sees_anything(run: Any) -> None:
    """What the request's arrival changes is not sent under a digest of what was there before."""

    async def main() -> None:
        with closing(Streaming()) as ends:

            class First(Counted):
                def read(self, count: int) -> bytes:
                    if not self.read_to:
                        with pytest.raises(BlockingIOError):
                            ends.theirs.recv(1)
                    return super().read(count)

            ends.send(stream=First(b"content"))
            assert await _receive(ends, len(GET) + 7) == GET + b"content"

    run(main())


# At a pace


def test_a_body_is_sent_as_its_pace_allows_and_its_waiting_is_no_silence(run: Any) -> None:
    async def main() -> None:
        with closing(Streaming()) as ends:
            pace, stream = Stepwise(), Counted(PATTERN[:10_000])
            future = ends.send(stream=stream, pace=pace)
            for number in range(10):
                await until(lambda at=number: stream.read_to == 1000 * at)
                await turns()
                for _ in range(100):  # longer than the patience of 60 seconds
                    ends.connection.tick()
                assert not future.done()
                pace.allow(1000)
            await turns()
            await ends.answer(OK + LENGTH + b"\r\nhi")
            assert (await asyncio.wait_for(future, 10)).body == b"hi"
            got = ends.theirs.recv(20_000)
            assert got.endswith(PATTERN[:10_000])
            assert ends.pool.given == 1

    run(main())


def test_a_body_is_received_as_its_pace_allows_and_its_waiting_is_no_silence(run: Any) -> None:
    async def main() -> None:
        with closing(Streaming()) as ends:
            pace, sink = Stepwise(), Kept()
            future = ends.send(sink=sink, pace=pace)
            await ends.answer(OK + b"Content-Length: 10000\r\n\r\n" + PATTERN[:500])
            await ends.answer(PATTERN[500:10_000])
            pace.allow(500)  # for what came with the head, which has passed already
            for number in range(19):
                await until(lambda at=number: len(sink.body) == 500 * (at + 1))
                await turns()
                for _ in range(100):
                    ends.connection.tick()
                assert not future.done()
                pace.allow(500)
            await asyncio.wait_for(future, 10)
            assert sink.body == PATTERN[:10_000]
            assert ends.pool.given == 1

    run(main())


def test_a_peer_that_is_silent_under_a_limit_is_given_up_all_the_same(run: Any) -> None:
    async def main() -> None:
        with closing(Streaming()) as ends:
            pace = Stepwise()
            pace.allow(1000)
            future = ends.send(sink=Kept(), pace=pace)
            await ends.answer(OK + b"Content-Length: 500\r\n\r\n" + PATTERN[:200])
            for _ in range(62):
                ends.connection.tick()
            with pytest.raises(WireError) as lost:
                await future
            assert lost.value.fault is Fault.SILENT

    run(main())


def test_a_request_that_is_cancelled_while_its_pace_holds_it_is_forgotten(run: Any) -> None:
    async def main() -> None:
        for options in ({"stream": Counted(PATTERN)}, {"sink": Kept()}):
            with closing(Streaming()) as ends:
                pace = Stepwise()
                future = ends.send(pace=pace, **options)
                await ends.answer(OK + b"Content-Length: 5000\r\n\r\n" + PATTERN[:200])
                future.cancel()
                await until(lambda: ends.pool.removed == 1)
                pace.allow(100_000)  # and nothing happens

    run(main())
