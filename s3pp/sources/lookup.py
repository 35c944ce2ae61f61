"""Lookup of listed names in a bucket: in its listing, or by one HEAD each.

A request of the listing answers up to 1,000 names. Where the listing is unusable or denied,
a HEAD is sent for every name, several at a time, which takes only the permission to read objects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import chain
from typing import NamedTuple, Protocol

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.places import Origin
from s3pp.records import Failed
from s3pp.s3.answers import Answer, parse_time
from s3pp.s3.listing import Listed, ListingError
from s3pp.s3.retry import Remedy, StoreError
from s3pp.sources.bucket import BucketListing, Unordered
from s3pp.sources.naming import key_fault, raw

HEADS = 16  # in flight
_UNTOLD = "the store does not tell its size: HEAD is answered without a Content-Length"

Tell = Callable[[str], None]


class Heads(Protocol):
    """Starts HEADs on another thread's event loop."""

    def __call__(self, key: str, /) -> Future[Answer | None]:
        """Send a HEAD of ``key``; the result is None if there is no such key."""


class _Name(NamedTuple):
    name: str
    key: str


class Lookup:
    """Finds the objects of one origin by their names, which are sorted and unique."""

    def __init__(self, origin: Origin, listing: BucketListing, head: Heads, tell: Tell) -> None:
        self._origin = origin
        self._listing = listing
        self._head = head
        self._tell = tell

    def find(self, names: Iterable[str]) -> Iterator[Listed | Failed]:
        """Yield the object or failure of each name. Raises ``FatalError`` if listing fails."""
        start = self._origin.prefix[: self._origin.cut]
        wanted = (_Name(name, start + name) for name in names)
        for each in wanted:
            if failed := self._fault(each):
                yield failed
                continue
            try:
                found = self._listing.lookup(each.key)
            except (Unordered, StoreError, ListingError) as error:
                self._give_up_listing(error)
                yield from self._by_heads(chain([each], wanted))
                return
            except ObjectError as error:
                raise FatalError(f"list {self._origin}: {error}") from None
            yield found or self._missing(each)

    def _give_up_listing(self, error: Exception) -> None:
        why = "the store does not list in key order" if isinstance(error, Unordered) else str(error)
        if isinstance(error, StoreError) and error.remedy is not Remedy.NONE:
            raise FatalError(f"list {self._origin}: {why}") from None
        self._tell(f"list {self._origin}: {why}: asking for every name with HEAD instead")

    def _by_heads(self, wanted: Iterable[_Name]) -> Iterator[Listed | Failed]:
        under_way: deque[tuple[_Name, Failed | Future[Answer | None]]] = deque()
        for each in wanted:
            under_way.append((each, self._fault(each) or self._head(each.key)))
            if len(under_way) == HEADS:
                yield self._answered(*under_way.popleft())
        while under_way:
            yield self._answered(*under_way.popleft())

    def _answered(self, wanted: _Name, answer: Failed | Future[Answer | None]) -> Listed | Failed:
        if isinstance(answer, Failed):
            return answer
        try:
            found = answer.result()
            return as_listed(wanted.key, found) if found else self._missing(wanted)
        except ObjectError as error:
            return Failed(wanted.key, wanted.name, error.kind, str(error))

    def _fault(self, wanted: _Name) -> Failed | None:
        name, key = wanted
        if fault := key_fault(raw(key)):
            return Failed(key, name, FailureKind.NAME, fault)
        return None if key.startswith(self._origin.prefix) else self._missing(wanted)

    def _missing(self, wanted: _Name) -> Failed:
        why = f"there is no such key in {self._origin}"
        return Failed(wanted.key, wanted.name, FailureKind.NOT_FOUND, why)


def as_listed(key: str, answer: Answer) -> Listed:
    """Return the listing entry equivalent to the answer of a HEAD of ``key``.

    Raises ``ObjectError`` if the answer lacks the size.
    """
    if answer.declared is None:
        raise ObjectError(FailureKind.INTEGRITY, _UNTOLD)
    header = answer.response.header
    storage_class = header(b"x-amz-storage-class") or "STANDARD"  # which is omitted
    modified = _as_listed(header(b"last-modified") or "")
    return Listed(key, answer.declared, answer.etag, modified, storage_class)


def _as_listed(text: str) -> str:
    """Return a header's time in the format of a listing; empty if it is no valid time."""
    try:
        return parse_time(text).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except ValueError:
        return ""
