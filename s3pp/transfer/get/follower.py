"""What follows the ranges of a file in order, through those that are there, as others still come.

A digest like MD5 takes the bytes one after another, and ranges come in any order. What has just
been written is still in memory, the system's, so that reading it again costs no disk. To keep it
so, and lest most of the digest's work be left to the end, no range is begun far ahead.
"""

from __future__ import annotations

import asyncio
import contextlib

from s3pp.integrity.verifiers import Feed
from s3pp.localfs.temporary_file import TemporaryFile
from s3pp.records import Span
from s3pp.s3.multipart import Spans
from s3pp.transfer.reading import Reader


class Follower:
    """Gives ``feed`` the bytes of all ranges of ``plan``, in order. Stop it in any case."""

    def __init__(
        self, file: TemporaryFile, plan: Spans, feed: Feed, reader: Reader, *, ahead: int
    ) -> None:
        """``ahead``: how many ranges there may be that have not been fed yet."""
        self._file = file
        self._plan = plan
        self._feed = feed
        self._reader = reader
        self._there: set[int] = set()  # ranges that are there, and were not reached yet
        self._more = asyncio.Event()
        self._ahead = ahead
        self._fed = 0  # the number of the range that was fed last
        self._moved_on = asyncio.Event()
        self._stopped = False
        self._task = asyncio.ensure_future(self._follow())
        self._task.add_done_callback(lambda _: self._moved_on.set())

    async def near(self, number: int) -> None:
        """Return once the range of that number is not too far ahead, or nothing is fed any more."""
        while number > self._fed + self._ahead and not self._task.done():
            self._moved_on.clear()
            await self._moved_on.wait()

    def hear(self, number: int) -> None:
        """The range of that number is there."""
        self._there.add(number)
        self._more.set()

    async def done(self) -> None:
        """Return once all has been fed. Raises as ``TemporaryFile`` does."""
        await self._task

    async def stop(self) -> None:
        """Return once nothing is read any more."""
        self._stopped = True
        self._more.set()
        with contextlib.suppress(Exception):
            await self._task

    async def _follow(self) -> None:
        for span in self._plan:
            while span.number not in self._there and not self._stopped:
                self._more.clear()
                await self._more.wait()
            if self._stopped:
                return
            self._there.remove(span.number)
            await self._read(span)
            self._fed = span.number
            self._moved_on.set()

    async def _read(self, span: Span) -> None:
        def read() -> None:
            for piece in self._file.pieces(span.offset, span.size):
                if self._stopped:
                    return
                self._feed(piece)

        await self._reader.away(read)
