"""Why a store refuses to create an upload: it has no multipart uploads, or not the settings.

A store that has no multipart uploads and one that does not know a header of the object answer
CreateMultipartUpload alike (405, 501). A store without ACLs, encryption keys or KMS answers a
CopyObject that has them like a store that cannot copy (501); a lack of permission to set them is
answered like a source that may not be read (403). An upload that is created, and aborted at once,
shows which it is; each worker tries one:

==================  =====================  ===========================================
with the settings   without them           what it means
==================  =====================  ===========================================
created                                    the settings are not why an object is refused
refused             created                they are: no other way to copy would help
refused             refused                nothing, or the store has no uploads in parts
==================  =====================  ===========================================
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import MAX_SINGLE_PUT
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Uploads
from s3pp.s3.retry import StoreError
from s3pp.transfer.errors import NO_EMAIL

UNSUPPORTED = (405, 501)  # what a store without uploads in parts answers to their creation

# Headers for features that a store may lack, and the options that set them.
_OPTIONS = {
    "x-amz-acl": "--acl",
    "x-amz-server-side-encryption": "--sse",
    "x-amz-server-side-encryption-aws-kms-key-id": "--sse-kms-key-id",
    "x-amz-storage-class": "--storage-class",
    "x-amz-tagging": "--tag",
}
_OTHERS = ("x-amz-grant-", "x-amz-server-side-encryption", "x-amz-object-lock-")


class MultipartSupport:
    """Explains refused creations by trying one without headers."""

    def __init__(self, bucket: Bucket) -> None:
        self._uploads = Uploads(bucket)
        self._origin = bucket.endpoint.origin
        self._trial: asyncio.Task[bool | None] | None = None

    async def explain(self, key: str, size: int, refusal: StoreError) -> ObjectError:
        """Return why no upload was created for an object of ``size`` bytes at ``key``."""
        if refusal.status not in UNSUPPORTED:
            return refusal
        if await self._is_supported(key) is not False:
            return refusal  # it is about the headers of the object, as the store says
        message = (
            f"{self._origin} does not support multipart uploads ({refusal.code}): {advice(size)}"
        )
        unsupported = ObjectError(refusal.kind, message)
        unsupported.code = refusal.code
        return unsupported

    async def _is_supported(self, key: str) -> bool | None:
        """Return whether the store creates an upload without headers; None if that is unknown."""
        trial = self._trial = self._trial or asyncio.ensure_future(self._try(key))
        is_supported = await asyncio.shield(trial)
        if is_supported is None and self._trial is trial:
            self._trial = None  # the next object may find out
        return is_supported

    async def _try(self, key: str) -> bool | None:
        try:
            refusal = await try_creation(self._uploads, key, ())
        except ObjectError:
            return None
        if refusal is None:
            return True
        return False if refusal.status in UNSUPPORTED else None


class SettingsCheck:
    """Finds out, at most once, whether the destination refuses the settings of a run."""

    def __init__(self, headers: Headers, dest: Bucket) -> None:
        """Set up; ``headers``: those of every copy; headers that are not settings are ignored."""
        self._settings = settings_of(headers)
        self._uploads = Uploads(dest)
        self._trial: asyncio.Task[StoreError | None] | None = None

    async def check(self, key: str) -> None:
        """Raise ``ObjectError`` if the store refuses the settings, as it would for ``key``."""
        if not self._settings:
            return
        if self._trial is None:
            self._trial = asyncio.ensure_future(self._try(key))
        refusal = await asyncio.shield(self._trial)
        if refusal is not None:
            kind = FailureKind.ACCESS if refusal.status == 403 else FailureKind.REJECTED
            why = f"{refusal}: {NO_EMAIL}" if self._is_about_email(refusal) else str(refusal)
            raise ObjectError(kind, f"the store refuses {named(self._settings)}: {why}")

    def _is_about_email(self, refusal: StoreError) -> bool:
        grants = [value for name, value in self._settings if name.startswith("x-amz-grant-")]
        return refusal.status == 405 and any("emailaddress" in each.lower() for each in grants)

    async def _try(self, key: str) -> StoreError | None:
        refusal = await try_creation(self._uploads, key, self._settings)
        if refusal is None or (refusal.kind is FailureKind.STORE and refusal.status != 501):
            return None
        return refusal if await try_creation(self._uploads, key, ()) is None else None


async def try_creation(uploads: Uploads, key: str, headers: Headers) -> StoreError | None:
    """Create an upload and abort it; return the refusal of the creation, if it was refused.

    Raises as ``Uploads.create`` does if no answer came.
    """
    try:
        created = await uploads.create(key, headers=headers)
    except StoreError as error:
        return error
    with suppress(StoreError):  # an upload without parts, which clean finds
        await uploads.abort(key, created.id)
    return None


def advice(size: int) -> str:
    """Return what users can do about an object of ``size`` bytes that cannot go in parts."""
    if size > MAX_SINGLE_PUT:
        return f"one request holds up to 5 GiB, and the object has {size} bytes"
    return "raise --multipart-threshold above the object's size (one PUT holds up to 5 GiB)"


def settings_of(headers: Headers) -> Sequence[tuple[str, str]]:
    """Return those of ``headers`` that set features a store may lack."""
    return [each for each in headers if each[0] in _OPTIONS or each[0].startswith(_OTHERS)]


def named(settings: Headers) -> str:
    """Return the settings as the options of the command line."""
    names = [_OPTIONS.get(name, f"--header {name}") for name, _ in settings]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
