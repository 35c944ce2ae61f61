"""The parts of a large object: their transfer by any workers, and their checksums.

S3 keeps a CRC of the whole object (FULL_OBJECT), computed from the parts' CRCs; of hashes only one
of the parts' hashes (COMPOSITE): S3 user guide, "Checking object integrity".
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from s3pp.errors import (
    FailureKind,
    FatalError,
    ObjectError,
    RunEnding,
    unexpected,
    unexpected_kind,
)
from s3pp.integrity.checksums import ALGORITHMS, combine_crcs, composite_checksum
from s3pp.records import Calls, PartDone, PartFailed, PartFault, PartOutcome, PartTask, Planned
from s3pp.s3.answers import xml_text
from s3pp.s3.client import Headers
from s3pp.s3.exchange import Response
from s3pp.s3.multipart import NewUpload, Spans
from s3pp.s3.upload_listing import Checksum, Part

_FIRST = asyncio.FIRST_COMPLETED
_TRIES = 3  # of a part whose bytes were damaged

# For requests with a body (API reference, "PutObject"); a creation names the algorithm otherwise.
_SDK = "x-amz-sdk-checksum-algorithm"
_OTHER = "the store holds other bytes: {} {}, sent {}"

PartT = TypeVar("PartT", bound=PartTask)

# Transfers a part in any worker, as ``PartRunner.run`` does.
RunPart = Callable[[Any], Awaitable[PartOutcome]]


class UploadState(NamedTuple):
    """An upload in progress."""

    id: str
    part_size: int  # bytes
    parts: dict[int, Part]  # by number: those in the store that lie where ours would
    checksum: str = "md5"  # the algorithm that its parts are sent with
    is_optional: bool = False  # it has a checksum, or was created with one, that nobody named

    @property
    def size(self) -> int:
        """The bytes that the store has of it."""
        return sum(part.size for part in self.parts.values())

    @property
    def is_resumed(self) -> bool:
        """Whether it was found in the store: a new one has no parts."""
        return bool(self.parts)


# Creates an upload with the headers of its object.
CreateUpload = Callable[[Headers], Awaitable[NewUpload]]


class UploadSource(Protocol):
    """What is uploaded: a file or an object, over all uploads that it takes."""

    key: str
    name: str  # as users call it
    size: int  # bytes, once its parts are uploaded
    part_size: int  # bytes, of new uploads
    is_resumable: bool  # whether another run can resume an upload of it
    is_repeatable: bool  # whether it can be read again, for another upload
    spoils: Collection[FailureKind]  # failures after which the parts are of no use
    written: bool  # we have stored the object: later writes are unconditional
    planned: Planned | None  # only the object that a plan saw may be replaced; None: no plan

    async def has_part(self, plan: Spans, there: Part) -> bool:
        """Return whether a part in the store is a part of this source. Raises ``ObjectError``."""

    async def create(self, create: CreateUpload) -> NewUpload:
        """Call ``create`` with the headers of the object. Raises ``ObjectError``."""

    async def upload_parts(self, upload: UploadState) -> list[PartDone]:
        """Upload all missing parts; return all, by number.

        Raises ``ObjectError`` and ``RunEnding``.
        """

    async def verify_parts(self, upload: UploadState, parts: list[PartDone]) -> None:
        """Raise ``ObjectError`` if the parts are known not to be the source."""

    async def metadata_matches(self) -> bool:
        """Return whether the stored object has the headers that it should have."""


class PartRunner(Protocol):
    """The workers of a run, as the role that leads a large object uses them."""

    def run(self, part: Any, /) -> Awaitable[PartOutcome]:
        """Have any worker transfer a ``PartTask``. Raises ``RunEnding`` once the run is ending."""

    def check(self) -> None:
        """Raise ``RunEnding`` once the run is ending, for a role that transfers parts itself."""

    def report(self, size: int) -> None:
        """Report ``size`` bytes, transferred by the role itself, to the progress display."""


class PartError(ObjectError):
    """A part failed; ``code`` is the store's, if it refused, ``fault`` what that shows."""

    def __init__(self, failed: PartFailed) -> None:
        super().__init__(failed.kind, f"part {failed.number}: {failed.message}")
        self.code = failed.code
        self.fault = failed.fault


