"""Multipart uploads: the layout of their parts, and the operations on them.

::

    create ──▶ upload id ──▶ send, copy ──▶ complete ──▶ an object
                   │  ▲         parts
                   ▼  └───── list_uploads, list_parts: what a killed run left
                 abort

Every method raises the errors listed in ``client``. If an upload does not exist, it raises a
``StoreError`` for which ``is_upload_missing`` is true. From ``complete``, that means that either
the upload was aborted, or an attempt whose answer was lost had completed it (API reference,
"CompleteMultipartUpload"). Only the object shows which; the caller must examine it.

All parts of an object have the same size, except for a shorter last one; only copies of objects
uploaded differently deviate from this. An empty object has one empty part: an upload without parts
cannot be completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import EQUAL_PARTS, MAX_OBJECT, MAX_PART, MAX_PARTS, MIB, MIN_PART
from s3pp.records import Span
from s3pp.s3.answers import Answer, Copied, etag_of, xml_text
from s3pp.s3.client import COPY_SPEED, Bucket, Call, Headers
from s3pp.s3.endpoint import copy_source, query_string
from s3pp.s3.exchange import Stream
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Checksum, UploadListing

# "Processing of a CompleteMultipartUpload request could take several minutes" (API reference).
COMPLETING = 600  # seconds
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def part_size(size: int, wanted: int) -> int:
    """Choose the part size, in bytes, for an object of ``size`` bytes.

    This is ``wanted``, clamped to the limits of S3, or the smallest number of whole MiB that is
    enough where ``MAX_PARTS`` of it are not. Raises ``ObjectError`` for more than ``MAX_OBJECT``.
    """
    if fault := size_fault(size):
        raise ObjectError(FailureKind.TOO_LARGE, fault)
    allowed = min(max(wanted, MIN_PART), MAX_PART)
    if count_of(size, allowed) <= MAX_PARTS:
        return allowed
    return rounded_up(size, MAX_PARTS * MIB) // MAX_PARTS


def growing_part_size(number: int, first: int) -> int:
    """The size of part ``number``, in bytes, of an object whose size is not known.

    ``first`` is that of the first parts: see ``EQUAL_PARTS``. Raises ``ObjectError`` for more than
    ``MAX_PARTS``.
    """
    if number > MAX_PARTS:
        message = f"more than {MAX_PARTS} parts are needed: raise --part-size"
        raise ObjectError(FailureKind.TOO_LARGE, message)
    return min(first << (number - 1) // EQUAL_PARTS, MAX_PART)


def size_fault(size: int) -> str | None:
    """Why a body of ``size`` bytes cannot be stored, and what to do; None when it can."""
    if size <= MAX_OBJECT:
        return None
    most = f"{MAX_OBJECT // 10**12} TB"
    return f"{size} bytes is more than an object holds ({most}): split it"


def count_of(size: int, each: int) -> int:
    """The number of parts of ``each`` bytes in an object of ``size`` bytes: at least one."""
    return max(1, -(-size // each))


def rounded_up(size: int, step: int) -> int:
    """The smallest multiple of ``step`` that is not less than ``size``."""
    return -(-size // step) * step


class Spans:
    """The parts of an object of ``size`` bytes, ``part_size`` each; computed on demand.

    No limits are enforced: the function ``part_size`` does so, and a copy may have to follow a
    source whose store has other limits.
    """

    equal = True  # all but the last are equally long

    def __init__(self, size: int, part_size: int) -> None:
        self.size = size
        self.part_size = part_size
        self.count = count_of(size, part_size)

    def span(self, number: int) -> Span:
        """Return part ``number``, counted from 1. Raises ``IndexError`` if there is none."""
        if not 1 <= number <= self.count:
            raise IndexError(f"part {number} of {self.count}")
        offset = (number - 1) * self.part_size
        return Span(number, offset, min(self.part_size, self.size - offset))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Span]:
        return map(self.span, range(1, self.count + 1))


class UnequalSpans(Spans):
    """The parts of an object, given their sizes; ``part_size`` is the largest."""

    equal = False

    def __init__(self, sizes: Sequence[int]) -> None:
        """``sizes``, in bytes and in order: at least one."""
        super().__init__(sum(sizes), max(sizes))
        self.count = len(sizes)
        self._spans = [
            Span(number, end - size, size)
            for number, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True), 1)
        ]

    def span(self, number: int) -> Span:
        """As ``Spans.span``."""
        if not 1 <= number <= self.count:
            raise IndexError(f"part {number} of {self.count}")
        return self._spans[number - 1]


def are_part_sizes_valid(sizes: Sequence[int]) -> bool:
    """Whether S3 accepts an upload in parts of these sizes, in bytes; no part may be empty."""
    shortest = min(sizes[:-1], default=MIN_PART)
    return shortest >= MIN_PART and sizes[-1] > 0 and max(sizes) <= MAX_PART


class NewUpload(NamedTuple):
    """An upload that has been created."""

    id: str
    checksum: str = ""  # the algorithm that the store says it keeps, in lower case
    type: str = ""  # of that: FULL_OBJECT or COMPOSITE, or not known

    def keeps(self, checksum: str) -> bool:
        """Return whether the object will have a checksum of this name, of all its bytes."""
        return self.checksum == checksum and self.type in ("", "FULL_OBJECT")


class PartTarget(NamedTuple):
    """The destination of a part."""

    key: str
    upload_id: str
    number: int  # from 1 to 10,000


class PartWithoutETag(ObjectError):
    """A part was acknowledged without the ETag that completing the upload requires."""

    def __init__(self, slot: PartTarget) -> None:
        message = f"the store acknowledged part {slot.number} without an ETag"
        super().__init__(FailureKind.INTEGRITY, message)


def is_upload_missing(error: StoreError) -> bool:
    """Whether the upload does not exist: it was aborted or completed.

    Not for copies of parts, where the missing key may be the source's. The code is decisive, not
    the status 404: a completion can fail after a status of 200. Ceph answers ListParts with
    ``NoSuchKey``, and so does Swift an abort after completion.
    """
    return error.code in ("NoSuchUpload", "NoSuchKey")


class Uploads(UploadListing):
    """The multipart uploads of one bucket."""

    def __init__(self, bucket: Bucket, *, own: Iterable[str] = ()) -> None:
        """``own``: ids of uploads that this run has created; those created here are added."""
        super().__init__(bucket)
        self.own = set(own)

    async def create(self, key: str, *, headers: Headers = ()) -> NewUpload:
        """CreateMultipartUpload.

        ``headers`` are those of the object. An attempt whose answer was lost leaves an upload
        without parts behind.
        """
        path = self._bucket.endpoint.path(key)
        answer = await self._bucket.call(Call("POST", path, "uploads=", headers, b""))
        upload_id = xml_text(answer.response.body, "UploadId")
        if not upload_id:
            raise StoreError(500, "IncompleteAnswer", "the store created an upload without an id")
        self.own.add(upload_id)
        name = answer.response.header(b"x-amz-checksum-algorithm") or ""
        kind = answer.response.header(b"x-amz-checksum-type") or ""
        return NewUpload(upload_id, name.lower(), kind.upper())

    async def send(
        self, slot: PartTarget, *, body: bytes | Stream, headers: Headers, payload_hash: str
    ) -> Answer:
        """UploadPart. ``headers`` may include the part's checksum, which the store verifies.

        Also raises ``PartWithoutETag``.
        """
        path, query = self._bucket.endpoint.path(slot.key), _query(slot)
        answer = await self._bucket.call(Call("PUT", path, query, headers, body, payload_hash))
        if not answer.etag:
            raise PartWithoutETag(slot)
        return answer

    async def copy(
        self, slot: PartTarget, source: tuple[str, str], *, headers: Headers, size: int
    ) -> Copied:
        """UploadPartCopy from ``source`` (bucket and key); ``headers`` name range and pin.

        ``size``, in bytes, is the part's, and determines how long the store may take. A 200 that
        contains an error is not a success. Also raises ``PartWithoutETag``.
        """
        named = ("x-amz-copy-source", copy_source(*source))
        path, late = self._bucket.endpoint.path(slot.key), size // COPY_SPEED
        call = Call("PUT", path, _query(slot), [named, *headers], b"", late=late)
        copied = _with_etag(await self._bucket.call(call))
        if not copied.etag:
            raise PartWithoutETag(slot)
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
        upload that is missing. A final 409 ``ConditionalRequestConflict`` means that the upload
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
            if is_upload_missing(error):
                return False
            raise
        return True


def _query(slot: PartTarget) -> str:
    return query_string({"partNumber": str(slot.number), "uploadId": slot.upload_id})


def _with_etag(answer: Answer) -> Copied:
    return Copied(etag_of(xml_text(answer.response.body, "ETag")), answer)


def _manifest(parts: Sequence[tuple[int, str]], checksums: Mapping[int, Checksum]) -> bytes:
    """The request body of CompleteMultipartUpload, with the parts in ascending order."""
    elements = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{_text(etag)}&quot;</ETag>"
        f"{_checksum_element(checksums.get(number))}</Part>"
        for number, etag in sorted(parts)
    )
    root = "CompleteMultipartUpload"
    return f'<{root} xmlns="{_NAMESPACE}">{elements}</{root}>'.encode()


def _checksum_element(checksum: Checksum | None) -> str:
    if checksum is None:
        return ""
    name = f"Checksum{checksum[0].upper()}"
    return f"<{name}>{_text(checksum[1])}</{name}>"


def _text(value: str) -> str:
    from html import escape

    return escape(value, quote=False)
