"""Copies of parts through this machine, each by any worker with free capacity.

::

    lead ──CopyPart──▶ any copier: GET of the range, pinned ─▶ temporary file ─▶ digests
                       ─▶ UploadPart ─▶ the ETag, held against the MD5 ──PartDone──▶ lead

The temporary file is unnamed and holds one part; at most one piece of it is in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from s3pp.errors import ObjectError
from s3pp.integrity.checksums import checksum
from s3pp.integrity.digests import Digester, Digests
from s3pp.integrity.etag import check_md5, is_md5
from s3pp.integrity.multipart_etag import Rolling
from s3pp.integrity.received import Corrupt
from s3pp.job import Job
from s3pp.limits import PIECE
from s3pp.records import CopyPart, PartDone, PartFault, PartOutcome, Span
from s3pp.s3.answers import Answer, etag_of, parse_etag
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import PartTarget, Spans, Uploads
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Part
from s3pp.transfer.bodies import Slice
from s3pp.transfer.copy.course import Course, Stale, Target
from s3pp.transfer.copy.layout import Basis, Cut
from s3pp.transfer.means import Means
from s3pp.transfer.parts import sums
from s3pp.transfer.parts.moving import PartError, carried, moved, part_failed
from s3pp.transfer.parts.resume import Found, unfinished
from s3pp.transfer.refused import source_fault
from s3pp.transfer.spill import Spill


class PartsThrough:
    """A ``Way`` that offers the parts to all workers, and transfers those assigned to this one."""

    def __init__(self, job: Job, buckets: tuple[Bucket, Bucket], means: Means) -> None:
        """Set up; ``buckets``: the source, and the destination."""
        self._resume = job.parts.resume
        self._source, self._dest = buckets
        self._uploads = Uploads(self._dest)
        self._own = means.own
        self._at_once = job.speed.parts_at_once
        self._reader, self._budget, self._parts = means.reader, means.budget, means.parts
        self._checksum = job.objects.checksum
        signed = job.access.sign and not self._dest.endpoint.unsigned_bodies
        self._digester = Digester(self._checksum, md5=True, signed=signed)

    def resumes(self, cut: Cut) -> bool:
        """Return whether uploads can be resumed: the source's ETag then verifies all parts."""
        known = cut.basis is not Basis.NOTHING and cut.spans.equal
        return self._resume and known and len(cut.spans) > 1

    async def found(self, course: Course, cut: Cut) -> Found | None:
        """Return the upload of an earlier run if one of its parts equals the source's."""
        sizes = cut.likely or (cut.spans.part_size,)

        async def proves(plan: Spans, there: Part) -> bool:
            if plan.part_size not in sizes:
                return False
            return await self._is(_part(course, plan.span(there.number)), there)

        self._uploads.own.update(self._own.left(course.task.target))
        return await unfinished(
            self._uploads,
            course.task.target,
            size=course.source.size,
            wanted=cut.spans.part_size,
            proves=proves,
        )

    async def moved(self, course: Course, cut: Cut, begun: Found) -> list[PartDone]:
        """Transfer all missing parts. Raises as ``Way.moved``."""
        kept = dict(self._kept(begun))
        any_part = _part(course, cut.spans.span(1))
        any_part = any_part._replace(upload_id=begun.upload_id, stored=cut.stored[0])
        parts = (any_part._replace(span=s) for s in cut.spans if s.number not in kept)
        try:
            # If the upload is aborted on failure, no part may arrive after that.
            settled = not self.resumes(cut)
            sent = await moved(parts, self._parts.run, at_once=self._at_once, settled=settled)
        except PartError as error:
            if error.fault is not PartFault.REPLACED:
                raise
            raise Stale(error, Target.FREE) from None
        return sorted([*sent, *kept.values()])

    async def etags(self, course: Course, cut: Cut) -> dict[int, str]:
        """Return the source's ETag for parts of each likely size. Fetches all of it, in order.

        Raises ``Stale``, ``Unfinished`` and ``ObjectError``.
        """
        rolling = Rolling(cut.likely)
        for span in cut.spans:
            self._parts.check()
            async with self._fetched(_part(course, span)) as body:
                await self._reader.away(lambda: _feed(rolling, body))
        return rolling.etags()

    def _kept(self, begun: Found) -> Iterator[tuple[int, PartDone]]:
        """Yield parts that need not be sent: those with all data needed for the completion."""
        for number, size, written, told in begun.parts.values():
            name, value = told or ("", "")
            ours = value if name == self._checksum else ""
            md5 = etag_of(written)
            if is_md5(md5) and (ours or self._checksum == "md5"):
                yield number, PartDone(number, size, written, md5, ours, moved=False)

    async def part(self, part: CopyPart) -> PartOutcome:
        """Transfer one part. Raises only ``FatalError`` and ``Unfinished``."""
        return await carried(part.span.number, lambda: self._carried(part))

    async def _carried(self, part: CopyPart) -> PartOutcome:
        try:
            async with self._fetched(part) as body:
                return await self._sent(part, body)
        except Stale as changed:
            return part_failed(part.span.number, changed.refusal, PartFault.REPLACED)

    async def _is(self, part: CopyPart, there: Part) -> bool:
        async with self._fetched(part) as body:
            digests = await self._reader.away(lambda: self._digester.of(body.pieces()))
            return digests.md5 == etag_of(there.etag)

    @asynccontextmanager
    async def _fetched(self, part: CopyPart) -> AsyncIterator[Slice]:
        grant = self._budget.grant(PIECE)
        await self._budget.take(grant)
        try:
            body = await self._spilled(part)
            try:
                yield body
            finally:
                body.close()
        finally:
            self._budget.give(grant)

    async def _spilled(self, part: CopyPart) -> Slice:
        spill = Spill(part.source)
        try:
            answer = await self._asked(part, spill)
            body = spill.whole()
            _check(part, answer, body.size)
            return body
        except BaseException:
            spill.close()
            raise

    async def _asked(self, part: CopyPart, spill: Spill) -> Answer:
        try:
            return await self._source.get(part.source, headers=_headers(part), sink=spill)
        except StoreError as error:
            if error.status == 412:
                raise Stale(error, Target.FREE) from None
            meant = source_fault(error)
            if meant is error:
                meant = ObjectError(error.kind, f"the source cannot be read: {error}")
            raise meant from None

    async def _sent(self, part: CopyPart, body: Slice) -> PartDone:
        digests = await self._reader.away(lambda: self._digester.of(body.pieces()))
        stored = await self._stored(part, body, digests)
        slot = PartTarget(part.key, part.upload_id, part.span.number)
        answer = await self._uploads.send(
            slot, body=body, headers=[digests.header], payload_hash=digests.payload_hash
        )
        sums.told(answer.response, digests.header)
        check_md5(answer, digests.md5, self._dest.endpoint)
        ours = "" if self._checksum == "md5" else digests.header[1]
        written = parse_etag(answer.response.header(b"etag")).text
        return PartDone(part.span.number, body.size, written, digests.md5, ours, stored=stored)

    async def _stored(self, part: CopyPart, body: Slice, digests: Digests) -> str:
        if not part.stored:
            return ""
        if part.stored == self._checksum:
            return digests.header[1]
        return await self._reader.away(lambda: checksum(part.stored, body.pieces()))


