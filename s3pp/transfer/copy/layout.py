"""Whether an object is copied in parts, and where they lie: where the source's do, if they can.

::

    HEAD ─▶ its ETag is that of N parts ─▶ HEAD of part 1 ─▶ N parts of that size ─▶ Cut
         │                   these cannot be N: HEAD of all ◀┤ ─▶ N parts as told ──▶ Cut
         │                                                   └▶ not told, streamed:
         │                                                      the likeliest size ─▶ Cut
         └▶ up to 5 GiB, and the store copies it ──────────────────────────────────▶ None
         └▶ up to the threshold, or up to 5 GiB and its ETag the MD5 of all bytes ─▶ None
         └▶ else: parts as long as this run's ─────────────────────────────────────▶ Cut

So what was sent in one piece stays in one piece, and what was sent in parts stays in these: mode
``update`` knows the copy again by its ETag alone, and that ETag proves that it is the source.

Whatever is taken is proved by the ETag that it makes: see ``in_parts``. If that is another, and the
first part told the size, the others are asked for theirs; where it was guessed the bytes are
fetched once more, and tell which of the other likely sizes it was.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.etag import proves_content
from s3pp.integrity.multipart_etag import likely_sizes, part_count, plausible
from s3pp.integrity.stored_object import ASK_CHECKSUM, StoredObject, if_told, stored_checksum
from s3pp.job import Job
from s3pp.limits import MAX_PART, MAX_SINGLE_PUT, MIN_PART
from s3pp.records import Dest
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Spans, UnequalSpans, are_part_sizes_valid, part_size
from s3pp.s3.retry import StoreError
from s3pp.s3.wire import Response
from s3pp.transfer.copy.course import Course, Stale, Target
from s3pp.transfer.refused import source_fault, vanished

_LEARNED = 3  # part sizes found on other objects that are tried first
_OTHER = "the source is another by now"
_UNPINNED = "the store tells no ETag, by which its parts could be pinned"


class Basis(Enum):
    """What says that the parts of a copy lie as its source's do."""

    NOTHING = "they are ours"
    GUESS = "they are of the likeliest size"
    FIRST_PART = "the first one is of this size"
    ALL = "each is of this size, or they make the source's ETag"


class Cut(NamedTuple):
    """A source, as a HEAD told of it, and the parts it is copied in."""

    seen: Response
    spans: Spans
    basis: Basis
    stored: tuple[str, str] = ("", "")  # a CRC that is kept of the whole: name, and base64
    likely: tuple[int, ...] = ()  # of a guess: all part sizes that it can be, in bytes


