"""The ways to copy an object, and the choice among them.

::

    whole or in parts (``part_layout``)   by the store, while it can   else through this machine
    whole                                 CopyObject                   GET, verify, PUT
    in parts                              UploadPartCopy               GET of ranges, UploadPart
"""

from __future__ import annotations

from collections.abc import Callable

from s3pp.integrity.checksums import Digester
from s3pp.job import Job
from s3pp.records import Calls, CopyPart, PartOutcome
from s3pp.s3.client import Bucket
from s3pp.transfer.copy.by_store import ByStore, PartsByStore
from s3pp.transfer.copy.copy_attempt import CannotCopy, CopyAttempt, Written
from s3pp.transfer.copy.multipart_copy import CopyResources, ObjectSource
from s3pp.transfer.copy.part_layout import PartLayout, PartLayouts
from s3pp.transfer.copy.parts_through import PartsThrough
from s3pp.transfer.copy.through import ObjectFetcher, Through
from s3pp.transfer.multipart_upload import MultipartUpload
from s3pp.transfer.object_headers import CopyHeaders, SourceHeaders
from s3pp.transfer.parts import upload_calls
from s3pp.transfer.resources import WorkerResources
from s3pp.transfer.upload_support import SettingsCheck

_BY_STORE = (("CopyObject", 1),)
_THROUGH = (("GetObject", 1), ("PutObject", 1))


class CopyWays:
    """All ways to copy objects from one bucket to another by the rules of one job."""

    def __init__(
        self,
        job: Job,
        source: Bucket,
        dest: Bucket,
        resources: WorkerResources,
        notify: Callable[[str], None],
    ) -> None:
        signed = job.access.sign and not dest.endpoint.unsigned_bodies
        digester = Digester(job.objects.checksum, md5=True, signed=signed)
        fetcher = ObjectFetcher(source, digester, resources)
        headers = CopyHeaders(job.objects, dest.endpoint)
        of_source = SourceHeaders(source, headers, notify)
        self._upload = MultipartUpload(job, dest, notify, resources)
        self.not_copied = headers.not_copied  # a notice of what no copy of this run gets
        self._settings = SettingsCheck(headers.given, dest)
        self._layouts = PartLayouts(job, source, dest)
        self.by_store = ByStore(job, source, dest, headers, notify)
        self._through = Through(job, dest, fetcher, of_source, notify)
        self._shared = CopyResources(dest, of_source, self._layouts, notify)
        self._parts_by_store = PartsByStore(job, source, dest, resources.parts)
        self._parts_through = PartsThrough(job, dest, fetcher, digester, resources)
        self._looks_back = job.parts.resume

    async def part(self, part: CopyPart) -> PartOutcome:
        """Copy one range. Raises only ``FatalError`` and ``RunEnding``."""
        return await self._parts_through.part(part)

    async def write(self, attempt: CopyAttempt) -> Written:
        """Copy one object in the way that ``attempt`` is at.

        Raises ``AlreadyExists``, ``SourceChanged``, ``CannotCopy``, ``OtherParts`` and
        ``ObjectError``.
        """
        layout = await self._layouts.choose(attempt)
        attempt.parted = layout is not None
        if layout is not None:
            return await self._write_in_parts(attempt, layout)
        written = await (self._through if attempt.streamed else self.by_store).write(attempt)
        if self._upload.own.left(attempt.task.target):  # from attempts in parts
            await self._upload.abort_own(attempt.task.target)
        return written

    async def _write_in_parts(self, attempt: CopyAttempt, layout: PartLayout) -> Written:
        way = self._parts_through if attempt.streamed else self._parts_by_store
        source = ObjectSource(attempt, layout, way, self._shared)
        try:
            completed = await self._upload.write(source)
        finally:
            attempt.written = source.written
        if completed.is_resumed:
            self._shared.notify(f"{source.name}: {completed.kept}")
        kept, facts = source.size - completed.sent, completed.facts
        return Written(completed.etag, completed.attempts, kept, facts)

    async def change(self, attempt: CopyAttempt, cannot: CannotCopy) -> bool:
        """Choose another way: whole after parts have failed, else through this machine.

        Returns whether it is the latter. Raises ``ObjectError`` if no way would help: the store
        refuses the settings of the run.
        """
        await self._settings.check(attempt.task.target)
        if attempt.parted and attempt.fits_one_request:
            attempt.whole = True
            if cannot.is_lasting:
                self._layouts.give_up(streamed=attempt.streamed)
            return False
        attempt.streamed, attempt.whole = True, False
        return True

    async def foresee_calls(self, attempt: CopyAttempt) -> Calls:
        """Return the requests that a copy takes, at least."""
        layout = await self._layouts.choose(attempt)
        if layout is None:
            return _THROUGH if attempt.streamed else _BY_STORE
        parts = len(layout.spans)
        read: Calls = (("GetObject", parts),) if attempt.streamed else ()
        look: Calls = (("ListMultipartUploads", 1),) if self._looks_back else ()
        written = "UploadPart" if attempt.streamed else "UploadPartCopy"
        return (*look, *read, *upload_calls(parts, written))
