"""One unfinished upload under ``clean``, from its name to its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from s3pp.errors import FailureKind, ObjectError
from s3pp.records import Done, Outcome, SendReason, Skipped, SkipReason
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError
from s3pp.s3.uploads import Upload, Uploads, vanished
from s3pp.transfer.ending import failure

PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before an upload that has parts still is aborted again
_DENIED = (
    "the store lists this upload (id {}) and answers that there is none (NoSuchUpload): "
    "it may list other keys than it has; abort it by its real key"
)


class Aborter:
    """Aborts uploads; in a dry run it makes every request but the aborts."""

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
        """Bring one upload to its end. Raises ``FatalError`` only."""
        try:
            return await self._outcome(upload)
        except Exception as error:  # of a defect too: the others are aborted all the same
            return failure(upload.key, upload.key, error)._replace(upload=upload.facts())

    async def _outcome(self, upload: Upload) -> Outcome:
        try:
            parts, size = await self._measure(upload)
            if self._dry_run or await self._delete(upload):
                key, facts = upload.key, upload.facts(parts)
                return Done(key, key, size, 0, "", SendReason.ALWAYS, upload=facts)
        except StoreError as error:
            if not vanished(error):
                raise
        return await self._confirm_gone(upload)

    async def _measure(self, upload: Upload) -> tuple[int | None, int]:
        """How many parts the store has, and their bytes; None and 0 where it does not say."""
        count = size = 0
        try:
            async for part in self._uploads.parts(upload.key, upload.id):
                count += 1
                size += part.size
        except ObjectError as error:
            if _unlistable(error):
                return None, 0
            raise
        return count, size

    async def _delete(self, upload: Upload) -> bool:
        """False where it was gone already.

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
            why = "parts keep arriving: stop who sends them, and run this again"
            raise ObjectError(FailureKind.CHANGED, why)
        return True

    async def _has_parts(self, upload: Upload) -> bool:
        try:
            async with aclosing(self._uploads.parts(upload.key, upload.id)) as parts:
                return await anext(parts, None) is not None
        except ObjectError as error:
            if _unlistable(error) or (isinstance(error, StoreError) and vanished(error)):
                return False
            raise

    async def _confirm_gone(self, upload: Upload) -> Skipped:
        """The outcome of one that was listed, and of which the store says that there is none."""
        for pause in PAUSES:  # a list may lag behind
            if not await self._uploads.lists(upload):
                return Skipped(upload.key, upload.key, 0, SkipReason.GONE, upload.facts())
            await self._sleep(pause)
        raise ObjectError(FailureKind.NOT_FOUND, _DENIED.format(upload.id))


def _unlistable(error: ObjectError) -> bool:
    """Whether parts cannot be listed here, which is no reason not to abort their upload."""
    unknown = isinstance(error, StoreError) and error.status == 501
    return unknown or isinstance(error, ListingError) or error.kind is FailureKind.ACCESS
