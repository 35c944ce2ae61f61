"""Pages of unfinished uploads and of their parts, and the rules that keep both listings honest.

As with the listing of keys (``listing``), a page that says it is truncated without a marker, a
marker that comes again, or XML that is no such page is an error: who took it for the end would
leave uploads behind, or send parts again that the store has.

Keys are asked for as they are. Stores differ in what they make of ``encoding-type=url`` here: Ceph
RGW encodes the keys, not the marker, and does not say so; SeaweedFS and LocalStack say so and do
not. Only where keys with control characters make a page unreadable is it asked for encoded, and
then what it holds tells whether it is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_plus
from xml.parsers import expat

from s3pp.records import UploadFacts
from s3pp.s3.etag import read_tag
from s3pp.s3.listing import AGAIN, MOST_EMPTY_PAGES, ListingError
from s3pp.s3.moments import moment, seconds
from s3pp.s3.sizes import size

_CHECKSUM = "Checksum"  # what the names of a part's checksum elements begin with
_NO_HEADWAY = "the store's list of {} makes no headway: "
_ENCODED = re.compile(r"[\w.~!*'()/+%-]*\Z", re.ASCII).match  # what a key is once it is encoded
_OWN_KEY = re.compile(rb"<Key>[^<]*</Key>")  # in a list of parts: of their upload

# The errors of characters that no XML holds: raw, and by number (expat.h, enum XML_Error).
_NO_CHARACTERS = (4, 14)

PageT = TypeVar("PageT")
Checksum = tuple[str, str]  # its name as in ``limits.CHECKSUMS``, and its value in base64


class Upload(NamedTuple):
    """An unfinished upload, as ListMultipartUploads names it."""

    key: str
    id: str
    initiated: str  # as the store writes it, ISO 8601

    @property
    def begun(self) -> float:
        """When it was initiated, seconds since the epoch; ``ValueError`` if that cannot be told."""
        return moment(self.initiated).timestamp()

    def facts(self, parts: int | None = None) -> UploadFacts:
        """What outcomes tell of it; ``parts`` is how many the store has, None if not known."""
        return UploadFacts(self.id, self.initiated, parts)


class Part(NamedTuple):
    """A part that the store has, as ListParts names it."""

    number: int  # from 1
    size: int  # bytes
    etag: str  # without its quotes, else as the store writes it
    checksum: Checksum | None  # where the store tells one


class UploadPage(NamedTuple):
    """One answer of ListMultipartUploads."""

    uploads: list[Upload]
    marker: tuple[str, str] | None  # key and upload id behind which the next begins; None: the last


class PartPage(NamedTuple):
    """One answer of ListParts."""

    parts: list[Part]
    marker: int | None  # the part number behind which the next page begins; None: the last
    newest: float | None  # when the latest arrived, seconds since the epoch; None: not told


class Illegible(ListingError):
    """The page has characters that XML cannot hold: encoded it may be read."""

    def __init__(self) -> None:
        super().__init__("the store's list of uploads holds characters that are no XML")


class Headway:
    """Finds markers that go in a circle, in constant memory.

    One marker is remembered, and replaced after 1, 2, 4, 8, … others (Brent's method).
    """

    def __init__(self, what: str) -> None:
        """``what``: of which the pages are, for users."""
        self._complaint = _NO_HEADWAY.format(what)
        self._marked: object = None
        self._since = self._limit = 1
        self._empty = 0  # pages in a row

    def follow(self, page: UploadPage | PartPage) -> None:
        """Take the next page in. Raises ``ListingError`` where it leads nowhere."""
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
    """Fetch and parse a page; one that cannot be read is asked for ``AGAIN`` times more."""
    for _ in range(AGAIN):
        try:
            return parse(await fetch())
        except ListingError:
            continue
    return parse(await fetch())


def parse_uploads(body: bytes, *, encoded: bool = False) -> UploadPage:
    """Read a ListMultipartUploads answer; ``encoded``: its keys were asked for so.

    Raises ``ListingError`` when it is not a sound one, ``Illegible`` where that may help.
    """
    entries, top = _document(body, "ListMultipartUploads", "Upload")
    url = top.get("EncodingType") == "url"
    if encoded:  # whatever it says
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
    """Read a ListParts answer. Raises ``ListingError`` when it is not a sound one."""
    # The key is known, and one with control characters would make the page unreadable.
    entries, top = _document(_OWN_KEY.sub(b"", body, count=1), "ListParts", "Part")
    try:
        parts = [_part(entry) for entry in entries]
        marker = int(top.get("NextPartNumberMarker") or 0) if _truncated(top) else None
    except (LookupError, ValueError) as error:
        raise _unreadable("parts", error) from None
    if marker == 0:
        raise _cut_short("parts")
    return PartPage(parts, marker, latest(seconds(entry.get("LastModified")) for entry in entries))


def latest(moments: Iterable[float | None]) -> float | None:
    """The latest of those that are told; None where none is."""
    return max((each for each in moments if each is not None), default=None)


def _upload(entry: dict[str, str], *, url: bool) -> Upload:
    key = unquote_plus(entry["Key"], errors="strict") if url else entry["Key"]
    return Upload(key, entry["UploadId"], entry.get("Initiated", ""))


def _upload_marker(uploads: list[Upload], top: dict[str, str], *, url: bool) -> tuple[str, str]:
    key = top.get("NextKeyMarker", "")
    # Swift and Ceph RGW encode the keys, as they were asked to, but not the marker.
    if url and not (uploads and uploads[-1].key == key):
        key = unquote_plus(key, errors="strict")
    return key, top.get("NextUploadIdMarker", "")


def _part(entry: dict[str, str]) -> Part:
    etag = read_tag(entry.get("ETag")).text
    return Part(int(entry["PartNumber"]), size(entry["Size"]), etag, _checksum(entry))


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
    """Collects the leaves below the root, and those of each ``entry`` there."""

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


_Parsed = tuple[list[dict[str, str]], dict[str, str]]  # the entries, and the leaves beside them


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