async def run_parts(
    parts: Iterable[PartT],
    run: Callable[[PartT], Awaitable[PartOutcome]],
    *,
    at_once: int,
    settled: bool = False,
) -> list[PartDone]:
    """Run all ``parts``, ``at_once`` of them at a time; return their outcomes, by number.

    Raises ``PartError`` for the first that fails, and the errors of ``run``. The others are then
    not waited for, unless they are to be ``settled``, or none is done: an upload without parts is
    aborted, and none may arrive after that.
    """
    running: set[asyncio.Future[PartOutcome]] = set()
    done: list[PartDone] = []
    try:
        for part in parts:
            if len(running) >= at_once:
                done += await _wait_for_some(running)
            running.add(asyncio.ensure_future(run(part)))
        while running:
            done += await _wait_for_some(running)
    except PartError:
        if running and (settled or not done):
            await asyncio.wait(running)
        raise
    finally:
        for each in running:
            each.add_done_callback(_mark_retrieved)
            each.cancel()
    return sorted(done)


async def run_arriving_parts(
    parts: AsyncIterator[PartT], run: Callable[[PartT], Awaitable[PartOutcome]]
) -> list[PartDone]:
    """Run parts as they arrive; raises as ``run_parts`` and ``parts`` do.

    ``parts`` limits how many run at once. Those that run are waited for if one fails, or if no more
    can be made, since the upload is aborted then.
    """
    running: set[asyncio.Future[PartOutcome]] = set()
    done: list[PartDone] = []
    arriving: asyncio.Future[PartT | None] | None = asyncio.ensure_future(anext(parts, None))
    try:
        while arriving is not None:
            waiting: set[asyncio.Future[Any]] = {*running, arriving}
            await asyncio.wait(waiting, return_when=_FIRST)
            done += _take_ended(running, {each for each in running if each.done()})
            if arriving.done():
                part, arriving = arriving.result(), None
                if part is not None:
                    running.add(asyncio.ensure_future(run(part)))
                    arriving = asyncio.ensure_future(anext(parts, None))
        while running:
            done += await _wait_for_some(running)
    except ObjectError:
        if running:
            await asyncio.wait(running)
        raise
    finally:
        for each in (*running, *((arriving,) if arriving else ())):
            each.add_done_callback(_mark_retrieved)
            each.cancel()
    return sorted(done)


async def retry_part(number: int, transfer: Callable[[], Awaitable[PartOutcome]]) -> PartOutcome:
    """Transfer one part, again where its bytes were damaged; return how it ended.

    Raises ``FatalError`` and ``RunEnding`` only.
    """
    try:
        for _ in range(_TRIES - 1):
            try:
                return await transfer()
            except ObjectError as error:
                if error.kind is not FailureKind.INTEGRITY:
                    raise
        return await transfer()
    except (FatalError, RunEnding):
        raise
    except Exception as error:
        return part_failed(number, error)


def part_failed(number: int, error: Exception, fault: PartFault = PartFault.NONE) -> PartFailed:
    """Return the outcome of a part that raised ``error``, an ``ObjectError`` or a defect."""
    if not isinstance(error, ObjectError):
        return PartFailed(number, unexpected_kind(error), unexpected(error))
    return PartFailed(number, error.kind, str(error), error.code, fault)


async def _wait_for_some(running: set[asyncio.Future[PartOutcome]]) -> list[PartDone]:
    ended, _ = await asyncio.wait(running, return_when=_FIRST)
    return _take_ended(running, ended)


