"""One connection: what of a peer's bytes is an answer, however they arrive, and what is none."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import struct
import time
from contextlib import closing, suppress
from math import inf
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.s3.exchange import MOST_HELD, Fault, Response, WireError
from s3pp.s3.http1 import MOST_IDLE, Connection
from s3pp.s3.receiving import BUFFER
from s3pp.s3.sending import SentRequest

OK = b"HTTP/1.1 200 OK\r\n"
GET = b"GET / HTTP/1.1\r\n\r\n"


class Kept:
    """A pool of one connection that records what becomes of it."""

    def __init__(self) -> None:
        self.session: ssl.SSLSession | None = None
        self.buffer = memoryview(bytearray(BUFFER))
        self.given = 0
        self.removed = 0
        self.distrusted: list[Any] = []
        self.again: list[SentRequest] = []

    def give(self, connection: Connection) -> None:
        self.given += 1

    def remove(self, connection: Connection) -> None:
        self.removed += 1

    def distrust(self, address: Any) -> None:
        self.distrusted.append(address)

    def send_again(self, request: SentRequest) -> None:
        self.again.append(request)


class Ends:
    """A connection, and its peer's end of it."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.pool = Kept()
        self._loop = asyncio.get_running_loop()
        self.connection = Connection(self._loop, ours, self.pool, address="there")

    def start(
        self,
        body: bytes | None = None,
        *,
        bodiless: bool = False,
        patience: float = 60.0,
        total: float = inf,
    ) -> asyncio.Future[Response]:
        future: asyncio.Future[Response] = self._loop.create_future()
        self.connection.start(SentRequest(GET, body, bodiless, patience, future, None, total))
        return future

    async def answer(self, *pieces: bytes) -> None:
        for piece in pieces:
            await self._loop.sock_sendall(self.theirs, piece)
            await turns()

    def close(self) -> None:
        self.connection.close()
        self.theirs.close()


async def turns(count: int = 3) -> None:
    """Let the event loop deliver what has arrived."""
    for _ in range(count):
        await asyncio.sleep(0)


async def receive(
    pieces: list[bytes], *, bodiless: bool = False, closing_after: bool = False
) -> tuple[Response, bool]:
    """The answer made of ``pieces``, received one by one, and whether the connection is kept."""
    with closing(Ends()) as ends:
        answer = ends.start(bodiless=bodiless)
        ends.theirs.recv(1000)  # else closing it would reset the connection
        with suppress(BrokenPipeError):  # it may be found no answer before it is all sent
            await ends.answer(*pieces)
        if closing_after:
            ends.theirs.close()
        return await asyncio.wait_for(answer, 10), ends.pool.given == 1


def chunks(pieces: list[bytes], trailer: bytes = b"") -> bytes:
    coded = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return coded + b"0\r\n" + trailer + b"\r\n"


BODIES = st.binary(max_size=40) | st.sampled_from([b"\r\n\r\n", b"0\r\n\r\n", b"5\r\n\r\n\r\n"])
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"


@st.composite
def answers(draw: Any) -> tuple[bytes, bytes]:
    """The bytes of an answer, and its body."""
    interim = draw(st.sampled_from([b"", INTERIM]))
    if draw(st.booleans()):
        body = draw(BODIES)
        return interim + OK + b"content-LENGTH:  %d \r\nX: y\r\n\r\n%b" % (len(body), body), body
    pieces = draw(st.lists(BODIES, max_size=3))
    trailer = draw(st.sampled_from([b"", b"X-Sum: 1\r\n"]))
    head = OK + b"Transfer-Encoding: Chunked\r\n\r\n"
    return interim + head + chunks(pieces, trailer), b"".join(pieces)


CODED = OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n"
WHOLE = (INTERIM + CODED + chunks([b"hi\r\n", b"\r\n"], b"X-Sum: 1\r\n"), b"hi\r\n\r\n")
EACH_BYTE = list(range(len(WHOLE[0])))


@settings(max_examples=examples(60))
@given(answer=answers(), cuts=st.lists(st.integers(0, 200), max_size=4))
@example(answer=WHOLE, cuts=EACH_BYTE)
def test_an_answer_is_the_same_however_it_is_cut(
    answer: tuple[bytes, bytes], cuts: list[int]
) -> None:
    raw, body = answer
    bounds = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    pieces = [raw[a:b] for a, b in itertools.pairwise(bounds)]
    response, kept = asyncio.run(receive(pieces))
    assert (response.status, response.body) == (200, body)
    assert kept


