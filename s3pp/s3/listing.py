"""Pages of listings, and the checks that a listing is complete.

A truncated page without a token, a repeated token or page, a duplicate key, or XML that is not a
listing is an error: tools that take these for the end lose keys (or, when mirroring, delete them).

Common spellings of a page are parsed by one regular expression, the fast path::

    <ListBucketResult>…<Contents>…</Contents><Contents>…</Contents>…</ListBucketResult>
                       └ an entry ─────────┘ └ an entry ─────────┘
    └ the rest, with the first entry ──────┘                       └ the rest ────────┘

The expression costs 1.2 µs an entry, expat 5.5. It accepts one spelling of an entry, in the element
orders that AWS, Ceph, MinIO, moto and Swift use, and nothing else between the first entry and the
last. The rest is a document of its own, parsed by expat. It includes the first entry, so that both
parsers read that one and must agree. They disagree where the entries are in a comment or in an
element other than the root, or where the document is malformed, truncated, or not in UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from operator import lt
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import unquote_plus
from xml.parsers import expat

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.answers import SIZE_DIGITS, etag_of, parse_entries, parse_size
from s3pp.s3.timestamps import parse_time

AGAIN = 2  # times that a page is requested again when it cannot be read
MOST_MESSAGE = 1000  # characters of an error, which may quote the page
MOST_EMPTY_PAGES = 100  # in a row: a store may skip deleted keys, but not forever

PageT = TypeVar("PageT")

# What XML 1.0, "Characters", excludes, and the control characters it allows but discourages.
UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Listed(NamedTuple):
    """One key of a listing."""

    key: str
    size: int  # bytes
    etag: str  # see ``answers.etag_of``
    modified: str  # ISO 8601, as the store writes it
    storage_class: str = ""  # empty: the store's default

    @property
    def mtime(self) -> float:
        """Time of last modification, in seconds since the epoch."""
        return parse_time(self.modified).timestamp()


class CommonPrefix(NamedTuple):
    """What several keys begin with, up to a delimiter."""

    name: str


class Page(NamedTuple):
    """One page of ListObjectsV2, or of ListObjects."""

    objects: list[Listed]
    token: str | None  # None: the last page
    by_marker: bool = False  # the token is a key, and the next page is from ListObjects

    @property
    def following(self) -> dict[str, str] | None:
        """The parameters of the request for the next page; None: this is the last page."""
        if self.token is None:
            return None
        return {"marker" if self.by_marker else "continuation-token": self.token}


class ListingError(ObjectError):
    """The store's listing cannot be trusted."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.STORE, message[:MOST_MESSAGE])


class Lister(Protocol):
    """The one operation a listing needs; ``client.Bucket`` has it."""

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """Fetch one page of a listing as XML; for ``parameters`` see ``list_requests``."""


def parse_page(body: bytes) -> Page:
    """Parse a page. Raises ``ListingError`` when it is invalid."""
    try:
        root, objects, top = _parse_fast(body) or _parse(body)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ListingError(f"the store's listing cannot be read: {error}") from None
    if root != "ListBucketResult":
        raise ListingError(f"the store answered a listing with <{root}>")
    if not is_truncated(top):
        return Page(objects, None)
    if token := top.get("NextContinuationToken"):
        return Page(objects, token)
    if marker := _marker(objects, top):
        return Page(objects, marker, by_marker=True)
    raise ListingError("the store's listing is incomplete: truncated, but no token")


def _marker(objects: list[Listed], top: dict[str, str]) -> str:
    """The marker for the page after a page of ListObjects; empty for one of ListObjectsV2.

    It is the last key, since ``NextMarker`` is sent with a delimiter, and only some stores encode
    it.
    """
    if "KeyCount" in top or top.keys().isdisjoint(("Marker", "NextMarker")):
        return ""
    return objects[-1].key if objects else top.get("NextMarker", "")


def is_truncated(top: dict[str, str]) -> bool:
    """Whether more pages follow, by the leaf elements of a page."""
    return top.get("IsTruncated", "").strip().lower() == "true"


_Parsed = tuple[str, list[Listed], dict[str, str]]  # the root, its entries and its other leaves


def _parse(body: bytes) -> _Parsed:
    root, top, entries = parse_entries(body, "Contents")
    keys = [fields["Key"] for fields in entries]
    keys = _decode(keys) if _is_encoded(top) else keys
    return root, list(map(_entry, keys, entries)), top


def _entry(key: str, fields: dict[str, str]) -> Listed:
    return Listed(
        key,
        parse_size(fields["Size"]),
        etag_of(fields.get("ETag")),
        fields.get("LastModified", ""),
        fields.get("StorageClass", ""),
    )


