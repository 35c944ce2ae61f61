"""A large copy, led through its upload: begun with what the source carries, proven, completed.

::

    unfinished upload of ours? ─yes─▶ what it has ─┐
             └─no─▶ CreateMultipartUpload ─────────┴─▶ parts, by the store or through this machine
    ─▶ proven ─▶ CompleteMultipartUpload ─▶ the ETag, held against that of the parts ─▶ Written
             └─ no such upload: completed by an attempt whose answer was lost? ─▶ Written | anew

What the parts are is proven before the upload is completed, so that nothing else gets the target's
name. An upload that is not completed is aborted, unless another run can go on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from s3pp.errors import FailureKind, FatalError, ObjectError, Unfinished
from s3pp.job import Job
from s3pp.records import Dest, PartDone
from s3pp.s3.operations import Bucket, Copied, Headers
from s3pp.s3.retry import StoreError
from s3pp.s3.uploads import Uploads, vanished
from s3pp.transfer.condition import Absence
from s3pp.transfer.copy.carry import has_labels
from s3pp.transfer.copy.course import Course, Unable, Written
from s3pp.transfer.copy.labels import Labels
from s3pp.transfer.copy.layout import Cut, Layouts
from s3pp.transfer.parts import crc, sums
from s3pp.transfer.parts.compound import compound_etag, part_count
from s3pp.transfer.parts.resume import LEFT, Found

_STARTS = 3  # uploads tried for one copy before it counts as always taken away
_SDK = "x-amz-sdk-checksum-algorithm"  # of a request with a body, which a beginning has not
_OF_NO_USE = (FailureKind.INTEGRITY, FailureKind.CHANGED, FailureKind.NOT_FOUND)
_UNKNOWN = (405, 501)  # a store that knows no uploads in parts
_UNTOLD = (403, *_UNKNOWN)  # a store that does not let us list parts
_LOST = ("NoSuchUpload", "InvalidPart", "InvalidPartOrder")  # somebody else was at our upload


class Way(Protocol):
    """How the parts of a copy move."""

    def resumes(self, cut: Cut) -> bool:
        """Whether another run can go on with an upload of this way."""

    async def found(self, course: Course, cut: Cut) -> Found | None:
        """An unfinished upload to go on with. Raises ``Stale`` and ``ObjectError``."""

    async def moved(self, course: Course, cut: Cut, begun: Found) -> list[PartDone]:
        """Have all parts moved; returns them by number.

        Raises ``Stale`` if the source changed, ``Unable`` where this way leads nowhere,
        ``Unfinished`` if the run ends, and ``ObjectError``.
        """


class Again(ObjectError):
    """The upload is lost; another may succeed. ``resume``: that may be an unfinished one."""

    def __init__(self, message: str, *, resume: bool) -> None:
        super().__init__(FailureKind.CHANGED, message)
        self.resume = resume


class InParts:
    """Leads copies in parts by the rules of one job."""

    def __init__(
        self,
        job: Job,
        dest: Bucket,
        labels: Labels,
        layouts: Layouts,
        tell: Callable[[str], None],
    ) -> None:
        self._checksum = job.objects.checksum
        self._dest = dest
        self._uploads = Uploads(dest)
        self._labels = labels
        self._layouts = layouts
        self._absence = Absence(job.mode, dest, tell)
        self._tell = tell

    async def write(self, course: Course, cut: Cut, way: Way) -> Written:
        """Copy one object. Raises ``Taken``, and as ``Way.moved`` does."""
        resume = True
        for _ in range(_STARTS - 1):
            try:
                return await self._once(course, cut, way, resume=resume)
            except Again as again:
                resume = resume and again.resume
        return await self._once(course, cut, way, resume=False)

    async def _once(self, course: Course, cut: Cut, way: Way, *, resume: bool) -> Written:
        found = await way.found(course, cut) if resume else None
        begun = found or await self._begun(course, cut)
        try:
            parts = await way.moved(course, cut, begun)
            await self._prove(course, cut, parts, begun.upload_id)
            copied = await self._completed(course, parts, begun.upload_id)
        except Exception as error:
            meant = _meant(error)
            if not (way.resumes(cut) and _can_go_on(meant)):
                await self._abort(course, begun.upload_id)
            elif isinstance(meant, ObjectError) and not isinstance(meant, Again):
                meant.args = (f"{meant}{LEFT}",)
            elif isinstance(meant, Unfinished):
                self._tell(f"{course.task.source}: not finished{LEFT}")
            raise meant from None
        course.written = True
        _check(copied.etag, parts)
        if found is not None:
            await self._check_resumed(course, cut, parts)
        kept = sum(part.size for part in parts if not part.moved)
        return Written(copied.etag, copied.answer.attempts, kept)

    async def _headers(self, course: Course, cut: Cut) -> Headers:
        carried = await self._labels.of(course, cut.seen)
        return [*(each for each in carried if each[0] != _SDK), *sums.begun_with(self._checksum)]

    async def _begun(self, course: Course, cut: Cut) -> Found:
        headers = await self._headers(course, cut)
        upload_id = await self._created(course, headers)
        return Found(upload_id, cut.spans.part_size, {})

    async def _check_resumed(self, course: Course, cut: Cut, parts: list[PartDone]) -> None:
        """Raise ``Again`` where whoever began the upload meant other headers than this run does."""
        answer = await self._dest.look(course.task.target)
        wanted = await self._headers(course, cut)
        if answer is not None and not has_labels(answer.response, wanted):
            raise Again("it was begun with other headers", resume=False)
        kept = sum(not part.moved for part in parts)
        self._tell(f"{course.task.source}: {kept} of {len(parts)} parts were there already")

    async def _created(self, course: Course, headers: Headers) -> str:
        try:
            return await self._labels.lightening.send(
                lambda headers: self._uploads.create(course.task.target, headers=headers), headers
            )
        except StoreError as error:
            if error.status in _UNKNOWN and course.has_another_way:
                why = f"the store takes nothing in parts ({error.code})"
                raise Unable(why, lasting=True) from None
            raise

    # Before it is completed

    async def _prove(self, course: Course, cut: Cut, parts: list[PartDone], upload_id: str) -> None:
        """Raise ``ObjectError`` where the parts are not the source's bytes."""
        made, etag = made_of(parts), course.source.etag
        course.ours = Dest(course.source.size, made or etag)
        if made and made == etag:
            return
        if not all(part.moved for part in parts):
            raise Again("what was there already is not the source's", resume=False)
        await self._layouts.check(course)  # a store may not mind what parts are pinned to
        if made and cut.same and await self._layouts.confirmed(course, cut):
            raise _other(f"make the ETag {made}, and the source's is {etag}")
        _prove_stored(cut.stored, parts)
        await self._check_sizes(course, cut, upload_id)

    async def _check_sizes(self, course: Course, cut: Cut, upload_id: str) -> None:
        there = await self._sizes(course.task.target, upload_id)
        for span in cut.spans if there else ():
            size = there.get(span.number, 0)
            if size != span.size:
                raise _other(f"differ: part {span.number} has {size} bytes, not {span.size}")

    async def _sizes(self, key: str, upload_id: str) -> dict[int, int]:
        try:
            return {part.number: part.size async for part in self._uploads.parts(key, upload_id)}
        except StoreError as error:
            if error.status in _UNTOLD:
                return {}
            raise

    # Completing

    async def _completed(self, course: Course, parts: list[PartDone], upload_id: str) -> Copied:
        whole = sums.of_the_whole(self._checksum, parts)
        headers = [("x-amz-mp-object-size", str(course.source.size)), *whole]

        async def complete(condition: Headers) -> Copied:
            return await self._uploads.complete(
                course.task.target,
                upload_id,
                [(part.number, part.etag) for part in parts],
                headers=[*headers, *condition],
                checksums=sums.of_each(self._checksum, parts),
            )

        try:
            return await self._absence.write(course.task.target, complete, ours=course.written)
        except StoreError as error:
            copied = await self._done_before(course) if vanished(error) else None
            if copied is None:
                raise
            return copied

    async def _done_before(self, course: Course) -> Copied | None:
        """The object, if an attempt whose answer was lost had completed it."""
        answer = await self._dest.look(course.task.target)
        if answer is None or Dest(answer.size, answer.etag) != course.ours:
            return None
        return Copied(answer.etag, answer)

    async def _abort(self, course: Course, upload_id: str) -> None:
        try:
            await self._uploads.abort(course.task.target, upload_id)
        except (ObjectError, FatalError):  # it stays: s3pp clean finds it
            return


