"""Copies of parts by the store: UploadPartCopy, each pinned to the source's ETag.

No data passes through this machine, so the lead of the copy sends all the requests.
"""

from __future__ import annotations

import asyncio

from s3pp.integrity.etag import proves_content
from s3pp.job import Job
from s3pp.records import CopyPart, PartDone, Span
from s3pp.s3.answers import Copied, parse_etag, xml_text
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import PartTarget, Uploads, is_upload_missing
from s3pp.s3.retry import StoreError
from s3pp.transfer.copy.by_store import meant
from s3pp.transfer.copy.course import Course
from s3pp.transfer.copy.layout import Cut
from s3pp.transfer.parts.moving import PartRunner, moved
from s3pp.transfer.parts.resume import Found

AT_ONCE = 16  # parts of one object; each takes seconds, but no resources of this machine


class PartsByStore:
    """A ``Way`` in which the store of both buckets copies the parts."""

    def __init__(self, job: Job, buckets: tuple[Bucket, Bucket], parts: PartRunner) -> None:
        """Set up; ``buckets``: the source, and the destination."""
        self._source, self._dest = buckets
        self._uploads = Uploads(self._dest)
        self._same_keys = self._source.signer.keys == self._dest.signer.keys
        self._checksum = job.objects.checksum
        self._turns = asyncio.Semaphore(max(1, job.speed.concurrency // job.speed.processes))
        self._parts = parts

    def resumes(self, cut: Cut) -> bool:
        """Return false: copying a part again costs no more than looking whether it exists."""
        return False

    async def found(self, course: Course, cut: Cut) -> Found | None:
        """Return None, see ``resumes``."""
        return None

    async def etags(self, course: Course, cut: Cut) -> dict[int, str]:
        """Return nothing: the data is not fetched."""
        return {}

    async def moved(self, course: Course, cut: Cut, begun: Found) -> list[PartDone]:
        """Copy all parts. Raises as ``Way.moved``."""
        key, (size, etag) = course.task.source, course.source
        target = course.task.target
        any_part = CopyPart(key, etag, size, Span(0, 0, 0), target, begun.upload_id, pin=course.pin)
        parts = (any_part._replace(span=span) for span in cut.spans)
        try:
            return await moved(parts, self._copied, at_once=AT_ONCE)
        except StoreError as error:
            if is_upload_missing(error):
                raise
            raise meant(error, same_keys=self._same_keys) from None

    async def _copied(self, part: CopyPart) -> PartDone:
        async with self._turns:
            self._parts.check()
            copied = await self._uploads.copy(
                PartTarget(part.key, part.upload_id, part.span.number),
                (self._source.endpoint.bucket, part.source),
                headers=_headers(part),
                size=part.span.size,
            )
            self._parts.report(part.span.size)
        return self._done(part, copied)

    def _done(self, part: CopyPart, copied: Copied) -> PartDone:
        etag, response = copied.etag, copied.answer.response
        md5 = etag if proves_content(etag, response, self._dest.endpoint) else ""
        name = f"Checksum{self._checksum.upper()}"
        checksum = "" if self._checksum == "md5" else xml_text(response.body, name) or ""
        written = parse_etag(xml_text(response.body, "ETag")).text
        return PartDone(part.span.number, part.span.size, written, md5, checksum)


def _headers(part: CopyPart) -> Headers:
    _, offset, size = part.span
    pin = [("x-amz-copy-source-if-match", part.pin)] if part.pin else []
    # A range is refused for small sources (API reference, "UploadPartCopy").
    if size == part.size:
        return pin
    return [*pin, ("x-amz-copy-source-range", f"bytes={offset}-{offset + size - 1}")]
