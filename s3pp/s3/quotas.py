"""The limits that a user sets, held over all processes of a run.

::

    process ──Demand──▶ Quotas, in the supervisor ──Permit──▶ process
                          requests, bytes sent, bytes received: so many a second

A process asks for what it is about to use, and waits until it has got that. So the sum holds
however the work is spread, and whoever starts late or dies. Those that wait get a piece each in
turn: how large their shares are does not matter for the end of a run, since one process alone can
use all of a limit. Times are in seconds of a monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from s3pp.limits import KIB
from s3pp.s3.congestion import Demand, Permit
from s3pp.speed import Speed
from s3pp.timetable import Timetable

BURST = 0.05  # seconds' worth that may be used at once after a pause
CATCH_UP = 0.25  # likewise, where something waited meanwhile, and the supervisor was late
ROUNDING = 1e-6  # of tokens: what has been waited for exactly is there
GRAIN = 0.02  # seconds' worth that is handed out together: each permit is a message
PIECES = 20  # pieces a second in which bodies move, over all processes
LEAST_PIECE, MOST_PIECE = KIB, 256 * KIB  # bytes
FOREVER = float("inf")

WhoT = TypeVar("WhoT", bound=Hashable)


def piece_size(rate: int | None) -> int:
    """Bytes of a body that move at once, under a limit of ``rate`` bytes a second."""
    if rate is None:
        return MOST_PIECE
    return max(LEAST_PIECE, min(MOST_PIECE, rate // PIECES))


def _one(_: int | None) -> int:
    return 1


class Dispenser(Generic[WhoT]):
    """Hands out one kind of thing, so many a second, to those that wait."""

    def __init__(self, piece: Callable[[int | None], int], rate: int | None, now: float) -> None:
        self._piece = piece
        self.rate = rate
        self._tokens = float(piece(rate))
        self._at = now
        self._waited = False  # something did, when something was handed out last
        self._waiting: dict[WhoT, int] = {}  # in the order of their turns

    def demand(self, who: WhoT, amount: int) -> None:
        """Add to what ``who`` waits for."""
        self._waiting[who] = self._waiting.get(who, 0) + amount

    def leave(self, who: WhoT) -> None:
        """Forget what ``who`` waits for."""
        self._waiting.pop(who, None)

    def hand_out(self, now: float) -> dict[WhoT, int]:
        """Return what each may use now."""
        rate, waiting = self.rate, self._waiting
        if rate is None:
            self._waiting = {}
            return waiting
        self._accrue(rate, now)
        given: dict[WhoT, int] = {}
        while waiting:
            who = next(iter(waiting))
            amount = self._next_amount(who)
            if amount > self._tokens + ROUNDING:
                break
            self._tokens -= amount
            given[who] = given.get(who, 0) + amount
            if left := waiting.pop(who) - amount:
                waiting[who] = left  # behind the others
        self._waited = bool(waiting)
        return given

    def wait(self, now: float) -> float:
        """Seconds until there is something to hand out; infinite where none waits."""
        rate = self.rate
        if not self._waiting:
            return FOREVER
        if rate is None:
            return 0.0
        together = min(sum(self._waiting.values()), int(rate * GRAIN))
        missing = max(self._next_amount(next(iter(self._waiting))), together) - self._tokens
        return max(0.0, missing / rate - (now - self._at))

    def _next_amount(self, who: WhoT) -> int:
        return min(self._waiting[who], self._piece(self.rate))

    def _accrue(self, rate: int, now: float) -> None:
        most = max(float(self._piece(rate)), rate * (CATCH_UP if self._waited else BURST))
        self._tokens = min(most, self._tokens + rate * max(0.0, now - self._at))
        self._at = now


class Quotas(Generic[WhoT]):
    """The limits of one run: who demands is permitted in turn."""

    def __init__(
        self,
        speed: Speed,
        now: float,
        rate_of: Callable[[Timetable], int | None] = Timetable.rate_now,
    ) -> None:
        """``rate_of`` returns the limit of a timetable at the time of day."""
        self._rate_of = rate_of
        self._checked = now
        self._requests = speed.max_requests
        self._bandwidth = speed.max_bandwidth
        requests = _rate(speed.max_requests, rate_of)
        bandwidth = _rate(speed.max_bandwidth, rate_of)
        self._kinds: tuple[Dispenser[WhoT], ...] = (
            Dispenser(_one, requests, now),
            Dispenser(piece_size, bandwidth, now),
            Dispenser(piece_size, bandwidth, now),
        )

    def demand(self, who: WhoT, demand: Demand) -> None:
        """Record what a process asks for."""
        for kind, amount in zip(self._kinds, demand, strict=True):
            if amount > 0:
                kind.demand(who, amount)

    def leave(self, who: WhoT) -> None:
        """Forget a process."""
        for kind in self._kinds:
            kind.leave(who)

    def permits(self, now: float) -> dict[WhoT, Permit]:
        """Return what each process may use now."""
        self._follow_time(now)
        given = [kind.hand_out(now) for kind in self._kinds]
        everyone = dict.fromkeys(who for each in given for who in each)
        return {who: Permit(*(each.get(who, 0) for each in given)) for who in everyone}

    def wait(self, now: float) -> float:
        """Seconds until ``permits`` has something to return; infinite where none waits."""
        return min(kind.wait(now) for kind in self._kinds)

    def _follow_time(self, now: float) -> None:
        if now - self._checked < 1.0:
            return
        self._checked = now
        requests, *bodies = self._kinds
        requests.rate = _rate(self._requests, self._rate_of)
        for kind in bodies:
            kind.rate = _rate(self._bandwidth, self._rate_of)


def _rate(timetable: Timetable | None, rate_of: Callable[[Timetable], int | None]) -> int | None:
    return None if timetable is None else rate_of(timetable)


def are_limited(speed: Speed) -> bool:
    """Whether a run has any limit of this kind."""
    return any(
        each is not None and each.limits for each in (speed.max_requests, speed.max_bandwidth)
    )


def monotonic_quotas(speed: Speed) -> Quotas[WhoT]:
    """The limits of a run that begins now."""
    return Quotas(speed, time.monotonic())
