"""The objects at a destination, looked up by ascending keys while its listing is read.

Both sides come in UTF-8 byte order, so one pass answers every key while holding one page, and the
one that is requested ahead. A page replaces 1,000 HEADs. A key beyond the page is jumped to with
``start-after``: no way to cover the keys takes fewer pages, but each is waited for. So the page
that follows is requested ahead where it is likely to be needed:

* on a page that was jumped to, once it has answered two keys, one of them in its last quarter: a
  group of keys that ends before that costs one request, however far away the next one is;
* on a page that was requested ahead itself, at the second key that it answers.

Each page that is requested in vain is preceded by one that has answered two keys, so that there are
never more requests than HEADs would be, and at most twice the fewest pages.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from s3pp.errors import FatalError, ObjectError
from s3pp.job import Compare, Job, Mode
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.listing import UNSENDABLE, Listed, Lister, ListingError, Page, fetch_page
from s3pp.s3.retry import Remedy, StoreError
from s3pp.s3.timestamps import epoch_nanoseconds

LATE = 0.75  # of a page that was jumped to: from here on its keys have the next page requested
HEADS_INSTEAD = "each key is checked with HEAD instead"


class RemoteBucket(Lister, Protocol):
    """A bucket whose coroutines run on another thread's event loop."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start ``coroutine`` and return the future of its result."""

    async def look(self, key: str) -> Answer | None:
        """Return the answer to a HEAD of ``key``; None if there is no such key."""


class UnorderedListing(Exception):
    """Raised when the store does not list in UTF-8 byte order, so that no merge is possible."""


class Runner(Protocol):
    """Runs coroutines on an event loop in another thread."""

    def __call__(self, coroutine: Coroutine[Any, Any, Page]) -> Future[Page]:
        """Start ``coroutine`` and return the future of its result."""


class Lookup(Protocol):
    """A listing in which keys are looked up in ascending order."""

    def lookup(self, key: str) -> Listed | None:
        """Return the object stored under ``key``, or None.

        Raises ``UnorderedListing``, ``ListingError``, and the errors of the request.
        """


class ListingLookup:
    """The objects of a listing, looked up by key in ascending order."""

    def __init__(self, lister: Lister, prefix: str, *, run: Runner) -> None:
        self._lister = lister
        self._prefix = prefix
        self._run = run
        self._page = Page([], None)
        self._keys: list[str] = []  # of the page; text sorts like its UTF-8
        self._at = 0
        self._ask_from = 0  # a key found here or later has the page that follows requested
        self._first = ""  # key that this page was looked at for
        self._started = False
        self._ahead: Future[Page] | None = None

    def lookup(self, key: str) -> Listed | None:
        """Return the object stored under ``key``, or None. Keys must ascend from call to call.

        Raises ``UnorderedListing``, ``ListingError``, and the errors of the request.
        """
        while not self._keys or self._keys[-1] < key:
            if self._started and self._page.token is None:
                return None
            self._advance(key)
        keys, at = self._keys, self._at
        while keys[at] < key:
            at += 1
        self._at = at
        if at >= self._ask_from:
            self._fetch_ahead(key)
        return self._page.objects[at] if keys[at] == key else None

    def count_equal(self, keys: Sequence[str], sizes: Sequence[int], etags: Sequence[str]) -> int:
        """Return for how many objects, from the first, the listing continues with the same ones.

        They are given by columns, and ascend. Raises as ``lookup`` does.
        """
        done = 0
        while done < len(keys) and self.lookup(keys[done]) is not None:
            at = self._at
            objects = self._page.objects[at : at + len(keys) - done]
            these = slice(done, done + len(objects))
            if list(zip(*objects, strict=True))[:3] != [keys[these], sizes[these], etags[these]]:
                break
            done += len(objects)
            self._at += len(objects) - 1
            if self._at >= self._ask_from:
                self._fetch_ahead(keys[done - 1])
        return done

    def _fetch_ahead(self, key: str) -> None:
        if key == self._first:  # one key is no reason to read on
            return
        self._ask_from = len(self._keys)
        if self._page.following:
            self._ahead = self._fetch(self._page.following)

    def _advance(self, key: str) -> None:
        future, self._ahead = self._ahead, None
        self._take((future or self._jump(key)).result())
        self._first = key
        self._ask_from = 0 if future else int(LATE * len(self._keys))

    def _jump(self, key: str) -> Future[Page]:
        after = just_before(key)
        if self._page.following and after <= self._keys[-1]:
            return self._fetch(self._page.following)
        return self._fetch({"start-after": after} if after else {})

    def _take(self, page: Page) -> None:
        last = self._keys[-1] if self._keys else ""
        keys = [each.key for each in page.objects]
        if keys != sorted(keys) or (keys and keys[0] <= last):
            raise UnorderedListing
        if page.token is not None and (not keys or page.token == self._page.token):
            raise ListingError("the store's listing makes no progress: a page or marker repeats")
        self._page, self._keys = page, keys or [last]
        self._at = 0
        self._started = True

    def _fetch(self, parameters: dict[str, str]) -> Future[Page]:
        return self._run(fetch_page(self._lister, {"prefix": self._prefix, **parameters}))