@st.composite
def damaged(draw: Any) -> bytes:
    """An answer of which some bytes were lost, and others came instead."""
    raw = bytearray(draw(answers())[0])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        other = draw(st.binary(max_size=3) | st.sampled_from([b"\r\n", b"\n", b"-", b"f" * 30]))
        raw[at : at + draw(st.integers(0, 3))] = other
    return bytes(raw)


@settings(max_examples=examples(100))
@given(raw=damaged() | st.binary(max_size=100))
def test_whatever_comes_ends_the_exchange(raw: bytes) -> None:
    try:
        response, _ = asyncio.run(receive([raw], closing_after=True))
    except WireError:
        pass
    else:
        assert 200 <= response.status <= 999


LENGTH = b"Content-Length: 2\r\n"


@pytest.mark.parametrize(
    "head",
    [
        OK + LENGTH + b"Connection: Close\r\n",
        OK + b"X-Connection: keep-alive\r\nConnection:keep-alive ,\tCLOSE\r\n" + LENGTH,
        OK + b"Connection: keep-alive\r\nConnection: close\r\n" + LENGTH,
        b"HTTP/1.0 200 OK\r\n" + LENGTH,
        OK,
    ],
    ids=["asked to close", "in a list", "in another line", "an old version", "without a length"],
)
def test_a_connection_in_doubt_is_not_used_again(head: bytes) -> None:
    response, kept = asyncio.run(receive([head + b"\r\nhi"], closing_after=True))
    assert (response.body, kept) == (b"hi", False)


@pytest.mark.parametrize(
    "raw",
    [
        OK + LENGTH + b"\r\nhiHTTP/1.1 200 OK\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\r\n",
        OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ],
    ids=["more than its length", "more than its chunks", "two lengths"],
)
def test_nor_is_one_whose_answer_may_not_have_ended(raw: bytes) -> None:
    response, kept = asyncio.run(receive([raw]))
    assert (response.body, kept) == (b"hi", False)


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Connection: Keep-Alive\r\n" + LENGTH,
        OK + b"X: close\r\nX-Connection: close\r\n" + LENGTH,
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH,
        b"HTTP/1.1 200 \r\n" + LENGTH,
        OK + b"Content-Length: 2, 2\r\n" + LENGTH,
        OK + b"X: y\r\n Content-Length: 7\r\n" + LENGTH,
        OK + b"Content-Length:\r\n\t2\r\n",
    ],
)
def test_a_connection_that_is_in_order_is_used_again(head: bytes) -> None:
    response, kept = asyncio.run(receive([head + b"\r\nhi"]))
    assert (response.body, kept) == (b"hi", True)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_that_has_no_body_is_whole_with_its_head(status: bytes) -> None:
    raw = b"HTTP/1.1 " + status + b"\r\nContent-Length: 100\r\n\r\n"
    response, kept = asyncio.run(receive([raw]))
    assert (response.body, kept) == (b"", True)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", Fault.UNREADABLE),
        (b"HTTP/2 200\r\n\r\n", Fault.UNREADABLE),
        (b"HTTP/1.1 two\r\n\r\n", Fault.UNREADABLE),
        (OK + b"Content-Length: -1\r\n\r\n", Fault.UNREADABLE),
        (OK + b"Content-Length: +1\r\n\r\n", Fault.UNREADABLE),
        (OK + b"Content-Length: \r\n\r\n", Fault.UNREADABLE),
        (OK + b"Content-Length: 1\r\n 2\r\n\r\n", Fault.UNREADABLE),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nhi", Fault.UNREADABLE),
        (OK + b"Content-Length: 2\nX: y\r\n\r\nhi", Fault.UNREADABLE),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", Fault.UNREADABLE),
        (CODED + b"x\r\n\r\n", Fault.UNREADABLE),
        (CODED + b"-2\r\nhi\r\n", Fault.UNREADABLE),
        (CODED + b"0x2\r\nhi\r\n", Fault.UNREADABLE),
        (CODED + b"1_0\r\n", Fault.UNREADABLE),
        (CODED + b"2\nhi\r\n", Fault.UNREADABLE),
        (CODED + b"2\r\nhi!!\r\n\r\n", Fault.UNREADABLE),
        (CODED + b"2;" + b"x" * 10_000, Fault.UNREADABLE),
        (CODED + b"0\r\n" + b"X: y\r\n" * 60_000, Fault.OVERSIZED),
        (CODED + b"fffffffff\r\n", Fault.OVERSIZED),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000, Fault.UNREADABLE),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", Fault.UNREADABLE),
        (b"HTTP/1.1 099 OK\r\n\r\n", Fault.UNREADABLE),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", Fault.UNREADABLE),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Fault.UNREADABLE),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, Fault.UNREADABLE),
        (OK + b"Content-Length: 99999999999\r\n\r\n", Fault.OVERSIZED),
        (OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", Fault.OVERSIZED),
        (OK + b"\r\n" + bytes(MOST_HELD + 1), Fault.OVERSIZED),
        (CODED + b"2\r\nhi\r\n0\r\n", Fault.PARTIAL),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Fault.PARTIAL),
        (OK + b"Content-Length: 5\r\n\r\nhi", Fault.PARTIAL),
        (b"HTTP/1.1 200", Fault.PARTIAL),
        (b"", Fault.CUT),
    ],
)
def test_what_is_no_answer(raw: bytes, fault: Fault) -> None:
    with pytest.raises(WireError) as caught:
        asyncio.run(receive([raw], closing_after=True))
    assert caught.value.fault is fault
    assert str(caught.value)


