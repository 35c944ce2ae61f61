"""A large object's parts on their way: so many at a time, until all are moved or one is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from s3pp.errors import (
    FailureKind,
    FatalError,
    ObjectError,
    Unfinished,
    unexpected,
    unexpected_kind,
)
from s3pp.records import PartDone, PartFailed, PartFault, PartOutcome, PartTask

_TRIES = 3  # of a part that does not come, or arrive, as it is

PartT = TypeVar("PartT", bound=PartTask)


class PartError(ObjectError):
    """A part failed; ``code`` is the store's, if it refused, ``fault`` what that shows."""

    def __init__(self, failed: PartFailed) -> None:
        super().__init__(failed.kind, f"part {failed.number}: {failed.message}")
        self.code = failed.code
        self.fault = failed.fault


# Transfers a part in any worker, as ``PartRunner.run`` does.
RunPart = Callable[[Any], Awaitable[PartOutcome]]


class PartRunner(Protocol):
    """The workers of a run, as the role that leads a large object uses them."""

    def run(self, part: Any, /) -> Awaitable[PartOutcome]:
        """Have any worker transfer a ``PartTask``. Raises ``Unfinished`` once the run is ending."""

    def check(self) -> None:
        """Raise ``Unfinished`` once the run is ending, for a role that transfers parts itself."""

    def report(self, size: int) -> None:
        """Report ``size`` bytes, transferred by the role itself, to the progress display."""


async def moved(
    parts: Iterable[PartT],
    offer: Callable[[PartT], Awaitable[PartOutcome]],
    *,
    at_once: int,
    settled: bool = False,
) -> list[PartDone]:
    """Have all ``parts`` moved, ``at_once`` of them at a time; returns them by number.

    Raises ``PartError`` for the first that cannot be, and what ``offer`` raises; nobody waits for
    the others then, unless they are to be ``settled``: to have ended, however they did. So they are
    where none has been moved: an upload without parts is aborted, and none may arrive behind that.
    """
    running: set[asyncio.Future[PartOutcome]] = set()
    done: list[PartDone] = []
    try:
        for part in parts:
            if len(running) >= at_once:
                done += await _some(running)
            running.add(asyncio.ensure_future(offer(part)))
        while running:
            done += await _some(running)
    except PartError:
        if running and (settled or not done):
            await asyncio.wait(running)
        raise
    finally:
        for each in running:
            each.add_done_callback(_hear)
            each.cancel()
    return sorted(done)


async def carried(number: int, move: Callable[[], Awaitable[PartOutcome]]) -> PartOutcome:
    """Move one part, again where it does not come or arrive as it is; how it ended.

    Raises ``FatalError`` and ``Unfinished`` only.
    """
    try:
        for _ in range(_TRIES - 1):
            try:
                return await move()
            except ObjectError as error:
                if error.kind is not FailureKind.INTEGRITY:
                    raise
        return await move()
    except (FatalError, Unfinished):
        raise
    except Exception as error:
        return part_failed(number, error)


def part_failed(number: int, error: Exception, fault: PartFault = PartFault.NONE) -> PartFailed:
    """Return the outcome of a part that raised ``error``, an ``ObjectError`` or a defect."""
    if not isinstance(error, ObjectError):
        return PartFailed(number, unexpected_kind(error), unexpected(error))
    return PartFailed(number, error.kind, str(error), error.code, fault)


async def _some(running: set[asyncio.Future[PartOutcome]]) -> list[PartDone]:
    ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    running -= ended
    for each in ended:  # several may have raised, and only one of them will be told
        _hear(each)
    outcomes = [each.result() for each in ended]
    for outcome in outcomes:
        if isinstance(outcome, PartFailed):
            raise PartError(outcome)
    return [outcome for outcome in outcomes if isinstance(outcome, PartDone)]


def _hear(ended: asyncio.Future[PartOutcome]) -> None:
    """Whatever it was, nobody waits for it any more."""
    if not ended.cancelled():
        ended.exception()
