"""Objects that are named: each is looked up in the listing of its place, or by a HEAD."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import chain
from typing import NamedTuple, Protocol

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.places import Origin
from s3pp.records import Failed
from s3pp.s3.answers import Answer
from s3pp.s3.listing import Listed, ListingError
from s3pp.s3.retry import StoreError
from s3pp.s3.timestamps import parse_time
from s3pp.sources.destination_index import (
    HEADS_INSTEAD,
    ListingLookup,
    RemoteBucket,
    UnorderedListing,
    listing_fault,
)
from s3pp.sources.filters import key_bytes, key_fault

HEADS = 16  # in flight
_NO_LENGTH = "the store does not report its size: its answer to HEAD has no Content-Length"

Notify = Callable[[str], None]


class Heads(Protocol):
    """Starts HEADs on another thread's event loop."""

    def __call__(self, key: str, /) -> Future[Answer | None]:
        """Send a HEAD of ``key``; the result is None if there is no such key."""


class _Name(NamedTuple):
    name: str
    key: str


class NameLookup:
    """Finds the objects of one origin by their names, which are sorted and unique."""

    def __init__(self, origin: Origin, listing: ListingLookup, head: Heads, notify: Notify) -> None:
        self._origin = origin
        self._listing = listing
        self._head = head
        self._notify = notify

    @classmethod
    def of(cls, origin: Origin, bucket: RemoteBucket, notify: Notify) -> NameLookup:
        """Return the lookup of names in ``origin``, which ``bucket`` holds."""
        listing = ListingLookup(bucket, origin.prefix, run=bucket.run)
        return cls(origin, listing, lambda key: bucket.run(bucket.look(key)), notify)

    def find(self, names: Iterable[str]) -> Iterator[Listed | Failed]:
        """Yield the object or failure of each name. Raises ``FatalError`` if listing fails."""
        wanted = self._wanted(names)
        for each in wanted:
            if failed := self._fault(each):
                yield failed
                continue
            try:
                found = self._listing.lookup(each.key)
            except (UnorderedListing, StoreError, ListingError) as error:
                self._notify(f"{listing_fault(error, str(self._origin))}: {HEADS_INSTEAD}")
                yield from self._send_heads(chain([each], wanted))
                return
            except ObjectError as error:
                raise FatalError(f"list {self._origin}: {error}") from None
            yield found or self._no_such_key(each)

    def send_heads(self, names: Iterable[str]) -> Iterator[Listed | Failed]:
        """Yield the same, without looking at the listing."""
        return self._send_heads(self._wanted(names))

    def _wanted(self, names: Iterable[str]) -> Iterator[_Name]:
        start = self._origin.prefix[: self._origin.cut]
        return (_Name(name, start + name) for name in names)

    def _send_heads(self, wanted: Iterable[_Name]) -> Iterator[Listed | Failed]:
        under_way: deque[tuple[_Name, Failed | Future[Answer | None]]] = deque()
        for each in wanted:
            under_way.append((each, self._fault(each) or self._head(each.key)))
            if len(under_way) == HEADS:
                yield self._result(*under_way.popleft())
        while under_way:
            yield self._result(*under_way.popleft())

    def _result(self, wanted: _Name, answer: Failed | Future[Answer | None]) -> Listed | Failed:
        if isinstance(answer, Failed):
            return answer
        try:
            found = answer.result()
            return as_listed(wanted.key, found) if found else self._no_such_key(wanted)
        except ObjectError as error:
            return Failed(wanted.key, wanted.name, error.kind, str(error))

    def _fault(self, wanted: _Name) -> Failed | None:
        name, key = wanted
        if fault := key_fault(key_bytes(key)):
            return Failed(key, name, FailureKind.NAME, fault)
        return None if key.startswith(self._origin.prefix) else self._no_such_key(wanted)

    def _no_such_key(self, wanted: _Name) -> Failed:
        why = f"there is no such key in {self._origin}"
        if wanted.name.startswith("./"):
            why += ": a name in the list is a key, taken as it is; leave out the './'"
        return Failed(wanted.key, wanted.name, FailureKind.NOT_FOUND, why)


def as_listed(key: str, answer: Answer) -> Listed:
    """Return the listing entry equivalent to the answer of a HEAD of ``key``.

    Raises ``ObjectError`` if the answer lacks the size.
    """
    if answer.declared is None:
        raise ObjectError(FailureKind.INTEGRITY, _NO_LENGTH)
    header = answer.response.header
    storage_class = header(b"x-amz-storage-class") or "STANDARD"  # which is omitted
    modified = _listing_time(header(b"last-modified") or "")
    return Listed(key, answer.declared, answer.etag, modified, storage_class)


def _listing_time(text: str) -> str:
    """Return a header's time in the format of a listing; empty if it is no valid time."""
    try:
        return parse_time(text).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except ValueError:
        return ""
