"""Copies of large objects in parts: their headers, and the verification of the parts.

The steps of an upload, from creation to completion, are in ``transfer/parts/lead``. The parts are
verified before the upload is completed, so that no other data gets the target's name.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import full_object
from s3pp.integrity.etag import is_md5
from s3pp.integrity.multipart_etag import made_of
from s3pp.limits import MAX_SINGLE_PUT
from s3pp.records import Dest, PartDone
from s3pp.s3.answers import etag_of
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Spans, Uploads
from s3pp.s3.retry import StoreError
from s3pp.transfer.copy.carry import likeness
from s3pp.transfer.copy.course import Course, OtherParts, Unable, Written
from s3pp.transfer.copy.labels import Labels
from s3pp.transfer.copy.layout import Basis, Cut, Layouts
from s3pp.transfer.parts import sums
from s3pp.transfer.parts.lead import Again, Lead
from s3pp.transfer.parts.resume import Found
from s3pp.transfer.parts.support import UNSUPPORTED
from s3pp.transfer.put.given import DOUBT, Likeness

_NO_SIZE = (
    "the source does not tell how long the parts of some objects are, and none of the usual sizes "
    "gives their ETag: their copies have another, and mode update copies them in each run"
)
_NO_MD5S = (
    "the store gives the parts that it copies ETags that are no MD5s: objects of up to 5 GiB are "
    "copied whole; larger ones get another ETag than their source, and mode update copies them in "
    "each run"
)
_UNTOLD = (403, *UNSUPPORTED)  # a store that refuses to list parts


class Way(Protocol):
    """A way to transfer the parts of a copy."""

    def resumes(self, cut: Cut) -> bool:
        """Return whether another run can resume an upload of this kind."""

    async def found(self, course: Course, cut: Cut) -> Found | None:
        """Return as ``Load.found``, if ``resumes``. Raises ``Stale`` too."""

    async def etags(self, course: Course, cut: Cut) -> dict[int, str]:
        """Return the source's ETag for each likely part size; empty if its data is not fetched.

        Raises ``Stale``, ``Unfinished`` and ``ObjectError``.
        """

    async def moved(self, course: Course, cut: Cut, begun: Found) -> list[PartDone]:
        """Transfer all parts; returns them by number.

        Raises ``Stale`` if the source changed, ``Unable`` if this way cannot work,
        ``Unfinished`` if the run ends, and ``ObjectError``.
        """


class InParts:
    """A copier of objects in parts by the rules of one job."""

    def __init__(
        self,
        lead: Lead,
        dest: Bucket,
        labels: Labels,
        layouts: Layouts,
        tell: Callable[[str], None],
    ) -> None:
        self._means = _Means(lead.checksum, dest, labels, layouts, tell)
        self._lead = lead
        self._tell = tell

    async def write(self, course: Course, cut: Cut, way: Way) -> Written:
        """Copy one object. Raises ``Taken``, ``OtherParts``, and as ``Way.moved`` does."""
        copy = _Copy(course, cut, way, self._means)
        try:
            led = await self._lead.write(copy)
        finally:
            course.written = copy.written
        if led.resumed:
            self._tell(f"{copy.name}: {led.kept}")
        return Written(led.etag, led.attempts, copy.size - led.moved)

    async def clear(self, key: str) -> None:
        """Abort the uploads by this run of an object that was finally copied whole."""
        if self._lead.own.left(key):
            await self._lead.clear(key)


class _Means(NamedTuple):
    """The resources that all copies of a job share."""

    checksum: str
    dest: Bucket
    labels: Labels
    layouts: Layouts
    tell: Callable[[str], None]


class _Copy:
    """The copy of one object: a ``Load``."""

    spoils: Collection[FailureKind] = (
        FailureKind.INTEGRITY,
        FailureKind.CHANGED,
        FailureKind.NOT_FOUND,
    )

    def __init__(self, course: Course, cut: Cut, way: Way, means: _Means) -> None:
        self.key, self.name, self.size = course.task.target, course.task.source, course.source.size
        self.resumes = way.resumes(cut)
        self.written = course.written
        self._course, self._cut, self._way, self._means = course, cut, way, means
        self._uploads = Uploads(means.dest)

    async def found(self) -> Found | None:
        found = await self._way.found(self._course, self._cut)
        if found:  # an earlier run may have found the right part size
            self._cut = self._cut._replace(spans=Spans(self.size, found.part_size))
        return found

    async def begun(self) -> Found:
        headers = sums.begun_with(self._means.checksum, await self._carried())
        return Found(await self._created(headers), self._cut.spans.part_size, {})

    async def moved(self, begun: Found) -> list[PartDone]:
        return await self._way.moved(self._course, self._cut, begun)

    async def prove(self, begun: Found, parts: list[PartDone]) -> None:
        course, cut, layouts = self._course, self._cut, self._means.layouts
        made, etag = made_of(part.md5 for part in parts), course.source.etag
        course.ours = Dest(self.size, made or etag)
        if made and made == etag:
            if cut.likely:
                layouts.learn(cut.spans.part_size)
            return
        if not made and cut.basis is not Basis.NOTHING:
            self._check_md5s(parts)
        own = await layouts.own(course, cut) if made else None
        if own and [*own] != [*cut.spans]:
            raise OtherParts(own)
        shown = cut.likely and made and await self._shown(made)
        if not shown and not all(part.moved for part in parts):
            raise Again("what was there already is not the source's")
        await layouts.check(course)  # a store may ignore the condition on the source
        if own:
            raise _other(f"make the ETag {made}, and the source's is {etag}")
        _prove_stored(cut.stored, parts)
        await self._check_sizes(begun.upload_id)

    def _check_md5s(self, parts: list[PartDone]) -> None:
        """Report ETags of parts that do not have the form of an MD5.

        Raises ``Unable`` for an object that can be copied whole: SeaweedFS then keeps its ETag.
        """
        if all(is_md5(etag_of(part.etag)) for part in parts):
            return
        self._means.tell(_NO_MD5S)
        if self.size <= MAX_SINGLE_PUT:
            raise Unable(_NO_MD5S, lasting=True)

    async def _shown(self, made: str) -> bool:
        """Return whether the source, fetched once more, has the ETag that results from the parts.

        False if nothing is fetched. Raises ``OtherParts`` if its data has the source's ETag in
        parts of another size, and ``ObjectError`` if the parts have other data.
        """
        course, cut = self._course, self._cut
        etags = await self._way.etags(course, cut)
        own = next((each for each, etag in etags.items() if etag == course.source.etag), None)
        if own not in (None, cut.spans.part_size):
            self._means.layouts.learn(own)
            raise OtherParts(Spans(self.size, own))
        theirs = etags.get(cut.spans.part_size, made)
        if theirs != made:
            raise _other(f"make the ETag {made}, and the source's bytes {theirs}")
        if etags:
            self._means.tell(_NO_SIZE)
        return bool(etags)

    async def labelled(self) -> bool:
        dest = self._means.dest
        try:
            answer = await dest.look(self.key)
        except StoreError as error:
            if error.status != 403:
                raise
            return True  # a HEAD is not permitted
        if answer is None:
            return True
        like = likeness(answer.response, await self._carried(), dest.endpoint)
        if like is Likeness.UNTOLD:
            self._means.tell(DOUBT)
        return like is not Likeness.OTHER

    async def _carried(self) -> Headers:
        return await self._means.labels.of(self._course, self._cut.seen)

    async def _created(self, headers: Headers) -> str:
        try:
            return await self._means.labels.lightening.send(
                lambda headers: self._uploads.create(self.key, headers=headers), headers
            )
        except StoreError as error:
            if error.status in UNSUPPORTED and self._course.has_another_way:
                why = f"the store takes nothing in parts ({error.code})"
                raise Unable(why, lasting=True) from None
            raise

    async def _check_sizes(self, upload_id: str) -> None:
        there = await self._sizes(upload_id)
        for span in self._cut.spans if there else ():
            size = there.get(span.number, 0)
            if size != span.size:
                raise _other(f"differ: part {span.number} has {size} bytes, not {span.size}")

    async def _sizes(self, upload_id: str) -> dict[int, int]:
        try:
            return {
                part.number: part.size
                async for part in self._uploads.list_parts(self.key, upload_id)
            }
        except StoreError as error:
            if error.status in _UNTOLD:
                return {}
            raise


def _prove_stored(stored: tuple[str, str], parts: list[PartDone]) -> None:
    name, value = stored
    if not name or not all(part.stored for part in parts):
        return
    ours = full_object(name, ((b64decode(part.stored), part.size) for part in parts))
    if ours != value:
        raise _other(f"have the {name} {ours}, and {value} is stored with it")


def _other(how: str) -> ObjectError:
    return ObjectError(FailureKind.INTEGRITY, f"the parts are not the source's: they {how}")
