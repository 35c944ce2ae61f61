"""Whether an object is copied in parts, and in which: in the source's own, if they can be known.

::

    HEAD ─▶ its ETag is that of N parts ─▶ HEAD of part 1 ─▶ N parts of that size ─▶ PartLayout
         │                   these cannot be N: HEAD of all ◀┤ ─▶ N parts as reported ▶ PartLayout
         │                                                   └▶ not reported, streamed:
         │                                                      the likeliest size ─▶ PartLayout
         └▶ up to 5 GiB, and the store copies it ──────────────────────────────────▶ None
         └▶ up to the threshold, or up to 5 GiB and its ETag the MD5 of all bytes ─▶ None
         └▶ else: parts of this run's size ────────────────────────────────────────▶ PartLayout

So an object that was sent in one piece is copied in one piece, and one that was sent in parts is
copied in the same parts: mode ``update`` recognizes the copy by its ETag alone, and that ETag
proves that it is the source.

Every layout is proved by the ETag that results: see ``multipart_copy``. If that is another, and the
first part showed the size, all parts are requested; if the size was guessed, the source is fetched
once more, which shows which of the other likely sizes it was.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.etag import is_plausible_part_size, likely_sizes, part_count, proves_content
from s3pp.integrity.stored_object import StoredObject, or_unknown, stored_checksum
from s3pp.job import Job
from s3pp.limits import MAX_PART, MAX_SINGLE_PUT, MIN_PART
from s3pp.records import Dest
from s3pp.s3.client import ASK_CHECKSUM, Bucket
from s3pp.s3.exchange import Response
from s3pp.s3.multipart import Spans, UnequalSpans, are_part_sizes_valid, part_size
from s3pp.transfer.copy.copy_attempt import CopyAttempt

_LEARNED = 3  # part sizes found on other objects that are tried first


class Basis(Enum):
    """Why the parts of a copy should be those of its source."""

    NONE = "they are of this run's size"
    GUESS = "they are of the likeliest size"
    FIRST_PART = "the first one is of this size"
    ALL = "each is of this size, or they make the source's ETag"


class PartLayout(NamedTuple):
    """A source, as a HEAD describes it, and the parts it is copied in."""

    seen: Response
    spans: Spans
    basis: Basis
    stored: tuple[str, str] = ("", "")  # a CRC that is stored of the whole: name, and base64
    likely: tuple[int, ...] = ()  # of a guess: all part sizes that it can be, in bytes


class PartLayouts:
    """Chooses, for one run, the parts of objects of a bucket, and learns from each."""

    def __init__(self, job: Job, source: Bucket, dest: Bucket) -> None:
        self._source = source
        self._parts = job.parts
        self._gave_up = [False, False]  # copying in parts, by the store and through this machine
        self._learned: tuple[int, ...] = ()  # part sizes that were guessed, and right
        # Where ETags are no MD5s, or the copy's will be none, there is nothing to keep.
        self._keeps = not (
            any(each.endpoint.etags_are_random for each in (source, dest))
            or (job.objects.sse or "").startswith("aws:kms")
        )

    def give_up(self, *, streamed: bool) -> None:
        """Copy nothing more in parts that can be copied whole: the store takes no parts."""
        self._gave_up[streamed] = True

    async def choose(self, attempt: CopyAttempt) -> PartLayout | None:
        """Return the parts an object is copied in; None: it is copied whole.

        Raises ``SourceChanged`` if the source is not the pinned one, and ``ObjectError``.
        """
        size, streamed = attempt.source.size, attempt.streamed
        may_be_whole = size <= (self._parts.threshold if streamed else MAX_SINGLE_PUT)
        if (attempt.whole or self._gave_up[streamed]) and attempt.fits_one_request:
            return None
        is_parted = "-" in attempt.source.etag and self._is_in_parts(attempt.source)
        if may_be_whole and not is_parted:
            return None
        headers = [ASK_CHECKSUM] if streamed else ()
        seen = (await attempt.look_pinned(self._source, headers)).response
        if is_parted:
            may_guess = streamed or not may_be_whole
            if own := await self._find_own(attempt, seen, may_guess=may_guess):
                return own
        if may_be_whole or (streamed and self._etag_proves_whole(attempt, seen)):
            return None
        spans = Spans(attempt.source.size, part_size(attempt.source.size, self._parts.size))
        return PartLayout(seen, spans, Basis.NONE, _stored(seen))

    def learn(self, each: int) -> None:
        """Guess ``each`` first from now on: it was the part size, in bytes, of an object here."""
        self._learned = tuple(dict.fromkeys((each, *self._learned)))[:_LEARNED]

    async def request_own(self, attempt: CopyAttempt, layout: PartLayout) -> Spans | None:
        """Return the source's own parts as all of them show; None if the store does not show them.

        Costs a request for each, unless they are already known.
        """
        if layout.basis is Basis.FIRST_PART:
            return await self._request_all(attempt, layout.spans.part_size)
        return layout.spans if layout.basis is Basis.ALL else None

    async def check_source(self, attempt: CopyAttempt) -> None:
        """Raise ``SourceChanged`` if the source has changed, ``ObjectError`` if it is gone."""
        await attempt.look_pinned(self._source)

    def _is_in_parts(self, source: Dest) -> bool:
        count = part_count(source.etag)
        # All parts but the last have a minimum size: below that, no HEAD is needed.
        return self._keeps and count is not None and source.size > (count - 1) * MIN_PART

    async def _find_own(
        self, attempt: CopyAttempt, seen: Response, *, may_guess: bool
    ) -> PartLayout | None:
        """Return the source's own parts, or a guess at them; None if nothing shows them."""
        source, stored = attempt.source, _stored(seen)
        digits = source.etag.partition("-")[0]
        if not proves_content(digits, seen, self._source.endpoint):  # where it is encrypted
            return None
        if attempt.spans:
            return PartLayout(seen, attempt.spans, Basis.ALL, stored)
        if found := await self._request_first(attempt):
            return PartLayout(seen, *found, stored)
        likely = likely_sizes(source, self._parts.size, self._learned) if may_guess else []
        if not likely:
            return None
        return PartLayout(seen, Spans(source.size, likely[0]), Basis.GUESS, stored, tuple(likely))

    async def _request_first(self, attempt: CopyAttempt) -> tuple[Spans, Basis] | None:
        """Return the source's own parts as its first one shows; None if the store does not."""
        source = attempt.source
        if part_count(source.etag) == 1:
            return Spans(source.size, source.size), Basis.ALL
        each = await or_unknown(self._stored_object(attempt).first_part_size())
        if each is None or not MIN_PART <= each <= MAX_PART:
            return None
        if is_plausible_part_size(source, each):
            spans = Spans(source.size, each)
            return spans, Basis.FIRST_PART if spans.count > 2 else Basis.ALL
        unequal = await self._request_all(attempt, each)
        return (unequal, Basis.ALL) if unequal else None

    async def _request_all(self, attempt: CopyAttempt, first: int) -> Spans | None:
        """Return the parts by the size of each, if S3 allows them; ``first`` is that of part 1."""
        sizes = await or_unknown(self._stored_object(attempt).part_sizes(first))
        return UnequalSpans(sizes) if sizes and are_part_sizes_valid(sizes) else None

    def _stored_object(self, attempt: CopyAttempt) -> StoredObject:
        return StoredObject(self._source, attempt.task.source, attempt.source)

    def _etag_proves_whole(self, attempt: CopyAttempt, seen: Response) -> bool:
        """Return whether the ETag proves all the data, which it only does of an object in one."""
        is_proof = proves_content(attempt.source.etag, seen, self._source.endpoint)
        return is_proof and attempt.fits_one_request


def _stored(seen: Response) -> tuple[str, str]:
    name, value = stored_checksum(seen) or ("", "")
    # The CRCs of parts make that of the whole, without the data.
    return (name, value) if name and ALGORITHMS[name].is_crc else ("", "")
