"""Copies of whole objects through this machine, and the fetching of objects and of ranges.

::

    GET ──small──▶ bytes ──────────────────────▶ verified ─┐
        ──large──▶ temporary file ──on a thread──▶ verified ─┴─▶ PUT with a checksum, headers, tags
    GET of a range ──▶ temporary file ──▶ ``parts_through``

The temporary files are unnamed; at most one piece of each is in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

from s3pp.integrity.checksums import Digester, Digests
from s3pp.integrity.stored_object import confirm_whole
from s3pp.integrity.verifiers import Corrupt, ExpectedObject, ReceivedBody, find_fault
from s3pp.job import Job
from s3pp.limits import PIECE, SMALL
from s3pp.records import CopyPart, Dest, Facts
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM, Bucket, Coding, Headers
from s3pp.s3.retry import Oversized, StoreError
from s3pp.transfer.bodies import Slice, SpooledBody
from s3pp.transfer.conditional_write import ConditionalWrite
from s3pp.transfer.copy.copy_attempt import CopyAttempt, SourceChanged, Written
from s3pp.transfer.errors import unreadable_source
from s3pp.transfer.object_headers import SourceHeaders
from s3pp.transfer.resources import WorkerResources


class FetchedObject(NamedTuple):
    """An object in its current state, complete, and possibly newer than the listed one."""

    answer: Answer
    body: bytes | Slice
    size: int  # bytes
    digests: Digests


class ObjectFetcher:
    """A fetcher from one bucket; ``digester`` must compute the MD5."""

    def __init__(self, source: Bucket, digester: Digester, resources: WorkerResources) -> None:
        self._source = source
        self._digester = digester
        self._coding = Coding.GZIP  # with which the last object arrived as stored
        self._reader, self._budget = resources.reader, resources.budget

    @asynccontextmanager
    async def fetch(self, key: str, listed: Dest) -> AsyncIterator[FetchedObject]:
        """Fetch the object under ``key``; leaving the context closes it.

        Raises ``Corrupt`` if the data received is not the object, and other ``ObjectError``s.
        """
        async with self._memory(max(listed.size, 1) if listed.size <= SMALL else PIECE):
            fetched = await self._get(key, listed)
            try:
                yield fetched
            finally:
                if isinstance(fetched.body, Slice):
                    fetched.body.close()

    @asynccontextmanager
    async def fetch_range(self, part: CopyPart) -> AsyncIterator[Slice]:
        """Fetch the range of a part; leaving the context closes it.

        Raises ``SourceChanged`` if the object is not the pinned one, ``Corrupt`` if the data
        received is not the range, and other ``ObjectError``s.
        """
        async with self._memory(PIECE):
            body = await self._get_range(part)
            try:
                yield body
            finally:
                body.close()

    @asynccontextmanager
    async def _memory(self, size: int) -> AsyncIterator[None]:
        grant = self._budget.grant(size)
        await self._budget.take(grant)
        try:
            yield
        finally:
            self._budget.give(grant)

    async def _get(self, key: str, listed: Dest) -> FetchedObject:
        try:
            return await self._get_as_coded(key, listed)
        except Corrupt as corrupt:
            if corrupt.coding in (None, self._coding):
                raise
            self._coding = corrupt.coding or self._coding
        return await self._get_as_coded(key, listed)

    async def _get_as_coded(self, key: str, listed: Dest) -> FetchedObject:
        try:
            if listed.size <= SMALL:
                return await self._get_small(key, listed)
        except Oversized:  # it has grown since it was listed
            pass
        spill = SpooledBody(key)
        try:
            answer = await self._request(key, listed.size, spill)
            return await self._reader.away(lambda: self._verify(answer, spill.whole(), listed))
        except BaseException:
            spill.close()
            raise

    async def _get_small(self, key: str, listed: Dest) -> FetchedObject:
        answer = await self._request(key, listed.size)
        body = answer.response.body
        if len(body) <= SMALL:
            return self._verify(answer, body, listed)
        return await self._reader.away(lambda: self._verify(answer, body, listed))

    async def _request(self, key: str, size: int, spill: SpooledBody | None = None) -> Answer:
        try:
            headers = (ASK_CHECKSUM,)
            return await self._source.get(
                key, headers=headers, sink=spill, coding=self._coding, size=size
            )
        except StoreError as error:
            raise unreadable_source(error) from None

    def _verify(self, answer: Answer, body: bytes | Slice, listed: Dest) -> FetchedObject:
        if isinstance(body, bytes):
            size, digests = len(body), self._digester.of_body(body)
        else:
            size, digests = body.size, self._digester.of(body.pieces())
        arrived = ReceivedBody(size, digests.md5, lambda: _pieces(body))
        if wrong := find_fault(arrived, ExpectedObject(listed, answer, self._source.endpoint)):
            raise wrong
        return FetchedObject(answer, body, size, digests)

    async def _get_range(self, part: CopyPart) -> Slice:
        spill = SpooledBody(part.source)
        try:
            answer = await self._request_range(part, spill)
            body = spill.whole()
            _check_range(part, answer, body.size)
            return body
        except BaseException:
            spill.close()
            raise

    async def _request_range(self, part: CopyPart, spill: SpooledBody) -> Answer:
        pin = [("if-match", part.pin)] if part.pin else []
        headers = [("range", f"bytes={_first_to_last(part)}"), *pin]
        try:
            size = part.span.size
            return await self._source.get(part.source, headers=headers, sink=spill, size=size)
        except StoreError as error:
            changed = error.status == 412
            raise (SourceChanged(error) if changed else unreadable_source(error)) from None


class Through:
    """A copier of whole objects from one bucket to another, which may be on different stores."""

    def __init__(
        self,
        job: Job,
        dest: Bucket,
        fetcher: ObjectFetcher,
        headers: SourceHeaders,
        notify: Callable[[str], None],
    ) -> None:
        self._dest = dest
        self._headers = headers
        self._fetcher = fetcher
        self._keeps_facts = job.output.keeps_facts
        self._conditional = ConditionalWrite(job.mode, dest, notify)

    async def write(self, attempt: CopyAttempt) -> Written:
        """Copy one object in its current state. Raises ``AlreadyExists`` and ``ObjectError``."""
        task = attempt.task
        async with self._fetcher.fetch(task.source, attempt.source) as fetched:
            response = fetched.answer.response
            attempt.set_fetched(Dest(fetched.size, fetched.answer.etag))
            attempt.ours = Dest(fetched.size, fetched.digests.md5)
            described = await self._headers.fetch(task.source, response, attempt.storage_class)
            headers = [*described, fetched.digests.header]
            answer = await self._conditional.write(
                task.target,
                lambda condition: self._put(task.target, fetched, [*headers, *condition]),
                ours=attempt.written,
                planned=task.planned,
            )
        attempt.written = True
        etag = answer.etag
        if etag != attempt.ours.etag:
            checksum = fetched.digests.header
            etag = await confirm_whole(self._dest, task.target, answer, attempt.ours, checksum)
        facts = Facts(fetched.digests.named, answer.version) if self._keeps_facts else None
        return Written(etag, answer.attempts, facts=facts)

    async def _put(self, target: str, fetched: FetchedObject, headers: Headers) -> Answer:
        body, payload_hash = fetched.body, fetched.digests.payload_hash
        put = partial(self._dest.put, target, body, payload_hash=payload_hash)
        return await self._headers.send(put, headers)


def _pieces(body: bytes | Slice) -> Iterable[bytes]:
    return (body,) if isinstance(body, bytes) else body.pieces()


def _first_to_last(part: CopyPart) -> str:
    _, offset, size = part.span
    return f"{offset}-{offset + size - 1}"


def _check_range(part: CopyPart, answer: Answer, size: int) -> None:
    """Raise ``ObjectError`` if the data received is not the part."""
    if answer.etag != part.etag:
        raise SourceChanged.unnoticed()
    wanted = f"bytes {_first_to_last(part)}/{part.size}"
    said = answer.response.header(b"content-range")
    if said != wanted and size != part.size:
        raise Corrupt(f"received {said or 'no range'}, but requested {wanted}")
    if size != part.span.size:
        raise Corrupt(f"received {size} bytes, but the range has {part.span.size}")
