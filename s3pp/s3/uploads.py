"""Multipart uploads: creating, completing, aborting and listing them, and sending parts.

::

    create ──▶ upload id ──▶ send, copy ──▶ complete ──▶ an object
                   │  ▲         parts
                   ▼  └───── unfinished, parts: what a killed run left
                 abort

Every method raises the errors listed in ``client``. If an upload does not exist, it raises a
``StoreError`` for which ``vanished`` is true. From ``complete``, that means that either the upload
was aborted, or an attempt whose answer was lost had completed it (API reference,
"CompleteMultipartUpload"). Only the object shows which; the caller must examine it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping, Sequence
from contextlib import aclosing
from hashlib import sha256
from html import escape
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.answers import Answer, Copied, epoch_seconds, etag_of, xml_text
from s3pp.s3.client import COPY_SPEED, Bucket, Call, Headers
from s3pp.s3.endpoint import copy_source, query_string
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_order import Passage
from s3pp.s3.upload_pages import (
    Checksum,
    Headway,
    Illegible,
    Part,
    PartPage,
    Upload,
    UploadPage,
    honest,
    latest,
    parse_parts,
    parse_uploads,
)
from s3pp.s3.wire import Stream

__all__ = ["Checksum", "Nameless", "Part", "Shown", "Slot", "Upload", "Uploads", "vanished"]

# "Processing of a CompleteMultipartUpload request could take several minutes" (API reference).
COMPLETING = 600  # seconds
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Slot(NamedTuple):
    """The destination of a part."""

    key: str
    upload_id: str
    number: int  # from 1 to 10,000


class Shown(NamedTuple):
    """The uploaded parts of an upload, as the store lists them."""

    parts: list[Part]  # by number
    newest: float | None  # when the latest arrived, seconds since the epoch; None: unknown


class Nameless(ObjectError):
    """A part was acknowledged without the ETag that completing the upload requires."""

    def __init__(self, slot: Slot) -> None:
        message = f"the store acknowledged part {slot.number} without an ETag"
        super().__init__(FailureKind.INTEGRITY, message)


def vanished(error: StoreError) -> bool:
    """Whether the upload does not exist: it was aborted or completed.

    Not for copies of parts, where the missing key may be the source's. The code is decisive, not
    the status 404: a completion can fail after a status of 200. Ceph answers ListParts with
    ``NoSuchKey``, and so does Swift an abort after completion.
    """
    return error.code in ("NoSuchUpload", "NoSuchKey")


class Uploads:
    """The multipart uploads of one bucket."""

    def __init__(self, bucket: Bucket, *, own: Iterable[str] = ()) -> None:
        """``own``: ids of uploads that this run has created; those created here are added."""
        self.own = set(own)
        self._bucket = bucket
        self._ahead: float | None = None  # seconds by which the store's clock is ahead of ours

    def clock(self) -> float:
        """The store's time, in seconds since the epoch, for computing ages of what it holds.

        From the latest answer to a listing; before there is one, from the signer.
        """
        ahead = self._bucket.signer.offset if self._ahead is None else self._ahead
        return time.time() + ahead

    async def create(self, key: str, *, headers: Headers = ()) -> str:
        """CreateMultipartUpload; return the upload id.

        ``headers`` are those of the object. An attempt whose answer was lost leaves an upload
        without parts behind.
        """
        path = self._bucket.endpoint.path(key)
        answer = await self._bucket.call(Call("POST", path, "uploads=", headers, b""))
        upload_id = xml_text(answer.response.body, "UploadId")
        if not upload_id:
            raise StoreError(500, "IncompleteAnswer", "the store began an upload without an id")
        self.own.add(upload_id)
        return upload_id

    async def send(
        self, slot: Slot, *, body: bytes | Stream, headers: Headers, payload_hash: str
    ) -> Answer:
        """UploadPart. ``headers`` may include the part's checksum, which the store verifies.

        Also raises ``Nameless``.
        """
        path, query = self._bucket.endpoint.path(slot.key), _query(slot)
        answer = await self._bucket.call(Call("PUT", path, query, headers, body, payload_hash))
        if not answer.etag:
            raise Nameless(slot)
        return answer

    async def copy(
        self, slot: Slot, source: tuple[str, str], *, headers: Headers, size: int
    ) -> Copied:
        """UploadPartCopy from ``source`` (bucket and key); ``headers`` name range and pin.

        ``size``, in bytes, is the part's, and determines how long the store may take. A 200 that
        contains an error is not a success. Also raises ``Nameless``.
        """
        named = ("x-amz-copy-source", copy_source(*source))
        path, late = self._bucket.endpoint.path(slot.key), size // COPY_SPEED
        call = Call("PUT", path, _query(slot), [named, *headers], b"", late=late)
        copied = _with_etag(await self._bucket.call(call))
        if not copied.etag:
            raise Nameless(slot)
        return copied

    async def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[tuple[int, str]],
        *,
        headers: Headers = (),
        checksums: Mapping[int, Checksum] | None = None,
    ) -> Copied:
        """CompleteMultipartUpload with ``parts``: numbers and ETags, in any order.

        ``headers`` may include a condition, the object's checksum or its size. ``checksums``, by
        part number, are required for uploads created with a composite checksum. A 200 that contains
        an error is not a success, and transient errors are retried. See the module docstring for an
        upload that has vanished. A final 409 ``ConditionalRequestConflict`` means that the upload
        is spent: all its parts must be sent again, to a new one.
        """
        body = _manifest(parts, checksums or {})
        path, query = self._bucket.endpoint.path(key), query_string({"uploadId": upload_id})
        payload_hash = sha256(body).hexdigest()
        call = Call("POST", path, query, headers, body, payload_hash, late=COMPLETING)
        return _with_etag(await self._bucket.call(call))

    async def abort(self, key: str, upload_id: str) -> bool:
        """AbortMultipartUpload; False if it was already aborted or completed.

        Parts in flight may still arrive afterwards: then it must be aborted again.
        """
        path, query = self._bucket.endpoint.path(key), query_string({"uploadId": upload_id})
        try:
            await self._bucket.call(Call("DELETE", path, query))
        except StoreError as error:
            if vanished(error):
                return False
            raise
        return True

    async def unfinished(self, prefix: str = "") -> AsyncGenerator[Upload, None]:
        """Yield every incomplete upload whose key begins with ``prefix``, fetched by the page.

        S3 sorts them by key, then by age; other stores do not. Uploads created or ended meanwhile
        may be included or not. Raises ``ListingError`` where the list cannot be trusted.
        """
        async with aclosing(self._upload_pages(prefix)) as pages:
            async for page in pages:
                for upload in page.uploads:
                    yield upload

    async def of(self, key: str) -> AsyncGenerator[Upload, None]:
        """Yield every incomplete upload of exactly ``key``, fetched by the page.

        Stops once no other can follow, however many keys begin with this one. Raises
        ``ListingError`` where the list cannot be trusted.
        """
        passage = Passage(key)
        async with aclosing(self._upload_pages(key)) as pages:
            async for page in pages:
                for upload in page.uploads:
                    if upload.key == key:
                        yield upload
                if passage.past(page.uploads):
                    return

    async def lists(self, upload: Upload) -> bool:
        """Whether the store lists an upload that it reported as missing.

        Raises the errors of ``of``.
        """
        async with aclosing(self.of(upload.key)) as found:
            async for each in found:
                if each.id == upload.id:
                    return True
        return False

    async def parts(self, key: str, upload_id: str) -> AsyncGenerator[Part, None]:
        """Yield every uploaded part of an upload, by number, fetched by the page.

        Raises ``ListingError`` where the list cannot be trusted.
        """
        async with aclosing(self._part_pages(key, upload_id)) as pages:
            async for page in pages:
                for part in page.parts:
                    yield part

    async def shown(self, key: str, upload_id: str) -> Shown:
        """Return every uploaded part of an upload, and when the newest arrived.

        Raises ``ListingError`` where the list cannot be trusted.
        """
        pages = [page async for page in self._part_pages(key, upload_id)]
        parts = [part for page in pages for part in page.parts]
        return Shown(parts, latest(page.newest for page in pages))

    async def _upload_pages(self, prefix: str) -> AsyncGenerator[UploadPage, None]:
        marker: tuple[str, str] | None = ("", "")
        headway = Headway("uploads")
        while marker is not None:
            page = await self._upload_page(prefix, marker)
            headway.follow(page)
            marker = page.marker
            # Filtered here too, since stores interpret prefixes differently.
            yield UploadPage([each for each in page.uploads if each.key.startswith(prefix)], marker)

    async def _part_pages(self, key: str, upload_id: str) -> AsyncGenerator[PartPage, None]:
        marker: int | None = 0
        last = 0
        headway = Headway("parts")
        while marker is not None:
            page = await self._part_page(key, upload_id, marker)
            headway.follow(page)
            last = _ascending(page, last)
            yield page
            marker = page.marker

    async def _upload_page(self, prefix: str, marker: tuple[str, str]) -> UploadPage:
        asked = {"prefix": prefix, "key-marker": marker[0], "upload-id-marker": marker[1]}
        given = {name: value for name, value in asked.items() if value}
        try:
            return await self._uploads_in(given)
        except StoreError as error:
            if error.status != 500:
                raise
            # OpenStack Swift fails on keys that XML cannot contain.
            return await self._uploads_in(given, encoded=True)

    async def _uploads_in(self, given: dict[str, str], *, encoded: bool = False) -> UploadPage:
        """Fetch one page, with encoded keys once they turn out to be invalid in XML."""

        def fetch() -> Awaitable[bytes]:
            encoding = {"encoding-type": "url"} if encoded else {}
            return self._page("", query_string({"uploads": "", **encoding, **given}))

        def parse(body: bytes) -> UploadPage:
            nonlocal encoded
            try:
                return parse_uploads(body, encoded=encoded)
            except Illegible:
                encoded = True
                raise

        return await honest(fetch, parse)

    async def _part_page(self, key: str, upload_id: str, marker: int) -> PartPage:
        begin = {"part-number-marker": str(marker)} if marker else {}
        query = query_string({"uploadId": upload_id, **begin})
        return await honest(lambda: self._page(key, query), parse_parts)

    async def _page(self, key: str, query: str) -> bytes:
        answer = await self._bucket.call(Call("GET", self._bucket.endpoint.path(key), query))
        now = epoch_seconds(answer.response.header(b"date"))
        self._ahead = self._ahead if now is None else now - time.time()
        return answer.response.body


def _ascending(page: PartPage, last: int) -> int:
    """The number of the page's last part. Raises ``ListingError`` unless numbers ascend."""
    for part in page.parts:
        if part.number <= last:
            raise ListingError("the store's list of parts is out of order, or repeats")
        last = part.number
    return last


def _query(slot: Slot) -> str:
    return query_string({"partNumber": str(slot.number), "uploadId": slot.upload_id})


def _with_etag(answer: Answer) -> Copied:
    return Copied(etag_of(xml_text(answer.response.body, "ETag")), answer)


def _manifest(parts: Sequence[tuple[int, str]], checksums: Mapping[int, Checksum]) -> bytes:
    """The request body of CompleteMultipartUpload, with the parts in ascending order."""
    told = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{_text(etag)}&quot;</ETag>"
        f"{_checksum_element(checksums.get(number))}</Part>"
        for number, etag in sorted(parts)
    )
    root = "CompleteMultipartUpload"
    return f'<{root} xmlns="{_NAMESPACE}">{told}</{root}>'.encode()


def _checksum_element(checksum: Checksum | None) -> str:
    if checksum is None:
        return ""
    name = f"Checksum{checksum[0].upper()}"
    return f"<{name}>{_text(checksum[1])}</{name}>"


def _text(value: str) -> str:
    return escape(value, quote=False)
