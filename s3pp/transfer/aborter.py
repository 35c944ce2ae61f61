"""Aborting of one incomplete multipart upload, for ``clean``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from s3pp.errors import FailureKind, ObjectError
from s3pp.records import Done, Outcome, SendReason, Skipped, SkipReason, with_times
from s3pp.s3.listing import ListingError
from s3pp.s3.multipart import Uploads, is_upload_missing
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Upload
from s3pp.transfer.errors import failure

PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before an upload that still has parts is aborted again
_DENIED = (
    "the store lists this upload (id {}) and answers that there is none (NoSuchUpload): "
    "it may list other keys than it has; abort it by its real key"
)


class Aborter:
    """An aborter of uploads; in a dry run it sends every request except the aborts."""

    def __init__(
        self,
        uploads: Uploads,
        *,
        dry_run: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._uploads = uploads
        self._dry_run = dry_run
        self._sleep = sleep

    async def abort(self, upload: Upload) -> Outcome:
        """Abort one upload and return its outcome. Raises only ``FatalError``."""
        began = time.time()
        try:
            return with_times(await self._outcome(upload), began)
        except Exception as error:  # also for a defect in s3pp: the others are still aborted
            failed = failure(upload.key, upload.key, error)._replace(upload=upload.facts())
            return with_times(failed, began)

    async def _outcome(self, upload: Upload) -> Outcome:
        try:
            parts, size = await self._measure(upload)
            if self._dry_run or await self._delete(upload):
                key, facts = upload.key, upload.facts(parts)
                return Done(key, key, size, 0, "", SendReason.ALWAYS, upload=facts)
        except StoreError as error:
            if not is_upload_missing(error):
                raise
        return await self._confirm_gone(upload)

    async def _measure(self, upload: Upload) -> tuple[int | None, int]:
        """Return the number of parts and their total bytes; None and 0 if they cannot be listed."""
        count = size = 0
        try:
            async for part in self._uploads.list_parts(upload.key, upload.id):
                count += 1
                size += part.size
        except ObjectError as error:
            if _unlistable(error):
                return None, 0
            raise
        return count, size

    async def _delete(self, upload: Upload) -> bool:
        """Abort the upload until it has no parts; returns false if it no longer exists.

        A part that is in flight may arrive after its upload was aborted, and is kept, and paid
        for, until it is aborted again (API reference, "AbortMultipartUpload").
        """
        if not await self._uploads.abort(upload.key, upload.id):
            return False
        for pause in PAUSES:
            if not await self._has_parts(upload):
                return True
            await self._sleep(pause)
            await self._uploads.abort(upload.key, upload.id)
        if await self._has_parts(upload):
            why = (
                "parts keep arriving: stop the program that sends them, and run this command again"
            )
            raise ObjectError(FailureKind.CHANGED, why)
        return True

    async def _has_parts(self, upload: Upload) -> bool:
        try:
            async with aclosing(self._uploads.list_parts(upload.key, upload.id)) as parts:
                return await anext(parts, None) is not None
        except ObjectError as error:
            if _unlistable(error) or (isinstance(error, StoreError) and is_upload_missing(error)):
                return False
            raise

    async def _confirm_gone(self, upload: Upload) -> Skipped:
        """Return the outcome of an upload that was listed, but does not exist when aborted."""
        for pause in PAUSES:  # a list may lag behind
            if not await self._uploads.is_listed(upload):
                return Skipped(upload.key, upload.key, 0, SkipReason.GONE, upload.facts())
            await self._sleep(pause)
        raise ObjectError(FailureKind.NOT_FOUND, _DENIED.format(upload.id))


def _unlistable(error: ObjectError) -> bool:
    """Return whether ``error`` shows that parts cannot be listed, which prevents no abort."""
    unknown = isinstance(error, StoreError) and error.status == 501
    return unknown or isinstance(error, ListingError) or error.kind is FailureKind.ACCESS