def _is_encoded(top: dict[str, str]) -> bool:
    return top.get("EncodingType") == "url"


def _decode(keys: list[str]) -> list[str]:
    """Undo ``encoding-type=url``, for all keys at once unless one of them contains a newline."""
    joined = "\n".join(keys)
    if "%" not in joined and "+" not in joined:
        return keys
    decoded = unquote_plus(joined, errors="strict").split("\n")
    if len(decoded) == len(keys):
        return decoded
    return [unquote_plus(key, errors="strict") for key in keys]


def read_page(body: bytes, again: int) -> Page | None:
    """Parse a page; None where it cannot be read and ``again`` more attempts are left.

    Raises ``ListingError`` where none is left.
    """
    try:
        return parse_page(body)
    except ListingError:
        if again == 0:
            raise
        return None


async def fetch_page(lister: Lister, parameters: dict[str, str]) -> Page:
    """Fetch and parse one page of keys, see ``fetch_valid``."""
    return await fetch_valid(lambda: lister.list_page(parameters), parse_page)


async def fetch_valid(
    fetch: Callable[[], Awaitable[bytes]], parse: Callable[[bytes], PageT]
) -> PageT:
    """Fetch and parse a page, trying again up to ``AGAIN`` times if it cannot be read."""
    for _ in range(AGAIN):
        with suppress(ListingError):
            return parse(await fetch())
    return parse(await fetch())


class PageLoopGuard:
    """Detects a listing that repeats itself, in constant memory.

    A cycle is detected within three times its length: one page is remembered, and replaced after
    1, 2, 4, 8, … others (Brent's method).
    """

    def __init__(self, what: str) -> None:
        """``what``: the name of the listing, for messages."""
        self._complaint = f"the store's {what} makes no progress:"
        self._first: object = None  # entry of the page before
        self._marked: tuple[object, object] = (None, None)  # marker and first entry
        self._since = self._limit = 1
        self._empty = 0  # pages in a row

    def follow(self, marker: object, first: object) -> None:
        """Check the next page by its marker and its first entry; each is false if there is none.

        Raises ``ListingError`` for repeated pages or markers, or too many empty pages.
        """
        if marker and marker == self._marked[0]:
            raise ListingError(f"{self._complaint} a marker repeats")
        if first and first in (self._first, self._marked[1]):
            raise ListingError(f"{self._complaint} a page repeats")
        self._first, self._empty = (first, 0) if first else (self._first, self._empty + 1)
        if self._empty > MOST_EMPTY_PAGES:
            raise ListingError(f"{self._complaint} page after page is empty")
        self._since -= 1
        if not self._since:
            self._marked = (marker, first)
            self._limit *= 2
            self._since = self._limit


class PageOrder:
    """Checks that the pages of a listing of keys follow each other."""

    def __init__(self, after: str = "") -> None:
        """``after``: a string that every key must be greater than."""
        self.last = after  # key
        self._before: list[Listed] = []  # the page before
        self._guard = PageLoopGuard("listing")

    def follow(self, page: Page) -> bool:
        """Check the next page; False if its keys are not in UTF-8 byte order.

        Raises ``ListingError`` for a key that comes twice, and as ``PageLoopGuard`` does.
        """
        objects = page.objects
        first = objects[0].key if objects else ""
        self._guard.follow(page.token, first)
        ordered = ascending(objects) and (not first or first > self.last)
        if not ordered:
            self._check_twice(objects)
        if objects:
            self._before, self.last = objects, objects[-1].key
        return ordered

    def _check_twice(self, objects: list[Listed]) -> None:
        keys = {listed.key for listed in objects}
        twice = len(keys) < len(objects) or not keys.isdisjoint(each.key for each in self._before)
        if twice:
            raise ListingError("the store's listing cannot be trusted: a key is repeated")


def ascending(objects: list[Listed]) -> bool:
    """Whether keys are in UTF-8 byte order, without duplicates.

    The order of ``str`` is that order, because no key contains a surrogate.
    """
    keys = [listed.key for listed in objects]
    return all(map(lt, keys, keys[1:]))


