"""What an earlier run left in the store: the unfinished upload to go on with, if there is one.

The store is the journal: nothing is kept here. Under one key there may be several uploads, of
earlier runs, of other users, or of a job that is at it now. How a part is shown to be ours is for
the caller to say: ``proves``. An upload is resumed

- if all parts that are looked at are ours: so a run that was killed goes on at once; or
- if one of them is, and for ``QUIET`` nothing came: nobody is sending it, and ours has changed; or
- if one of them is, and this very run began it.

The others are never touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from s3pp.errors import ObjectError
from s3pp.limits import MAX_PART, MAX_PARTS, MIN_PART
from s3pp.records import PartDone
from s3pp.s3.answers import epoch_seconds
from s3pp.s3.listing import ListingError
from s3pp.s3.multipart import Spans, Uploads, count_of, is_upload_missing
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.s3.upload_listing import Part, Upload, UploadedParts, latest

MOST_UPLOADS = 16  # of one key looked into, the latest first
QUIET = 3600  # seconds: a part of 5 GiB at 12 Mbit/s takes as long
_PROBES = 3  # parts of one upload held against the source before it counts as another's
_WARY_PROBES = 8  # of one that somebody may be sending now
UNTOLD = "the store does not show unfinished uploads: nothing is resumed"


class Found(NamedTuple):
    """An upload to go on with."""

    upload_id: str
    part_size: int  # bytes
    parts: dict[int, Part]  # by number: those that lie where ours would

    @property
    def size(self) -> int:
        """Bytes the store has of it."""
        return sum(part.size for part in self.parts.values())


class Silent(Exception):
    """The store refuses to list its unfinished uploads, or answers what is no list of them."""


Proof = Callable[[Spans, Part], Awaitable[bool]]


class _Candidate(NamedTuple):
    found: Found
    wary: bool  # somebody may be sending it now


async def unfinished(
    uploads: Uploads, key: str, *, size: int, wanted: int, proves: Proof
) -> Found | None:
    """The upload of ``key`` that has the most of an object of ``size`` bytes; None: begin one.

    ``wanted`` is our part size where an upload does not tell its own. Raises ``Silent``, and
    ``ObjectError`` as ``proves`` does, or where the store does not answer.
    """
    try:
        shown, all_told = await _shown(uploads, key)
    except NetworkError as error:
        message = f"look for unfinished uploads: {error}; --no-resume does without"
        raise ObjectError(error.kind, message) from None
    near = [_candidate(uploads, *each, size=size, wanted=wanted) for each in shown]
    for each in sorted(near, key=lambda each: each.found.size, reverse=True):
        if each.found.parts and await _ours(each, size, proves):
            return each.found
    if not all_told:
        raise Silent
    return None


async def _shown(uploads: Uploads, key: str) -> tuple[list[tuple[Upload, UploadedParts]], bool]:
    """The latest uploads with their parts; and whether the store has told of all of them."""
    shown, all_told = [], True
    for upload in await _latest(uploads, key):
        try:
            shown.append((upload, await uploads.fetch_parts(upload.key, upload.id)))
        except (StoreError, ListingError) as error:
            gone = isinstance(error, StoreError) and is_upload_missing(error)
            all_told = all_told and gone and not await _lists(uploads, upload)
    return shown, all_told


async def begun_of(uploads: Uploads, key: str, parts: list[PartDone]) -> list[str]:
    """The ids of unfinished uploads all of whose parts, one at least, are among ``parts``.

    By number, size and ETag: so they are of the same bytes, and were begun to become the same
    object. Raises as ``uploads`` does.
    """
    ours = {(part.number, part.size, part.etag) for part in parts}
    found = []
    for upload in await _newest(uploads, key):
        there = {each[:3] for each in (await uploads.fetch_parts(upload.key, upload.id)).parts}
        if there and there <= ours:
            found.append(upload.id)
    return found


async def _lists(uploads: Uploads, upload: Upload) -> bool:
    """Whether the store lists an upload of which it has just said that there is none."""
    try:
        return await uploads.is_listed(upload)
    except (StoreError, ListingError):
        return True


async def _latest(uploads: Uploads, key: str) -> list[Upload]:
    try:
        return await _newest(uploads, key)
    except (StoreError, ListingError):
        raise Silent from None


async def _newest(uploads: Uploads, key: str) -> list[Upload]:
    newest: list[Upload] = []
    async for upload in uploads.list_key(key):
        newest = sorted([*newest, upload], key=lambda each: each.initiated)[-MOST_UPLOADS:]
    return newest[::-1]


def _candidate(
    uploads: Uploads, upload: Upload, shown: UploadedParts, *, size: int, wanted: int
) -> _Candidate:
    found = fitting(upload.id, shown.parts, size=size, wanted=wanted)
    if upload.id in uploads.own or _is_quiet(uploads, upload, shown):
        return _Candidate(found, wary=False)
    if len(found.parts) < len(shown.parts):  # those that lie otherwise are of another body
        found = found._replace(parts={})
    return _Candidate(found, wary=True)


def _is_quiet(uploads: Uploads, upload: Upload, shown: UploadedParts) -> bool:
    """Whether nothing has come for so long that nobody is sending it any more.

    By the store's clock; what the store tells no time of may be new.
    """
    sign = latest((epoch_seconds(upload.initiated), shown.newest))
    return sign is not None and sign < uploads.store_time() - QUIET


def fitting(upload_id: str, parts: list[Part], *, size: int, wanted: int) -> Found:
    """The parts that lie where those of an object of ``size`` bytes would, and their size.

    All parts but the last are equally long, so the longest tells; a single one may be the last of
    those that are ``wanted``. Parts that lie otherwise are sent again under their number, or left
    out when the upload is completed.
    """
    each = max((part.size for part in parts), default=0)
    if len(parts) == 1 and _lies(parts[0], Spans(size, wanted)):
        each = wanted
    if not MIN_PART <= each <= MAX_PART or count_of(size, each) > MAX_PARTS:
        return Found(upload_id, wanted, {})
    plan = Spans(size, each)
    return Found(upload_id, each, {part.number: part for part in parts if _lies(part, plan)})


def _lies(part: Part, plan: Spans) -> bool:
    return part.number <= plan.count and part.size == plan.span(part.number).size


async def _ours(candidate: _Candidate, size: int, proves: Proof) -> bool:
    """Whether one of some parts is ours, spread over all; of one to be wary of: all of them."""
    found, wary = candidate
    plan = Spans(size, found.part_size)
    for number in _spread(sorted(found.parts), _WARY_PROBES if wary else _PROBES):
        if await proves(plan, found.parts[number]) != wary:
            return not wary
    return wary


def _spread(numbers: list[int], count: int) -> list[int]:
    """At most ``count`` of them, the first and the last among them."""
    last, steps = len(numbers) - 1, count - 1
    return [numbers[at] for at in dict.fromkeys(step * last // steps for step in range(count))]
