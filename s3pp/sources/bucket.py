"""Lookups of ascending keys in a bucket's listing, which is read as the keys advance.

Both sides come in UTF-8 byte order, so one pass answers every key while holding one page. A
listing page replaces 1,000 HEADs; where the source is sparse in a huge prefix the listing jumps
ahead with ``start-after``, so that it never makes more requests than HEADs would: the following
page is requested only after the current page has answered two keys.
"""

from __future__ import annotations

from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Protocol

from s3pp.s3.listing import UNSENDABLE, Listed, Lister, ListingError, Page, fetch_page


class Unordered(Exception):
    """Raised when the store does not list in UTF-8 byte order, so that no merge is possible."""


class Runner(Protocol):
    """Runs coroutines on an event loop in another thread."""

    def __call__(self, coroutine: Coroutine[Any, Any, Page]) -> Future[Page]:
        """Start ``coroutine`` and return the future of its result."""


class BucketListing:
    """The objects of a listing, looked up by key in ascending order."""

    def __init__(self, lister: Lister, prefix: str, *, run: Runner) -> None:
        self._lister = lister
        self._prefix = prefix
        self._run = run
        self._page = Page([], None)
        self._keys: list[bytes] = []  # of the page, encoded
        self._at = 0
        self._answered = 0  # keys this page has answered
        self._started = False
        self._ahead: Future[Page] | None = None

    def lookup(self, key: str) -> Listed | None:
        """Return the object stored under ``key``, or None. Keys must ascend from call to call.

        Raises ``Unordered``, ``ListingError``, and the errors of the request.
        """
        wanted = key.encode()
        while not self._keys or self._keys[-1] < wanted:
            if self._started and self._page.token is None:
                return None
            self._advance(key)
        while self._keys[self._at] < wanted:
            self._at += 1
        self._answer()
        return self._page.objects[self._at] if self._keys[self._at] == wanted else None

    def _answer(self) -> None:
        self._answered += 1
        if self._answered == 2 and self._page.following and not self._ahead:
            self._ahead = self._fetch(self._page.following)

    def _advance(self, key: str) -> None:
        future, self._ahead = self._ahead, None
        self._take((future or self._jump(key)).result())

    def _jump(self, key: str) -> Future[Page]:
        after = just_before(key)
        if self._page.following and after.encode() <= self._keys[-1]:
            return self._fetch(self._page.following)
        return self._fetch({"start-after": after} if after else {})

    def _take(self, page: Page) -> None:
        last = self._keys[-1] if self._keys else b""
        keys = [o.key.encode() for o in page.objects]
        if keys != sorted(keys) or (keys and keys[0] <= last):
            raise Unordered
        if page.token is not None and (not keys or page.token == self._page.token):
            raise ListingError("the store's listing makes no progress: a page or marker repeats")
        self._page, self._keys = page, keys or [last]
        self._at = self._answered = 0
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
