"""Sending of one part: read, digest, compare with the stored part, send, verify.

The ETag is compared with the MD5 if that is known. With another checksum no MD5 is needed: a store
that returns the checksum has verified it. A store that does not return it may not have checked
it; then the MD5 is computed, for this part and all later ones.
"""

from __future__ import annotations

from s3pp.integrity.digests import Digester, Digests
from s3pp.integrity.etag import check_md5, proves_content
from s3pp.job import Job
from s3pp.records import PartDone, PartOutcome, PutPart
from s3pp.s3.answers import Answer, etag_of, parse_etag
from s3pp.s3.client import Bucket
from s3pp.s3.multipart import PartTarget, Uploads
from s3pp.transfer.bodies import Slice, open_part
from s3pp.transfer.parts import sums
from s3pp.transfer.parts.moving import carried
from s3pp.transfer.reading import Reader


class PartSender:
    """A sender of parts of uploads, which any worker may lead."""

    def __init__(self, job: Job, bucket: Bucket, reader: Reader) -> None:
        self.bucket = bucket
        self._uploads = Uploads(bucket)
        self._reader = reader
        checksum = job.objects.checksum
        signed = job.access.sign and not bucket.endpoint.unsigned_bodies
        self._named = checksum != "md5"
        self._digester = Digester(checksum, md5=False, signed=signed)
        self._with_md5 = Digester(checksum, md5=True, signed=signed)

    async def part(self, part: PutPart) -> PartOutcome:
        """Send one part. Raises only ``FatalError`` and ``Unfinished``."""
        return await carried(part.span.number, lambda: self._sent(part))

    async def digests(self, part: PutPart) -> Digests:
        """Compute the digests of a part. Raises ``ObjectError``, including ``Changed``."""
        opened = await self._reader.away(lambda: open_part(part))
        try:
            return await self._digested(part, opened)
        finally:
            opened.close()

    async def _sent(self, part: PutPart) -> PartDone:
        opened = await self._reader.away(lambda: open_part(part))
        try:
            digests = await self._digested(part, opened)
            if self.same(part, digests):
                return self._done(part, digests, part.known, moved=False)
            slot = PartTarget(part.key, part.upload_id, part.span.number)
            answer = await self._uploads.send(
                slot, body=opened, headers=[digests.header], payload_hash=digests.payload_hash
            )
            opened.check()
            digests = await self._verified(answer, digests, opened)
            written = parse_etag(answer.response.header(b"etag")).text
            return self._done(part, digests, written, moved=True)
        finally:
            opened.close()

    async def _verified(self, answer: Answer, digests: Digests, opened: Slice) -> Digests:
        told = sums.told(answer.response, digests.header)
        endpoint = self.bucket.endpoint
        unproved = not digests.md5 and not told
        if unproved and proves_content(answer.etag, answer.response, endpoint):
            self._digester = self._with_md5
            digests = await self._digests(self._with_md5, opened)
        check_md5(answer, digests.md5, endpoint)
        return digests

    async def _digested(self, part: PutPart, opened: Slice) -> Digests:
        compared = part.known and not part.known_checksum
        return await self._digests(self._with_md5 if compared else self._digester, opened)

    async def _digests(self, digester: Digester, opened: Slice) -> Digests:
        digests = await self._reader.whole(lambda: digester.of(opened.pieces()))
        opened.check()
        return digests

    def same(self, part: PutPart, digests: Digests) -> bool:
        """Return whether the stored part equals the part read."""
        if part.known_checksum:
            return part.known_checksum == digests.header[1]
        return bool(part.known) and etag_of(part.known) == digests.md5

    def _done(self, part: PutPart, digests: Digests, etag: str, *, moved: bool) -> PartDone:
        span = part.span
        checksum = digests.header[1] if self._named else ""
        return PartDone(span.number, span.size, etag, digests.md5, checksum, moved)