def test_interim_answers_do_not_add_up_over_exchanges() -> None:
    async def main() -> None:
        with closing(Ends()) as ends:
            for _ in range(60):
                answer = ends.start()
                interim = b"HTTP/1.1 102 Processing\r\nX: %b\r\n\r\n" % (b"y" * 9000)
                await ends.answer(interim + OK + LENGTH + b"\r\nhi")
                assert (await answer).body == b"hi"

    asyncio.run(main())


def test_a_large_answer_takes_time_in_proportion() -> None:
    """Several MiB in small chunks, as some stores send listings: each byte is seen once."""
    body = b"x\r\n\r\n" * (1 << 20)
    raw = CODED + chunks([body[at : at + 4096] for at in range(0, len(body), 4096)])

    async def main() -> None:
        with closing(Ends()) as ends:
            answer = ends.start()
            loop = asyncio.get_running_loop()
            sending = loop.create_task(loop.sock_sendall(ends.theirs, raw))
            assert (await answer).body == body
            await sending

    begin = time.process_time()
    asyncio.run(main())
    assert time.process_time() - begin < 3.0  # measured: 0.05


# Sending


@pytest.mark.parametrize("size", [0, 1000, 70_000, 3 << 20])
def test_a_body_is_sent_whole_however_slowly_the_peer_reads(size: int, run: Any) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]

    async def main() -> None:
        with closing(Ends()) as ends:
            answer = ends.start(body)
            got = bytearray()
            loop = asyncio.get_running_loop()
            while len(got) < len(GET) + size:
                got += await loop.sock_recv(ends.theirs, 30_000)
            await ends.answer(OK + LENGTH + b"\r\nhi")
            assert (await answer).body == b"hi"
            assert bytes(got) == GET + body
            assert ends.pool.given == 1

    run(main())


def reset(sock: socket.socket) -> None:
    """Close a socket in a way that its peer takes for a failure."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class TcpEnds(Ends):
    """The same over TCP, where a connection can be reset."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "socketpair", _tcp_pair)
        super().__init__()


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        return ours, server.accept()[0]


