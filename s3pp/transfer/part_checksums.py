"""The checksum of the parts of each upload to one bucket, and what its store shows of it.

::

    choose ─▶ CreateMultipartUpload with CRC64NVME ─ refused ─▶ without ─▶ MD5, from now on
                  │ created
                  ├─ not AWS, and the answer does not name it ─▶ the same upload with MD5
                  └─ it does ─▶ parts ─ their answers do not return it ─▶ each MD5 too; later MD5
                                  │ and completion
                                  ├─ refused, before any such upload was completed ─▶ once more: MD5
                                  └─ completed ─▶ from now on, a refusal is not about the checksum

That is ``--checksum auto``; a checksum that the user named is never replaced. Every process learns
by itself, from requests that it sends anyway: only a refusal costs one more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksum_choice import (
    CRC64NVME,
    MD5,
    ChecksumChoice,
    ChecksumReason,
    DestinationTraits,
    Sending,
    Support,
    choose_checksum,
)
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.job import Job
from s3pp.limits import AUTO
from s3pp.records import PartDone
from s3pp.s3.client import Headers
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.multipart import NewUpload, Uploads
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Part
from s3pp.transfer.parts import UploadSource, UploadState, creation_headers
from s3pp.transfer.resources import Reader

# Codes, beside those of rejected requests, with which stores refuse a header that they do not know.
_CODES = ("NotImplemented", "SignatureDoesNotMatch")
_FALLBACK = "large objects are sent with Content-MD5"


class PartChecksums:
    """Chooses the checksums of one worker's uploads to one bucket."""

    def __init__(
        self, job: Job, endpoint: Endpoint, reader: Reader, notify: Callable[[str], None]
    ) -> None:
        self._option = job.objects.checksum
        self._traits = DestinationTraits.of(job.objects, endpoint)
        self._origin = f"{endpoint.origin} (s3://{endpoint.bucket})"
        self._reader = reader
        self._notify = notify
        self._is_verbose = job.output.verbosity > 0

    def choose(self, *, is_repeatable: bool) -> ChecksumChoice:
        """Return the checksum of the next upload, as far as known before its creation."""
        sending = Sending.PARTS if is_repeatable else Sending.STREAM
        can_compute = ALGORITHMS[CRC64NVME].is_installed
        return choose_checksum(self._option, sending, self._traits, can_compute=can_compute)

    async def create(self, source: UploadSource, uploads: Uploads) -> UploadState:
        """Create an upload with the checksum that is chosen, or without.

        Raises as ``source.create`` does.
        """
        choice = self.choose(is_repeatable=source.is_repeatable)
        if choice.reason is ChecksumReason.UNAVAILABLE:
            self._give_up(choice.reason.value)
        is_optional = choice.name == CRC64NVME and choice.reason is not ChecksumReason.GIVEN
        try:
            created = await _create(source, uploads, choice.name)
        except StoreError as refusal:
            if not is_optional or not self._is_about_checksum(refusal):
                raise
            created = await _create(source, uploads, MD5)
            self._give_up(f"{self._origin} refuses CRC64NVME ({refusal})")
            return UploadState(created.id, source.part_size, {})
        name = await self._of_new(created, choice) if is_optional else choice.name
        return UploadState(created.id, source.part_size, {}, name, is_optional)

    async def of_parts(self, parts: Iterable[Part]) -> str:
        """Return the checksum to resume an upload with: that of its parts, unless one was named.

        Of the others, its type can be one that we do not send. Then the upload refuses our parts.
        """
        if self._option != AUTO:
            return self._option
        names = {part.checksum[0] if part.checksum else MD5 for part in parts}
        return CRC64NVME if names == {CRC64NVME} and await self._can_compute(CRC64NVME) else MD5

    async def resume(self, found: UploadState) -> UploadState:
        """Return an upload that was found, with the checksum to send its parts with."""
        checksum = await self.of_parts(found.parts.values())
        is_optional = self._option == AUTO and checksum == CRC64NVME
        return found._replace(checksum=checksum, is_optional=is_optional)

    def note_completion(self, upload: UploadState, parts: Iterable[PartDone]) -> None:
        """Note that an object is stored, and verified."""
        if not upload.is_optional or upload.checksum == MD5:
            return
        if any(part.md5 for part in parts):
            self._give_up(f"{self._origin} does not return the checksums of parts")
        else:
            self._traits = self._traits._replace(support=Support.KEPT)

    def is_dropped(self, upload: UploadState, error: Exception) -> bool:
        """Return whether ``upload`` may have failed for a checksum that the user did not name.

        Then later uploads are sent with MD5.
        """
        if not upload.is_optional or self._traits.support is Support.KEPT:
            return False
        if upload.checksum == MD5:  # the store did not say that it keeps CRC64NVME, and yet insists
            is_about = _code(error) == "InvalidRequest"
        else:
            is_about = self._is_about_checksum(error)
        if not is_about:
            return False
        self._give_up(f"{self._origin} may not support CRC64NVME ({error})")
        return True

    async def _of_new(self, created: NewUpload, choice: ChecksumChoice) -> str:
        if choice.reason is ChecksumReason.ASKED and not created.keeps(choice.name):
            self._give_up(f"{self._origin} does not report that it keeps CRC64NVME")
            return MD5
        if not await self._can_compute(choice.name):
            self._give_up(ChecksumReason.UNAVAILABLE.value)
            return MD5
        return choice.name

    async def _can_compute(self, name: str) -> bool:
        algorithm = ALGORITHMS[name]  # the import of awscrt takes longer than all others
        return not algorithm.needs_awscrt or await self._reader.away(lambda: algorithm.is_available)

    def _is_about_checksum(self, error: Exception) -> bool:
        """Return whether an error may be a refusal of the checksum.

        Stores that are not AWS may also compute it, or combine those of parts, in another way.
        """
        kind = _kind(error)
        if kind is FailureKind.INTEGRITY:
            return not self._traits.is_aws
        return kind is FailureKind.REJECTED or _code(error) in _CODES

    def _give_up(self, why: str) -> None:
        """Send later uploads with MD5; one notice at ``-v`` says why."""
        if self._is_verbose and self._traits.support is not Support.NOT_KEPT:
            self._notify(f"{why}: {_FALLBACK}")
        self._traits = self._traits._replace(support=Support.NOT_KEPT)


def _kind(error: Exception) -> FailureKind | None:
    return error.kind if isinstance(error, ObjectError) else None


def _code(error: Exception) -> str:
    return error.code if isinstance(error, ObjectError) else ""


async def _create(source: UploadSource, uploads: Uploads, checksum: str) -> NewUpload:
    def send(headers: Headers) -> Awaitable[NewUpload]:
        return uploads.create(source.key, headers=creation_headers(checksum, headers))

    return await source.create(send)
