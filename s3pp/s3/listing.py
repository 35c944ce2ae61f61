"""Listings: their pages, and the rules that keep a listing honest.

A page that says it is truncated without a way on, a token or page that comes again, a key that
comes twice, or XML that is no listing is an error: other tools take each for the end and lose keys
(or, when mirroring, delete them).
"""

from __future__ import annotations

import re
from functools import partial
from operator import lt
from typing import NamedTuple, Protocol
from urllib.parse import unquote_plus
from xml.parsers import expat

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.contents import Entries, read_entries
from s3pp.s3.etag import etag_of
from s3pp.s3.moments import moment
from s3pp.s3.sizes import size

AGAIN = 2  # times that a page which cannot be read is asked for once more
MOST_EMPTY_PAGES = 100  # in a row: a store may skip over what is deleted, but not for ever

# XML 1.0, "Characters", and the control characters it allows but nobody should send.
UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Listed(NamedTuple):
    """One key of a listing."""

    key: str
    size: int  # bytes
    etag: str  # see ``etag.etag_of``
    modified: str  # as the store writes it, ISO 8601
    storage_class: str = ""  # empty: the store's default

    @property
    def mtime(self) -> float:
        """Last modification, seconds since the epoch."""
        return moment(self.modified).timestamp()


class Page(NamedTuple):
    """One answer of ListObjectsV2, or of ListObjects."""

    objects: list[Listed]
    token: str | None  # None: the last page
    by_marker: bool = False  # the token is a key, and the next page is one of ListObjects

    @property
    def following(self) -> dict[str, str] | None:
        """Of the request for the next page; None: there is none."""
        if self.token is None:
            return None
        return {"marker" if self.by_marker else "continuation-token": self.token}


class ListingError(ObjectError):
    """The store's listing cannot be trusted."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.STORE, message)


class Lister(Protocol):
    """The one operation a listing needs; ``operations.Bucket`` has it."""

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """One page of a listing as XML, asked for as ``list_requests`` has it."""


class _Parser:
    """Collects the leaves of a ListBucketResult; everything it does not know it skips."""

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
                size(fields["Size"]),
                etag_of(fields.get("ETag")),
                fields.get("LastModified", ""),
                fields.get("StorageClass", ""),
            )
        )


def parse_page(body: bytes) -> Page:
    """Read a page. Raises ``ListingError`` when it is not a sound one."""
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
    """What the page behind one of ListObjects begins with; empty for one of ListObjectsV2.

    The last key, since ``NextMarker`` goes with a delimiter, and is encoded by some stores only.
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
    """What ``_whole`` would return, in a quarter of the time; None where it has to be asked."""
    entries = read_entries(body)
    if entries is None:
        return None
    try:
        first, top = _whole(entries.rest)
        objects = _listed(entries, encoded=_encoded(top))
    except (expat.ExpatError, LookupError, ValueError):
        return None  # for the error to tell of the page as it came
    return (objects, top) if first == objects[:1] else None


# What ``Listed._make`` does, without a call into Python for each key.
_LISTED = partial(tuple.__new__, Listed)


def _listed(entries: Entries, *, encoded: bool) -> list[Listed]:
    _, keys, sizes, etags, *columns = entries
    keys = _decoded(keys) if encoded else keys
    return list(map(_LISTED, zip(keys, sizes, _lowered(etags), *columns, strict=True)))


def _lowered(etags: list[str]) -> list[str]:
    """ETags without quotes, as ``etag_of`` has them: those of nearly all stores are so."""
    joined = "".join(etags).replace("-", "")
    return etags if joined.isalnum() and joined.islower() else list(map(etag_of, etags))


def _encoded(top: dict[str, str]) -> bool:
    return top.get("EncodingType") == "url"


def _decoded(keys: list[str]) -> list[str]:
    """Undo ``encoding-type=url``, for all keys at once unless one of them holds a line end."""
    joined = "\n".join(keys)
    if "%" not in joined and "+" not in joined:
        return keys
    decoded = unquote_plus(joined, errors="strict").split("\n")
    if len(decoded) == len(keys):
        return decoded
    return [unquote_plus(key, errors="strict") for key in keys]


async def honest_page(lister: Lister, parameters: dict[str, str]) -> Page:
    """Fetch and parse one page; one that cannot be read is asked for ``AGAIN`` times more."""
    again = AGAIN
    while (page := read_page(await lister.list_page(parameters), again)) is None:
        again -= 1
    return page


def read_page(body: bytes, again: int) -> Page | None:
    """Parse a page; None where it cannot be read and may be asked for ``again`` times more.

    Raises ``ListingError`` where it may not.
    """
    try:
        return parse_page(body)
    except ListingError:
        if again == 0:
            raise
        return None


class PageLoopGuard:
    """Holds each page of a listing against those before it, in constant memory.

    A token or page that comes again is found within three times the length of the circle: one page
    is remembered, and replaced after 1, 2, 4, 8, … others (Brent's method).
    """

    def __init__(self, after: str = "") -> None:
        """``after``: what every key has to be greater than."""
        self.last = after  # key
        self._before: list[Listed] = []  # the page before
        self._marked = ("", "")  # the first key and the token of the page that is remembered
        self._since = self._limit = 1
        self._empty = 0  # pages in a row

    def follow(self, page: Page) -> bool:
        """Take the next page in; False if its keys are not in UTF-8 byte order.

        Raises ``ListingError`` where pages, tokens or keys come twice, or no keys for too long.
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
    """Whether keys are in UTF-8 byte order, none of them twice.

    The order of ``str`` is that order: no key holds a surrogate.
    """
    keys = [listed.key for listed in objects]
    return all(map(lt, keys, keys[1:]))
