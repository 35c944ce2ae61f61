"""Uploads of large bodies in parts, which any worker may send.

The steps of an upload, from creation to completion, are in ``transfer/parts/lead``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from s3pp.errors import FailureKind
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.job import Job
from s3pp.records import Entry, PartDone, PartFailed, PartOutcome, PutPart, Span
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Spans, Uploads, part_size
from s3pp.s3.upload_listing import Part
from s3pp.transfer.bodies import Changed, Slice
from s3pp.transfer.parts import sums
from s3pp.transfer.parts.lead import Lead
from s3pp.transfer.parts.moving import PartError, RunPart, moved
from s3pp.transfer.parts.own import OwnUploads
from s3pp.transfer.parts.resume import Found, unfinished
from s3pp.transfer.put.given import given
from s3pp.transfer.put.part import PartSender
from s3pp.transfer.put.prepare import Prepared

_UNOPENED = (FailureKind.NOT_FOUND, FailureKind.UNREADABLE)
_PROC = "/proc/"
UNTOLD_CHECKSUMS = (
    "the store tells no checksums, so that nobody knows if it verifies them: "
    "the MD5 of each part is compared as well"
)


class Work(NamedTuple):
    """A body to send in parts."""

    part: PutPart  # the fields that all parts have in common
    size: int  # bytes
    headers: Headers  # of the object
    shared: bool  # every worker can open it; False: this one, and possibly others


class Sent(NamedTuple):
    """An object that the store has acknowledged."""

    etag: str
    sent: int  # bytes, without those that were there already
    attempts: int


class InParts:
    """Sends bodies in parts by the rules of one job."""

    def __init__(
        self,
        job: Job,
        sender: PartSender,
        run_part: RunPart,
        tell: Callable[[str], None],
        *,
        own: OwnUploads | None = None,
    ) -> None:
        self._part_size = job.parts.size
        self._means = _Means(job, sender.bucket, sender, run_part, tell)
        self._own = own or OwnUploads()
        self._lead = Lead(job, sender.bucket, tell, own=self._own)
        self._tell = tell
        self._changed: set[str] = set()  # ids of uploads whose source changed while it was sent

    def count(self, size: int) -> int:
        """Return the number of parts for ``size`` bytes. Raises ``ObjectError`` if too many."""
        return Spans(size, part_size(size, self._part_size)).count

    async def put(self, work: Work) -> Sent:
        """Upload a body.

        Raises ``Changed`` if the source did, ``Taken`` if mode add forbids it, and ``ObjectError``.
        """
        key, name = work.part.key, work.part.name
        body = _Body(work, self._means, self._own.left(key))
        try:
            led = await self._lead.write(body)
        except Changed:
            self._changed.add(body.upload_id)
            raise
        if led.resumed:
            changed = led.upload_id in self._changed
            told = "it changed meanwhile, and was read again" if changed else led.kept
            self._tell(f"{name}: {told}")
        return Sent(led.etag, led.moved, led.attempts)

    async def clear(self, key: str) -> None:
        """Abort the uploads of ``key`` that are obsolete now that the object exists."""
        await self._lead.clear(key)

    async def stays(self, key: str, kind: FailureKind) -> bool:
        """Return whether the store keeps parts of an object that has failed.

        Another run cannot recognize the parts of a source that keeps changing. So they are kept
        only if the key has no other uploads: otherwise each run would leave more of them.
        """
        if kind is FailureKind.CHANGED and not await self._lead.is_alone(key):
            await self._lead.clear(key)
        return bool(self._own.left(key))


class _Means(NamedTuple):
    """The resources that all bodies of a job share."""

    job: Job
    bucket: Bucket
    sender: PartSender
    run_part: RunPart
    tell: Callable[[str], None]


class _Body:
    """The upload of one body: a ``Load``."""

    spoils: Collection[FailureKind] = ()  # each part is compared with the current file

    def __init__(self, work: Work, means: _Means, left: Collection[str] = ()) -> None:
        """Set up; ``left``: the key's uploads by this run, of earlier states of the source."""
        self.key, self.name, self.size = work.part.key, work.part.name, work.size
        self.resumes = means.job.parts.resume
        self.written = False
        self.upload_id = ""
        self._work, self._means = work, means
        self._checksum = means.job.objects.checksum
        self._uploads = Uploads(means.bucket, own=left)
        self._part_size = part_size(work.size, means.job.parts.size)

    async def found(self) -> Found | None:
        async def proves(plan: Spans, there: Part) -> bool:
            part = self._known(plan.span(there.number), there)
            sender = self._means.sender
            return sender.same(part, await sender.digests(part))

        return await unfinished(
            self._uploads, self.key, size=self.size, wanted=self._part_size, proves=proves
        )

    async def begun(self) -> Found:
        headers = sums.begun_with(self._checksum, self._work.headers)
        upload_id = await self._uploads.create(self.key, headers=headers)
        return Found(upload_id, self._part_size, {})

    async def moved(self, begun: Found) -> list[PartDone]:
        self.upload_id = begun.upload_id
        run_part = self._means.run_part if self._work.shared else self._near
        at_once = self._means.job.speed.parts_at_once
        try:
            # If the upload is aborted on failure, no part may arrive after that.
            return await moved(
                self._parts(begun), run_part, at_once=at_once, settled=not self.resumes
            )
        except PartError as refused:
            if refused.kind is FailureKind.CHANGED:
                raise Changed(self.name) from None
            raise

    async def prove(self, begun: Found, parts: list[PartDone]) -> None:
        """Report whether MD5s were needed; each part has been verified by its sender."""
        new = (part for part in parts if part.moved and part.number not in begun.parts)
        if self._checksum != "md5" and any(part.md5 for part in new):
            self._means.tell(UNTOLD_CHECKSUMS)

    async def labelled(self) -> bool:
        means = self._means
        return await given(means.bucket, self.key, self._work.headers, means.tell)

    async def _near(self, part: PutPart) -> PartOutcome:
        """Offer a part of an unnamed file to all workers; send it here if no other can open it."""
        sender = self._means.sender
        if not part.path.startswith(_PROC):
            return await sender.part(part)
        outcome = await self._means.run_part(part)
        lost = isinstance(outcome, PartFailed) and not outcome.code and outcome.kind in _UNOPENED
        return await sender.part(part) if lost else outcome

    def _parts(self, begun: Found) -> Iterator[PutPart]:
        for span in Spans(self.size, begun.part_size):
            part = self._known(span, begun.parts.get(span.number))
            yield part._replace(upload_id=begun.upload_id)

    def _known(self, span: Span, there: Part | None) -> PutPart:
        part = self._work.part._replace(span=span)
        if there is None:
            return part
        name, value = there.checksum or ("", "")
        # Two parts may have the same 32-bit CRC: in that case the ETag decides.
        ours = value if name == self._checksum and ALGORITHMS[name].is_strong else ""
        return part._replace(known=there.etag, known_checksum=ours)


def work_of(entry: Entry, prepared: Prepared, headers: Headers) -> Work:
    """Return the work for a body that is streamed."""
    body = prepared.body
    assert isinstance(body, Slice)
    shared = body is prepared.source
    path = entry.path if shared else _nameless(body.fileno())
    part = PutPart(entry.source, path, body.start, body.stamp, Span(1, 0, 0), entry.key, "")
    return Work(part, body.size, headers, shared)


def _nameless(descriptor: int) -> str:
    """Return a path for opening an unnamed file: with /proc, from any process of this run."""
    path = f"{_PROC}{os.getpid()}/fd/{descriptor}"
    return path if os.path.exists(path) else f"/dev/fd/{descriptor}"
