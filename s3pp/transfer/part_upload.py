"""Multipart uploads of files: which parts, and the transfer of each by any worker.

::

    lead ──PutPart──▶ any putter: read, digest ─▶ equal to the stored part? ─▶ nothing is sent
                      ─▶ UploadPart ─▶ its checksum or ETag, compared ──PartDone──▶ lead

The ETag is compared with the MD5 if that is known. With another checksum no MD5 is needed: a store
that returns the checksum has verified it. A store that does not return it may not have checked
it; then the MD5 is computed, for this part and all later ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from s3pp.errors import FailureKind
from s3pp.integrity.checksums import Digester, Digests
from s3pp.integrity.etag import check_md5, proves_content
from s3pp.integrity.stored_object import prove_checksum
from s3pp.job import Job
from s3pp.records import Calls, Entry, PartDone, PartFailed, PartOutcome, Planned, PutPart, Span
from s3pp.s3.answers import Answer, etag_of, parse_etag
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import NewUpload, PartTarget, Spans, Uploads, part_size
from s3pp.s3.upload_listing import Part
from s3pp.transfer.bodies import Changed, PartBody, Slice, open_part
from s3pp.transfer.multipart_upload import CompletedUpload, MultipartUpload
from s3pp.transfer.object_headers import matches_upload
from s3pp.transfer.parts import (
    CreateUpload,
    PartError,
    UploadState,
    kept_checksum,
    retry_part,
    run_parts,
    upload_calls,
)
from s3pp.transfer.resources import Reader, WorkerResources

_UNOPENED = (FailureKind.NOT_FOUND, FailureKind.UNREADABLE)
_PROC = "/proc/"
NO_CHECKSUMS = (
    "the store returns no checksums, and may not verify them: "
    "the MD5 of each part is compared as well"
)


class PartSender:
    """Sends parts of bodies, of uploads that any worker may lead."""

    def __init__(
        self,
        job: Job,
        bucket: Bucket,
        reader: Reader,
        *,
        open_body: Callable[[PutPart], PartBody] = open_part,
    ) -> None:
        """``open_body`` returns the body of a part; it is called on a thread."""
        self._open_body = open_body
        self._endpoint = bucket.endpoint
        self._uploads = Uploads(bucket)
        self._reader = reader
        self._signed = job.access.sign and not bucket.endpoint.unsigned_bodies
        self._digesters: dict[tuple[str, bool], Digester] = {}  # by checksum, and with the MD5
        self._needs_md5s = False  # of all parts: the store does not return their checksums

    async def part(self, part: PutPart) -> PartOutcome:
        """Send one part. Raises only ``FatalError`` and ``RunEnding``."""
        return await retry_part(part.span.number, lambda: self._send(part))

    async def is_stored(self, part: PutPart) -> bool:
        """Return whether the store's part equals the file's. Raises ``ObjectError``."""
        opened = await self._reader.away(lambda: self._open_body(part))
        try:
            return _equals(part, await self._digest(part, opened))
        finally:
            opened.close()

    async def _send(self, part: PutPart) -> PartDone:
        opened = await self._reader.away(lambda: self._open_body(part))
        try:
            digests = await self._digest(part, opened)
            if _equals(part, digests):
                return self._done(part, digests, part.known, moved=False)
            slot = PartTarget(part.key, part.upload_id, part.span.number)
            answer = await self._uploads.send(
                slot, body=opened, headers=[digests.header], payload_hash=digests.payload_hash
            )
            opened.check()
            digests = await self._verify(part, answer, digests, opened)
            written = parse_etag(answer.response.header(b"etag")).text
            return self._done(part, digests, written, moved=True)
        finally:
            opened.close()

    async def _verify(
        self, part: PutPart, answer: Answer, digests: Digests, opened: PartBody
    ) -> Digests:
        endpoint = self._endpoint
        is_proven = prove_checksum(answer.response, digests.header) or digests.md5
        if not is_proven and proves_content(answer.etag, answer.response, endpoint):
            self._needs_md5s = True
            digests = await self._read(part, opened, md5=True)
        check_md5(answer, digests.md5, endpoint)
        return digests

    async def _digest(self, part: PutPart, opened: PartBody) -> Digests:
        is_compared = bool(part.known) and not part.known_checksum
        return await self._read(part, opened, md5=is_compared or self._needs_md5s)

    async def _read(self, part: PutPart, opened: PartBody, *, md5: bool) -> Digests:
        def digest() -> Digests:
            return self._digester(part.checksum, md5).of(opened.pieces())

        digests = await self._reader.whole(digest)
        opened.check()
        return digests

    def _digester(self, checksum: str, md5: bool) -> Digester:
        """Return the digester of a checksum; may import what computes it: called on a thread."""
        known = self._digesters.get((checksum, md5))
        if known is None:
            known = Digester(checksum, md5=md5, signed=self._signed)
            self._digesters[checksum, md5] = known
        return known

    def _done(self, part: PutPart, digests: Digests, etag: str, *, moved: bool) -> PartDone:
        span = part.span
        checksum = "" if part.checksum == "md5" else digests.header[1]
        return PartDone(span.number, span.size, etag, digests.md5, checksum, moved)


def _equals(part: PutPart, digests: Digests) -> bool:
    if part.known_checksum:
        return part.known_checksum == digests.header[1]
    return bool(part.known) and etag_of(part.known) == digests.md5


class UploadBody(NamedTuple):
    """A body to upload in parts."""

    part: PutPart  # the fields that all parts have in common
    size: int  # bytes
    headers: Headers  # of the object
    is_shared: bool  # every worker can open it; False: this one, and possibly others
    planned: Planned | None = None  # as in ``UploadSource``


class FileUploader:
    """Uploads bodies in parts by the rules of one job."""

    def __init__(
        self,
        job: Job,
        bucket: Bucket,
        resources: WorkerResources,
        notify: Callable[[str], None],
    ) -> None:
        self.job = job
        self.bucket = bucket
        self.sender = PartSender(job, bucket, resources.reader)
        self.run_part = resources.parts.run
        self.notify = notify
        self._own = resources.own
        self._upload = MultipartUpload(job, bucket, notify, resources)
        self.checksums = self._upload.checksums
        self._changed: set[str] = set()  # ids of uploads whose source changed while it was sent

    def calls(self, size: int) -> Calls:
        """Return the requests for ``size`` bytes. Raises ``ObjectError`` for too many parts."""
        return upload_calls(Spans(size, part_size(size, self.job.parts.size)).count)

    async def put(self, body: UploadBody) -> CompletedUpload:
        """Upload a body.

        Raises ``Changed`` if the source did, ``AlreadyExists`` if mode add forbids it, and
        ``ObjectError``.
        """
        source = _FileSource(body, self)
        try:
            completed = await self._upload.write(source)
        except Changed:
            self._changed.add(source.upload_id)
            raise
        if completed.is_resumed:
            is_changed = source.upload_id in self._changed
            what = "it changed meanwhile, and was read again" if is_changed else completed.kept
            self.notify(f"{source.name}: {what}")
        return completed

    async def abort_own(self, key: str) -> None:
        """Abort the uploads of ``key`` that are obsolete now that the object exists."""
        await self._upload.abort_own(key)

    async def keeps_parts(self, key: str, kind: FailureKind) -> bool:
        """Return whether the store keeps parts of an object that has failed.

        Another run cannot recognize the parts of a source that keeps changing. So they are kept
        only if the key has no other uploads: otherwise each run would leave more of them. Of a
        source that has vanished there is nothing to resume.
        """
        is_vanished = kind is FailureKind.NOT_FOUND
        if is_vanished or (kind is FailureKind.CHANGED and not await self._upload.is_alone(key)):
            await self._upload.abort_own(key)
        return bool(self._own.left(key))


class _FileSource:
    """A body as an ``UploadSource``."""

    # Each part is compared with the current file; if there is none, no run will resume it.
    spoils: Collection[FailureKind] = (FailureKind.NOT_FOUND,)

    def __init__(self, body: UploadBody, uploader: FileUploader) -> None:
        job = uploader.job
        self.key, self.name, self.size = body.part.key, body.part.name, body.size
        self.is_resumable = job.parts.resume
        self.is_repeatable = True
        self.written = False
        self.planned = body.planned
        self.upload_id = ""
        self._body = body
        self._uploader = uploader
        self.part_size = part_size(body.size, job.parts.size)

    async def has_part(self, plan: Spans, there: Part) -> bool:
        checksum = await self._uploader.checksums.of_parts([there])
        part = self._part(plan.span(there.number), there, checksum)
        return await self._uploader.sender.is_stored(part)

    async def create(self, create: CreateUpload) -> NewUpload:
        return await create(self._body.headers)

    async def upload_parts(self, upload: UploadState) -> list[PartDone]:
        self.upload_id = upload.id
        run = self._uploader.run_part if self._body.is_shared else self._run_nearby
        at_once = self._uploader.job.speed.parts_at_once
        try:
            # If the upload is aborted on failure, no part may arrive after that.
            settled = not self.is_resumable or upload.is_optional
            return await run_parts(self._parts(upload), run, at_once=at_once, settled=settled)
        except PartError as error:
            if error.kind is FailureKind.CHANGED:
                raise Changed(self.name) from None
            raise

    async def verify_parts(self, upload: UploadState, parts: list[PartDone]) -> None:
        """Notify users if MD5s were needed; each part has been verified by its sender."""
        new = [part for part in parts if part.moved and part.number not in upload.parts]
        notify_of_md5s(upload, new, self._uploader.notify)

    async def metadata_matches(self) -> bool:
        bucket, notify = self._uploader.bucket, self._uploader.notify
        return await matches_upload(bucket, self.key, self._body.headers, notify)

    async def _run_nearby(self, part: PutPart) -> PartOutcome:
        """Offer a part of an unnamed file to all workers; send it here if no other can open it."""
        if not part.path.startswith(_PROC):
            return await self._uploader.sender.part(part)
        outcome = await self._uploader.run_part(part)
        if isinstance(outcome, PartFailed) and not outcome.code and outcome.kind in _UNOPENED:
            return await self._uploader.sender.part(part)
        return outcome

    def _parts(self, upload: UploadState) -> Iterator[PutPart]:
        for span in Spans(self.size, upload.part_size):
            part = self._part(span, upload.parts.get(span.number), upload.checksum)
            yield part._replace(upload_id=upload.id)

    def _part(self, span: Span, there: Part | None, checksum: str) -> PutPart:
        part = self._body.part._replace(span=span, checksum=checksum)
        if there is None:
            return part
        kept = kept_checksum(there, checksum, strong=True)  # else the ETag decides
        return part._replace(known=there.etag, known_checksum=kept)


def notify_of_md5s(
    upload: UploadState, parts: Iterable[PartDone], notify: Callable[[str], None]
) -> None:
    """Notify users if the MD5s of ``parts`` were needed beside the checksum that they named."""
    is_named = upload.checksum != "md5" and not upload.is_optional
    if is_named and any(part.md5 for part in parts):
        notify(NO_CHECKSUMS)


def upload_body(entry: Entry, body: Slice, headers: Headers, *, is_shared: bool) -> UploadBody:
    """Return a streamed body to upload; ``is_shared``: it is the entry's file, uncompressed."""
    path = entry.path if is_shared else _unnamed_path(body.fileno())
    part = PutPart(entry.source, path, body.start, body.stamp, Span(1, 0, 0), entry.key, "")
    return UploadBody(part, body.size, headers, is_shared)


def _unnamed_path(descriptor: int) -> str:
    """Return a path for opening an unnamed file: with /proc, from any process of this run."""
    path = f"{_PROC}{os.getpid()}/fd/{descriptor}"
    return path if os.path.exists(path) else f"/dev/fd/{descriptor}"
