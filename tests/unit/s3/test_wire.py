"""The wire against a server on loopback that keeps every byte it is sent."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from typing import Any

import pytest

from s3pp.s3.exchange import Fault, Request, Response, WireError, WireSettings
from s3pp.s3.wire import Wire

from .loopback import Got, Loopback, loopback, ok, wire


def put(server: Loopback, key: str, body: Any = b"body", headers: str = "") -> Request:
    return Request("PUT", f"{server.url}/{key}", headers, body)


class Body:
    """A stream that counts how often it is read from the start."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self.rewinds = 0
        self._content = content
        self._at = 0

    def read(self, count: int) -> bytes:
        piece = self._content[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def rewind(self) -> None:
        self.rewinds += 1
        self._at = 0


def test_an_answer_comes_back_whole(run: Any) -> None:
    async def answer(_got: Got) -> bytes:
        return b"HTTP/1.1 503 Slow Down\r\nX-One:  1 \r\netag: x\r\nContent-Length: 3\r\n\r\nbad"

    async def main() -> None:
        async with loopback(answer) as server:
            with wire() as sender:
                response = await sender.send(put(server, "k"))
        assert (response.status, response.body) == (503, b"bad")
        assert response.header(b"x-one") == "1"
        assert response.header(b"etag") == "x"
        assert response.header(b"missing") is None

    run(main())


def test_a_header_is_found_whatever_its_case_and_only_by_its_whole_name() -> None:
    lines = [b"HTTP/1.1 200 OK\r\n", b"ETagger: no\r\n", b"eTaG:a:b\r\n", b"\r\n"]
    response = Response(200, b"".join(lines), b"")
    assert response.header(b"etag") == "a:b"
    assert response.header(b"eta") is None


def test_what_is_sent_is_what_was_asked_for(run: Any) -> None:
    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                await sender.send(put(server, "k", b"body", "x-a: 1\r\nx-empty: \r\n"))
                await sender.send(Request("GET", f"{server.url}/?list-type=2&prefix=a%20b", ""))
                await sender.send(Request("DELETE", f"{server.url}/k", ""))
        first, second, third = server.got
        assert first.line == "PUT /k HTTP/1.1"
        assert first.body == b"body"
        assert first.header("x-a") == "1"
        assert first.header("x-empty") == ""
        assert first.header("content-length") == "4"
        assert second.line == "GET /?list-type=2&prefix=a%20b HTTP/1.1"
        assert third.line == "DELETE /k HTTP/1.1"
        for got in server.got:
            assert got.header("expect") is None
            assert got.header("content-type") is None
            assert got.header("transfer-encoding") is None

    run(main())


def test_a_type_is_sent_where_one_is_given(run: Any) -> None:
    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                for body in (b"x", Body(b"x")):
                    await sender.send(put(server, "k", body, "content-type: a/b\r\n"))
        assert [got.header("content-type") for got in server.got] == ["a/b", "a/b"]

    run(main())


@pytest.mark.parametrize("make", [bytes, Body], ids=["bytes", "stream"])
def test_an_empty_body_has_its_length(make: Any, run: Any) -> None:
    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                await sender.send(put(server, "k", make(b"")))
        (got,) = server.got
        assert (got.line, got.header("content-length")) == ("PUT /k HTTP/1.1", "0")
        assert got.header("transfer-encoding") is None

    run(main())


@pytest.mark.parametrize("path", ["a/../b", "..", "a//b", "./a", "/a", "a/./..", "a/%2E%2E/b", "~"])
def test_a_path_reaches_the_server_as_it_is(path: str, run: Any) -> None:
    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                await sender.send(put(server, path))
        assert server.got[0].line == f"PUT /{path} HTTP/1.1"

    run(main())


def test_a_head_waits_for_no_body(run: Any) -> None:
    async def answer(_got: Got) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    async def main() -> None:
        async with loopback(answer) as server:
            with wire() as sender:
                for _ in range(2):
                    response = await sender.send(Request("HEAD", f"{server.url}/k", ""))
                    assert (response.header(b"content-length"), response.body) == ("1000", b"")
        assert server.connections == 1
        assert server.got[0].line == "HEAD /k HTTP/1.1"

    run(main())


def test_nothing_of_a_request_is_left_for_the_next(run: Any) -> None:
    """Handles are pooled: kinds of request take turns on the same few of them."""

    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                for turn in range(3):
                    large = Body(b"stream" * turn)
                    await sender.send(put(server, "s", large, f"x-turn: {turn}\r\n"))
                    await sender.send(put(server, "b", b"x" * turn))
                    await sender.send(Request("GET", f"{server.url}/g", ""))
                    await sender.send(Request("HEAD", f"{server.url}/h", ""))
        bodies = [got.body for got in server.got]
        expected = [[b"stream" * turn, b"x" * turn, b"", b""] for turn in range(3)]
        assert bodies == [body for turn in expected for body in turn]
        assert [got.line[0] for got in server.got] == list("PPGH" * 3)
        assert [got.header("x-turn") for got in server.got][::4] == ["0", "1", "2"]
        assert [got.header("x-turn") for got in server.got][1::4] == [None] * 3

    run(main())


def test_a_connection_is_used_again(run: Any) -> None:
    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                for turn in range(20):
                    body: Any = Body(b"x") if turn % 2 else b"x"
                    await sender.send(put(server, "k", body))
        assert server.connections == 1

    run(main())


def test_requests_are_in_flight_together(run: Any) -> None:
    """No answer is given before the last of them has arrived."""

    async def main() -> None:
        arrived = asyncio.Event()

        async def answer(got: Got) -> bytes:
            if len(server.got) == 50:
                arrived.set()
            await arrived.wait()
            return await ok(got)

        async with loopback(answer) as server:
            with wire() as sender:
                requests = (sender.send(put(server, f"{at}")) for at in range(50))
                responses = await asyncio.gather(*requests)
        assert [response.status for response in responses] == [200] * 50
        assert len({got.line for got in server.got}) == 50

    run(main())


def test_hundreds_at_once_each_get_their_own_answer(run: Any) -> None:
    async def answer(got: Got) -> bytes:
        name = got.line.split()[1].encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name)

    async def main() -> None:
        async with loopback(answer) as server:
            with wire(512) as sender:
                for _ in range(2):
                    requests = (sender.send(put(server, f"{at}")) for at in range(512))
                    found = await asyncio.gather(*requests)
                    assert [each.body for each in found] == [b"/%d" % at for at in range(512)]
        assert len(server.got) == 1024
        assert server.connections <= 512

    run(main())


