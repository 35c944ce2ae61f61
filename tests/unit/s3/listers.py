"""Stores in memory, as a listing sees them: honest ones, slow ones, and such as misbehave."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

from s3pp.s3.listing import Lister
from s3pp.s3.parallel_listing import list_pages

MODIFIED = "2026-11-20T23:37:00.000Z"


def page(keys: Iterable[str], token: str | None) -> bytes:
    """A page of ListObjectsV2 with ``encoding-type=url``."""
    contents = "".join(
        f"<Contents><Key>{escape(quote(key))}</Key><LastModified>{MODIFIED}</LastModified>"
        f"<ETag>&quot;{len(key):032x}&quot;</ETag><Size>{len(key)}</Size>"
        f"<StorageClass>STANDARD</StorageClass></Contents>"
        for key in keys
    )
    more = f"<NextContinuationToken>{escape(token)}</NextContinuationToken>" if token else ""
    truncated = "true" if token else "false"
    return (
        f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{truncated}</IsTruncated>"
        f"{more}{contents}</ListBucketResult>"
    ).encode()


class FakeLister:
    """Lists ``keys``, in UTF-8 byte order, ``size`` to a page; notes what it was asked."""

    def __init__(self, keys: Iterable[str], size: int = 3) -> None:
        self.keys: Sequence[str] = sorted(keys, key=str.encode)
        self.size = size
        self.asked: list[dict[str, str]] = []

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        self.asked.append(parameters)
        for _ in range(len(self.asked) % 4):  # answers overtake each other
            await asyncio.sleep(0)
        return self.answer(parameters)

    def answer(self, parameters: dict[str, str]) -> bytes:
        return self.page_at(self.start(parameters), parameters["prefix"])

    def start(self, parameters: dict[str, str]) -> int:
        """The index of the first key of the page."""
        token = parameters.get("continuation-token")
        if token is not None:
            return int(token.rpartition(" ")[2])
        return bisect_right(self.keys, parameters.get("start-after", ""))

    def page_at(self, start: int, prefix: str = "") -> bytes:
        below = [at for at in range(start, len(self.keys)) if self.keys[at].startswith(prefix)]
        found = below[: self.size]
        token = f"token {found[-1] + 1}" if len(below) > self.size else None
        return page([self.keys[at] for at in found], token)


async def collect(
    lister: Lister, prefix: str = "", *, listers: int = 1, start_after: str = ""
) -> tuple[list[str], list[str]]:
    """The keys listed, in the order they came, and what was told meanwhile."""
    found: list[str] = []
    told: list[str] = []
    listing = list_pages(
        lister, prefix, listers=listers, start_after=start_after, notify=told.append
    )
    async for objects in listing:
        assert objects
        found += [listed.key for listed in objects]
    return found, told


class SlowLister(FakeLister):
    """Answers all requests of a round at once; a round is what one latency is worth."""

    def __init__(self, keys: Iterable[str], size: int) -> None:
        super().__init__(keys, size)
        self.rounds = 0
        self.most = 0  # requests in flight
        self._waiting: list[asyncio.Future[None]] = []

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        self.asked.append(parameters)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn
        return self.answer(parameters)

    async def serve(self) -> None:
        """Answer, round by round, for ever."""
        while True:
            for _ in range(200):  # until everybody has asked for what can be asked for
                await asyncio.sleep(0)
            waiting, self._waiting = self._waiting, []
            self.rounds += bool(waiting)
            self.most = max(self.most, len(waiting))
            for turn in waiting:
                if not turn.done():
                    turn.set_result(None)
