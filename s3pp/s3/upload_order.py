"""Detection of when a list of incomplete uploads has passed those of one key.

S3 sorts them by key (API reference, "ListMultipartUploads"), other stores by an internal name: the
key with a suffix (``key.2~id``, ``key/id``), by age, or not at all. Stopping too early would miss
an upload, so only a list whose order is evident is cut short.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from s3pp.s3.upload_pages import Upload

_BEHIND = "0"  # the character after "/": the suffixes that stores add sort before it


class Passage:
    """Follows the list of uploads whose keys begin with ``key``, page by page."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._first: str | None = None
        self._last = Upload("", "", "")
        self._by_key = True
        self._older = self._younger = False  # than its predecessor, for any upload

    def past(self, page: Sequence[Upload]) -> bool:
        """Add the next page; return whether no upload of the key can follow it."""
        for before, upload in pairwise([self._last, *page]):
            self._by_key = self._by_key and before.key <= upload.key
            if self._first is not None:
                self._older = self._older or upload.initiated < before.initiated
                self._younger = self._younger or upload.initiated > before.initiated
            self._first = upload.key if self._first is None else self._first
            self._last = upload
        by_age = not (self._older and self._younger)
        return self._by_key and not by_age and self._is_behind

    @property
    def _is_behind(self) -> bool:
        last = self._last.key
        return last > self._key and (self._first == self._key or last >= self._key + _BEHIND)
