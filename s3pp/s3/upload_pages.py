"""Parsers for lists of incomplete uploads and of their parts, with checks for completeness.

As with the listing of keys (``listing``), a truncated page without a marker, a repeated marker, or
XML that is not such a page is an error: if it were taken for the end, uploads would be left behind,
or parts sent again that the store has.

Keys are requested unencoded. Stores differ in how they handle ``encoding-type=url`` here: Ceph RGW
encodes the keys, but not the marker, and does not declare it; SeaweedFS and LocalStack declare it
but do not encode. Encoding is requested only where keys with control characters make a page
unreadable, and then the content shows whether it is encoded.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_plus
from xml.parsers import expat

from s3pp.records import UploadFacts
from s3pp.s3.answers import epoch_seconds, parse_etag, parse_size, parse_time
from s3pp.s3.listing import AGAIN, MOST_EMPTY_PAGES, ListingError

_CHECKSUM = "Checksum"  # prefix of the names of a part's checksum elements
_NO_HEADWAY = "the store's list of {} makes no headway: "
_ENCODED = re.compile(r"[\w.~!*'()/+%-]*\Z", re.ASCII).match  # a key that may be encoded
_OWN_KEY = re.compile(rb"<Key>[^<]*</Key>")  # in a list of parts: of their upload

# Errors for characters that XML does not allow: raw, and as references (expat.h, enum XML_Error).
_NO_CHARACTERS = (4, 14)

PageT = TypeVar("PageT")
Checksum = tuple[str, str]  # a name in ``limits.CHECKSUMS``, and the value in base64


class Upload(NamedTuple):
    """An incomplete upload, as listed by ListMultipartUploads."""

    key: str
    id: str
    initiated: str  # ISO 8601, as the store writes it

    @property
    def begun(self) -> float:
        """When it was initiated, in seconds since the epoch; ``ValueError`` if unreadable."""
        return parse_time(self.initiated).timestamp()

    def facts(self, parts: int | None = None) -> UploadFacts:
        """What outcomes tell of it; ``parts`` is how many the store has, None if not known."""
        return UploadFacts(self.id, self.initiated, parts)


class Part(NamedTuple):
    """An uploaded part, as listed by ListParts."""

    number: int  # from 1
    size: int  # bytes
    etag: str  # as the store writes it, but without quotes
    checksum: Checksum | None  # if the store sends one


class UploadPage(NamedTuple):
    """One page of ListMultipartUploads."""

    uploads: list[Upload]
    marker: tuple[str, str] | None  # key and upload id to continue after; None: the last page


class PartPage(NamedTuple):
    """One page of ListParts."""

    parts: list[Part]
    marker: int | None  # the part number to continue after; None: the last page
    newest: float | None  # when the latest arrived, seconds since the epoch; None: unknown


class Illegible(ListingError):
    """A page contains characters that XML does not allow; with encoding it may be readable."""

    def __init__(self) -> None:
        super().__init__("the store's list of uploads holds characters that are no XML")


class Headway:
    """Detects cycles of markers, in constant memory.

    One marker is remembered, and replaced after 1, 2, 4, 8, … others (Brent's method).
    """

    def __init__(self, what: str) -> None:
        """``what`` the pages list, for messages."""
        self._complaint = _NO_HEADWAY.format(what)
        self._marked: object = None
        self._since = self._limit = 1
        self._empty = 0  # pages in a row

    def follow(self, page: UploadPage | PartPage) -> None:
        """Check the next page. Raises ``ListingError`` if the list makes no progress."""
        entries, marker = page[:2]
        if marker is not None and marker == self._marked:
            raise ListingError(f"{self._complaint}a marker repeats")
        self._empty = 0 if entries else self._empty + 1
        if self._empty > MOST_EMPTY_PAGES:
            raise ListingError(f"{self._complaint}page after page is empty")
        self._since -= 1
        if not self._since:
            self._marked = marker
            self._limit *= 2
            self._since = self._limit


async def honest(fetch: Callable[[], Awaitable[bytes]], parse: Callable[[bytes], PageT]) -> PageT:
    """Fetch and parse a page, trying again up to ``AGAIN`` times if it cannot be read."""
    for _ in range(AGAIN):
        try:
            return parse(await fetch())
        except ListingError:
            continue
    return parse(await fetch())


def parse_uploads(body: bytes, *, encoded: bool = False) -> UploadPage:
    """Parse an answer of ListMultipartUploads; ``encoded``: encoded keys were requested.

    Raises ``ListingError`` when it is invalid, ``Illegible`` where encoding may help.
    """
    entries, top = _document(body, "ListMultipartUploads", "Upload")
    url = top.get("EncodingType") == "url"
    if encoded:  # whatever the page declares
        url = all(_ENCODED(entry.get("Key", "")) for entry in entries)
    try:
        uploads = [_upload(entry, url=url) for entry in entries]
        marker = _upload_marker(uploads, top, url=url)
    except (LookupError, ValueError) as error:
        raise _unreadable("uploads", error) from None
    if not _truncated(top):
        return UploadPage(uploads, None)
    if not marker[0]:
        raise _cut_short("uploads")
    return UploadPage(uploads, marker)


def parse_parts(body: bytes) -> PartPage:
    """Parse an answer of ListParts. Raises ``ListingError`` when it is invalid."""
    # The key is already known, and control characters in it would make the page unreadable.
    entries, top = _document(_OWN_KEY.sub(b"", body, count=1), "ListParts", "Part")
    try:
        parts = [_part(entry) for entry in entries]
        marker = int(top.get("NextPartNumberMarker") or 0) if _truncated(top) else None
    except (LookupError, ValueError) as error:
        raise _unreadable("parts", error) from None
    if marker == 0:
        raise _cut_short("parts")
    return PartPage(
        parts, marker, latest(epoch_seconds(entry.get("LastModified")) for entry in entries)
    )


def latest(moments: Iterable[float | None]) -> float | None:
    """The latest of the known times; None if there is none."""
    return max((each for each in moments if each is not None), default=None)


def _upload(entry: dict[str, str], *, url: bool) -> Upload:
    key = unquote_plus(entry["Key"], errors="strict") if url else entry["Key"]
    return Upload(key, entry["UploadId"], entry.get("Initiated", ""))


def _upload_marker(uploads: list[Upload], top: dict[str, str], *, url: bool) -> tuple[str, str]:
    key = top.get("NextKeyMarker", "")
    # Swift and Ceph RGW encode the keys, as requested, but not the marker.
    if url and not (uploads and uploads[-1].key == key):
        key = unquote_plus(key, errors="strict")
    return key, top.get("NextUploadIdMarker", "")


def _part(entry: dict[str, str]) -> Part:
    etag = parse_etag(entry.get("ETag")).text
    return Part(int(entry["PartNumber"]), parse_size(entry["Size"]), etag, _checksum(entry))


def _checksum(entry: dict[str, str]) -> Checksum | None:
    for name, value in entry.items():
        if name.startswith(_CHECKSUM) and value:
            return name.removeprefix(_CHECKSUM).lower(), value
    return None


def _truncated(top: dict[str, str]) -> bool:
    return top.get("IsTruncated", "").strip().lower() == "true"


def _cut_short(what: str) -> ListingError:
    return ListingError(f"the store's list of {what} stops in the middle: truncated, but no marker")


def _unreadable(what: str, error: Exception) -> ListingError:
    return ListingError(f"the store's list of {what} cannot be read: {error}")


class _Reader:
    """Collects the leaf elements below the root, and those of each ``entry`` element there."""

    def __init__(self, entry: str) -> None:
        self.root = ""
        self.top: dict[str, str] = {}
        self.entries: list[dict[str, str]] = []
        self._entry = entry
        self._fields: dict[str, str] = {}
        self._path: list[str] = []
        self._text: list[str] = []

    def read(self, body: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(body, True)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self.root = self.root or name
        self._path.append(name)
        self._text.clear()

    def _end(self, name: str) -> None:
        self._path.pop()
        depth = len(self._path)
        if depth == 2 and self._path[1] == self._entry:
            self._fields[name] = "".join(self._text)
        elif depth == 1 and name == self._entry:
            self.entries.append(self._fields)
            self._fields = {}
        elif depth == 1:
            self.top[name] = "".join(self._text)
        self._text.clear()


_Parsed = tuple[list[dict[str, str]], dict[str, str]]  # the entries, and the other leaf elements


def _document(body: bytes, operation: str, entry: str) -> _Parsed:
    reader = _Reader(entry)
    try:
        reader.read(body)
    except expat.ExpatError as error:
        raise (
            Illegible() if error.code in _NO_CHARACTERS else _unreadable(f"{entry.lower()}s", error)
        ) from None
    except (LookupError, ValueError) as error:
        raise _unreadable(f"{entry.lower()}s", error) from None
    # S3 calls it a result, moto a response.
    if reader.root not in (f"{operation}Result", f"{operation}Response"):
        raise ListingError(f"the store answered {operation} with <{reader.root}>")
    return reader.entries, reader.top
