"""Unfinished uploads of a key: which one is resumed, and which are this run's own.

The store is the journal: nothing is kept here. A key may have several uploads: of earlier runs, of
other users, or of a job that is sending now. Whether a part is ours is for the caller to prove
(``Proof``). An upload is resumed

- if all parts that are looked at are ours: so a run that was killed is resumed at once; or
- if one of them is, and none arrived for ``QUIET``: no client sends it, and our source changed; or
- if one of them is, and this very run created it.

The others are never touched. ``OwnUploads`` are those that this run has created::

    lead ──OpenUpload──▶ supervisor ── its worker died ──▶ all other workers ──▶ ``inherit``

Whoever leads the object next resumes one of them and aborts the others; so neither a source that
keeps changing nor a worker that dies leaves one more upload each time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

from s3pp.errors import ObjectError
from s3pp.limits import MAX_PART, MAX_PARTS, MIN_PART
from s3pp.records import OpenUpload, PartDone
from s3pp.s3.listing import ListingError
from s3pp.s3.multipart import Spans, Uploads, count_of, is_upload_missing
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.s3.timestamps import epoch_seconds
from s3pp.s3.upload_listing import Part, Upload, UploadedParts, latest
from s3pp.transfer.parts import UploadState

MOST_UPLOADS = 16  # of one key that are examined, the latest first
QUIET = 3600  # seconds: a part of 5 GiB at 12 Mbit/s takes as long
_PROBES = 3  # parts of one upload compared with the source before it counts as another's
_WARY_PROBES = 8  # of one that another client may be sending now
NOTHING_RESUMED = "the store does not list unfinished uploads: nothing is resumed"


class OwnUploads:
    """The uploads created by one worker, and those that it has inherited."""

    def __init__(self, notify: Callable[[OpenUpload], None] = lambda _: None) -> None:
        """``notify`` sends to the supervisor; the default is for runs in one process."""
        self._notify = notify
        # By key, the ids of those that are neither complete nor being sent.
        self.idle: dict[str, set[str]] = {}

    def left(self, key: str) -> Collection[str]:
        """Return the ids of the idle ones of ``key``."""
        return self.idle.get(key, ())

    def open(self, key: str, upload_id: str) -> None:
        """Add an upload that this worker has created."""
        self._notify(OpenUpload(key, upload_id, open=True))

    def close(self, key: str, upload_id: str) -> None:
        """Remove an upload that is complete, or aborted."""
        left = self.idle.get(key)
        if left is not None:
            left.discard(upload_id)
            if not left:
                del self.idle[key]
        self._notify(OpenUpload(key, upload_id, open=False))

    def leave(self, key: str, upload_id: str) -> None:
        """Note that this worker no longer sends an upload, whose parts stay in the store."""
        self.idle.setdefault(key, set()).add(upload_id)

    def inherit(self, upload: OpenUpload) -> None:
        """Add an upload whose worker has died."""
        self.leave(upload.key, upload.upload_id)


class NotListed(Exception):
    """Raised when the store refuses to list unfinished uploads, or its answer is no list."""


Proof = Callable[[Spans, Part], Awaitable[bool]]


class _Candidate(NamedTuple):
    state: UploadState
    is_active: bool  # another client may be sending it now


async def find_unfinished(
    uploads: Uploads, key: str, *, size: int, part_size: int, proves: Proof
) -> UploadState | None:
    """Return the upload of ``key`` that has the most of an object of ``size`` bytes; else None.

    ``part_size`` is ours, used where an upload does not show its own. Raises ``NotListed``, and
    ``ObjectError`` as ``proves`` does, or if the store does not answer.
    """
    try:
        shown, is_complete = await _list_parts(uploads, key)
    except NetworkError as error:
        message = f"list unfinished uploads: {error}; use --no-resume to skip this"
        raise ObjectError(error.kind, message) from None
    candidates = [
        _candidate(uploads, *each, fitting(each[0].id, each[1].parts, size=size, wanted=part_size))
        for each in shown
    ]
    for each in sorted(candidates, key=lambda each: each.state.size, reverse=True):
        if each.state.parts and await _is_ours(each, size, proves):
            return each.state
    if not is_complete:
        raise NotListed
    return None


async def find_earlier(uploads: Uploads, key: str, parts: list[PartDone]) -> list[str]:
    """Return the ids of unfinished uploads that have parts, all of them among ``parts``.

    Parts are equal by number, size and ETag: such uploads have the same data, and were created for
    the same object. Raises as ``uploads`` does.
    """
    ours = {(part.number, part.size, part.etag) for part in parts}
    found = []
    for upload in await _newest(uploads, key):
        there = {each[:3] for each in (await uploads.fetch_parts(upload.key, upload.id)).parts}
        if there and there <= ours:
            found.append(upload.id)
    return found


async def _list_parts(
    uploads: Uploads, key: str
) -> tuple[list[tuple[Upload, UploadedParts]], bool]:
    """Return the latest uploads with their parts, and whether the store has shown all of them."""
    try:
        newest = await _newest(uploads, key)
    except (StoreError, ListingError):
        raise NotListed from None
    shown, is_complete = [], True
    for upload in newest:
        try:
            shown.append((upload, await uploads.fetch_parts(upload.key, upload.id)))
        except (StoreError, ListingError) as error:
            gone = isinstance(error, StoreError) and is_upload_missing(error)
            is_complete = is_complete and gone and not await _is_listed(uploads, upload)
    return shown, is_complete


async def _is_listed(uploads: Uploads, upload: Upload) -> bool:
    """Return whether the store lists an upload that it has just reported as missing."""
    try:
        return await uploads.is_listed(upload)
    except (StoreError, ListingError):
        return True


async def _newest(uploads: Uploads, key: str) -> list[Upload]:
    newest: list[Upload] = []
    async for upload in uploads.list_key(key):
        newest = sorted([*newest, upload], key=lambda each: each.initiated)[-MOST_UPLOADS:]
    return newest[::-1]


def _candidate(
    uploads: Uploads, upload: Upload, shown: UploadedParts, state: UploadState
) -> _Candidate:
    if upload.id in uploads.own or _is_quiet(uploads, upload, shown):
        return _Candidate(state, is_active=False)
    if len(state.parts) < len(shown.parts):  # the others are parts of another body
        state = state._replace(parts={})
    return _Candidate(state, is_active=True)


def _is_quiet(uploads: Uploads, upload: Upload, shown: UploadedParts) -> bool:
    """Return whether nothing arrived for so long, by the store's clock, that no client is sending.

    An upload for which the store shows no time may be new.
    """
    sign = latest((epoch_seconds(upload.initiated), shown.newest))
    return sign is not None and sign < uploads.store_time() - QUIET


def fitting(upload_id: str, parts: list[Part], *, size: int, wanted: int) -> UploadState:
    """Return the parts that lie where those of an object of ``size`` bytes would, and their size.

    All parts but the last are equally long, so the longest shows the part size; a single one may
    be the last of parts of ``wanted`` bytes. Parts that lie otherwise are sent again under their
    number, or left out when the upload is completed.
    """
    each = max((part.size for part in parts), default=0)
    if len(parts) == 1 and _fits(parts[0], Spans(size, wanted)):
        each = wanted
    if not MIN_PART <= each <= MAX_PART or count_of(size, each) > MAX_PARTS:
        return UploadState(upload_id, wanted, {})
    plan = Spans(size, each)
    return UploadState(upload_id, each, {part.number: part for part in parts if _fits(part, plan)})


def _fits(part: Part, plan: Spans) -> bool:
    return part.number <= plan.count and part.size == plan.span(part.number).size


async def _is_ours(candidate: _Candidate, size: int, proves: Proof) -> bool:
    """Return whether one of some parts, spread over all, is ours; of an active upload: all."""
    state, is_active = candidate
    plan = Spans(size, state.part_size)
    for number in _spread(sorted(state.parts), _WARY_PROBES if is_active else _PROBES):
        if await proves(plan, state.parts[number]) != is_active:
            return not is_active
    return is_active


def _spread(numbers: list[int], count: int) -> list[int]:
    """Return at most ``count`` of the numbers, including the first and the last."""
    last, steps = len(numbers) - 1, count - 1
    return [numbers[at] for at in dict.fromkeys(step * last // steps for step in range(count))]
