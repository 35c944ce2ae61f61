"""The incomplete multipart uploads of a bucket, as a source for ``clean``.

::

    pages ──Upload──▶ Selection ──▶ Upload | Skipped | Failed
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job
from s3pp.limits import DEFAULT_ABORT_AGE
from s3pp.places import Origin
from s3pp.records import Failed, Skipped, SkipReason
from s3pp.s3.multipart import Uploads
from s3pp.s3.upload_listing import Upload
from s3pp.sources.filters import NS, Filters, unmatched_notice

_NO_INITIATED = "the store does not report when it was begun: it may be in use"


class Selection:
    """The rules that choose the uploads of one job to abort. Pure."""

    def __init__(self, job: Job, origin: Origin, clock: Callable[[], float]) -> None:
        """``clock`` returns the time at the store, in seconds since the epoch."""
        self.origin = origin
        self.limit = job.choosing.limit  # maximum number of uploads to abort; None: all
        self._filters = Filters(job.choosing)
        self._job = job
        self._clock = clock
        self._keep_young = job.choosing.older_than is None

    @property
    def prefix(self) -> str:
        """The prefix shared by the keys of all uploads chosen, and by some others."""
        return self.origin.prefix if self.origin.single is None else self.origin.single

    @property
    def unmatched_notice(self) -> str | None:
        """The notice of patterns that matched nothing, when all uploads were decided."""
        return unmatched_notice(self._job, self._filters.unmatched)

    def decide(self, upload: Upload) -> Upload | Skipped | Failed | None:
        """Return the upload if it is to be aborted, else its outcome; None if it is not chosen."""
        key, name = upload.key, self._name(upload.key)
        if name is None or self._filters.name_refusal(name) is not None:
            return None
        try:
            started = upload.started_at
        except ValueError:
            return Failed(key, key, FailureKind.STORE, _NO_INITIATED, upload=upload.facts())
        if self._keep_young and started > self._clock() - DEFAULT_ABORT_AGE:
            return Skipped(key, key, 0, SkipReason.YOUNG, upload.facts())
        return None if self._filters.stat_refusal(0, int(started * NS)) else upload

    def _name(self, key: str) -> str | None:
        """Return the name to match globs against; None for a key outside the origin."""
        if key == self.origin.single:
            return self.origin.alone.relative(key)
        return self.origin.relative(key) if key.startswith(self.origin.prefix) else None


async def select(
    uploads: Uploads, selection: Selection
) -> AsyncGenerator[Upload | Skipped | Failed, None]:
    """Yield the uploads of the job in the order of the store's list. Raises ``FatalError``."""
    left = selection.limit
    try:
        async with aclosing(uploads.list_uploads(selection.prefix)) as found:
            async for upload in found:
                decided = selection.decide(upload)
                if decided is None:
                    continue
                yield decided
                if left is not None and isinstance(decided, Upload):
                    left -= 1
                    if not left:
                        return
    except ObjectError as error:
        raise FatalError(f"list the uploads of {selection.origin}: {error}") from None
