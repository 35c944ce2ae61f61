"""One part of a body on its way: read, digested, compared with what is there, sent, verified."""

from __future__ import annotations

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job
from s3pp.records import PartDone, PartOutcome, PutPart
from s3pp.s3.operations import Bucket
from s3pp.s3.uploads import Slot, Uploads
from s3pp.transfer.bodies import Slice, open_part
from s3pp.transfer.digests import Digester, Digests
from s3pp.transfer.etags import Mismatch, proves_content
from s3pp.transfer.parts.moving import part_failed
from s3pp.transfer.reading import Reader

_READINGS = 3  # times a part is read before the store counts as never getting it right


class PartSender:
    """Sends the parts of uploads that any worker leads."""

    def __init__(self, job: Job, bucket: Bucket, reader: Reader) -> None:
        self._bucket = bucket
        self._uploads = Uploads(bucket)
        self._reader = reader
        checksum = job.objects.checksum
        signed = job.access.sign and not bucket.endpoint.secure
        self._named = checksum != "md5"
        self._digester = Digester(checksum, md5=False, signed=signed)
        self._with_md5 = Digester(checksum, md5=True, signed=signed)

    async def part(self, part: PutPart) -> PartOutcome:
        """Move one part. Raises ``FatalError`` only."""
        try:
            for _ in range(_READINGS - 1):
                try:
                    return await self._sent(part)
                except ObjectError as error:
                    if error.kind is not FailureKind.INTEGRITY:
                        raise
            return await self._sent(part)
        except FatalError:
            raise
        except Exception as error:
            return part_failed(part.span.number, error)

    async def digests(self, part: PutPart) -> Digests:
        """Read a part, and no more. Raises ``ObjectError``, ``Changed`` among them."""
        opened = await self._reader.away(lambda: open_part(part))
        try:
            return await self._digested(part, opened)
        finally:
            opened.close()

    async def _sent(self, part: PutPart) -> PartOutcome:
        opened = await self._reader.away(lambda: open_part(part))
        try:
            digests = await self._digested(part, opened)
            if self.same(part, digests):
                return self._done(part, digests, part.known, moved=False)
            slot = Slot(part.key, part.upload_id, part.span.number)
            answer = await self._uploads.send(
                slot, body=opened, headers=[digests.header], payload_hash=digests.payload_hash
            )
            opened.check()
            md5, etag = digests.md5, answer.etag
            if not etag:  # without one it cannot be named when the upload is completed
                message = "the store acknowledged it without an ETag"
                raise ObjectError(FailureKind.INTEGRITY, message)
            if md5 and etag != md5 and proves_content(etag, answer.response, self._bucket.endpoint):
                raise Mismatch(md5, etag)
            return self._done(part, digests, etag, moved=True)
        finally:
            opened.close()

    async def _digested(self, part: PutPart, opened: Slice) -> Digests:
        compared = part.known and not part.known_checksum
        digester = self._with_md5 if compared else self._digester
        digests = await self._reader.away(lambda: digester.of(opened.pieces()))
        opened.check()
        return digests

    def same(self, part: PutPart, digests: Digests) -> bool:
        """Whether what the store has of a part is what was read of it."""
        if part.known_checksum:
            return part.known_checksum == digests.header[1]
        return bool(part.known) and part.known == digests.md5

    def _done(self, part: PutPart, digests: Digests, etag: str, *, moved: bool) -> PartDone:
        span = part.span
        checksum = digests.header[1] if self._named else ""
        return PartDone(span.number, span.size, etag, digests.md5, checksum, moved)
