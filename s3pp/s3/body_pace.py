"""The pace of bodies: what may move waits in turn, piece by piece.

::

    BodyFlow.admit ──▶ BodyPace.take, for each piece ──▶ Stock ──waits──▶ call_soon(resume)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from s3pp.errors import RunEnding
from s3pp.s3.exchange import MOST_HELD, Fault, WireError
from s3pp.s3.quotas import FOREVER, piece_size
from s3pp.timetable import Timetable

# Seconds in which all that moves of longer bodies at a time would have moved: of one process, and
# of all.
MOVING, MOVING_OF_ALL = 0.5, 4.0

Resume = Callable[[], bool]  # continues what has waited; False: it does not need that any more


class Stock:
    """What may be used of one kind, and what waits for more, first come first served."""

    def __init__(self, ask: Callable[[], None]) -> None:
        """``ask`` is called when more is missing."""
        self._ask = ask
        self._left = 0  # negative: what was used before it was permitted
        self._asked = 0
        self._wanted = 0  # by those that wait
        self._waiting: deque[tuple[int, Resume]] = deque()
        self._turns: set[asyncio.Future[None]] = set()
        self._ended = False

    def take(self, amount: int) -> bool:
        """Use ``amount``, if it is there and nobody waits; return whether it was."""
        if self._waiting or self._left < amount:
            return False
        self._left -= amount
        return True

    def wait(self, amount: int, resume: Resume) -> None:
        """Call ``resume`` once ``amount`` is there, which is used then."""
        self._waiting.append((amount, resume))
        self._wanted += amount
        self._ask()

    async def acquire(self, amount: int) -> None:
        """Wait until ``amount`` may be used. Raises ``RunEnding`` if the run ends first."""
        if self._ended or self.take(amount):
            return
        turn = asyncio.get_running_loop().create_future()
        self.wait(amount, partial(_wake, turn))
        self._turns.add(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had been granted
                self.give_back(amount)
            raise
        finally:
            self._turns.discard(turn)

    def charge(self, amount: int) -> None:
        """Use ``amount`` that has moved already; what comes next waits until it is paid."""
        self._left -= amount
        if self._waiting and amount:  # they asked when less was missing
            self._ask()

    def give_back(self, amount: int) -> None:
        """Return what was taken and not used."""
        self._left += amount
        self._serve()

    def grant(self, amount: int) -> None:
        """Add what was asked for."""
        self._asked = max(0, self._asked - amount)
        self.give_back(amount)

    def missing(self) -> int:
        """Return what has to be asked for in addition, and count it as asked for."""
        more = max(0, self._wanted - self._left - self._asked)
        self._asked += more
        return more

    def end(self) -> None:
        """End the waiting of requests that were not sent; later ones do not wait."""
        self._ended = True
        for turn in self._turns:
            if not turn.done():
                turn.set_exception(RunEnding())

    def _serve(self) -> None:
        while self._waiting and self._left >= self._waiting[0][0]:
            amount, resume = self._waiting.popleft()
            self._wanted -= amount
            if resume():
                self._left -= amount


def _wake(turn: asyncio.Future[None]) -> bool:
    if turn.done():  # cancelled, or the run is ending
        return False
    turn.set_result(None)
    return True


class BodyFlow:
    """The bodies that move in one direction."""

    def __init__(self, limit: Timetable, processes: int, ask: Callable[[], None]) -> None:
        self.stock = Stock(ask)
        self.moving = 0  # bytes of longer bodies that were admitted, and have not moved yet
        self._limit = limit
        self._seconds = min(MOVING, MOVING_OF_ALL / processes)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ended = False

    async def admit(self, size: int) -> BodyPace:
        """Wait until a body of ``size`` bytes may begin to move. Raises ``RunEnding``."""
        rate = self._limit.rate_now()
        piece = piece_size(rate)
        pace = BodyPace(self, piece)
        try:
            if size > piece:
                await self._enter(FOREVER if rate is None else max(piece, rate * self._seconds))
                pace.enter(size)
            await self.stock.acquire(min(size, piece))
            pace.paid = min(size, piece)
        except BaseException:
            pace.close()
            raise
        return pace

    def leave(self, size: int) -> None:
        """Count ``size`` bytes as moved, or as none that will move."""
        self.moving -= size
        self._wake_next()

    def end(self) -> None:
        """End the waiting of bodies that have not begun; later ones do not wait."""
        self._ended = True
        self.stock.end()
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(RunEnding())

    async def _enter(self, most: float) -> None:
        while self.moving >= most and not self._ended:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake_next()
                raise

    def _wake_next(self) -> None:
        """Have the next one look whether it may begin."""
        while self._waiting:
            if _wake(self._waiting.popleft()):
                return


class BodyPace:
    """Lets one body move piece by piece; see ``exchange.Pace``."""

    def __init__(self, flow: BodyFlow, piece: int) -> None:
        self.paid = 0  # bytes that may move
        self._flow = flow
        self._piece = piece
        self._inside = 0  # bytes that count as moving
        self._waits = False
        self._resume: Callable[[], None] | None = None  # what waits for more
        self._closed = False

    def enter(self, size: int) -> None:
        """Count ``size`` bytes as moving."""
        self._inside = size
        self._flow.moving += size

    def take(self, most: int, resume: Callable[[], None]) -> int:
        """Return how many bytes may move now; 0: ``resume`` is called when some may."""
        if not self.paid:
            self._buy(min(self._piece, most))
        if not self.paid:
            self._resume = resume
            return 0
        count = min(self.paid, most)
        self.charge(count)
        if self._inside > self.paid:  # the next piece is paid for while this one moves
            self._buy(min(self._piece, self._inside - self.paid))
        return count

    def give_back(self, count: int) -> None:
        """Return what was taken and did not move."""
        self.paid += count

    def charge(self, count: int) -> None:
        """Count bytes that have moved, paid or not."""
        paid = min(self.paid, count)
        self.paid -= paid
        self._flow.stock.charge(count - paid)
        moved = min(self._inside, count)
        self._inside -= moved
        self._flow.leave(moved)

    def close(self) -> None:
        """End it: the body has moved, or will not."""
        self._closed = True
        self._flow.leave(self._inside)
        self._flow.stock.give_back(self.paid)
        self._inside = self.paid = 0

    def _buy(self, count: int) -> None:
        """Pay for ``count`` bytes as soon as they are permitted, unless some are being paid for."""
        if self._waits or self.paid >= self._piece:
            return
        if self._flow.stock.take(count):
            self.paid += count
        else:
            self._waits = True
            self._flow.stock.wait(count, partial(self._on_bought, count))

    def _on_bought(self, count: int) -> bool:
        self._waits = False
        if self._closed:
            return False
        self.paid += count
        resume, self._resume = self._resume, None
        if resume is not None:
            asyncio.get_running_loop().call_soon(resume)
        return True


class BytesSink:
    """A body in memory that is received in pieces."""

    def __init__(self) -> None:
        self._content = bytearray()

    @property
    def content(self) -> bytes:
        """What has been received."""
        return bytes(self._content)

    def restart(self) -> None:
        """Start a body."""
        self._content.clear()

    def write(self, piece: bytes | memoryview) -> None:
        """Append the next piece. Raises ``WireError`` for what is too long to hold."""
        if len(self._content) + len(piece) > MOST_HELD:
            raise WireError(Fault.OVERSIZED)
        self._content += piece


class BytesStream:
    """A body in memory that is sent in pieces."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = memoryview(content)
        self._at = 0

    def read(self, count: int) -> bytes:
        """Return up to ``count`` bytes, empty at the end."""
        piece = bytes(self._content[self._at : self._at + count])
        self._at += len(piece)
        return piece

    def rewind(self) -> None:
        """Start again from the first byte."""
        self._at = 0
