"""Copies by the store itself: CopyObject and UploadPartCopy, with the source pinned.

No data passes through this machine, so the lead of a copy in parts sends all the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.etag import is_md5, proves_content
from s3pp.integrity.stored_object import confirm, or_unknown
from s3pp.job import Job, Mode
from s3pp.records import CopyPart, Facts, PartDone, Span
from s3pp.s3.answers import Copied, parse_etag, xml_text
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import PartTarget, Uploads, is_upload_missing
from s3pp.s3.retry import StoreError
from s3pp.transfer.conditional_write import ConditionalWrite, head_if_allowed
from s3pp.transfer.copy.copy_attempt import CopyAttempt, Written, classify_refusal
from s3pp.transfer.copy.part_layout import PartLayout
from s3pp.transfer.object_headers import CopyHeaders, ReducedHeaders, send_reduced
from s3pp.transfer.parts import PartRunner, UploadState, run_parts

AT_ONCE = 16  # parts of one object; each takes seconds, but no resources of this machine


class ByStore:
    """Has the store of both buckets copy objects from one to the other, whole."""

    def __init__(
        self,
        job: Job,
        source: Bucket,
        dest: Bucket,
        headers: CopyHeaders,
        notify: Callable[[str], None],
    ) -> None:
        self._source = source
        self._dest = dest
        self._headers = headers
        self._only_absent = job.mode is Mode.ADD
        self._keeps_facts = job.output.keeps_facts
        self._same_keys = source.signer.keys == dest.signer.keys
        self.conditional = ConditionalWrite(job.mode, dest, notify, copies=True)
        self._notify = notify
        self.is_trusted = False  # copies work here: a refusal concerns a single object

    async def write(self, attempt: CopyAttempt) -> Written:
        """Copy one object.

        Raises ``AlreadyExists``; ``SourceChanged`` if the source is not the pinned one;
        ``CannotCopy`` if it can only be copied in another way; and ``ObjectError``.
        """
        try:
            if self._only_absent and not attempt.written:
                copied = await self.conditional.write(
                    attempt.task.target,
                    lambda condition: self._copy(attempt, condition),
                    look=attempt.doubted,
                    planned=attempt.task.planned,
                )
            else:
                copied = await self._copy(attempt)
        except StoreError as error:
            raise classify_refusal(error, same_keys=self._same_keys) from None
        self.is_trusted = attempt.written = True
        if not copied.etag:
            answer = await confirm(self._dest, attempt.task.target, attempt.source.size)
            copied = Copied(answer.etag, answer)
        if copied.etag != attempt.source.etag:
            await self._check(attempt, copied)
        facts = _facts(copied) if self._keeps_facts else None
        return Written(copied.etag, copied.answer.attempts, facts=facts)

    def add_doubt(self) -> None:
        """Count a failure of If-None-Match for an absent key, if the condition never worked."""
        if not self.conditional.is_supported:
            self.conditional.add_doubt()

    async def _copy(self, attempt: CopyAttempt, condition: Headers = ()) -> Copied:
        task, source = attempt.task, attempt.source
        headers = [*self._headers.with_copy(task.source, attempt.storage_class), *condition]
        if attempt.pin:
            headers.append(("x-amz-copy-source-if-match", attempt.pin))
        origin = (self._source.endpoint.bucket, task.source)
        send = partial(self._dest.copy, task.target, origin, size=source.size)
        return await send_reduced(send, headers, self._reduce, self._notify)

    def _reduce(self, error: StoreError, headers: Headers) -> ReducedHeaders | None:
        reduced = self._headers.without(error, headers)
        # Other keys may be allowed to read the tags: then they are copied through this machine.
        if reduced is None and self._same_keys:
            return self._headers.without_tags(error, headers)
        return reduced

    async def _check(self, attempt: CopyAttempt, copied: Copied) -> None:
        """Find out why the ETags differ; raises ``ObjectError`` if the store copied other data."""
        etag, expected = copied.etag, attempt.source.etag
        if not is_md5(expected) or self._source.endpoint.etags_are_random:
            return
        if not proves_content(etag, copied.answer.response, self._dest.endpoint):
            return
        found = await or_unknown(self._source.look(attempt.task.source))
        if found is not None and found.etag != expected:
            attempt.see(found)  # replaced meanwhile, and the store ignored the condition
        if found is not None and (
            found.etag != expected
            or proves_content(expected, found.response, self._source.endpoint)
        ):
            if found.etag == etag:
                return
            message = f"the copy is another object: its ETag is {etag}, the source's {found.etag}"
            raise ObjectError(FailureKind.INTEGRITY, message)
        dest = await head_if_allowed(self._dest, attempt.task.target)
        if dest and dest.etag == etag and dest.size != attempt.source.size:
            message = f"the copy has {dest.size} bytes, and the source {attempt.source.size}"
            raise ObjectError(FailureKind.INTEGRITY, message)


def _facts(copied: Copied) -> Facts:
    """Return what the answer to a CopyObject shows of the copy."""
    body, version = copied.answer.response.body, copied.answer.version
    for name in ALGORITHMS:
        value = xml_text(body, f"Checksum{name.upper()}")
        if value and "-" not in value:  # else it is one of the checksums of parts
            return Facts(f"{name}:{value}", version)
    return Facts("", version)


class PartsByStore:
    """Has the store of both buckets copy the parts of objects."""

    def __init__(self, job: Job, source: Bucket, dest: Bucket, parts: PartRunner) -> None:
        self._source = source
        self._endpoint = dest.endpoint
        self._uploads = Uploads(dest)
        self._same_keys = source.signer.keys == dest.signer.keys
        self._checksum = job.objects.checksum
        self._slots = asyncio.Semaphore(max(1, job.speed.concurrency // job.speed.processes))
        self._parts = parts

    def is_resumable(self, layout: PartLayout) -> bool:
        """Return false: copying a part again costs no more than looking whether it exists."""
        return False

    async def has_part(self, attempt: CopyAttempt, span: Span, etag: str) -> bool:
        """Return false, see ``is_resumable``."""
        return False

    async def compute_etags(self, attempt: CopyAttempt, layout: PartLayout) -> dict[int, str]:
        """Return nothing: the data is not fetched."""
        return {}

    async def copy_parts(
        self, attempt: CopyAttempt, layout: PartLayout, upload: UploadState
    ) -> list[PartDone]:
        """Copy all parts; return them by number.

        Raises ``SourceChanged``, ``CannotCopy`` if this way cannot work, ``RunEnding``, and
        ``ObjectError``.
        """
        task, (size, etag, _), pin = attempt.task, attempt.source, attempt.pin
        parts = (
            CopyPart(task.source, etag, size, span, task.target, upload.id, pin=pin)
            for span in layout.spans
        )
        try:
            return await run_parts(parts, self._copy, at_once=AT_ONCE)
        except StoreError as error:
            if is_upload_missing(error):
                raise
            raise classify_refusal(error, same_keys=self._same_keys) from None

    async def _copy(self, part: CopyPart) -> PartDone:
        async with self._slots:
            self._parts.check()
            copied = await self._uploads.copy(
                PartTarget(part.key, part.upload_id, part.span.number),
                (self._source.endpoint.bucket, part.source),
                headers=_range_headers(part),
                size=part.span.size,
            )
            self._parts.report(part.span.size)
        return self._done(part, copied)

    def _done(self, part: CopyPart, copied: Copied) -> PartDone:
        etag, response = copied.etag, copied.answer.response
        md5 = etag if proves_content(etag, response, self._endpoint) else ""
        name = f"Checksum{self._checksum.upper()}"
        checksum = "" if self._checksum == "md5" else xml_text(response.body, name) or ""
        written = parse_etag(xml_text(response.body, "ETag")).text
        return PartDone(part.span.number, part.span.size, written, md5, checksum)


def _range_headers(part: CopyPart) -> Headers:
    _, offset, size = part.span
    pin = [("x-amz-copy-source-if-match", part.pin)] if part.pin else []
    # A range is refused for small sources (API reference, "UploadPartCopy").
    if size == part.size:
        return pin
    return [*pin, ("x-amz-copy-source-range", f"bytes={offset}-{offset + size - 1}")]