_OPEN, _CLOSE = b"<Contents>", b"</Contents>"
_TEXT = r"[^<>&\x00-\x1f\ufffe\uffff]*"  # what expat returns unchanged
_QUOTE = '(?:"|&quot;|&#34;)'
_OWNER = f"(?:<Owner>(?:<ID>{_TEXT}</ID>)?(?:<DisplayName>{_TEXT}</DisplayName>)?</Owner>)?"
_ENTRY_START = (
    f"<Contents><Key>({_TEXT})</Key><LastModified>({_TEXT})</LastModified>"
    rf'<ETag>(?:[Ww]/(?=["&]))?{_QUOTE}?([^"<>&\x00-\x1f\ufffe\uffff]*){_QUOTE}?</ETag>'
)
_ENTRY = re.compile(
    f"{_ENTRY_START}(?:<ChecksumAlgorithm>{_TEXT}</ChecksumAlgorithm>)*"
    f"(?:<ChecksumType>{_TEXT}</ChecksumType>)?"
    f"<Size>({SIZE_DIGITS})</Size>{_OWNER}(?:<StorageClass>({_TEXT})</StorageClass>)?{_OWNER}"
    f"(?:<Type>{_TEXT}</Type>)?</Contents>"
)
_ASCII = "[ -%'-;=?-~]*"  # of ``_TEXT``: a set that the engine looks up in a bitmap
# The most common form, a quarter faster: it has few alternatives, and ETags to leave as they are.
_COMMON = re.compile(
    f"<Contents><Key>({_ASCII})</Key><LastModified>({_ASCII})</LastModified>"
    f"<ETag>{_QUOTE}([0-9a-f-]*){_QUOTE}</ETag>"
    "(?:<ChecksumAlgorithm>[0-9A-Z]*</ChecksumAlgorithm><ChecksumType>[A-Z_]*</ChecksumType>)?"
    f"<Size>({SIZE_DIGITS})</Size><StorageClass>([0-9A-Z_]*)</StorageClass></Contents>"
)
_STRIDE = 1 + _ENTRY.groups  # of the result of ``split``: the text between, and the groups
_ETAGS, _CLASSES = slice(3, None, _STRIDE), slice(5, None, _STRIDE)
_ENCODING = re.compile(rb"\s*<\?xml[^>]*\sencoding\s*=\s*[\"']([^\"']*)")


class _Columns(NamedTuple):
    """All entries of a page, by column, and the page with only the first entry left."""

    rest: bytes
    keys: list[str]  # as written, URL-encoded or not
    sizes: list[int]
    etags: list[str]  # as ``etag_of`` returns them
    modified: list[str]
    storage_classes: list[str]  # empty where there is none


def _read_columns(body: bytes) -> _Columns | None:
    """Parse the entries of ``body``; None where the fast path cannot be sure of their meaning."""
    start, end = body.find(_OPEN), body.rfind(_CLOSE) + len(_CLOSE)
    first_end = body.find(_CLOSE, start) + len(_CLOSE)
    if start < 0 or end < first_end or not _is_utf8(body):
        return None
    try:
        parts = _split(body[start:end].decode())
    except UnicodeDecodeError:
        return None
    if parts is None:
        return None
    keys, modified, etags, sizes, classes = (parts[at::_STRIDE] for at in range(1, _STRIDE))
    rest = body[:first_end] + body[end:]
    return _Columns(rest, keys, list(map(int, sizes)), etags, modified, classes)


def _split(text: str) -> list[str] | None:
    """Split into the groups of each entry; None if there is text before, between or after them."""
    if _COMMON.match(text):
        parts = _COMMON.split(text)
        if not "".join(parts[::_STRIDE]):
            return parts
    if _ENTRY.match(text):
        parts = _ENTRY.split(text)
        if not "".join(parts[::_STRIDE]):
            parts[_ETAGS] = map(etag_of, parts[_ETAGS])
            parts[_CLASSES] = [name or "" for name in parts[_CLASSES]]
            return parts
    return None


def _is_utf8(body: bytes) -> bool:
    declared = _ENCODING.match(body)
    return declared is None or declared[1].lower() == b"utf-8"


def _parse_fast(body: bytes) -> _Parsed | None:
    """Return what ``_parse`` would, in a quarter of the time; None if ``_parse`` is needed."""
    columns = _read_columns(body)
    if columns is None:
        return None
    try:
        root, first, top = _parse(columns.rest)
        objects = _build_objects(columns, encoded=_is_encoded(top))
    except (expat.ExpatError, LookupError, ValueError):
        return None  # so that the error describes the original page
    return (root, objects, top) if first == objects[:1] else None


# Equivalent to ``Listed._make``, without a Python call for each key.
_LISTED = partial(tuple.__new__, Listed)


def _build_objects(columns: _Columns, *, encoded: bool) -> list[Listed]:
    _, keys, sizes, *others = columns
    keys = _decode(keys) if encoded else keys
    return list(map(_LISTED, zip(keys, sizes, *others, strict=True)))
