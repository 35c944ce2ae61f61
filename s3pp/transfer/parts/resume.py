"""What an earlier run left in the store: the unfinished upload to go on with, if there is one.

The store is the journal: nothing is kept here. Under one key there may be several uploads, of
earlier runs, of other people, or of a job that is at it now. Only one that has at least one part
just as ours would be is gone on with; the others are never touched. How a part is shown to be ours
is for the caller to say: ``proves``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from s3pp.job import MAX_PART, MAX_PARTS, MIN_PART
from s3pp.s3.retry import StoreError
from s3pp.s3.uploads import Part, Upload, Uploads, vanished
from s3pp.transfer.parts.plan import Spans, count_of

MOST_UPLOADS = 16  # of one key looked into, the latest first
_PROBES = 3  # parts of one upload held against the source before it counts as another's
LEFT = "; its parts stay in the store for the next run (s3pp clean removes them)"
UNTOLD = "the store does not show unfinished uploads: nothing is resumed"
_UNTOLD = (403, 405, 501)  # a store that does not let us list uploads


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
    """The store does not let us see its unfinished uploads."""


Proof = Callable[[Spans, Part], Awaitable[bool]]


async def unfinished(
    uploads: Uploads, key: str, *, size: int, wanted: int, proves: Proof
) -> Found | None:
    """The upload of ``key`` that has the most of an object of ``size`` bytes; None: begin one.

    ``wanted`` is our part size where an upload does not tell its own. Raises ``Silent``, and
    ``ObjectError`` as ``uploads`` and ``proves`` do.
    """
    found = []
    for upload in await _latest(uploads, key):
        fitting = await _parts(uploads, upload, size, wanted)
        if fitting.parts:
            found.append(fitting)
    for each in sorted(found, key=lambda each: each.size, reverse=True):
        if await _ours(each, size, proves):
            return each
    return None


async def _latest(uploads: Uploads, key: str) -> list[Upload]:
    latest: list[Upload] = []
    try:
        async for upload in uploads.unfinished(key):
            if upload.key == key:
                latest = sorted([*latest, upload], key=lambda each: each.initiated)[-MOST_UPLOADS:]
    except StoreError as error:
        if error.status in _UNTOLD:
            raise Silent from None
        raise
    return latest[::-1]


async def _parts(uploads: Uploads, upload: Upload, size: int, wanted: int) -> Found:
    try:
        parts = [part async for part in uploads.parts(upload.key, upload.id)]
    except StoreError as error:
        if vanished(error) or error.status in _UNTOLD:
            return Found(upload.id, wanted, {})
        raise
    return fitting(upload.id, parts, size=size, wanted=wanted)


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


async def _ours(found: Found, size: int, proves: Proof) -> bool:
    plan, numbers = Spans(size, found.part_size), sorted(found.parts)
    probed = dict.fromkeys((numbers[0], numbers[-1], numbers[len(numbers) // 2]))
    for number in list(probed)[:_PROBES]:
        if await proves(plan, found.parts[number]):
            return True
    return False