def _take_ended(
    running: set[asyncio.Future[PartOutcome]], ended: set[asyncio.Future[PartOutcome]]
) -> list[PartDone]:
    """Take those that ended out of ``running``; raises as ``run_parts`` does."""
    running -= ended
    for each in ended:  # several may have raised, and only one error is passed on
        _mark_retrieved(each)
    outcomes = [each.result() for each in ended]
    for outcome in outcomes:
        if isinstance(outcome, PartFailed):
            raise PartError(outcome)
    return [outcome for outcome in outcomes if isinstance(outcome, PartDone)]


def _mark_retrieved(ended: asyncio.Future[Any]) -> None:
    """Keep asyncio from reporting the error of a part that is not waited for."""
    if not ended.cancelled():
        ended.exception()


# Checksums


def upload_calls(parts: int, written: str = "UploadPart") -> Calls:
    """Return the requests of an upload in ``parts``, each of which is ``written`` by one."""
    return ("CreateMultipartUpload", 1), (written, parts), ("CompleteMultipartUpload", 1)


def kept_checksum(there: Part, checksum: str, *, strong: bool = False) -> str:
    """Return the checksum of a part in the store by the algorithm ``checksum``; else empty.

    ``strong``: only a hash, since two parts may have the same CRC.
    """
    name, value = there.checksum or ("", "")
    is_usable = name == checksum and (ALGORITHMS[name].is_strong or not strong)
    return value if is_usable else ""


def creation_headers(checksum: str, headers: Headers) -> Headers:
    """Return the headers that create an upload of an object with ``headers``."""
    own = [pair for pair in headers if pair[0] != _SDK]
    if checksum == "md5":
        return own
    kind = "FULL_OBJECT" if ALGORITHMS[checksum].is_crc else "COMPOSITE"
    named = ("x-amz-checksum-algorithm", checksum.upper()), ("x-amz-checksum-type", kind)
    return [*own, *named]


def completion_headers(checksum: str, parts: Sequence[PartDone]) -> Headers:
    """Return the headers with the object's checksum; none if the parts do not determine it.

    ``parts`` are in order.
    """
    algorithm = ALGORITHMS[checksum]
    if not algorithm.is_crc or not all(part.checksum for part in parts):
        return ()
    return ((algorithm.header, _full(checksum, parts)), ("x-amz-checksum-type", "FULL_OBJECT"))


def named_checksum(checksum: str, parts: Sequence[PartDone]) -> str:
    """Return the object's checksum, ``ALGORITHM:VALUE``; empty where the parts do not show it."""
    headers = completion_headers(checksum, parts)
    return f"{checksum}:{headers[0][1]}" if headers else ""


def by_number(checksum: str, parts: Iterable[PartDone]) -> dict[int, Checksum]:
    """Return the checksums that a completion lists, by part number."""
    return {part.number: (checksum, part.checksum) for part in parts if part.checksum}


def prove_object(checksum: str, parts: Sequence[PartDone], answer: Response) -> bool:
    """Return whether the answer to a completion, or to a HEAD, has the checksum of the parts.

    Raises ``ObjectError`` if it is another. A hash without a count may be one of the whole object,
    which was not computed.
    """
    header = answer.header(ALGORITHMS[checksum].header.encode())
    theirs = xml_text(answer.body, f"Checksum{checksum.upper()}") or header
    if not theirs or not all(part.checksum for part in parts):
        return False
    ours = composite_checksum(checksum, (b64decode(part.checksum) for part in parts))
    if theirs in (ours, ours.partition("-")[0]):
        return True
    if "-" not in theirs:
        if not ALGORITHMS[checksum].is_crc:
            return False
        ours = _full(checksum, parts)
    if theirs != ours:
        message = _OTHER.format(checksum.upper(), theirs, f"parts that make {ours}")
        raise ObjectError(FailureKind.INTEGRITY, message)
    return True


def full_checksum(checksum: str, parts: Iterable[tuple[str, int]]) -> str:
    """Return the CRC of an object, given those of its parts, in base64, and their sizes."""
    return combine_crcs(checksum, ((b64decode(value), size) for value, size in parts))


def _full(checksum: str, parts: Sequence[PartDone]) -> str:
    return full_checksum(checksum, ((part.checksum, part.size) for part in parts))
