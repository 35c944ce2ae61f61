"""A server on loopback, as small as HTTP allows, that keeps what it was sent byte for byte.

And a wire, to reach it with.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any, NamedTuple

from s3pp.s3.exchange import WireSettings
from s3pp.s3.wire import Wire


class Got(NamedTuple):
    """One request as it came over the socket."""

    connection: int  # number of the connection, from 1
    line: str  # request line
    headers: list[tuple[str, str]]  # lower-case names
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} was sent twice"
        return found[0] if found else None


Answer = Callable[[Got], Awaitable[bytes]]  # raw bytes to send; b"" closes the connection


async def ok(_got: Got) -> bytes:
    return b'HTTP/1.1 200 OK\r\nETag: "abc"\r\nContent-Length: 2\r\n\r\nhi'


class Loopback:
    """Answers every request through ``answer``, and counts connections."""

    def __init__(self, answer: Answer = ok) -> None:
        self.answer = answer
        self.got: list[Got] = []
        self.connections = 0
        self.resumed: list[bool] = []  # of each connection over TLS, whether its session was
        self.url = ""
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        if (secured := writer.get_extra_info("ssl_object")) is not None:
            self.resumed.append(secured.session_reused)
        self._writers.add(writer)
        try:
            while got := await _request(reader, number):
                self.got.append(got)
                answer = await self.answer(got)
                writer.write(answer)
                await writer.drain()
                if not answer:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def begin(self, piece: bytes) -> None:
        """Send the beginning of an answer on every connection."""
        for writer in self._writers:
            writer.write(piece)

    def drop(self) -> None:
        """Close every connection, as a store does with those that were idle too long."""
        for writer in self._writers:
            writer.close()


async def _request(reader: asyncio.StreamReader, connection: int) -> Got | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    pairs = [each.partition(":")[::2] for each in lines]
    headers = [(name.lower(), value.strip()) for name, value in pairs]
    length = int(dict(headers).get("content-length", 0))
    return Got(connection, line, headers, await reader.readexactly(length))


@asynccontextmanager
async def loopback(
    answer: Answer = ok, context: ssl.SSLContext | None = None
) -> AsyncIterator[Loopback]:
    """A server for the time of the block; over TLS, if there is a ``context``."""
    served = Loopback(answer)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, backlog=1024, ssl=context)
    scheme = "http" if context is None else "https"
    served.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        served.drop()


@contextmanager
def wire(connections: int = 64, **settings: Any) -> Iterator[Wire]:
    """A wire for the time of the block; times out later than any test should take."""
    defaults = {"connect_timeout": 5.0, "read_timeout": 10.0}
    with closing(Wire(WireSettings(connections, **(defaults | settings)))) as opened:
        yield opened
