"""Copies of parts through this machine, each by any worker with free capacity.

::

    lead ──CopyPart──▶ any copier: GET of the range, pinned ─▶ temporary file ─▶ digests
                       ─▶ UploadPart ─▶ the ETag, compared with the MD5 ──PartDone──▶ lead
"""

from __future__ import annotations

from collections.abc import Iterator

from s3pp.integrity.checksums import Digester, Digests, checksum
from s3pp.integrity.etag import RollingETags, check_md5, is_md5
from s3pp.integrity.stored_object import prove_checksum
from s3pp.job import Job
from s3pp.records import CopyPart, PartDone, PartFault, PartOutcome, Span
from s3pp.s3.answers import etag_of, parse_etag
from s3pp.s3.client import Bucket
from s3pp.s3.multipart import PartTarget, Uploads
from s3pp.transfer.bodies import Slice
from s3pp.transfer.copy.copy_attempt import CopyAttempt, SourceChanged
from s3pp.transfer.copy.part_layout import Basis, PartLayout
from s3pp.transfer.copy.through import ObjectFetcher
from s3pp.transfer.parts import (
    PartError,
    UploadState,
    kept_checksum,
    part_failed,
    retry_part,
    run_parts,
)
from s3pp.transfer.resources import WorkerResources


class PartsThrough:
    """Has any worker copy the parts of objects, and copies those assigned to this one."""

    def __init__(
        self,
        job: Job,
        dest: Bucket,
        fetcher: ObjectFetcher,
        digester: Digester,
        resources: WorkerResources,
    ) -> None:
        """Set up; ``digester`` must compute the MD5."""
        self._resumes = job.parts.resume
        self._endpoint = dest.endpoint
        self._uploads = Uploads(dest)
        self._at_once = job.speed.parts_at_once
        self._checksum = job.objects.checksum
        self._fetcher, self._digester = fetcher, digester
        self._reader, self._parts = resources.reader, resources.parts

    def is_resumable(self, layout: PartLayout) -> bool:
        """Return whether uploads can be resumed: the source's ETag then verifies all parts."""
        is_proven = layout.basis is not Basis.NONE and layout.spans.equal
        return self._resumes and is_proven and len(layout.spans) > 1

    async def has_part(self, attempt: CopyAttempt, span: Span, etag: str) -> bool:
        """Return whether a part with this ETag is the source's.

        Raises ``SourceChanged`` and ``ObjectError``.
        """
        async with self._fetcher.fetch_range(_part(attempt, span)) as body:
            digests = await self._reader.away(lambda: self._digester.of(body.pieces()))
            return digests.md5 == etag_of(etag)

    async def copy_parts(
        self, attempt: CopyAttempt, layout: PartLayout, upload: UploadState
    ) -> list[PartDone]:
        """Copy all missing parts; return all, by number.

        Raises ``SourceChanged``, ``RunEnding`` and ``ObjectError``.
        """
        kept = dict(self._kept(upload))
        any_part = _part(attempt, layout.spans.span(1))
        any_part = any_part._replace(upload_id=upload.id, stored=layout.stored[0])
        parts = (any_part._replace(span=s) for s in layout.spans if s.number not in kept)
        try:
            # If the upload is aborted on failure, no part may arrive after that.
            settled = not self.is_resumable(layout)
            sent = await run_parts(parts, self._parts.run, at_once=self._at_once, settled=settled)
        except PartError as error:
            replaced = error.fault is PartFault.REPLACED
            raise (SourceChanged(error) if replaced else error) from None
        return sorted([*sent, *kept.values()])

    async def compute_etags(self, attempt: CopyAttempt, layout: PartLayout) -> dict[int, str]:
        """Return the source's ETag for each likely part size. Fetches all of it, in order.

        Raises ``SourceChanged``, ``RunEnding`` and ``ObjectError``.
        """
        rolling = RollingETags(layout.likely)
        for span in layout.spans:
            self._parts.check()
            async with self._fetcher.fetch_range(_part(attempt, span)) as body:
                await self._reader.away(lambda: _feed(rolling, body))
        return rolling.etags()

    def _kept(self, upload: UploadState) -> Iterator[tuple[int, PartDone]]:
        """Yield parts that need not be sent: those with all data needed for the completion."""
        for there in upload.parts.values():
            ours = kept_checksum(there, self._checksum)
            md5 = etag_of(there.etag)
            if is_md5(md5) and (ours or self._checksum == "md5"):
                number, size = there.number, there.size
                yield number, PartDone(number, size, there.etag, md5, ours, moved=False)

    async def part(self, part: CopyPart) -> PartOutcome:
        """Copy one part. Raises only ``FatalError`` and ``RunEnding``."""
        return await retry_part(part.span.number, lambda: self._copy(part))

    async def _copy(self, part: CopyPart) -> PartOutcome:
        try:
            async with self._fetcher.fetch_range(part) as body:
                return await self._send(part, body)
        except SourceChanged as changed:
            return part_failed(part.span.number, changed.refusal, PartFault.REPLACED)

    async def _send(self, part: CopyPart, body: Slice) -> PartDone:
        digests = await self._reader.away(lambda: self._digester.of(body.pieces()))
        stored = await self._compute_stored(part, body, digests)
        slot = PartTarget(part.key, part.upload_id, part.span.number)
        answer = await self._uploads.send(
            slot, body=body, headers=[digests.header], payload_hash=digests.payload_hash
        )
        prove_checksum(answer.response, digests.header)
        check_md5(answer, digests.md5, self._endpoint)
        ours = "" if self._checksum == "md5" else digests.header[1]
        written = parse_etag(answer.response.header(b"etag")).text
        return PartDone(part.span.number, body.size, written, digests.md5, ours, stored=stored)

    async def _compute_stored(self, part: CopyPart, body: Slice, digests: Digests) -> str:
        """Return the part's checksum by the algorithm that the source stores; else empty."""
        if not part.stored:
            return ""
        if part.stored == self._checksum:
            return digests.header[1]
        return await self._reader.away(lambda: checksum(part.stored, body.pieces()))


def _feed(rolling: RollingETags, body: Slice) -> None:
    for piece in body.pieces():
        rolling.feed(piece)


def _part(attempt: CopyAttempt, span: Span) -> CopyPart:
    task, (size, etag, _) = attempt.task, attempt.source
    return CopyPart(task.source, etag, size, span, task.target, "", pin=attempt.pin)
