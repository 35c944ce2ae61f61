"""Pages of listings, and the checks that a listing is complete.

A truncated page without a token, a repeated token or page, a duplicate key, or XML that is not a
listing is an error: tools that take these for the end lose keys (or, when mirroring, delete them).
"""

from __future__ import annotations

import re
from functools import partial
from operator import lt
from typing import NamedTuple, Protocol
from urllib.parse import unquote_plus
from xml.parsers import expat

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.answers import etag_of, parse_size, parse_time
from s3pp.s3.contents import Entries, read_entries

AGAIN = 2  # times that a page is requested again when it cannot be read
MOST_EMPTY_PAGES = 100  # in a row: a store may skip deleted keys, but not forever

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
        super().__init__(FailureKind.STORE, message)


class Lister(Protocol):
    """The one operation a listing needs; ``client.Bucket`` has it."""

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """Fetch one page of a listing as XML; for ``parameters`` see ``list_requests``."""


class _Parser:
    """Collects the leaf elements of a ListBucketResult; unknown elements are skipped."""

    def __init__(self) -> None:
        self.objects: list[Listed] = []
        self.top: dict[str, str] = {}
        self._path: list[str] = []
        self._fields: dict[str, str] = {}
        self._text: list[str] = []
        parser = self._expat = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append

    def parse(self, body: bytes) -> None:
        self._expat.Parse(body, True)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._text.clear()

    def _end(self, name: str) -> None:
        self._path.pop()
        depth = len(self._path)
        if depth == 2 and self._path[1] == "Contents":
            self._fields[name] = "".join(self._text)
        elif depth == 1 and name == "Contents":
            self._add(self._fields)
            self._fields = {}
        elif depth == 1:
            self.top[name] = "".join(self._text)
        elif depth == 0:
            self.top["root"] = name
        self._text.clear()

    def _add(self, fields: dict[str, str]) -> None:
        self.objects.append(
            Listed(
                fields["Key"],
                parse_size(fields["Size"]),
                etag_of(fields.get("ETag")),
                fields.get("LastModified", ""),
                fields.get("StorageClass", ""),
            )
        )


def parse_page(body: bytes) -> Page:
    """Parse a page. Raises ``ListingError`` when it is invalid."""
    try:
        objects, top = _fast(body) or _whole(body)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ListingError(f"the store's listing cannot be read: {error}") from None
    if top.get("root") != "ListBucketResult":
        raise ListingError(f"the store answered a listing with <{top.get('root')}>")
    if top.get("IsTruncated", "").strip().lower() != "true":
        return Page(objects, None)
    if token := top.get("NextContinuationToken"):
        return Page(objects, token)
    if marker := _marker(objects, top):
        return Page(objects, marker, by_marker=True)
    raise ListingError("the store's listing stops in the middle: truncated, but no token")


def _marker(objects: list[Listed], top: dict[str, str]) -> str:
    """The marker for the page after a page of ListObjects; empty for one of ListObjectsV2.

    It is the last key, since ``NextMarker`` is sent with a delimiter, and only some stores encode
    it.
    """
    if "KeyCount" in top or top.keys().isdisjoint(("Marker", "NextMarker")):
        return ""
    return objects[-1].key if objects else top.get("NextMarker", "")


_Parsed = tuple[list[Listed], dict[str, str]]  # the entries, and the leaves beside them


def _whole(body: bytes) -> _Parsed:
    parser = _Parser()
    parser.parse(body)
    if not _encoded(parser.top):
        return parser.objects, parser.top
    keys = _decoded([listed.key for listed in parser.objects])
    found = zip(parser.objects, keys, strict=True)
    return [listed._replace(key=key) for listed, key in found], parser.top


def _fast(body: bytes) -> _Parsed | None:
    """Return what ``_whole`` would, in a quarter of the time; None if ``_whole`` is needed."""
    entries = read_entries(body)
    if entries is None:
        return None
    try:
        first, top = _whole(entries.rest)
        objects = _listed(entries, encoded=_encoded(top))
    except (expat.ExpatError, LookupError, ValueError):
        return None  # so that the error describes the original page
    return (objects, top) if first == objects[:1] else None


