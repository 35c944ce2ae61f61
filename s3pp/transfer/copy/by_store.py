"""Copies by the store itself: CopyObject, with the source pinned and the result compared."""

from __future__ import annotations

from collections.abc import Callable

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.acknowledged import confirm
from s3pp.integrity.etag import is_md5, proves_content
from s3pp.integrity.stored_object import if_told
from s3pp.job import Mode
from s3pp.records import Dest
from s3pp.s3.answers import Answer, Copied
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.retry import StoreError
from s3pp.transfer.condition import Absence, seen
from s3pp.transfer.copy.carry import Carrier, Lightening, Loss
from s3pp.transfer.copy.course import Course, Stale, Target, Unable, Written
from s3pp.transfer.refused import source_fault


class ByStore:
    """A copier that lets the store of both buckets copy from one to the other."""

    def __init__(
        self,
        source: Bucket,
        dest: Bucket,
        carrier: Carrier,
        mode: Mode,
        tell: Callable[[str], None],
    ) -> None:
        self._source = source
        self._dest = dest
        self._carrier = carrier
        self._same_keys = source.signer.keys == dest.signer.keys
        self.absence = Absence(mode, dest, tell)
        self._lightening = Lightening(self._lighter, tell)
        self.trusted = False  # copies work here: a refusal concerns a single object

    async def write(self, course: Course) -> Written:
        """Copy one object.

        Raises ``Taken``; ``Stale`` if the source is not the pinned one; ``Unable`` if it can only
        be copied in another way; and ``ObjectError``.
        """
        try:
            copied = await self.absence.write(
                course.task.target,
                lambda condition: self._copy(course, condition),
                ours=course.written,
                look=course.doubted,
            )
        except StoreError as error:
            raise meant(error, same_keys=self._same_keys) from None
        self.trusted = course.written = True
        if not copied.etag:
            answer = await confirm(self._dest, course.task.target, course.source.size)
            copied = Copied(answer.etag, answer)
        if copied.etag != course.source.etag:
            await self._check(course, copied)
        return Written(copied.etag, copied.answer.attempts)

    def doubt(self) -> None:
        """Count a failure of If-None-Match for an absent key, if the condition never worked."""
        if not self.absence.kept:
            self.absence.doubt()

    async def _copy(self, course: Course, condition: Headers) -> Copied:
        task, source = course.task, course.source
        headers = [*self._carrier.with_copy(task.source, course.storage_class), *condition]
        if course.pin:
            headers.append(("x-amz-copy-source-if-match", course.pin))
        origin = (self._source.endpoint.bucket, task.source)
        return await self._lightening.send(
            lambda headers: self._dest.copy(task.target, origin, headers=headers, size=source.size),
            headers,
        )

    def _lighter(self, error: StoreError, headers: Headers) -> Loss | None:
        loss = self._carrier.without(error, headers)
        # Other keys may be allowed to read the tags: then they are copied through this machine.
        if loss is None and self._same_keys:
            return self._carrier.without_tags(error, headers)
        return loss

    async def _check(self, course: Course, copied: Copied) -> None:
        """Find out why the ETags differ; raises ``ObjectError`` if the store copied other data."""
        etag, expected = copied.etag, course.source.etag
        if not is_md5(expected) or self._source.endpoint.etags_are_random:
            return
        if not proves_content(etag, copied.answer.response, self._dest.endpoint):
            return
        found = await self._found(course)
        if found is not None and found.etag != expected:
            # It was replaced, and the store ignored the condition: use its current state.
            storage_class = found.response.header(b"x-amz-storage-class") or ""
            course.take(Dest(found.size, found.etag), storage_class)
        if found is not None and (
            found.etag != expected
            or proves_content(expected, found.response, self._source.endpoint)
        ):
            if found.etag == etag:
                return
            message = f"the copy is another object: its ETag is {etag}, the source's {found.etag}"
            raise ObjectError(FailureKind.INTEGRITY, message)
        dest = await seen(self._dest, course.task.target)
        if dest and dest.etag == etag and dest.size != course.source.size:
            message = f"the copy has {dest.size} bytes, and the source {course.source.size}"
            raise ObjectError(FailureKind.INTEGRITY, message)

    async def _found(self, course: Course) -> Answer | None:
        """Return the current state of the source; None if that is unknown."""
        return await if_told(self._source.look(course.task.source))


def meant(error: StoreError, *, same_keys: bool) -> Exception:
    """Return the error for a refused CopyObject or UploadPartCopy, the target's condition aside.

    ``same_keys``: source and destination use the same access keys.
    """
    if error.status == 412:
        return Stale(error, Target.FREE)
    if error.status in (405, 501):
        return Unable(f"the store does not copy by itself ({error.code})", lasting=True)
    if error.code == "AccessDenied" and not same_keys:
        return Unable("the keys of the destination may not read the source")
    return source_fault(error)
