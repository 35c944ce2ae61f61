"""A multipart upload, from its creation to its completion, of a file or of another object.

::

    unfinished upload of ours? ─yes─▶ its parts ─┐
             └─no─▶ CreateMultipartUpload ───────┴─▶ the other parts ─▶ all parts verified
    ─▶ CompleteMultipartUpload ─▶ its ETag, compared with those of the parts ─▶ CompletedUpload
             ├─ the ETag proves nothing: HEAD, for size, ETag and checksum ─▶ CompletedUpload
             └─ no such upload: had an attempt whose answer was lost completed it?
                   └─ yes ─▶ CompletedUpload         └─ no ─▶ another upload, ``_STARTS`` in all

Where that fails ``_fail`` decides what becomes of the upload. Its parts are kept, for the next run
to resume, unless there are none, or they are of no use to it. An upload that was found is never
aborted for a refusal: it may be another client's. Of the uploads that this run has created for one
object, in earlier attempts or by a worker that died, at most one is kept. Uploads that cannot be
resumed, as copies by the store, are aborted by the next run that succeeds, which identifies them by
their parts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from s3pp.errors import FailureKind, FatalError, Kept, ObjectError, RunEnding
from s3pp.integrity.etag import Evidence, OtherBytes, etag_of_parts, evidence
from s3pp.integrity.stored_object import HiddenObject, confirm
from s3pp.job import Job
from s3pp.records import Facts, PartDone
from s3pp.s3.answers import Answer, Copied
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Uploads, is_upload_missing
from s3pp.s3.retry import StoreError
from s3pp.transfer.conditional_write import AlreadyExists, ConditionalWrite
from s3pp.transfer.part_checksums import PartChecksums
from s3pp.transfer.parts import (
    UploadSource,
    UploadState,
    by_number,
    completion_headers,
    named_checksum,
    prove_object,
)
from s3pp.transfer.resources import WorkerResources
from s3pp.transfer.resume import NOTHING_RESUMED, NotListed, find_earlier, find_unfinished
from s3pp.transfer.upload_support import MultipartSupport

_STARTS = 3  # uploads tried for one object before it counts as always taken away
HIDDEN = (
    "the ETags of some objects that were sent in parts do not prove their content, and the store "
    "refuses HEAD requests for them: they are not verified (allow HeadObject: s3:GetObject)"
)
_LOST = {
    "NoSuchUpload": "another client ended the upload",
    "InvalidPart": "another client is sending parts of the same upload",
    "InvalidPartOrder": "another client is sending parts of the same upload",
}


SentParts = tuple[str, list[PartDone]]  # the algorithm they were sent with, and the parts


class CompletedUpload(NamedTuple):
    """An object that the store has acknowledged."""

    etag: str
    attempts: int
    parts: list[PartDone]
    is_resumed: bool  # an earlier run had created it
    checksum: str  # the algorithm that its parts were sent with
    facts: Facts | None = None  # in a run with a journal

    @property
    def sent(self) -> int:
        """The bytes that were sent, without parts that the store had already."""
        return sum(part.size for part in self.parts if part.moved)

    @property
    def kept(self) -> str:
        """The number of parts that the store had already, for users."""
        kept = sum(not part.moved for part in self.parts)
        return f"{kept} of {len(self.parts)} parts exist already"


class StartAgain(ObjectError):
    """Raised when the upload is lost, and another may succeed.

    ``resume``: an unfinished one may be resumed. ``is_foreign``: the lost one is not ours to abort.
    """

    def __init__(self, message: str, *, resume: bool = False, is_foreign: bool = False) -> None:
        super().__init__(FailureKind.CONFLICT, message)
        self.resume = resume
        self.is_foreign = is_foreign


class MultipartUpload:
    """Uploads objects in parts by the rules of one job."""

    def __init__(
        self, job: Job, bucket: Bucket, notify: Callable[[str], None], resources: WorkerResources
    ) -> None:
        self.own = resources.own
        self.checksums = PartChecksums(job, bucket.endpoint, resources.reader, notify)
        self._looks_back = job.parts.resume
        self._keeps_facts = job.output.keeps_facts
        self._bucket = bucket
        self._uploads = Uploads(bucket)
        self._support = MultipartSupport(bucket)
        self._conditional = ConditionalWrite(job.mode, bucket, notify)
        self._notify = notify

    async def write(self, source: UploadSource) -> CompletedUpload:
        """Store one object. Raises ``AlreadyExists``, and the errors of ``source``."""
        completed = await self._write(source)
        await self.abort_own(source.key)
        if self._looks_back and not source.is_resumable:
            await self._abort_earlier(source.key, completed.parts)
        return completed

    async def _write(self, source: UploadSource) -> CompletedUpload:
        resume, beside = source.is_resumable, False
        for _ in range(_STARTS - 1 if source.is_repeatable else 0):
            try:
                return await self._attempt(source, resume=resume, beside=beside)
            except StartAgain as again:
                self._notify(f"{source.name}: {again}: starting again")
                resume = resume and again.resume
                beside = beside or (again.is_foreign and not again.resume)
        return await self._attempt(source, resume=False, beside=beside)

    async def _attempt(
        self, source: UploadSource, *, resume: bool, beside: bool
    ) -> CompletedUpload:
        found = await self._find_unfinished(source) if resume else None
        upload = found or await self._create(source)
        try:
            parts = await source.upload_parts(upload)
            await source.verify_parts(upload, parts)
            copied = await self._complete(source, upload, parts)
        except Exception as error:
            raise await self._fail(source, upload, error, beside=beside) from None
        source.written = True
        self.own.close(source.key, upload.id)
        try:
            etag = await self._verify_object(source, copied, (upload.checksum, parts))
        except ObjectError as error:
            raise self._drop_checksum(source, upload, error) or error from None
        self.checksums.note_completion(upload, parts)
        if found and not await source.metadata_matches():
            raise StartAgain("the upload of an earlier run was created with other headers")
        attempts, is_resumed = copied.answer.attempts, found is not None
        completed = CompletedUpload(etag, attempts, parts, is_resumed, upload.checksum)
        if self._keeps_facts:
            facts = Facts(named_checksum(upload.checksum, parts), copied.answer.version)
            return completed._replace(facts=facts)
        return completed

    async def _find_unfinished(self, source: UploadSource) -> UploadState | None:
        try:
            found = await find_unfinished(
                Uploads(self._bucket, own=self.own.left(source.key)),
                source.key,
                size=source.size,
                part_size=source.part_size,
                proves=source.has_part,
            )
        except NotListed:
            self._notify(NOTHING_RESUMED)
            return None
        return await self.checksums.resume(found) if found else None

    async def _create(self, source: UploadSource) -> UploadState:
        left = {*self.own.left(source.key)}
        await self.abort_own(source.key)  # what was not resumed until now is of no use
        if not source.is_resumable:
            # Parts that a dead worker had the store copy may arrive after the abort.
            for upload_id in left:
                self.own.leave(source.key, upload_id)

        try:
            upload = await self.checksums.create(source, self._uploads)
        except StoreError as refusal:
            raise await self._support.explain(source.key, source.size, refusal) from None
        self.own.open(source.key, upload.id)
        return upload

    # Completion

    async def _complete(
        self, source: UploadSource, upload: UploadState, parts: list[PartDone]
    ) -> Copied:
        whole = completion_headers(upload.checksum, parts)
        headers = [("x-amz-mp-object-size", str(source.size)), *whole]

        async def complete(condition: Headers) -> Copied:
            return await self._uploads.complete(
                source.key,
                upload.id,
                [(part.number, part.etag) for part in parts],
                headers=[*headers, *condition],
                checksums=by_number(upload.checksum, parts),
            )

        try:
            return await self._conditional.write(
                source.key, complete, ours=source.written, planned=source.planned
            )
        except (StoreError, AlreadyExists) as error:
            answer = await self._find_completed(source, error, parts)
            if answer is None:
                raise
            # An upload that still exists was not completed, however similar the object is.
            if isinstance(error, AlreadyExists) and await self._abort(source.key, upload.id):
                raise
            return Copied(answer.etag, answer)

    async def _find_completed(
        self, source: UploadSource, error: StoreError | AlreadyExists, parts: list[PartDone]
    ) -> Answer | None:
        """Return the object, if an attempt whose answer was lost may have completed it."""
        refusal = error.refusal if isinstance(error, AlreadyExists) else error
        if refusal is None or not (isinstance(error, AlreadyExists) or is_upload_missing(refusal)):
            return None
        try:
            answer = await self._bucket.look(source.key)
        except StoreError as hidden:
            if hidden.status == 403:
                return None
            raise
        made = etag_of_parts(part.etag for part in parts)
        return answer if answer and (answer.size, answer.etag) == (source.size, made) else None

    async def _verify_object(self, source: UploadSource, copied: Copied, sent: SentParts) -> str:
        """Return the ETag of the stored object. Raises ``ObjectError`` if it is another object.

        If the answer to the completion does not prove it, a HEAD does, at least its size.
        """
        shown = self._evidence(copied, sent)
        if shown is Evidence.PROVEN:
            return copied.etag
        try:
            answer = await confirm(self._bucket, source.key, source.size)
        except HiddenObject:
            if shown is not Evidence.AS_MANY:
                raise
            self._notify(HIDDEN)
            return copied.etag
        self._evidence(Copied(answer.etag, answer), sent)
        return answer.etag

    def _evidence(self, copied: Copied, sent: SentParts) -> Evidence:
        """Return what an answer proves of the object. Raises ``ObjectError`` if it is another."""
        checksum, parts = sent
        random = self._bucket.endpoint.etags_are_random
        shown = evidence(copied.etag, parts, random=random)
        if shown is Evidence.OTHER:
            made = etag_of_parts(part.md5 for part in parts) or f"one that ends in -{len(parts)}"
            what = f"ETag {copied.etag}, and the parts sent make {made}"
            raise OtherBytes(f"the store holds other bytes: {what}")
        proven = prove_object(checksum, parts, copied.answer.response)
        return Evidence.PROVEN if proven else shown

    # Failure

    async def _fail(
        self, source: UploadSource, upload: UploadState, error: Exception, *, beside: bool
    ) -> Exception:
        """Decide what becomes of an upload; return the error to raise, with what is kept."""
        dropped = self._drop_checksum(source, upload, error)
        failure = dropped or _classify(error, is_resumed=upload.is_resumed)
        kept = await self._keep_or_abort(source, upload, failure, beside=beside)
        is_changed = _kind(failure) is FailureKind.CHANGED
        if kept is Kept.PARTS and (is_changed or not upload.is_resumed):
            self.own.leave(source.key, upload.id)
        await self.abort_own(source.key, keep=upload.id)
        if isinstance(failure, ObjectError) and not isinstance(failure, StartAgain):
            failure.kept = kept
        elif isinstance(failure, (RunEnding, FatalError)) and kept is not Kept.NOTHING:
            self._notify(f"{source.name}: not finished; {kept.value}")
        return failure

    def _drop_checksum(
        self, source: UploadSource, upload: UploadState, error: Exception
    ) -> StartAgain | None:
        """Return what to do about an error that may be about a checksum chosen here; else None."""
        is_about_object = isinstance(error, OtherBytes)  # its size, its ETag, or a refused HEAD
        if is_about_object or not source.is_repeatable:
            return None
        if not self.checksums.is_dropped(upload, error):
            return None
        return StartAgain(f"{error}: perhaps for its checksum", is_foreign=upload.is_resumed)

    async def _keep_or_abort(
        self, source: UploadSource, upload: UploadState, failure: Exception, *, beside: bool
    ) -> Kept:
        """Abort an upload unless another run can resume it; return what is kept.

        ``beside``: another upload, of unknown origin, is kept, and refused our parts too.
        """
        # Where the run is ending parts may be in flight, and S3 may keep one that arrives after
        # the abort. Their requests are cut when this object is reported: nobody can wait for them.
        if not source.is_resumable or _is_spoilt(source, failure):
            is_stuck = await self._abort(source.key, upload.id) is None
            return Kept.STUCK_PARTS if is_stuck else Kept.NOTHING
        if await self._is_empty(source, upload, failure):
            await self._abort(source.key, upload.id)
            return Kept.NOTHING
        if beside and _kind(failure) is FailureKind.REJECTED:
            # So the upload is not why the parts are refused, and each run would leave another one.
            # This one is certainly ours; the next run resumes the other.
            await self._abort(source.key, upload.id)
        return Kept.PARTS

    async def _is_empty(
        self, source: UploadSource, upload: UploadState, failure: Exception
    ) -> bool:
        """Return whether an upload has no parts, by which the next run could identify it."""
        # After some failures another request would fail too, after as many attempts.
        is_silent = isinstance(failure, FatalError) or _kind(failure) is FailureKind.NETWORK
        if upload.parts or is_silent:
            return False
        try:
            return await anext(self._uploads.list_parts(source.key, upload.id), None) is None
        except StoreError as refusal:
            # Another client may have aborted it without the store having said so.
            return is_upload_missing(refusal)
        except (ObjectError, FatalError):
            return False

    async def abort_own(self, key: str, *, keep: str = "") -> None:
        """Abort the uploads of ``key`` that this run has created and that nobody will resume."""
        for upload_id in {*self.own.left(key)} - {keep}:
            await self._abort(key, upload_id)

    async def is_alone(self, key: str) -> bool:
        """Return whether this run created all unfinished uploads of ``key`` that can be listed."""
        ours = {*self.own.left(key)}
        try:
            return all([each.id in ours async for each in self._uploads.list_key(key)])
        except (ObjectError, FatalError):
            return False

    async def _abort(self, key: str, upload_id: str) -> bool | None:
        """Return whether there was such an upload that is now aborted; None if it cannot be."""
        try:
            aborted = await self._uploads.abort(key, upload_id)
        except (ObjectError, FatalError):  # s3pp clean finds it
            return None
        self.own.close(key, upload_id)
        return aborted

    async def _abort_earlier(self, key: str, parts: list[PartDone]) -> None:
        """Abort the uploads that earlier runs left of an object that is now stored."""
        with suppress(ObjectError, FatalError):
            for upload_id in await find_earlier(self._uploads, key, parts):
                await self._abort(key, upload_id)


def _classify(error: Exception, *, is_resumed: bool) -> Exception:
    """Return what an error of an upload means for the object."""
    code, status = getattr(error, "code", ""), getattr(error, "status", 0)
    if code in _LOST:
        return StartAgain(_LOST[code], resume=True, is_foreign=True)
    if status == 409:  # API reference, "CompleteMultipartUpload": all parts must be sent again
        return StartAgain("another client wrote to the same key at the same time")
    if is_resumed and _kind(error) is FailureKind.REJECTED:
        # For example, it was created with another kind of checksum than this run sends.
        message = f"the upload of an earlier run refuses these parts ({error})"
        return StartAgain(message, is_foreign=True)
    return error


def _is_spoilt(source: UploadSource, failure: Exception) -> bool:
    """Return whether the parts are of no use to another run."""
    if isinstance(failure, StartAgain):
        return not failure.is_foreign
    return isinstance(failure, AlreadyExists) or _kind(failure) in source.spoils


def _kind(error: Exception) -> FailureKind | None:
    return error.kind if isinstance(error, ObjectError) else None