def made_of(parts: list[PartDone]) -> str:
    """The ETag that parts with these MD5s make; empty where they are not known."""
    if not all(part.md5 for part in parts):
        return ""
    return compound_etag(bytes.fromhex(part.md5) for part in parts)


def _meant(error: Exception) -> Exception:
    code, status = getattr(error, "code", ""), getattr(error, "status", 0)
    if code in _LOST:
        return Again("its upload was ended, or sent to, by somebody else", resume=True)
    if status == 409:  # API reference, "CompleteMultipartUpload": begin anew, and send every part
        return Again("another writer was at the same key", resume=False)
    return error


def _can_go_on(error: Exception) -> bool:
    """Whether the parts that are there will do for another run."""
    if isinstance(error, Again):
        return error.resume  # it is gone, or somebody else goes on with it
    if isinstance(error, ObjectError):
        return error.kind not in _OF_NO_USE
    return isinstance(error, Unfinished | FatalError)


def _check(etag: str, parts: list[PartDone]) -> None:
    made = made_of(parts)
    if made and etag != made and part_count(etag) == len(parts):
        message = f"the store holds other bytes: ETag {etag}, and the parts sent make {made}"
        raise ObjectError(FailureKind.INTEGRITY, message)


def _prove_stored(stored: tuple[str, str], parts: list[PartDone]) -> None:
    name, value = stored
    if not name or not all(part.stored for part in parts):
        return
    ours = crc.full_object(name, sums.crcs((part.stored, part.size) for part in parts))
    if ours != value:
        raise _other(f"have the {name} {ours}, and {value} is stored with it")


def _other(how: str) -> ObjectError:
    return ObjectError(FailureKind.INTEGRITY, f"the parts are not the source's: they {how}")
