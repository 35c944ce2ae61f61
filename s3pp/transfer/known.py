"""Lookups of the destination's objects during a walk in key order."""

from __future__ import annotations

from collections.abc import Callable

from s3pp.errors import FatalError, ObjectError
from s3pp.job import Job, Mode
from s3pp.records import Dest
from s3pp.s3.listing import Listed, ListingError
from s3pp.s3.retry import Remedy, StoreError
from s3pp.sources.bucket import BucketListing, Unordered
from s3pp.sources.objects import Distant


class Known:
    """The objects at the destination, from its listing while that can be merged with the source.

    If it cannot, ``ask`` is true: the worker has to send a HEAD of each key.
    """

    def __init__(
        self, job: Job, listing: BucketListing | None, tell: Callable[[str], None]
    ) -> None:
        self._bucket = str(job.dest)
        # Mode stupid needs no lookups.
        self._listing = None if job.mode is Mode.STUPID else listing
        self.ask = listing is None and job.mode is not Mode.STUPID
        self._tell = tell
        self._last = ""

    @classmethod
    def of(cls, job: Job, bucket: Distant, tell: Callable[[str], None]) -> Known:
        """Return the objects at the destination of ``job``, which ``bucket`` lists."""
        listing = None
        if job.mode is not Mode.STUPID:
            listing = BucketListing(bucket, job.dest.key(""), run=bucket.run)
        return cls(job, listing, tell)

    def lookup(self, key: str) -> Dest | None:
        """Return the object under ``key``; None also if that is unknown."""
        if self._listing is None:
            return None
        if key < self._last:
            self._fall_back("the source is not in the order of its keys")
            return None
        self._last = key
        found = self._find(self._listing, key)
        return Dest(found.size, found.etag) if found else None

    def _find(self, listing: BucketListing, key: str) -> Listed | None:
        try:
            return listing.lookup(key)
        except Unordered:
            self._fall_back("the store does not list its keys in order")
        except StoreError as error:
            if error.remedy is not Remedy.NONE:
                raise FatalError(f"list {self._bucket}: {error}") from None
            self._fall_back(f"{_refused(error)} on {self._bucket} ({error})")
        except ListingError as error:  # earlier answers remain valid
            self._fall_back(f"list {self._bucket}: {error}")
        except ObjectError as error:
            raise FatalError(f"list {self._bucket}: {error}") from None
        return None

    def _fall_back(self, why: str) -> None:
        self._listing, self.ask = None, True
        self._tell(f"{why}: asking for every key with HEAD instead")


def _refused(error: StoreError) -> str:
    return ("access denied" if error.status in (401, 403) else "not supported") + ": ListBucket"
