"""libcurl's wire, which requests through a proxy use, with bodies that are streamed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from s3pp.s3 import curl
from s3pp.s3.curl import DOWNLOAD_BUFFER, CurlWire
from s3pp.s3.exchange import Fault, Request, WireError, WireSettings
from s3pp.transfer.bodies import MemoryBody

from .loopback import Got, Loopback, loopback, ok
from .test_large_bodies import PATTERN, Kept


@contextmanager
def wire(**settings: float) -> Iterator[CurlWire]:
    bounds: Any = {"connect_timeout": 5.0, "read_timeout": 10.0} | settings
    with closing(CurlWire(WireSettings(8, **bounds))) as opened:
        yield opened


def get(server: Loopback, sink: Kept) -> Request:
    return Request("GET", f"{server.url}/key", "", sink=sink)


def said(status: int, body: bytes, length: int) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, length, body)


def test_a_sink_receives_the_body_of_a_success_only(run: Any) -> None:
    async def main() -> None:
        async def answer(_got: Got) -> bytes:
            return said(206 if len(server.got) == 1 else 404, PATTERN, len(PATTERN))

        async with loopback(answer) as server:
            with wire() as sender:
                found, refused = Kept(), Kept()
                assert (await sender.send(get(server, found))).body == b""
                assert (await sender.send(get(server, refused))).body == PATTERN
        assert (found.starts, bytes(found.body)) == (1, PATTERN)
        assert max(found.sizes) <= DOWNLOAD_BUFFER
        assert (refused.starts, refused.sizes) == (0, [])

    run(main())


def test_a_body_that_breaks_off_and_what_a_sink_raises(run: Any) -> None:
    async def main() -> None:
        async def answer(_got: Got) -> bytes:
            asyncio.get_running_loop().call_later(0.01, server.drop)
            return said(200, PATTERN, len(PATTERN) + 1)

        async with loopback(answer) as server:
            with wire() as sender:
                with pytest.raises(WireError) as caught:
                    await sender.send(get(server, Kept()))
                assert caught.value.fault is Fault.PARTIAL
                with pytest.raises(ZeroDivisionError):
                    await sender.send(get(server, Kept(fails_at=1)))

    run(main())


def test_a_stream_is_sent_whole_and_again_where_a_kept_connection_is_dead(run: Any) -> None:
    async def main() -> None:
        async def answer(got: Got) -> bytes:
            return b"" if len(server.got) == 2 else await ok(got)

        async with loopback(answer) as server:
            with wire() as sender:
                for _ in range(2):
                    request = Request("PUT", f"{server.url}/key", "", MemoryBody([PATTERN]))
                    assert (await sender.send(request)).status == 200
        assert [got.body == PATTERN for got in server.got] == [True] * 3

    run(main())


def test_what_a_stream_raises_surfaces(run: Any) -> None:
    class Broken(MemoryBody):
        def read(self, count: int) -> bytes:
            raise ZeroDivisionError

    async def main() -> None:
        async with loopback() as server:
            with wire() as sender, pytest.raises(ZeroDivisionError):
                await sender.send(Request("PUT", f"{server.url}/key", "", Broken([PATTERN])))

    run(main())


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "sink"])
def test_an_answer_without_end_is_not_held(
    run: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Nothing announces its length: libcurl's limit alone would not hold in all versions."""
    monkeypatch.setattr(curl, "MOST_HELD", len(PATTERN))

    async def main() -> None:
        async def answer(_got: Got) -> bytes:
            return b"HTTP/1.1 500 X\r\n\r\n" + PATTERN + b"x"

        async with loopback(answer) as server:
            body = b"x" if method in ("PUT", "POST") else None
            sink = Kept() if method == "sink" else None
            request = Request("GET" if sink else method, f"{server.url}/key", "", body, sink)
            with wire() as sender, pytest.raises(WireError) as caught:
                await sender.send(request)
        assert caught.value.fault is Fault.OVERSIZED

    run(main())


@pytest.mark.parametrize(
    ("bounds", "fault"),
    [({"read_timeout": 1.0}, Fault.SILENT), ({"request_timeout": 1.0}, Fault.SLOW)],
    ids=["stall", "total"],
)
def test_timeouts_act_on_time(run: Any, bounds: dict[str, float], fault: Fault) -> None:
    """Also for a handle that is used again, where libcurl's own bound is an average of seconds."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def answer(got: Got) -> bytes:
            if got.line.startswith("GET /key"):
                server.begin(said(200, b"", 1 << 20))
                while fault is Fault.SLOW:
                    server.begin(PATTERN[:1000])
                    await asyncio.sleep(0.1)
                await asyncio.Event().wait()
            return await ok(got)

        async with loopback(answer) as server:
            with wire(**bounds) as sender:
                assert (await sender.send(Request("GET", f"{server.url}/", ""))).status == 200
                for _ in range(2):
                    began = loop.time()
                    with pytest.raises(WireError) as caught:
                        await sender.send(Request("GET", f"{server.url}/key", ""))
                    assert caught.value.fault is fault
                    assert loop.time() - began < 5.0  # 1 to 2, on a machine that is not busy
                assert (await sender.send(Request("GET", f"{server.url}/", ""))).status == 200

    run(main())
