"""A large body, led through its upload: begun or resumed, sent by all workers, completed, verified.

::

    unfinished upload of ours? ─yes─▶ its part size, its parts ─┐
             └─no─▶ CreateMultipartUpload ──────────────────────┴─▶ parts, offered to all workers
                                                                    (each sent, or there already)
    ─▶ CompleteMultipartUpload ─▶ the ETag, held against the parts' MD5s ─▶ Sent
             └─ no such upload: completed by an attempt whose answer was lost? ─▶ Sent | begin again

A failure leaves the parts in the store, for the next run to go on with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError, Unfinished
from s3pp.job import Job
from s3pp.records import Entry, PartDone, PartFailed, PartOutcome, PutPart, Span
from s3pp.s3.operations import Answer, Bucket, Copied, Headers
from s3pp.s3.retry import StoreError
from s3pp.s3.uploads import Part, Uploads, vanished
from s3pp.transfer.bodies import Changed, Slice
from s3pp.transfer.condition import Absence, Taken
from s3pp.transfer.means import Offer
from s3pp.transfer.parts import sums
from s3pp.transfer.parts.compound import compound_etag, part_count
from s3pp.transfer.parts.moving import moved
from s3pp.transfer.parts.plan import Spans, part_size
from s3pp.transfer.parts.resume import LEFT, UNTOLD, Found, Silent, unfinished
from s3pp.transfer.put.given import given
from s3pp.transfer.put.part import PartSender
from s3pp.transfer.put.prepare import Prepared
from s3pp.transfer.verify import STRONG

_STARTS = 3  # uploads tried for one body before it counts as always taken away
_GONE = "NoSuchUpload"
_OTHERS = ("InvalidPart", "InvalidPartOrder")  # somebody else has sent parts under our numbers
_UNOPENED = (FailureKind.NOT_FOUND, FailureKind.UNREADABLE)
# Of a PutObject alone (API reference); beginning an upload names the algorithm otherwise.
_SDK = "x-amz-sdk-checksum-algorithm"
_PROC = "/proc/"


class Work(NamedTuple):
    """A body that goes in parts."""

    part: PutPart  # any of its parts: what all of them have in common
    size: int  # bytes
    headers: Headers  # what the object gets
    shared: bool  # every worker can open it; False: this one, and others perhaps


class Sent(NamedTuple):
    """An object that the store has."""

    etag: str
    sent: int  # bytes, those left out that were there already
    attempts: int


class Again(ObjectError):
    """The upload is lost; another may succeed. ``resume``: or the same one, gone on with."""

    def __init__(self, message: str, *, resume: bool) -> None:
        super().__init__(FailureKind.CONFLICT, message)
        self.resume = resume


class InParts:
    """Leads uploads by the rules of one job. ``at_once`` parts are offered at a time."""

    def __init__(
        self,
        job: Job,
        bucket: Bucket,
        sender: PartSender,
        offer: Offer,
        tell: Callable[[str], None],
    ) -> None:
        self._part_size = job.parts.size
        self._resume = job.parts.resume
        self._checksum = job.objects.checksum
        self._at_once = job.speed.parts_at_once
        self._bucket = bucket
        self._uploads = Uploads(bucket)
        self._sender = sender
        self._offer = offer
        self._tell = tell
        self._absence = Absence(job.mode, bucket, tell)
        self.left: dict[str, set[str]] = {}  # our uploads of sources that changed, by key

    def count(self, size: int) -> int:
        """How many parts a body of ``size`` bytes makes. Raises ``ObjectError`` if too many."""
        return Spans(size, part_size(size, self._part_size)).count

    async def put(self, work: Work) -> Sent:
        """Bring a body into the store.

        Raises ``Changed`` if the source did, ``Taken`` if mode add forbids, and ``ObjectError``.
        """
        resume, written = self._resume, False
        for _ in range(_STARTS - 1):
            try:
                return await self._once(work, resume=resume, written=written)
            except Again as again:
                self._tell(f"{work.part.name}: {again}: begun again")
                resume = resume and again.resume
                written = written or isinstance(again, _Misnamed)
        return await self._once(work, resume=False, written=written)

    async def _once(self, work: Work, *, resume: bool, written: bool) -> Sent:
        found = await self._found(work) if resume else None
        begun = found or await self._begun(work)
        try:
            parts = await self._moved(work, begun)
            copied = await self._completed(work, begun, parts, written=written)
        except (ObjectError, Taken) as error:
            raise await self._meant(error, work, begun) from None
        except Unfinished:
            await self._leave(work, begun)
            raise
        self._check(copied.etag, parts)
        sent = sum(part.size for part in parts if part.moved)
        if found is not None:
            await self._check_headers(work)
            self._tell_kept(work, found, parts)
        await self.clear(work.part.key, keep=begun.upload_id)
        return Sent(copied.etag, sent, copied.answer.attempts)

    def _tell_kept(self, work: Work, found: Found, parts: list[PartDone]) -> None:
        kept, name = sum(not part.moved for part in parts), work.part.name
        if found.upload_id in self.left.get(work.part.key, ()):
            self._tell(f"{name}: it changed meanwhile, and was read again")
        else:
            self._tell(f"{name}: {kept} of {len(parts)} parts were there already")

    async def clear(self, key: str, *, keep: str = "") -> None:
        """Abort the uploads of ``key`` that nobody will go on with, now that it is there."""
        for upload_id in self.left.pop(key, set()) - {keep}:
            await self._abort(key, upload_id)

    async def _leave(self, work: Work, begun: Found) -> None:
        """The run ends: the upload stays for the next one, if there is to be one."""
        if self._resume:
            self._tell(f"{work.part.name}: not finished{LEFT}")
        else:
            await self._abort(work.part.key, begun.upload_id)

    # Beginning

    async def _found(self, work: Work) -> Found | None:
        async def proves(plan: Spans, there: Part) -> bool:
            part = self._known(work.part._replace(span=plan.span(there.number)), there)
            return self._sender.same(part, await self._sender.digests(part))

        try:
            return await unfinished(
                self._uploads,
                work.part.key,
                size=work.size,
                wanted=part_size(work.size, self._part_size),
                proves=proves,
            )
        except Silent:
            self._tell(UNTOLD)
            return None

    async def _begun(self, work: Work) -> Found:
        asked = [pair for pair in work.headers if pair[0] != _SDK]
        headers = [*asked, *sums.begun_with(self._checksum)]
        upload_id = await self._uploads.create(work.part.key, headers=headers)
        return Found(upload_id, part_size(work.size, self._part_size), {})

    # The parts

    async def _moved(self, work: Work, begun: Found) -> list[PartDone]:
        offer = self._offer if work.shared else self._near
        parts = self._parts(work, begun)
        # Where the upload is aborted at once no part may arrive behind that.
        return await moved(parts, offer, at_once=self._at_once, settled=not self._resume)

    async def _near(self, part: PutPart) -> PartOutcome:
        """Offer a part of a body that has no name, and send it here if no other can open that."""
        if not part.path.startswith(_PROC):
            return await self._sender.part(part)
        outcome = await self._offer(part)
        lost = isinstance(outcome, PartFailed) and not outcome.code and outcome.kind in _UNOPENED
        return await self._sender.part(part) if lost else outcome

    def _parts(self, work: Work, begun: Found) -> Iterator[PutPart]:
        part = work.part._replace(upload_id=begun.upload_id)
        for span in Spans(work.size, begun.part_size):
            there = begun.parts.get(span.number)
            yield self._known(part._replace(span=span), there)

    def _known(self, part: PutPart, there: Part | None) -> PutPart:
        if there is None:
            return part
        name, value = there.checksum or ("", "")
        # Two parts may well have one CRC of 32 bits: of those the ETag has to tell.
        ours = value if name == self._checksum and name in STRONG else ""
        return part._replace(known=there.etag, known_checksum=ours)

    # Completing

    async def _completed(
        self, work: Work, begun: Found, parts: list[PartDone], *, written: bool
    ) -> Copied:
        whole = sums.of_the_whole(self._checksum, parts)
        headers = [("x-amz-mp-object-size", str(work.size)), *whole]
        listed = [(part.number, part.etag) for part in parts]

        async def complete(condition: Headers) -> Copied:
            return await self._uploads.complete(
                work.part.key,
                begun.upload_id,
                listed,
                headers=[*headers, *condition],
                checksums=sums.of_each(self._checksum, parts),
            )

        try:
            return await self._absence.write(work.part.key, complete, ours=written)
        except (StoreError, Taken) as error:
            copied = await self._done_before(error, work, parts)
            if copied is None:
                raise
            # An upload that is still there has not become the object, however like it that is.
            if isinstance(error, Taken) and await self._abort(work.part.key, begun.upload_id):
                raise
            return copied

    async def _done_before(
        self, error: StoreError | Taken, work: Work, parts: list[PartDone]
    ) -> Copied | None:
        """The object, if an attempt whose answer was lost had completed it."""
        refusal = error.refusal if isinstance(error, Taken) else error
        if refusal is None or not (isinstance(error, Taken) or vanished(refusal)):
            return None
        answer = await self._seen(work.part.key)
        if answer is None or answer.size != work.size:
            return None
        return Copied(answer.etag, answer) if answer.etag == _expected(parts) else None

    # What came of it

    async def _meant(
        self, error: ObjectError | Taken, work: Work, begun: Found
    ) -> ObjectError | Taken:
        """What an error means for the body; an upload nobody will go on with is aborted."""
        code = getattr(error, "code", "")
        if code == _GONE:
            return Again("its upload was ended by somebody else", resume=True)
        if code in _OTHERS:
            return Again("somebody else sends parts of the same upload", resume=True)
        conflict = isinstance(error, StoreError) and error.status == 409
        unfit = isinstance(error, ObjectError) and error.kind is FailureKind.REJECTED
        if unfit and begun.parts and not conflict:
            # As where it was begun with another kind of checksum than this run sends.
            message = f"the upload that an earlier run left does not take its parts ({error})"
            return Again(message, resume=False)
        if conflict or isinstance(error, Taken) or not self._resume:
            await self._abort(work.part.key, begun.upload_id)
        if conflict:  # API reference, "CompleteMultipartUpload": begin anew, and send every part
            return Again("another writer was at the same key", resume=False)
        if isinstance(error, Taken):
            return error
        if error.kind is FailureKind.CHANGED:
            self.left.setdefault(work.part.key, set()).add(begun.upload_id)
            error = Changed(work.part.name)
        error.args = (f"{error}{LEFT if self._resume else ''}",)
        return error

    async def _abort(self, key: str, upload_id: str) -> bool:
        """Whether there was such an upload, and now there is not."""
        try:
            return await self._uploads.abort(key, upload_id)
        except ObjectError:  # it stays, as after any failure
            return False

    def _check(self, etag: str, parts: list[PartDone]) -> None:
        """Raise ``ObjectError`` where the ETag shows that the object is not the body."""
        proven = all(part.md5 and part.md5 == part.etag for part in parts)
        expected = _expected(parts)
        if proven and etag != expected and part_count(etag):
            message = (
                f"the store holds other bytes: ETag {etag}, and the parts sent make {expected}"
            )
            raise ObjectError(FailureKind.INTEGRITY, message)

    async def _check_headers(self, work: Work) -> None:
        """Raise ``Again`` where whoever began the upload meant other headers than this run does."""
        if not await given(self._bucket, work.part.key, work.headers):
            message = "the upload that an earlier run left was begun with other headers"
            raise _Misnamed(message, resume=False)

    async def _seen(self, key: str) -> Answer | None:
        """The object as it is; None where it is absent, or we may not look."""
        try:
            return await self._bucket.look(key)
        except StoreError as error:
            if error.status == 403:
                return None
            raise


class _Misnamed(Again):
    """The object is there, whole, and has other headers than it should."""


def _expected(parts: list[PartDone]) -> str:
    """The ETag that parts with these digests make; empty where they tell none."""
    try:
        return compound_etag(bytes.fromhex(part.md5 or part.etag) for part in parts)
    except ValueError:
        return ""


def work_of(entry: Entry, prepared: Prepared, headers: Headers) -> Work:
    """What has to be done with a body that is streamed."""
    body = prepared.body
    assert isinstance(body, Slice)
    shared = body is prepared.source
    path = entry.path if shared else _nameless(body.fileno())
    part = PutPart(entry.source, path, body.start, body.stamp, Span(1, 0, 0), entry.key, "")
    return Work(part, body.size, headers, shared)


def _nameless(descriptor: int) -> str:
    """How a file without a name is opened: where there is a /proc, by any process of ours."""
    path = f"{_PROC}{os.getpid()}/fd/{descriptor}"
    return path if os.path.exists(path) else f"/dev/fd/{descriptor}"
