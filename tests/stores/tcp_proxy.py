"""A proxy of TCP connections that can be cut off, as by a network that loses all packets."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

_CHUNK = 64 * 1024  # bytes


class TcpProxy:
    """Forwards connections to a port of 127.0.0.1 until ``cut()``; for a ``with`` block.

    After that it accepts connections, and forwards nothing; none is closed, so that neither end
    learns of it.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._whole = threading.Event()
        self._whole.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def cut(self) -> None:
        """Lose all that is sent from now on."""
        self._whole.clear()

    def __enter__(self) -> TcpProxy:
        self._thread.start()
        serving = asyncio.start_server(self._forward, "127.0.0.1", self.port)
        asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            theirs = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(theirs[1])
            await asyncio.gather(self._move(reader, theirs[1]), self._move(theirs[0], writer))
        except (OSError, asyncio.CancelledError):
            pass  # the connection is broken, or the test has ended
        finally:
            for each in ends:
                each.close()

    async def _move(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(_CHUNK):
            await self._pass(writer, content)
        await self._pass(writer, b"")
        writer.close()

    async def _pass(self, writer: asyncio.StreamWriter, content: bytes) -> None:
        if not self._whole.is_set():
            await asyncio.Event().wait()
        writer.write(content)
        await writer.drain()
