"""Lists of incomplete uploads and of their parts: requests, parsers, checks for completeness.

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
import time
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.parsers import expat

from s3pp.records import UploadFacts
from s3pp.s3.answers import XmlDocument, parse_entries, parse_etag, parse_size
from s3pp.s3.client import Bucket, Call
from s3pp.s3.endpoint import query_string
from s3pp.s3.listing import ListingError, PageLoopGuard, fetch_valid, is_truncated
from s3pp.s3.retry import StoreError
from s3pp.s3.timestamps import epoch_seconds, parse_time

MOST_NUMBER = 100_000  # of a part: S3 allows 10,000, and no store ten times as many
_CHECKSUM = "Checksum"  # prefix of the names of a part's checksum elements
_ENCODED = re.compile(r"[\w.~!*'()/+%-]*\Z", re.ASCII).match  # a key that may be encoded
_OWN_KEY = re.compile(rb"<Key>[^<]*</Key>")  # in a list of parts: of their upload

# Errors for characters that XML does not allow: raw, and as references (expat.h, enum XML_Error).
_NO_CHARACTERS = (4, 14)

Checksum = tuple[str, str]  # a name in ``integrity.checksums.ALGORITHMS``, and the value in base64


class Upload(NamedTuple):
    """An incomplete upload, as listed by ListMultipartUploads."""

    key: str
    id: str
    initiated: str  # ISO 8601, as the store writes it

    @property
    def started_at(self) -> float:
        """When it was initiated, in seconds since the epoch; ``ValueError`` if unreadable."""
        return parse_time(self.initiated).timestamp()

    def facts(self, parts: int | None = None) -> UploadFacts:
        """Its facts for outcomes; ``parts`` is the number of uploaded ones, None if not known."""
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


class InvalidCharacters(ListingError):
    """A page contains characters that XML does not allow; with encoding it may be readable."""

    def __init__(self) -> None:
        super().__init__("the store's list of uploads holds characters that are not XML")


def parse_uploads(body: bytes, *, encoded: bool = False) -> UploadPage:
    """Parse an answer of ListMultipartUploads; ``encoded``: encoded keys were requested.

    Raises ``ListingError`` when it is invalid, ``InvalidCharacters`` where encoding may help.
    """
    _, top, entries = _document(body, "ListMultipartUploads", "Upload")
    url = top.get("EncodingType") == "url"
    if encoded:  # whatever the page declares
        url = all(_ENCODED(entry.get("Key", "")) for entry in entries)
    try:
        uploads = [_upload(entry, url=url) for entry in entries]
        marker = _upload_marker(uploads, top, url=url)
    except (LookupError, ValueError) as error:
        raise _unreadable("uploads", error) from None
    if not is_truncated(top):
        return UploadPage(uploads, None)
    if not marker[0]:
        raise _cut_short("uploads")
    return UploadPage(uploads, marker)


def parse_parts(body: bytes) -> PartPage:
    """Parse an answer of ListParts. Raises ``ListingError`` when it is invalid."""
    # The key is already known, and control characters in it would make the page unreadable.
    _, top, entries = _document(_OWN_KEY.sub(b"", body, count=1), "ListParts", "Part")
    try:
        parts = [_part(entry) for entry in entries]
        next_marker = top.get("NextPartNumberMarker") or "0"
        marker = parse_size(next_marker.strip()) if is_truncated(top) else None
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
    number = parse_size(entry["PartNumber"].strip())
    return Part(number, parse_size(entry["Size"]), etag, _checksum(entry))


def _checksum(entry: dict[str, str]) -> Checksum | None:
    for name, value in entry.items():
        if name.startswith(_CHECKSUM) and value:
            return name.removeprefix(_CHECKSUM).lower(), value
    return None


def _cut_short(what: str) -> ListingError:
    return ListingError(f"the store's list of {what} is incomplete: truncated, but no marker")


def _unreadable(what: str, error: Exception) -> ListingError:
    return ListingError(f"the store's list of {what} cannot be read: {error}")


def _document(body: bytes, operation: str, entry: str) -> XmlDocument:
    try:
        document = parse_entries(body, entry)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, expat.ExpatError) and error.code in _NO_CHARACTERS:
            raise InvalidCharacters from None
        raise _unreadable(f"{entry.lower()}s", error) from None
    # S3 calls it a result, moto a response.
    if document.root not in (f"{operation}Result", f"{operation}Response"):
        raise ListingError(f"the store answered {operation} with <{document.root}>")
    return document


_AFTER_SUFFIXES = "0"  # the character after "/": the suffixes that stores add sort before it


class UploadOrder:
    """The order of the uploads whose keys begin with ``key``, as far as listed.

    S3 sorts them by key (API reference, "ListMultipartUploads"), other stores by an internal name:
    the key with a suffix (``key.2~id``, ``key/id``), by age, or not at all. Stopping too early
    would miss an upload, so only a list whose order is evident is cut short.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._first: str | None = None
        self._last = Upload("", "", "")
        self._by_key = True
        self._older = self._younger = False  # than its predecessor, for any upload

    def advance(self, page: Sequence[Upload]) -> bool:
        """Add the next page; return whether no upload of the key can follow it."""
        for before, upload in pairwise([self._last, *page]):
            self._by_key = self._by_key and before.key <= upload.key
            if self._first is not None:
                self._older = self._older or upload.initiated < before.initiated
                self._younger = self._younger or upload.initiated > before.initiated
            self._first = upload.key if self._first is None else self._first
            self._last = upload
        by_age = not (self._older and self._younger)
        return self._by_key and not by_age and self._is_past_key

    @property
    def _is_past_key(self) -> bool:
        last = self._last.key
        return last > self._key and (
            self._first == self._key or last >= self._key + _AFTER_SUFFIXES
        )


