"""Listings: ListObjectsV2 pages parsed with expat, and the rules that keep a listing honest.

A page that says it is truncated without a token, a token that repeats, or XML that is no listing
is an error: other tools take each for the end and lose keys (or, when mirroring, delete them).
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple, Protocol
from urllib.parse import unquote_plus
from xml.parsers import expat

from s3pp.errors import FailureKind, ObjectError


class Listed(NamedTuple):
    """One key of a listing."""

    key: str
    size: int  # bytes
    etag: str  # without the quotes
    modified: str  # as the store writes it, ISO 8601
    storage_class: str = ""  # empty: the store's default

    @property
    def mtime(self) -> float:
        """Last modification, seconds since the epoch."""
        return (
            datetime.fromisoformat(self.modified.replace("Z", "+00:00"))
            .astimezone(timezone.utc)
            .timestamp()
        )


class Page(NamedTuple):
    """One answer of ListObjectsV2."""

    objects: list[Listed]
    token: str | None  # None: the last page


class ListingError(ObjectError):
    """The store's listing cannot be trusted."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.STORE, message)


class Lister(Protocol):
    """The one operation a listing needs; ``operations.Bucket`` has it."""

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """One page of ListObjectsV2 as XML."""


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
        etag = fields.get("ETag", "").strip('"')
        self.objects.append(
            Listed(fields["Key"], int(fields["Size"]), etag, fields.get("LastModified", ""))
        )


def parse_page(body: bytes) -> Page:
    """Read a ListObjectsV2 answer. Raises ``ListingError`` when it is not a sound one."""
    parser = _Parser()
    try:
        parser.parse(body)
        objects = parser.objects
        if parser.top.get("EncodingType") == "url":
            objects = [o._replace(key=_decoded(o.key)) for o in objects]
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ListingError(f"the store's listing cannot be read: {error}") from None
    top = parser.top
    if top.get("root") != "ListBucketResult":
        raise ListingError(f"the store answered a listing with <{top.get('root')}>")
    token = top.get("NextContinuationToken") or None
    truncated = top.get("IsTruncated", "").strip().lower() == "true"
    if truncated and token is None:
        raise ListingError("the store's listing stops in the middle: truncated, but no token")
    return Page(objects, token if truncated else None)


def _decoded(key: str) -> str:
    return unquote_plus(key, errors="strict") if "%" in key or "+" in key else key


async def honest_page(lister: Lister, parameters: dict[str, str]) -> Page:
    """Fetch and parse one page; one that cannot be read is asked for twice more."""
    for _ in range(2):
        try:
            return parse_page(await lister.list_page(parameters))
        except ListingError:
            continue
    return parse_page(await lister.list_page(parameters))
