"""Reading of a file in order, range by range, while its ranges still arrive in any order.

A digest such as MD5 takes the bytes one after another. What has just been written is still in the
system's page cache, so that reading it again costs no disk. To keep it so, and to leave little of
the digest's work to the end, no range is started far ahead of the reader.
"""

from __future__ import annotations

import asyncio
import contextlib

from s3pp.integrity.verifiers import Feed
from s3pp.localfs.temporary_file import TemporaryFile
from s3pp.records import GetPart, PartDone, PartOutcome, Span
from s3pp.s3.multipart import Spans
from s3pp.transfer.parts import RunPart
from s3pp.transfer.resources import Reader


class OrderedReader:
    """Passes the bytes of all ranges of ``plan``, in order, to ``feed``. Stop it in any case."""

    def __init__(
        self, file: TemporaryFile, plan: Spans, feed: Feed, reader: Reader, *, ahead: int
    ) -> None:
        """``ahead``: the maximum number of ranges that were started and not read."""
        self._file = file
        self._plan = plan
        self._feed = feed
        self._reader = reader
        self._complete: set[int] = set()  # ranges in the file that were not reached yet
        self._added = asyncio.Event()
        self._ahead = ahead
        self._read_up_to = 0  # the number of the last range that was read
        self._advanced = asyncio.Event()
        self._stopped = False
        self._task = asyncio.ensure_future(self._read_all())
        self._task.add_done_callback(lambda _: self._advanced.set())

    async def run_part(self, part: GetPart, run: RunPart) -> PartOutcome:
        """Have ``run`` fetch a range once it is not too far ahead, or nothing is read any more."""
        number = part.span.number
        while number > self._read_up_to + self._ahead and not self._task.done():
            self._advanced.clear()
            await self._advanced.wait()
        outcome = await run(part)
        if isinstance(outcome, PartDone):
            self._complete.add(number)
            self._added.set()
        return outcome

    async def wait(self) -> None:
        """Wait until everything has been read. Raises as ``TemporaryFile`` does."""
        await self._task

    async def stop(self) -> None:
        """Stop reading, and wait until nothing is read any more."""
        self._stopped = True
        self._added.set()
        with contextlib.suppress(Exception):
            await self._task

    async def _read_all(self) -> None:
        for span in self._plan:
            while span.number not in self._complete and not self._stopped:
                self._added.clear()
                await self._added.wait()
            if self._stopped:
                return
            self._complete.remove(span.number)
            await self._read(span)
            self._read_up_to = span.number
            self._advanced.set()

    async def _read(self, span: Span) -> None:
        def read() -> None:
            for piece in self._file.pieces(span.offset, span.size):
                if self._stopped:
                    return
                self._feed(piece)

        await self._reader.away(read)
