"""One unfinished upload from its name to its fate, and which of them belong to a job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from s3pp.errors import FailureKind, FatalError, ObjectError, unexpected, unexpected_kind
from s3pp.job import Job
from s3pp.limits import DEFAULT_ABORT_AGE
from s3pp.places import Origin
from s3pp.records import SkipReason
from s3pp.report.aborts import Aborted, Fate, Refused, Spared, Weight
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError
from s3pp.s3.uploads import Upload, Uploads, vanished
from s3pp.sources.choice import NS, Choice

PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before an upload that has parts still is aborted again
_DENIED = (
    "the store lists this upload (id {}) and answers that there is none (NoSuchUpload): "
    "it may list other keys than it has; abort it by its real key"
)


class Selection:
    """Which uploads belong to a job, and which of those are due."""

    def __init__(self, job: Job, origin: Origin, clock: Callable[[], float]) -> None:
        """``clock`` tells the time at the store, seconds since the epoch."""
        self.origin = origin
        self._choice = Choice(job.choosing)
        self._clock = clock
        self._spares = job.choosing.older_than is None

    @property
    def prefix(self) -> str:
        """What the keys of all uploads meant begin with, and those of some others."""
        return self.origin.prefix if self.origin.single is None else self.origin.single

    def decide(self, upload: Upload) -> Upload | Fate | None:
        """The upload if it is to be aborted, its fate if not, None if it is not the job's."""
        name = self._name(upload.key)
        if name is None or self._choice.name_refusal(name) is not None:
            return None
        try:
            begun = upload.begun
        except ValueError:
            untold = "the store does not tell when it was begun: it may be in use"
            return Refused(upload, FailureKind.STORE, untold)
        if self._spares and begun > self._clock() - DEFAULT_ABORT_AGE:
            return Spared(upload, SkipReason.YOUNG)
        return None if self._choice.stat_refusal(0, int(begun * NS)) else upload

    def _name(self, key: str) -> str | None:
        """The name that patterns are held against; None for a key beside the origin."""
        if key == self.origin.single:
            return self.origin.alone.relative(key)
        return self.origin.relative(key) if key.startswith(self.origin.prefix) else None


async def due(
    uploads: Uploads, selection: Selection, limit: int | None
) -> AsyncGenerator[Upload | Fate, None]:
    """What belongs to the job, up to ``limit`` uploads to abort. Raises ``FatalError``."""
    try:
        async with aclosing(uploads.unfinished(selection.prefix)) as found:
            async for upload in found:
                decided = selection.decide(upload)
                if decided is None:
                    continue
                yield decided
                if limit is not None and isinstance(decided, Upload):
                    limit -= 1
                    if not limit:
                        return
    except ObjectError as error:
        raise FatalError(f"list the uploads of {selection.origin}: {error}") from None


class Aborter:
    """Aborts uploads, or says which it would."""

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

    async def fate(self, upload: Upload) -> Fate:
        """Bring one upload to its end. Raises ``FatalError`` only."""
        try:
            return await self._ended(upload)
        except ObjectError as error:
            return Refused(upload, error.kind, str(error), error.code)
        except FatalError:
            raise
        except Exception as error:  # a defect: the others are aborted all the same
            return Refused(upload, unexpected_kind(error), unexpected(error))

    async def _ended(self, upload: Upload) -> Fate:
        try:
            weight = await self._weight(upload)
            if self._dry_run or await self._abort(upload):
                return Aborted(upload, weight)
        except StoreError as error:
            if not vanished(error):
                raise
        return await self._gone(upload)

    async def _gone(self, upload: Upload) -> Fate:
        """The fate of one that was listed, and of which the store says that there is none."""
        for pause in PAUSES:  # a list may lag behind
            if not await self._uploads.lists(upload):
                return Spared(upload, SkipReason.GONE)
            await self._sleep(pause)
        return Refused(upload, FailureKind.NOT_FOUND, _DENIED.format(upload.id))

    async def _abort(self, upload: Upload) -> bool:
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

    async def _weight(self, upload: Upload) -> Weight | None:
        """What the store holds for it; None where we may not know."""
        count = size = 0
        try:
            async for part in self._uploads.parts(upload.key, upload.id):
                count += 1
                size += part.size
        except ObjectError as error:
            if _untold(error):
                return None
            raise
        return Weight(count, size)

    async def _has_parts(self, upload: Upload) -> bool:
        """Whether the store holds parts still, as far as we may know."""
        try:
            async with aclosing(self._uploads.parts(upload.key, upload.id)) as parts:
                return await anext(parts, None) is not None
        except ObjectError as error:
            if _untold(error) or (isinstance(error, StoreError) and vanished(error)):
                return False
            raise


def _untold(error: ObjectError) -> bool:
    """Whether parts cannot be listed here, which is no reason not to abort their upload."""
    unknown = isinstance(error, StoreError) and error.status == 501
    return unknown or isinstance(error, ListingError) or error.kind is FailureKind.ACCESS
