"""Bodies that go to a sink as they come, over the wire and over all attempts of an operation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from s3pp.access import Keys
from s3pp.errors import FatalError, ObjectError
from s3pp.s3 import http1 as wires
from s3pp.s3.client import Bucket
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Fault, Request, WireError
from s3pp.s3.receiving import BUFFER
from s3pp.s3.recovery import Recovery
from s3pp.s3.retry import Backoff, NetworkError, Oversized, StoreError
from s3pp.s3.sigv4 import Signer
from s3pp.s3.wire import Wire

from .loopback import Got, Loopback, loopback, wire

LARGE = bytes(range(256)) * 8192  # 2 MiB


def said(status: int, body: bytes, *lines: str, length: int | None = None) -> bytes:
    """A whole answer; ``length``: what it announces, if that is not so."""
    announced = len(body) if length is None else length
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {announced}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def chunked(*pieces: bytes, end: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    last = b"0\r\n\r\n" if end else b""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + last


def error(status: int, code: str) -> bytes:
    return said(status, f"<Error><Code>{code}</Code></Error>".encode())


def turns(*answers: bytes) -> Callable[[Got], Awaitable[bytes]]:
    """Answers in turn; the last goes on for ever."""
    left = list(answers)

    async def answer(_got: Got) -> bytes:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


class Kept:
    """A sink that keeps what it takes, and how often a body began."""

    def __init__(self, breaks_at: int | None = None, error: Exception | None = None) -> None:
        self.starts = 0
        self.pieces: list[bytes] = []
        self._breaks_at = breaks_at  # bytes
        self._error = error

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def restart(self) -> None:
        self.starts += 1
        self.pieces.clear()
        if self._error and self._breaks_at is None:
            raise self._error

    def write(self, piece: bytes | memoryview) -> None:
        assert self.starts, "a piece came before the body began"
        self.pieces.append(bytes(piece))
        if self._error and self._breaks_at is not None and len(self.body) >= self._breaks_at:
            raise self._error


def get(server: Loopback, sink: Kept | None = None) -> Request:
    return Request("GET", f"{server.url}/key", "", sink=sink)


# The wire


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize("body", [b"", b"x", LARGE], ids=["empty", "small", "large"])
def test_a_good_body_goes_to_the_sink_and_nowhere_else(status: int, body: bytes, run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(said(status, body, 'ETag: "e"'))) as server:
            with wire() as sender:
                sink = Kept()
                response = await sender.send(get(server, sink))
        assert (sink.starts, sink.body) == (1, body)
        assert (response.status, response.body) == (status, b"")
        assert response.header(b"etag") == '"e"'
        assert all(0 < len(piece) <= BUFFER for piece in sink.pieces)

    run(main())


def test_a_body_of_unknown_length_goes_there_too(run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(chunked(b"one ", LARGE, b" two"))) as server:
            with wire() as sender:
                sink = Kept()
                await sender.send(get(server, sink))
        assert (sink.starts, sink.body) == (1, b"one " + LARGE + b" two")

    run(main())


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 416, 500, 503])
def test_the_body_of_an_error_is_the_answers(status: int, run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(error(status, "Why"))) as server:
            with wire() as sender:
                sink = Kept()
                response = await sender.send(get(server, sink))
        assert (response.status, response.body) == (status, b"<Error><Code>Why</Code></Error>")
        assert (sink.starts, sink.pieces) == (0, [])

    run(main())


def test_an_answer_that_was_only_announced_is_not_taken_for_the_real_one(run: Any) -> None:
    """100 Continue comes before the answer, with header lines of its own."""
    early = b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"

    async def main() -> None:
        async with loopback(
            turns(early + error(503, "SlowDown"), early + said(200, b"b"))
        ) as server:
            with wire() as sender:
                sink = Kept()
                assert (await sender.send(get(server, sink))).status == 503
                assert sink.starts == 0
                assert (await sender.send(get(server, sink))).status == 200
                assert sink.body == b"b"

    run(main())


def test_a_body_that_breaks_off_is_an_error_and_the_next_begins_anew(run: Any) -> None:
    async def answer(got: Got) -> bytes:
        return said(200, b"half", length=8) if got.connection == 1 else said(200, b"all of it")

    async def main() -> None:
        async with loopback(answer) as server:
            with wire(read_timeout=1.0) as sender:
                sink = Kept()
                sending = asyncio.ensure_future(sender.send(get(server, sink)))
                while not sink.pieces:
                    await asyncio.sleep(0.001)
                server.drop()
                with pytest.raises(WireError):
                    await sending
                assert sink.body == b"half"
                await sender.send(get(server, sink))
        assert (sink.starts, sink.body) == (2, b"all of it")

    run(main())


def test_an_empty_body_forgets_what_came_before_it(run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(said(200, b"the old object"), said(200, b""))) as server:
            with wire() as sender:
                sink = Kept()
                for _ in range(2):
                    await sender.send(get(server, sink))
        assert (sink.starts, sink.body) == (2, b"")

    run(main())


class Full(Exception):
    """What a sink raises."""


@pytest.mark.parametrize(
    ("body", "breaks_at"),
    [(b"", None), (b"small", None), (b"small", 1), (LARGE, None), (LARGE, 1), (LARGE, len(LARGE))],
    ids=["empty", "restart", "write", "large, restart", "large, write", "last write"],
)
def test_what_a_sink_raises_surfaces_and_leaves_the_wire_usable(
    body: bytes, breaks_at: int | None, run: Any
) -> None:
    async def main() -> None:
        async with loopback(turns(said(200, body))) as server:
            with wire() as sender:
                with pytest.raises(Full, match="no room"):
                    await sender.send(get(server, Kept(breaks_at, Full("no room"))))
                sink = Kept()
                await sender.send(get(server, sink))
                assert (await sender.send(get(server))).body == body
        assert sink.body == body

    run(main())


def test_many_sinks_at_once_each_get_their_own(run: Any) -> None:
    async def answer(got: Got) -> bytes:
        return said(200, got.line.split()[1].encode() * 50_000)

    async def main() -> None:
        async with loopback(answer) as server:
            with wire() as sender:
                sinks = [Kept() for _ in range(12)]
                requests = [
                    Request("GET", f"{server.url}/{at:02}", "", sink=sink)
                    for at, sink in enumerate(sinks)
                ]
                await asyncio.gather(*map(sender.send, requests))
        for at, sink in enumerate(sinks):
            assert sink.body == b"/%02d" % at * 50_000

    run(main())


# What is too long to be held


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> int:
    """A lower limit, so that small bodies show it."""
    monkeypatch.setattr(wires, "MOST_HELD", 1000)
    return 1000


def test_an_answer_too_long_to_be_held_wants_a_sink(most: int, run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(said(200, bytes(most + 1)))) as server:
            with wire() as sender:
                with pytest.raises(WireError) as caught:
                    await sender.send(get(server))
                assert caught.value.fault is Fault.OVERSIZED
                sink = Kept()
                await sender.send(get(server, sink))
        assert sink.body == bytes(most + 1)

    run(main())


def test_an_answer_of_unknown_length_is_not_held_for_ever_either(most: int, run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(chunked(*[bytes(most)] * 50))) as server:
            with wire() as sender:
                with pytest.raises(WireError) as caught:
                    await sender.send(get(server))
                assert caught.value.fault is Fault.OVERSIZED

    run(main())


def test_an_answer_just_short_enough_is_held(most: int, run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(said(200, bytes(most)))) as server:
            with wire() as sender:
                assert (await sender.send(get(server))).body == bytes(most)

    run(main())


# All attempts of an operation


def bucket(server: Loopback, sender: Wire, attempts: int = 3) -> Bucket:
    async def none() -> Keys | None:
        return None

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    endpoint = Endpoint("http", server.url.removeprefix("http://"), "/b", "us-east-1", "b")
    recovery = Recovery(Backoff(attempts, base=0.0), none, at_once)
    return Bucket(endpoint, Signer(None, "us-east-1"), sender, recovery=recovery)


def test_an_attempt_that_follows_begins_the_body_anew(run: Any) -> None:
    async def answer(got: Got) -> bytes:
        tries.append(got)
        if len(tries) == 1:
            return error(503, "SlowDown")
        if len(tries) == 2:
            return said(200, b"half of", length=100)
        return said(200, b"the body", 'ETag: "e"')

    tries: list[Got] = []

    async def main() -> None:
        async with loopback(answer) as server:
            with wire() as sender:
                sink = Kept()
                getting = asyncio.ensure_future(bucket(server, sender).get("k", sink=sink))
                while not sink.pieces:
                    await asyncio.sleep(0.001)
                server.drop()
                got = await getting
        assert (got.attempts, got.etag) == (3, "e")
        assert (sink.starts, sink.body) == (2, b"the body")

    run(main())


def test_an_object_that_vanishes_between_attempts_leaves_its_error(run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(error(500, "InternalError"), error(404, "NoSuchKey"))) as server:
            with wire() as sender:
                sink = Kept()
                with pytest.raises(StoreError) as caught:
                    await bucket(server, sender).get("k", sink=sink)
        assert (caught.value.status, caught.value.code) == (404, "NoSuchKey")
        assert sink.starts == 0

    run(main())


@pytest.mark.parametrize("raised", [FatalError("no room"), Full("x")])
def test_what_a_sink_raises_is_no_reason_to_try_again(raised: Exception, run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(said(200, b"body"))) as server:
            with wire() as sender:
                here = bucket(server, sender)
                with pytest.raises(type(raised)):
                    await here.get("k", sink=Kept(1, raised))
        assert here.requests == len(server.got) == 1

    run(main())


def test_a_get_that_is_too_long_says_so_at_once(most: int, run: Any) -> None:
    async def main() -> None:
        async with loopback(turns(said(200, bytes(most + 1)))) as server:
            with wire() as sender:
                here = bucket(server, sender)
                with pytest.raises(Oversized):
                    await here.get("k")
                assert here.requests == 1
                sink = Kept()
                assert (await here.get("k", sink=sink)).size == most + 1
        assert len(sink.body) == most + 1

    run(main())


def test_a_server_that_is_gone_is_an_error_of_the_network(run: Any) -> None:
    async def main() -> None:
        async with loopback() as server:
            pass
        with wire() as sender:
            sink = Kept()
            with pytest.raises(NetworkError) as caught:
                await bucket(server, sender).get("k", sink=sink)
        assert isinstance(caught.value, ObjectError)
        assert sink.starts == 0

    run(main())
