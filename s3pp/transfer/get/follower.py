"""What follows the ranges of a file in order, through those that are there, as others still come.

A digest like MD5 takes the bytes one after another, and ranges come in any order. What has just
been written is still in memory, the system's, so that reading it again costs no disk.
"""

from __future__ import annotations

import asyncio
import contextlib

from s3pp.records import Span
from s3pp.transfer.files.landing import Landing
from s3pp.transfer.get.proof import Feed
from s3pp.transfer.parts.plan import Spans
from s3pp.transfer.reading import Reader


class Follower:
    """Gives ``feed`` the bytes of all ranges of ``plan``, in order. Stop it in any case."""

    def __init__(self, landing: Landing, plan: Spans, feed: Feed, reader: Reader) -> None:
        self._landing = landing
        self._plan = plan
        self._feed = feed
        self._reader = reader
        self._there: set[int] = set()  # ranges that are there, and were not reached yet
        self._more = asyncio.Event()
        self._stopped = False
        self._task = asyncio.ensure_future(self._follow())

    def hear(self, number: int) -> None:
        """The range of that number is there."""
        self._there.add(number)
        self._more.set()

    async def done(self) -> None:
        """Return once all has been fed. Raises as ``Landing`` does."""
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

    async def _read(self, span: Span) -> None:
        def read() -> None:
            for piece in self._landing.pieces(span.offset, span.size):
                if self._stopped:
                    return
                self._feed(piece)

        await self._reader.away(read)
