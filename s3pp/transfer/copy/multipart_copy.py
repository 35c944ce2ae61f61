"""Multipart copies of large objects: their headers, and the verification of the parts.

The steps of an upload, from creation to completion, are in ``transfer/multipart_upload``. The parts
are verified before the upload is completed, so that no other data gets the target's name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.etag import etag_of_parts
from s3pp.records import Dest, PartDone
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import NewUpload, Spans, Uploads
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Part
from s3pp.transfer.copy.by_store import PartsByStore
from s3pp.transfer.copy.copy_attempt import CannotCopy, CopyAttempt, OtherParts
from s3pp.transfer.copy.part_layout import Basis, PartLayout, PartLayouts
from s3pp.transfer.copy.parts_through import PartsThrough
from s3pp.transfer.multipart_upload import StartAgain
from s3pp.transfer.object_headers import SourceHeaders, matches_copy
from s3pp.transfer.parts import CreateUpload, UploadState, full_checksum
from s3pp.transfer.upload_support import UNSUPPORTED

_NO_SIZE = (
    "the source does not report the part size of some objects, and none of the usual sizes gives "
    "their ETag: their copies have another, and mode update copies them in each run"
)
_NO_MD5S = (
    "the store gives copied parts ETags that are not MD5s: objects of up to 5 GiB are copied "
    "whole; larger ones get another ETag than their source, and mode update copies them in each run"
)
_HIDDEN = (403, *UNSUPPORTED)  # a store that refuses to list parts


CopyWay = PartsByStore | PartsThrough


class CopyResources(NamedTuple):
    """What all multipart copies of a job share."""

    dest: Bucket
    headers: SourceHeaders
    layouts: PartLayouts
    notify: Callable[[str], None]


class ObjectSource:
    """A copy of an object as an ``UploadSource``."""

    spoils: Collection[FailureKind] = (
        FailureKind.INTEGRITY,
        FailureKind.CHANGED,
        FailureKind.NOT_FOUND,
    )

    def __init__(
        self, attempt: CopyAttempt, layout: PartLayout, way: CopyWay, shared: CopyResources
    ) -> None:
        self.key, self.name = attempt.task.target, attempt.task.source
        self.size, self.part_size = attempt.source.size, layout.spans.part_size
        self.is_resumable = way.is_resumable(layout)
        self.is_repeatable = True
        self.written = attempt.written
        self.planned = attempt.task.planned
        self._attempt, self._layout, self._way, self._shared = attempt, layout, way, shared

    async def has_part(self, plan: Spans, there: Part) -> bool:
        sizes = self._layout.likely or (self.part_size,)
        if plan.part_size not in sizes:
            return False
        return await self._way.has_part(self._attempt, plan.span(there.number), there.etag)

    async def create(self, create: CreateUpload) -> NewUpload:
        """As ``UploadSource.create``. Raises ``CannotCopy`` too."""

        def send(*, headers: Headers) -> Awaitable[NewUpload]:
            return create(headers)

        try:
            return await self._shared.headers.send(send, await self._headers())
        except StoreError as error:
            if error.status in UNSUPPORTED and self._attempt.has_another_way:
                why = f"the store does not support multipart uploads ({error.code})"
                raise CannotCopy(why, is_lasting=True) from None
            raise

    async def upload_parts(self, upload: UploadState) -> list[PartDone]:
        """As ``UploadSource.upload_parts``. Raises as ``CopyWay.copy_parts`` does."""
        if upload.is_resumed:  # an earlier run may have found the right part size
            self._layout = self._layout._replace(spans=Spans(self.size, upload.part_size))
        return await self._way.copy_parts(self._attempt, self._layout, upload)

    async def verify_parts(self, upload: UploadState, parts: list[PartDone]) -> None:
        """As ``UploadSource.verify_parts``.

        Raises ``OtherParts`` if the data is the source's, and its ETag that of other parts.
        """
        attempt, layout, layouts = self._attempt, self._layout, self._shared.layouts
        made, etag = etag_of_parts(part.md5 for part in parts), attempt.source.etag
        attempt.ours = Dest(self.size, made or etag)
        if made and made == etag:
            if layout.likely:
                layouts.learn(layout.spans.part_size)
            return
        if not made and layout.basis is not Basis.NONE:
            self._check_md5s(parts)
        own = await layouts.request_own(attempt, layout) if made else None
        if own and [*own] != [*layout.spans]:
            raise OtherParts(own)
        is_proven = layout.likely and made and await self._equals_source(made)
        if not is_proven and not all(part.moved for part in parts):
            raise StartAgain("the existing parts are not the source's")
        await layouts.check_source(attempt)  # a store may ignore the condition on the source
        if own:
            raise _mismatch(f"make the ETag {made}, and the source's is {etag}")
        _check_stored(layout.stored, parts)
        await self._check_sizes(upload.id)

    async def metadata_matches(self) -> bool:
        shared = self._shared
        return await matches_copy(shared.dest, self.key, await self._headers(), shared.notify)

    async def _headers(self) -> Headers:
        key, storage_class = self._attempt.task.source, self._attempt.storage_class
        return await self._shared.headers.fetch(key, self._layout.seen, storage_class)

    def _check_md5s(self, parts: list[PartDone]) -> None:
        """Report ETags of parts that do not have the form of an MD5.

        Raises ``CannotCopy`` for an object that can be copied whole: SeaweedFS then keeps its ETag.
        """
        if etag_of_parts(part.etag for part in parts):
            return
        self._shared.notify(_NO_MD5S)
        if self._attempt.fits_one_request:
            raise CannotCopy(_NO_MD5S, is_lasting=True)

    async def _equals_source(self, made: str) -> bool:
        """Return whether the source, fetched once more, has the ETag that results from the parts.

        False if nothing is fetched. Raises ``OtherParts`` if its data has the source's ETag in
        parts of another size, and ``ObjectError`` if the parts have other data.
        """
        attempt, layout = self._attempt, self._layout
        etags = await self._way.compute_etags(attempt, layout)
        own = next((each for each, etag in etags.items() if etag == attempt.source.etag), None)
        if own not in (None, layout.spans.part_size):
            self._shared.layouts.learn(own)
            raise OtherParts(Spans(self.size, own))
        theirs = etags.get(layout.spans.part_size, made)
        if theirs != made:
            raise _mismatch(f"make the ETag {made}, and the source's bytes {theirs}")
        if etags:
            self._shared.notify(_NO_SIZE)
        return bool(etags)

    async def _check_sizes(self, upload_id: str) -> None:
        """Raise ``ObjectError`` if the store lists parts of other sizes."""
        parts = Uploads(self._shared.dest).list_parts(self.key, upload_id)
        try:
            there = {part.number: part.size async for part in parts}
        except StoreError as error:
            if error.status in _HIDDEN:
                return
            raise
        for span in self._layout.spans if there else ():
            size = there.get(span.number, 0)
            if size != span.size:
                raise _mismatch(f"differ: part {span.number} has {size} bytes, not {span.size}")


def _check_stored(stored: tuple[str, str], parts: list[PartDone]) -> None:
    """Raise ``ObjectError`` if the parts do not have the checksum stored with the source."""
    name, value = stored
    if not name or not all(part.stored for part in parts):
        return
    ours = full_checksum(name, ((part.stored, part.size) for part in parts))
    if ours != value:
        raise _mismatch(f"have the {name} {ours}, and {value} is stored with it")


def _mismatch(how: str) -> ObjectError:
    return ObjectError(FailureKind.INTEGRITY, f"the parts are not the source's: they {how}")