class Layouts:
    """Learns, for one run, how the objects of a bucket are to be cut."""

    def __init__(self, job: Job, buckets: tuple[Bucket, Bucket]) -> None:
        """``buckets``: the source, and the destination."""
        self._source, dest = buckets
        self._parts = job.parts
        endpoints = (self._source.endpoint, dest.endpoint)
        self._partless = [False, False]  # by the store, and through this machine
        self._learned: tuple[int, ...] = ()  # part sizes that were guessed, and right
        # Where ETags are no MD5s, or the copy's will be none, there is nothing to keep.
        self._keeps = not (
            any(each.etags_are_random for each in endpoints)
            or (job.objects.sse or "").startswith("aws:kms")
        )

    def give_up(self, *, streamed: bool) -> None:
        """Cut nothing any more that can go whole this way: the store takes no parts."""
        self._partless[streamed] = True

    async def cut(self, course: Course) -> Cut | None:
        """The parts an object is copied in; None: it goes whole.

        Raises ``Stale`` if the source is not the one that is pinned, and ``ObjectError``.
        """
        size, streamed = course.source.size, course.streamed
        may_stay = size <= (self._parts.threshold if streamed else MAX_SINGLE_PUT)
        whole = course.whole or self._partless[streamed]
        if whole and size <= MAX_SINGLE_PUT:
            return None
        parted = self._is_in_parts(course.source)
        if may_stay and not parted:
            return None
        seen = await self._seen(course, [ASK_CHECKSUM] if streamed else ())
        own = await self._kept(course, seen, guess=streamed or not may_stay) if parted else None
        if own:
            return own
        if may_stay or (streamed and self._stays(course, seen)):
            return None
        spans = Spans(course.source.size, part_size(course.source.size, self._parts.size))
        return Cut(seen, spans, Basis.NOTHING, _stored(seen))

    def learn(self, each: int) -> None:
        """Guess ``each`` first from now on: it was the part size, in bytes, of an object here."""
        self._learned = tuple(dict.fromkeys((each, *self._learned)))[:_LEARNED]

    async def own(self, course: Course, cut: Cut) -> Spans | None:
        """The source's own parts as all of them tell; None where they do not.

        Costs a request for each, unless they are known by now.
        """
        if cut.basis is Basis.FIRST_PART:
            return await self._unequal(course, cut.spans.part_size)
        return cut.spans if cut.basis is Basis.ALL else None

    async def check(self, course: Course) -> None:
        """Raise ``Stale`` if the source is not any more what it was, ``ObjectError`` if gone."""
        await self._seen(course, ())

    def _is_in_parts(self, source: Dest) -> bool:
        count = part_count(source.etag)
        # All parts but the last have a least size: where it is not reached, no HEAD is needed.
        return self._keeps and count is not None and source.size > (count - 1) * MIN_PART

    async def _kept(self, course: Course, seen: Response, *, guess: bool) -> Cut | None:
        """The source's own parts, as far as anything tells of them; None: nothing does."""
        source, stored = course.source, _stored(seen)
        digits = source.etag.partition("-")[0]
        if not proves_content(digits, seen, self._source.endpoint):  # where it is encrypted
            return None
        if course.spans:
            return Cut(seen, course.spans, Basis.ALL, stored)
        if told := await self._told(course):
            return Cut(seen, *told, stored)
        likely = likely_sizes(source, self._parts.size, self._learned) if guess else []
        if not likely:
            return None
        return Cut(seen, Spans(source.size, likely[0]), Basis.GUESS, stored, tuple(likely))

    async def _told(self, course: Course) -> tuple[Spans, Basis] | None:
        """The source's own parts as the store tells; None where it does not."""
        source = course.source
        if part_count(source.etag) == 1:
            return Spans(source.size, source.size), Basis.ALL
        each = await if_told(self._stored_object(course).first_part())
        if each is None or not MIN_PART <= each <= MAX_PART:
            return None
        if plausible(source, each):
            spans = Spans(source.size, each)
            return spans, Basis.FIRST_PART if spans.count > 2 else Basis.ALL
        unequal = await self._unequal(course, each)
        return (unequal, Basis.ALL) if unequal else None

    async def _unequal(self, course: Course, first: int) -> Spans | None:
        """The parts as each is told, where S3 allows them: the first has ``first`` bytes."""
        sizes = await if_told(self._stored_object(course).part_sizes(first))
        return UnequalSpans(sizes) if sizes and are_part_sizes_valid(sizes) else None

    def _stored_object(self, course: Course) -> StoredObject:
        return StoredObject(self._source, course.task.source, course.source)

    def _stays(self, course: Course, seen: Response) -> bool:
        """Whether the ETag proves all the bytes, which it can do of the whole only."""
        source = course.source
        proven = proves_content(source.etag, seen, self._source.endpoint)
        return proven and source.size <= MAX_SINGLE_PUT

    async def _seen(self, course: Course, headers: Headers) -> Response:
        """The source, pinned; one whose ETag the listing did not tell is, from now on."""
        key, etag = course.task.source, course.source.etag
        try:
            pin = [("if-match", course.pin)] if course.pin else []
            answer = await self._source.look(key, headers=[*pin, *headers])
        except StoreError as error:
            raise (
                Stale(error, Target.FREE) if error.status == 412 else source_fault(error)
            ) from None
        if answer is None:
            raise vanished()
        if not answer.etag:
            raise ObjectError(FailureKind.REJECTED, _UNPINNED)
        if not etag:
            course.take(Dest(answer.size, answer.etag), course.storage_class)
        elif etag != answer.etag:
            raise Stale(StoreError(412, "PreconditionFailed", _OTHER), Target.FREE)
        course.pin = answer.pin
        return answer.response


def _stored(seen: Response) -> tuple[str, str]:
    name, value = stored_checksum(seen) or ("", "")
    # The CRCs of parts make that of the whole, without the bytes.
    return (name, value) if name and ALGORITHMS[name].is_crc else ("", "")