CONTENT = bytes(range(256)) * 4096  # 1 MiB: several reads of the stream


def test_a_stream_is_sent_with_its_length(run: Any) -> None:
    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                await sender.send(put(server, "k", Body(CONTENT)))
        (got,) = server.got
        assert got.body == CONTENT
        assert got.header("content-length") == str(len(CONTENT))
        assert got.header("expect") is None

    run(main())


def test_a_stream_is_sent_whole_each_time(run: Any) -> None:
    async def main() -> None:
        body = Body(CONTENT)
        async with loopback() as server:
            with wire() as sender:
                for _ in range(3):
                    await sender.send(put(server, "k", body))
        assert [got.body == CONTENT for got in server.got] == [True] * 3

    run(main())


@pytest.mark.parametrize("make", [bytes, Body], ids=["bytes", "stream"])
def test_a_kept_connection_found_dead_is_replaced(make: Any, run: Any) -> None:
    """The request is sent again on a new connection: a stream starts over."""

    async def main() -> None:
        async def answer(got: Got) -> bytes:
            # The second request dies without an answer, on the connection the first one left.
            return b"" if len(server.got) == 2 else await ok(got)

        async with loopback(answer) as server:
            with wire() as sender:
                await sender.send(put(server, "first", make(b"x")))
                response = await sender.send(put(server, "second", make(CONTENT)))
        assert response.status == 200
        assert server.got[-1].body == CONTENT
        assert server.connections == 2

    run(main())


def test_what_a_stream_raises_surfaces(run: Any) -> None:
    class Broken(Exception):
        pass

    class Breaking(Body):
        def read(self, count: int) -> bytes:
            if self._at > 300_000:
                raise Broken("half way")
            return super().read(count)

    async def main() -> None:
        async with loopback() as server:
            with wire() as sender:
                with pytest.raises(Broken, match="half way"):
                    await sender.send(put(server, "k", Breaking(CONTENT)))
                response = await sender.send(put(server, "l", Body(b"sound")))
        assert response.status == 200
        assert [got.body for got in server.got] == [b"sound"]

    run(main())


def test_a_refused_connection_is_an_error_of_the_wire(run: Any) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{free.getsockname()[1]}/k"

        async def main() -> None:
            with wire() as sender:
                for body in (b"", Body(b"x")):
                    with pytest.raises(WireError) as caught:
                        await sender.send(Request("PUT", url, "", body))
                    assert str(caught.value)
                    assert caught.value.fault is Fault.CONNECTION

        run(main())


@pytest.mark.parametrize(
    "raw",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"\x16\x03\x01 not HTTP\r\n\r\n"],
    ids=["nothing", "half", "garbage"],
)
def test_no_whole_answer_is_an_error_of_the_wire(raw: bytes, run: Any) -> None:
    async def main() -> None:
        async def answer(got: Got) -> bytes:
            if got.line.startswith("PUT /bad"):
                if raw.startswith(b"HTTP"):  # else the wire closes it at once
                    asyncio.get_running_loop().call_later(0.01, server.drop)
                return raw
            return await ok(got)

        async with loopback(answer) as server:
            with wire() as sender:
                with pytest.raises(WireError):
                    await sender.send(put(server, "bad"))
                assert (await sender.send(put(server, "good"))).status == 200

    run(main())


def test_closing_ends_what_is_in_flight(run: Any) -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def answer(_got: Got) -> bytes:
            arrived.set()
            await asyncio.Event().wait()
            return b""

        async with loopback(answer) as server:
            with wire() as sender:
                requests = [sender.send(put(server, f"{at}")) for at in range(3)]
                waiting = asyncio.gather(*requests, return_exceptions=True)
                await arrived.wait()
            ended = await waiting
        assert [type(error) for error in ended] == [WireError] * 3

    run(main())


def test_a_request_given_up_leaves_the_wire_usable(run: Any) -> None:
    async def main() -> None:
        async def answer(got: Got) -> bytes:
            if got.line.startswith("PUT /never"):
                arrived.set()
                await asyncio.Event().wait()
            return await ok(got)

        arrived = asyncio.Event()
        async with loopback(answer) as server:
            with wire() as sender:
                never = asyncio.ensure_future(sender.send(put(server, "never")))
                await arrived.wait()
                never.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await never
                assert (await sender.send(put(server, "next"))).body == b"hi"

    run(main())


def test_a_wire_belongs_to_a_running_loop() -> None:
    """One made before a fork, where no loop runs, would be shared by two processes."""
    with pytest.raises(RuntimeError):
        Wire(WireSettings(connections=1, connect_timeout=1.0, read_timeout=1.0))