def test_an_answer_before_the_whole_request_is_received(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may refuse a body it has not read, and close: its reason must not be lost."""
    raw = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"

    async def main() -> None:
        for ends in (Ends(), TcpEnds(monkeypatch)):
            with closing(ends):
                answer = ends.start(bytes(8 << 20))
                ends.theirs.sendall(raw)
                ends.theirs.close()
                response = await asyncio.wait_for(answer, 10)
                assert (response.status, response.body) == (403, b"no")
                assert (ends.pool.given, ends.pool.removed) == (0, 1)

    run(main())


def test_a_kept_connection_found_closed_has_its_request_sent_again(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        for close in (socket.socket.close, reset):
            with closing(TcpEnds(monkeypatch)) as ends:
                first = ends.start()
                await ends.answer(OK + LENGTH + b"\r\nhi")
                assert (await first).status == 200
                close(ends.theirs)  # the loop has not noticed yet
                second = ends.start(b"body")
                await until(lambda: bool(ends.pool.again))
                (again,) = ends.pool.again
                assert (again.body, again.future) == (b"body", second)
                assert not second.done()
                assert ends.pool.removed == 1

    run(main())


async def until(happened: Any) -> None:
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


@pytest.mark.parametrize("raw", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_no_request_is_sent_again_once_something_of_an_answer_came(raw: bytes, run: Any) -> None:
    async def main() -> None:
        with closing(Ends()) as ends:
            first = ends.start()
            await ends.answer(OK + LENGTH + b"\r\nhi")
            assert (await first).status == 200
            second = ends.start()
            ends.theirs.recv(1000)
            await ends.answer(raw)
            ends.theirs.close()
            with pytest.raises(WireError) as caught:
                await second
            assert caught.value.fault is Fault.PARTIAL
            assert not ends.pool.again

    run(main())


def test_an_answer_right_before_a_reset_is_received_and_the_next_request_sent_again(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event loop may report the end of a connection only once, with the answer's bytes."""

    async def main() -> None:
        with closing(TcpEnds(monkeypatch)) as ends:
            first = ends.start()
            ends.theirs.send(OK + LENGTH + b"\r\nhi")
            reset(ends.theirs)
            assert (await first).body == b"hi"
            second = ends.start()  # at once: nothing has been noticed
            await until(lambda: bool(ends.pool.again))
            assert ends.pool.again[0].future is second

    run(main())


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_an_idle_connection_that_is_closed_or_says_something_is_removed(
    raw: bytes, run: Any
) -> None:
    async def main() -> None:
        with closing(Ends()) as ends:
            first = ends.start()
            await ends.answer(OK + LENGTH + b"\r\nhi")
            await first
            if raw:
                ends.theirs.send(raw)
            else:
                ends.theirs.close()
            await until(lambda: ends.pool.removed == 1)

    run(main())


# Time


def test_silence_ends_an_exchange() -> None:
    async def main() -> None:
        with closing(Ends()) as ends:
            answer = ends.start(patience=3.0)
            tick = ends.connection.tick
            tick()  # the request itself has moved since
            tick()
            tick()
            await ends.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            tick()
            for byte in b"abc":  # too slow to count
                await ends.answer(bytes([byte]))
                assert not answer.done()
                tick()
            with pytest.raises(WireError, match="no data for 3 s") as caught:
                await answer
            assert caught.value.fault is Fault.SILENT
            assert ends.pool.distrusted == ["there"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("limits", "head", "fault"),
    [
        ({"patience": 3.0}, b"HTTP/1.1 200 OK\r\n", Fault.SILENT),
        ({"total": 3.0}, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", Fault.SLOW),
    ],
    ids=["head", "whole"],
)
def test_an_answer_that_trickles_is_ended(limits: Any, head: bytes, fault: Fault) -> None:
    """What comes is fast enough, and never all: a head, which is never long, or more than that."""

    async def main() -> None:
        with closing(Ends()) as ends:
            answer = ends.start(**limits)
            await ends.answer(head)
            for _ in range(4):
                assert not answer.done()
                ends.connection.tick()
                with suppress(BrokenPipeError):
                    await ends.answer(b"X: " + b"y" * 100 + b"\r\n")
            with pytest.raises(WireError) as caught:
                await answer
            assert caught.value.fault is fault
            assert ends.pool.distrusted == ["there"]

    asyncio.run(main())


def test_an_idle_connection_is_closed_in_time() -> None:
    async def main() -> None:
        with closing(Ends()) as ends:
            first = ends.start(patience=3.0)
            await ends.answer(OK + LENGTH + b"\r\nhi")
            await first
            for _ in range(int(MOST_IDLE)):
                ends.connection.tick()
            assert not ends.pool.removed
            ends.connection.tick()
            assert ends.pool.removed

    asyncio.run(main())


def test_a_cancelled_exchange_keeps_no_connection() -> None:
    async def main() -> None:
        for ended in ("by an answer", "by a tick"):
            with closing(Ends()) as ends:
                ends.start().cancel()
                if ended == "by an answer":
                    await ends.answer(OK + LENGTH + b"\r\nhi")
                else:
                    ends.connection.tick()
                assert (ends.pool.given, ends.pool.removed) == (0, 1)

    asyncio.run(main())