# Equivalent to ``Listed._make``, without a Python call for each key.
_LISTED = partial(tuple.__new__, Listed)


def _listed(entries: Entries, *, encoded: bool) -> list[Listed]:
    _, keys, sizes, etags, *columns = entries
    keys = _decoded(keys) if encoded else keys
    return list(map(_LISTED, zip(keys, sizes, _lowered(etags), *columns, strict=True)))


def _lowered(etags: list[str]) -> list[str]:
    """Normalise ETags without quotes as ``etag_of`` does; nearly all stores' need no change."""
    joined = "".join(etags).replace("-", "")
    return etags if joined.isalnum() and joined.islower() else list(map(etag_of, etags))


def _encoded(top: dict[str, str]) -> bool:
    return top.get("EncodingType") == "url"


def _decoded(keys: list[str]) -> list[str]:
    """Undo ``encoding-type=url``, for all keys at once unless one of them contains a newline."""
    joined = "\n".join(keys)
    if "%" not in joined and "+" not in joined:
        return keys
    decoded = unquote_plus(joined, errors="strict").split("\n")
    if len(decoded) == len(keys):
        return decoded
    return [unquote_plus(key, errors="strict") for key in keys]


async def honest_page(lister: Lister, parameters: dict[str, str]) -> Page:
    """Fetch and parse one page, trying again up to ``AGAIN`` times if it cannot be read."""
    again = AGAIN
    while (page := read_page(await lister.list_page(parameters), again)) is None:
        again -= 1
    return page


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


class PageLoopGuard:
    """Compares each page of a listing with those before it, to detect loops, in constant memory.

    A repeated token or page is detected within three times the length of the cycle: one page is
    remembered, and replaced after 1, 2, 4, 8, … others (Brent's method).
    """

    def __init__(self, after: str = "") -> None:
        """``after``: a string that every key must be greater than."""
        self.last = after  # key
        self._before: list[Listed] = []  # the page before
        self._marked = ("", "")  # the first key and the token of the remembered page
        self._since = self._limit = 1
        self._empty = 0  # pages in a row

    def follow(self, page: Page) -> bool:
        """Check the next page; False if its keys are not in UTF-8 byte order.

        Raises ``ListingError`` for repeated pages, tokens or keys, or too many empty pages.
        """
        first = page.objects[0].key if page.objects else ""
        self._check_circle(first, page.token or "")
        ordered = ascending(page.objects) and (not first or first > self.last)
        if not ordered:
            self._check_twice(page.objects)
        self._remember(page, first)
        return ordered

    def _check_circle(self, first: str, token: str) -> None:
        before = self._before[0].key if self._before else ""
        if token and token == self._marked[1]:
            raise ListingError("the store's listing makes no headway: a token repeats")
        if first and first in (before, self._marked[0]):
            raise ListingError("the store's listing makes no headway: a page repeats")

    def _check_twice(self, objects: list[Listed]) -> None:
        keys = {listed.key for listed in objects}
        twice = len(keys) < len(objects) or not keys.isdisjoint(each.key for each in self._before)
        if twice:
            raise ListingError("the store's listing cannot be trusted: a key comes twice")

    def _remember(self, page: Page, first: str) -> None:
        if page.objects:
            self._before, self.last, self._empty = page.objects, page.objects[-1].key, 0
        else:
            self._empty += 1
        if self._empty > MOST_EMPTY_PAGES:
            raise ListingError("the store's listing makes no headway: page after page is empty")
        self._since -= 1
        if not self._since:
            self._marked = (first, page.token or "")
            self._limit *= 2
            self._since = self._limit


def ascending(objects: list[Listed]) -> bool:
    """Whether keys are in UTF-8 byte order, without duplicates.

    The order of ``str`` is that order, because no key contains a surrogate.
    """
    keys = [listed.key for listed in objects]
    return all(map(lt, keys, keys[1:]))