def just_before(key: str) -> str:
    """Return a string that sorts closely before ``key``, for ``start-after``.

    It contains no character that XML cannot carry, since stores send it back: ``key`` is cut at the
    first such character, and before its last one if the predecessor of that character is such.
    """
    odd = UNSENDABLE.search(key)
    if odd:
        return key[: odd.start()]
    stem, before = key[:-1], chr(ord(key[-1]) - 1)
    return stem if before == " " or UNSENDABLE.match(before) else f"{stem}{before}~~~~"


class DestinationIndex:
    """The objects at the destination, from its listing while that can be merged with the source.

    If it cannot, ``ask`` is true: the worker has to send a HEAD of each key.
    """

    def __init__(self, job: Job, listing: Lookup | None, notify: Callable[[str], None]) -> None:
        self._bucket = str(job.dest)
        # Mode stupid needs no lookups.
        self._listing = None if job.mode is Mode.STUPID else listing
        self.ask = listing is None and job.mode is not Mode.STUPID
        self._timed = job.compare is Compare.MTIME
        self._notify = notify
        self._last = ""

    @classmethod
    def of(cls, job: Job, bucket: RemoteBucket, notify: Callable[[str], None]) -> DestinationIndex:
        """Return the objects at the destination of ``job``, which ``bucket`` lists."""
        listing = None
        if job.mode is not Mode.STUPID:
            listing = ListingLookup(bucket, job.key_prefix, run=bucket.run)
        return cls(job, listing, notify)

    def lookup(self, key: str) -> Listed | None:
        """Return the object under ``key``, as listed; None also if that is unknown."""
        if self._listing is None:
            return None
        if key < self._last:
            self._fall_back("the source is not in the order of its keys")
            return None
        self._last = key
        try:
            return self._listing.lookup(key)
        except (UnorderedListing, ObjectError) as error:
            self._stop_listing(error)
            return None

    def count_equal(self, keys: Sequence[str], sizes: Sequence[int], etags: Sequence[str]) -> int:
        """As ``ListingLookup.count_equal``; 0 also if that is unknown."""
        if not isinstance(self._listing, ListingLookup) or keys[0] < self._last:
            return 0
        try:
            equal = self._listing.count_equal(keys, sizes, etags)
        except (UnorderedListing, ObjectError) as error:
            self._stop_listing(error)
            return 0
        self._last = keys[equal - 1] if equal else self._last
        return equal

    def as_dest(self, found: Listed | None) -> Dest | None:
        """Return what was found in the form that workers and decisions take."""
        if found is None:
            return None
        time = epoch_nanoseconds(found.modified) if self._timed else None
        return Dest(found.size, found.etag, time)

    def _stop_listing(self, error: UnorderedListing | ObjectError) -> None:
        """Have the worker ask instead; raises ``FatalError`` where it could not, either."""
        if isinstance(error, UnorderedListing | StoreError | ListingError):
            self._fall_back(listing_fault(error, self._bucket))  # earlier answers remain valid
        else:
            raise FatalError(f"list {self._bucket}: {error}") from None

    def _fall_back(self, why: str) -> None:
        self._listing, self.ask = None, True
        self._notify(f"{why}: {HEADS_INSTEAD}")


def listing_fault(error: UnorderedListing | StoreError | ListingError, place: str) -> str:
    """Return why the listing of ``place`` cannot be used, though its keys can be checked by HEAD.

    Raises ``FatalError`` where the refusal is one that passes, and has lasted too long.
    """
    if isinstance(error, UnorderedListing):
        return f"{place}: the store does not list its keys in order"
    if not isinstance(error, StoreError):
        return f"list {place}: {error}"
    if error.remedy is not Remedy.NONE:
        raise FatalError(f"list {place}: {error}") from None
    refusal = "access denied" if error.status in (401, 403) else "not supported"
    return f"{refusal}: ListBucket on {place} ({error})"