def _feed(rolling: Rolling, body: Slice) -> None:
    for piece in body.pieces():
        rolling.feed(piece)


def _part(course: Course, span: Span) -> CopyPart:
    task, (size, etag) = course.task, course.source
    return CopyPart(task.source, etag, size, span, task.target, "", pin=course.pin)


def _headers(part: CopyPart) -> Headers:
    pin = [("if-match", part.pin)] if part.pin else []
    return [("range", f"bytes={_first_to_last(part)}"), *pin]


def _first_to_last(part: CopyPart) -> str:
    _, offset, size = part.span
    return f"{offset}-{offset + size - 1}"


def _check(part: CopyPart, answer: Answer, size: int) -> None:
    """Raise ``ObjectError`` if the data received is not the part."""
    if answer.etag != part.etag:  # a store that does not support If-Match
        refusal = StoreError(412, "PreconditionFailed", "the source is another by now")
        raise Stale(refusal, Target.FREE)
    wanted = f"bytes {_first_to_last(part)}/{part.size}"
    said = answer.response.header(b"content-range")
    if said != wanted and size != part.size:
        raise Corrupt(f"{said or 'no range'} came, and {wanted} was asked for")
    if size != part.span.size:
        raise Corrupt(f"{size} bytes came, and the range has {part.span.size}")