class UploadedParts(NamedTuple):
    """The uploaded parts of an upload, as the store lists them."""

    parts: list[Part]  # by number
    newest: float | None  # when the latest arrived, seconds since the epoch; None: unknown


class UploadListing:
    """The incomplete uploads of one bucket, as the store lists them."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._ahead: float | None = None  # seconds by which the store's clock is ahead of ours

    def store_time(self) -> float:
        """The store's time, in seconds since the epoch, for computing ages of what it holds.

        From the latest answer to a listing; before there is one, from the signer.
        """
        ahead = self._bucket.signer.offset if self._ahead is None else self._ahead
        return time.time() + ahead

    async def list_uploads(self, prefix: str = "") -> AsyncGenerator[Upload, None]:
        """Yield every incomplete upload whose key begins with ``prefix``, fetched by the page.

        S3 sorts them by key, then by age; other stores do not. Uploads created or ended meanwhile
        may be included or not. Raises ``ListingError`` where the list cannot be trusted.
        """
        async with aclosing(self._upload_pages(prefix)) as pages:
            async for page in pages:
                for upload in page.uploads:
                    yield upload

    async def list_key(self, key: str) -> AsyncGenerator[Upload, None]:
        """Yield every incomplete upload of exactly ``key``, fetched by the page.

        Stops once no other can follow, however many keys begin with this one. Raises
        ``ListingError`` where the list cannot be trusted.
        """
        order = UploadOrder(key)
        async with aclosing(self._upload_pages(key)) as pages:
            async for page in pages:
                for upload in page.uploads:
                    if upload.key == key:
                        yield upload
                if order.advance(page.uploads):
                    return

    async def is_listed(self, upload: Upload) -> bool:
        """Whether the store lists an upload that it reported as missing.

        Raises the errors of ``list_key``.
        """
        async with aclosing(self.list_key(upload.key)) as listed:
            async for each in listed:
                if each.id == upload.id:
                    return True
        return False

    async def list_parts(self, key: str, upload_id: str) -> AsyncGenerator[Part, None]:
        """Yield every uploaded part of an upload, by number, fetched by the page.

        Raises ``ListingError`` where the list cannot be trusted.
        """
        async with aclosing(self._part_pages(key, upload_id)) as pages:
            async for page in pages:
                for part in page.parts:
                    yield part

    async def fetch_parts(self, key: str, upload_id: str) -> UploadedParts:
        """Return every uploaded part of an upload, and when the newest arrived.

        Raises ``ListingError`` where the list cannot be trusted.
        """
        pages = [page async for page in self._part_pages(key, upload_id)]
        parts = [part for page in pages for part in page.parts]
        return UploadedParts(parts, latest(page.newest for page in pages))

    async def _upload_pages(self, prefix: str) -> AsyncGenerator[UploadPage, None]:
        marker: tuple[str, str] | None = ("", "")
        guard = PageLoopGuard("list of uploads")
        while marker is not None:
            page = await self._upload_page(prefix, marker)
            marker = page.marker
            guard.follow(marker, page.uploads[0] if page.uploads else None)
            # Filtered here too, since stores interpret prefixes differently.
            yield UploadPage([each for each in page.uploads if each.key.startswith(prefix)], marker)

    async def _part_pages(self, key: str, upload_id: str) -> AsyncGenerator[PartPage, None]:
        marker: int | None = 0
        last = 0
        guard = PageLoopGuard("list of parts")
        while marker is not None:
            page = await self._part_page(key, upload_id, marker)
            marker = page.marker
            guard.follow(marker, page.parts[0].number if page.parts else None)
            last = _check_ascending(page, last)
            yield page

    async def _upload_page(self, prefix: str, marker: tuple[str, str]) -> UploadPage:
        after = {"prefix": prefix, "key-marker": marker[0], "upload-id-marker": marker[1]}
        parameters = {name: value for name, value in after.items() if value}
        try:
            return await self._uploads_in(parameters)
        except StoreError as error:
            if error.status != 500:
                raise
            # OpenStack Swift fails on keys that XML cannot contain.
            return await self._uploads_in(parameters, encoded=True)

    async def _uploads_in(self, parameters: dict[str, str], *, encoded: bool = False) -> UploadPage:
        """Fetch one page, with encoded keys once they turn out to be invalid in XML."""

        def fetch() -> Awaitable[bytes]:
            encoding = {"encoding-type": "url"} if encoded else {}
            return self._page("", {"uploads": "", **encoding, **parameters})

        def parse(body: bytes) -> UploadPage:
            nonlocal encoded
            try:
                return parse_uploads(body, encoded=encoded)
            except InvalidCharacters:
                encoded = True
                raise

        return await fetch_valid(fetch, parse)

    async def _part_page(self, key: str, upload_id: str, marker: int) -> PartPage:
        after = {"part-number-marker": str(marker)} if marker else {}
        parameters = {"uploadId": upload_id, **after}
        return await fetch_valid(lambda: self._page(key, parameters), parse_parts)

    async def _page(self, key: str, parameters: dict[str, str]) -> bytes:
        path, query = self._bucket.endpoint.path(key), query_string(parameters)
        answer = await self._bucket.call(Call("GET", path, query))
        now = epoch_seconds(answer.response.header(b"date"))
        self._ahead = self._ahead if now is None else now - time.time()
        return answer.response.body


def _check_ascending(page: PartPage, last: int) -> int:
    """The number of the page's last part. Raises ``ListingError`` unless numbers ascend."""
    for part in page.parts:
        if part.number <= last:
            raise ListingError("the store's list of parts is out of order, or repeats")
        if part.number > MOST_NUMBER:
            raise ListingError(f"the store's list of parts has a part {part.number}")
        last = part.number
    return last
