"""Fetching of whole, verified objects for a copy: in memory if small, else on disk.

::

    GET ──small──▶ bytes ─────────────────────▶ digests, verified ──▶ Fetched
        ──large──▶ temporary file ──on a thread──▶ digests, verified ──▶ Fetched
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from s3pp.errors import ObjectError
from s3pp.integrity.digests import Digester, Digests
from s3pp.integrity.received import Arrived, Corrupt, Expected, fault
from s3pp.integrity.stored_object import ASK_CHECKSUM
from s3pp.limits import PIECE, SMALL
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket, Coding
from s3pp.s3.retry import Oversized, StoreError
from s3pp.transfer.bodies import Slice
from s3pp.transfer.means import Means
from s3pp.transfer.refused import source_fault
from s3pp.transfer.spill import Spill


class Fetched(NamedTuple):
    """An object in its current state, complete, and possibly newer than the listed one."""

    answer: Answer
    body: bytes | Slice
    size: int  # bytes
    digests: Digests


class Fetcher:
    """A fetcher from one bucket; ``digester`` must compute the MD5."""

    def __init__(self, source: Bucket, digester: Digester, means: Means) -> None:
        self._source = source
        self._digester = digester
        self._coding = Coding.GZIP  # with which the last object arrived as stored
        self._reader, self._budget = means.reader, means.budget

    @asynccontextmanager
    async def fetched(self, key: str, listed: Dest) -> AsyncIterator[Fetched]:
        """Fetch the object under ``key``; leaving the context closes it.

        Raises ``Corrupt`` if the data received is not the object, and other ``ObjectError``s.
        """
        grant = self._budget.grant(max(listed.size, 1) if listed.size <= SMALL else PIECE)
        await self._budget.take(grant)
        try:
            fetched = await self._get(key, listed)
            try:
                yield fetched
            finally:
                if isinstance(fetched.body, Slice):
                    fetched.body.close()
        finally:
            self._budget.give(grant)

    async def _get(self, key: str, listed: Dest) -> Fetched:
        try:
            return await self._asked(key, listed)
        except Corrupt as corrupt:
            if corrupt.coding in (None, self._coding):
                raise
            self._coding = corrupt.coding or self._coding
        return await self._asked(key, listed)

    async def _asked(self, key: str, listed: Dest) -> Fetched:
        try:
            if listed.size <= SMALL:
                return await self._held(key, listed)
        except Oversized:  # it has grown since it was listed
            pass
        return await self._spilled(key, listed)

    async def _held(self, key: str, listed: Dest) -> Fetched:
        answer = await self._ask(key)
        body = answer.response.body
        if len(body) <= SMALL:
            return self._judged(answer, body, listed)
        return await self._reader.away(lambda: self._judged(answer, body, listed))

    async def _spilled(self, key: str, listed: Dest) -> Fetched:
        spill = Spill(key)
        try:
            answer = await self._ask(key, spill)
            return await self._reader.away(lambda: self._judged(answer, spill.whole(), listed))
        except BaseException:
            spill.close()
            raise

    async def _ask(self, key: str, spill: Spill | None = None) -> Answer:
        try:
            headers = (ASK_CHECKSUM,)
            return await self._source.get(key, headers=headers, sink=spill, coding=self._coding)
        except StoreError as error:
            meant = source_fault(error)
            if meant is error:
                meant = ObjectError(error.kind, f"the source cannot be read: {error}")
            raise meant from None

    def _judged(self, answer: Answer, body: bytes | Slice, listed: Dest) -> Fetched:
        if isinstance(body, bytes):
            size, digests = len(body), self._digester.of_body(body)
        else:
            size, digests = body.size, self._digester.of(body.pieces())
        arrived = Arrived(size, digests.md5, lambda: _pieces(body))
        if wrong := fault(arrived, Expected(listed, answer, self._source.endpoint)):
            raise wrong
        return Fetched(answer, body, size, digests)


def _pieces(body: bytes | Slice) -> Iterable[bytes]:
    return (body,) if isinstance(body, bytes) else body.pieces()
