"""An upload in parts, led from its beginning to its end: as far as files and copies have it alike.

::

    unfinished upload of ours? ─yes─▶ what it has ─┐
             └─no─▶ CreateMultipartUpload ─────────┴─▶ parts, moved ─▶ proven
    ─▶ CompleteMultipartUpload ─▶ the ETag, held against those of the parts ─▶ Led
             ├─ it shows nothing: HEAD, its size, ETag and checksum ─▶ Led
             └─ no such upload: completed by an attempt whose answer was lost? ─▶ Led | begun again

Where that fails the parts stay, for the next run to go on with; an upload that has none, or whose
parts are of no use to it, is aborted. So is one that was begun because another, which stays, would
not take our parts, if it does not take them either. An upload that was found is never aborted for
what it refuses: it may be another client's.

Of those that this run has begun for one object, be it in earlier attempts or by a worker that died,
one is left at most. What cannot be resumed, as copies by the store, is aborted by the next run that
succeeds, which knows it by its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NamedTuple, Protocol

from s3pp.errors import FailureKind, FatalError, Kept, ObjectError, Unfinished
from s3pp.integrity.acknowledged import HiddenObject, confirm
from s3pp.integrity.etag import OtherBytes
from s3pp.integrity.multipart_etag import Evidence, evidence, made_of
from s3pp.job import Job
from s3pp.records import PartDone
from s3pp.s3.answers import Answer, Copied
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Uploads, is_upload_missing
from s3pp.s3.retry import StoreError
from s3pp.transfer.condition import Absence, Taken
from s3pp.transfer.parts import sums
from s3pp.transfer.parts.own import OwnUploads
from s3pp.transfer.parts.resume import UNTOLD, Found, Silent, begun_of
from s3pp.transfer.parts.support import MultipartSupport

_STARTS = 3  # uploads tried for one object before it counts as always taken away
HIDDEN = (
    "the ETags of some objects that were sent in parts prove nothing of their bytes, and the store "
    "refuses to show them: that they are whole is its word alone (allow HeadObject: s3:GetObject)"
)
_LOST = {
    "NoSuchUpload": "another client ended its upload",
    "InvalidPart": "another client sends parts of the same upload",
    "InvalidPartOrder": "another client sends parts of the same upload",
}


class Load(Protocol):
    """What goes up: one object, over all uploads that it takes."""

    key: str
    name: str  # as users call it
    size: int  # bytes
    resumes: bool  # whether one run can go on with the upload of another
    spoils: Collection[FailureKind]  # failures after which none can
    written: bool  # it is there, and we wrote it: no condition protects it from us

    async def found(self) -> Found | None:
        """An unfinished upload to go on with. Raises ``Silent`` and ``ObjectError``."""

    async def begun(self) -> Found:
        """A new upload. Raises ``ObjectError``."""

    async def moved(self, begun: Found) -> list[PartDone]:
        """Have all parts moved; returns them by number. Raises ``ObjectError``, ``Unfinished``."""

    async def prove(self, begun: Found, parts: list[PartDone]) -> None:
        """Raise ``ObjectError`` where the parts are known not to be the body."""

    async def labelled(self) -> bool:
        """Whether the object that is there by now has the headers that it should have."""


class Led(NamedTuple):
    """An object that the store has."""

    etag: str
    attempts: int
    upload_id: str
    parts: list[PartDone]
    resumed: bool  # an earlier run had begun it

    @property
    def moved(self) -> int:
        """Bytes that were sent, those left out that were there already."""
        return sum(part.size for part in self.parts if part.moved)

    @property
    def kept(self) -> str:
        """How much was there already, for users."""
        kept = sum(not part.moved for part in self.parts)
        return f"{kept} of {len(self.parts)} parts were there already"


class Again(ObjectError):
    """The upload is lost; another may succeed.

    ``resume``: or an unfinished one, resumed. ``stays``: this one is not ours to abort.
    """

    def __init__(self, message: str, *, resume: bool = False, stays: bool = False) -> None:
        super().__init__(FailureKind.CONFLICT, message)
        self.resume = resume
        self.stays = stays


class Lead:
    """Leads uploads by the rules of one job."""

    def __init__(
        self,
        job: Job,
        bucket: Bucket,
        tell: Callable[[str], None],
        *,
        own: OwnUploads,
    ) -> None:
        self.own = own
        self._looks_back = job.parts.resume
        self.checksum = job.objects.checksum
        self._bucket = bucket
        self._uploads = Uploads(bucket)
        self._support = MultipartSupport(bucket)
        self._absence = Absence(job.mode, bucket, tell)
        self._tell = tell

    async def write(self, load: Load) -> Led:
        """Bring one object into the store. Raises ``Taken``, and what the ``load`` raises."""
        led = await self._tried(load)
        await self.clear(load.key)
        if self._looks_back and not load.resumes:
            await self._abort_earlier(load.key, led.parts)
        return led

    async def _tried(self, load: Load) -> Led:
        resume, beside = load.resumes, False
        for _ in range(_STARTS - 1):
            try:
                return await self._once(load, resume=resume, beside=beside)
            except Again as again:
                self._tell(f"{load.name}: {again}: begun again")
                resume = resume and again.resume
                beside = beside or (again.stays and not again.resume)
        return await self._once(load, resume=False, beside=beside)

    async def abort(self, key: str, upload_id: str) -> bool | None:
        """Whether there was such an upload, and now there is not; None where it stays."""
        try:
            aborted = await self._uploads.abort(key, upload_id)
        except (ObjectError, FatalError):  # s3pp clean finds it
            return None
        self.own.closed(key, upload_id)
        return aborted

    async def clear(self, key: str, *, keep: str = "") -> None:
        """Abort the uploads of ``key`` that this run has begun and that nobody will resume."""
        for upload_id in {*self.own.left(key)} - {keep}:
            await self.abort(key, upload_id)

    async def is_alone(self, key: str) -> bool:
        """Whether all unfinished uploads of ``key`` were begun by this run, as far as one sees."""
        ours = {*self.own.left(key)}
        try:
            return all([each.id in ours async for each in self._uploads.list_key(key)])
        except (ObjectError, FatalError):
            return False

    async def _abort_earlier(self, key: str, parts: list[PartDone]) -> None:
        """Abort what an earlier run left of an object that is there now."""
        with suppress(ObjectError, FatalError):
            for upload_id in await begun_of(self._uploads, key, parts):
                await self.abort(key, upload_id)

    async def _once(self, load: Load, *, resume: bool, beside: bool) -> Led:
        found = await self._found(load) if resume else None
        begun = found or await self._begun(load)
        try:
            parts = await load.moved(begun)
            await load.prove(begun, parts)
            copied = await self._completed(load, begun, parts)
        except Exception as error:
            meant = _meant(error, resumed=found is not None)
            left = await self._left(load, begun, meant, beside=beside)
            changed = getattr(meant, "kind", None) is FailureKind.CHANGED
            if left is Kept.PARTS and (found is None or changed):
                self.own.leave(load.key, begun.upload_id)
            await self.clear(load.key, keep=begun.upload_id)
            self._say(load, meant, left)
            raise meant from None
        load.written = True
        self.own.closed(load.key, begun.upload_id)
        etag = await self._proven(load, copied, parts)
        resumed = found is not None
        if resumed and not await load.labelled():
            raise Again("the upload that an earlier run left was begun with other headers")
        return Led(etag, copied.answer.attempts, begun.upload_id, parts, resumed)

    async def _proven(self, load: Load, copied: Copied, parts: list[PartDone]) -> str:
        """The ETag of the object that was made; its parts it is, or ``ObjectError`` is raised.

        Where the completion's answer does not show it a HEAD does, at least of the size.
        """
        shown = self._evidence(copied, parts)
        if shown is Evidence.PROVEN:
            return copied.etag
        try:
            answer = await confirm(self._bucket, load.key, load.size)
        except HiddenObject:
            if shown is not Evidence.AS_MANY:
                raise
            self._tell(HIDDEN)
            return copied.etag
        self._evidence(Copied(answer.etag, answer), parts)
        return answer.etag

    def _evidence(self, copied: Copied, parts: list[PartDone]) -> Evidence:
        """What an answer shows of the object; raises ``ObjectError`` where it is another."""
        random = self._bucket.endpoint.etags_are_random
        shown = evidence(copied.etag, parts, random=random)
        if shown is Evidence.OTHER:
            raise OtherBytes(_other(copied.etag, parts))
        told = sums.proven(self.checksum, parts, copied.answer.response)
        return Evidence.PROVEN if told else shown

    async def _begun(self, load: Load) -> Found:
        left = {*self.own.left(load.key)}
        await self.clear(load.key)  # what is not resumed by now is of no use
        if not load.resumes:  # what a dead worker had the store copy may arrive behind the abort
            for upload_id in left:
                self.own.leave(load.key, upload_id)
        try:
            begun = await load.begun()
        except StoreError as refusal:
            raise await self._support.explained(load.key, load.size, refusal) from None
        self.own.opened(load.key, begun.upload_id)
        return begun

    async def _found(self, load: Load) -> Found | None:
        try:
            return await load.found()
        except Silent:
            self._tell(UNTOLD)
            return None

    async def _completed(self, load: Load, begun: Found, parts: list[PartDone]) -> Copied:
        whole = sums.of_the_whole(self.checksum, parts)
        headers = [("x-amz-mp-object-size", str(load.size)), *whole]

        async def complete(condition: Headers) -> Copied:
            return await self._uploads.complete(
                load.key,
                begun.upload_id,
                [(part.number, part.etag) for part in parts],
                headers=[*headers, *condition],
                checksums=sums.of_each(self.checksum, parts),
            )

        try:
            return await self._absence.write(load.key, complete, ours=load.written)
        except (StoreError, Taken) as error:
            answer = await self._done_before(load, error, parts)
            if answer is None:
                raise
            # An upload that is still there has not become the object, however like it that is.
            if isinstance(error, Taken) and await self.abort(load.key, begun.upload_id):
                raise
            return Copied(answer.etag, answer)

    async def _done_before(
        self, load: Load, error: StoreError | Taken, parts: list[PartDone]
    ) -> Answer | None:
        """The object, if an attempt whose answer was lost may have completed it."""
        refusal = error.refusal if isinstance(error, Taken) else error
        if refusal is None or not (isinstance(error, Taken) or is_upload_missing(refusal)):
            return None
        try:
            answer = await self._bucket.look(load.key)
        except StoreError as unseen:
            if unseen.status == 403:
                return None
            raise
        made = made_of(part.etag for part in parts)
        return answer if answer and (answer.size, answer.etag) == (load.size, made) else None

    async def _left(self, load: Load, begun: Found, error: Exception, *, beside: bool) -> Kept:
        """What stays of an upload that is not completed.

        ``beside``: another one stays, begun by nobody knows whom, that refused our parts too.
        """
        # Where the run is ending parts may be under way, of which S3 may keep one that arrives
        # behind the abort. They are cut when this object is reported, so nobody here can wait.
        if not load.resumes or _spoilt(load, error):
            stuck = await self.abort(load.key, begun.upload_id) is None
            return Kept.STUCK_PARTS if stuck else Kept.NOTHING
        if await self._is_empty(load, begun, error):
            await self.abort(load.key, begun.upload_id)
            return Kept.NOTHING
        if beside and _is_refusal(error):
            # So it is not the upload that is refused, and each run would leave one more. This one
            # is ours for certain. The next run goes on with the other.
            await self.abort(load.key, begun.upload_id)
        return Kept.PARTS

    def _say(self, load: Load, error: Exception, left: Kept) -> None:
        """Add what is ``left`` to what users are told of an error, if anything."""
        if left is Kept.NOTHING or isinstance(error, Again):
            return
        if isinstance(error, (Unfinished, FatalError)):
            self._tell(f"{load.name}: not finished; {left.value}")
        elif isinstance(error, ObjectError):
            error.kept = left

    async def _is_empty(self, load: Load, begun: Found, error: Exception) -> bool:
        """Whether it has no parts, by which the next run could know it."""
        if begun.parts or _is_in_vain(error):
            return False
        try:
            return await anext(self._uploads.list_parts(load.key, begun.upload_id), None) is None
        except StoreError as refusal:
            return is_upload_missing(refusal)  # somebody aborted it, and the store did not say so
        except (ObjectError, FatalError):
            return False


def _meant(error: Exception, *, resumed: bool) -> Exception:
    """What an error means for the object, whose upload an earlier run had begun if ``resumed``."""
    code, status = getattr(error, "code", ""), getattr(error, "status", 0)
    if code in _LOST:
        return Again(_LOST[code], resume=True, stays=True)
    if status == 409:  # API reference, "CompleteMultipartUpload": begin anew, and send every part
        return Again("another writer was at the same key")
    if resumed and _is_refusal(error):
        # As where it was begun with another kind of checksum than this run sends.
        message = f"the upload that an earlier run left does not take its parts ({error})"
        return Again(message, stays=True)
    return error


def _spoilt(load: Load, error: Exception) -> bool:
    """Whether the parts that are there will not do for another run."""
    if isinstance(error, Again):
        return not error.stays
    return isinstance(error, Taken) or getattr(error, "kind", None) in load.spoils


def _is_refusal(error: Exception) -> bool:
    """Whether the store refused a part, or its completion, for good."""
    return isinstance(error, ObjectError) and error.kind is FailureKind.REJECTED


def _is_in_vain(error: Exception) -> bool:
    """Whether another request would but fail likewise, after as many attempts."""
    return isinstance(error, FatalError) or getattr(error, "kind", None) is FailureKind.NETWORK


def _other(etag: str, parts: list[PartDone]) -> str:
    made = made_of(part.md5 for part in parts) or f"one that ends in -{len(parts)}"
    return f"the store holds other bytes: ETag {etag}, and the parts sent make {made}"
