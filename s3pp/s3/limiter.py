"""What lets one process's requests go: so many in flight, so many a second, and retries in measure.

::

    Bucket.call ── take ──▶ in flight ── give ──▶ Meter ── Feedback ──▶ congestion control
                     ▲                                                     │
                     └── due times, first come first served ◀── RateLimit ─┘

While there is no limit, ``take_at_once`` and ``give`` are all that a request meets.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from s3pp.errors import Unfinished
from s3pp.s3.congestion import NO_LIMIT, Feedback, RateLimit, Refusal

WINDOW = 1.0  # seconds that a meter looks back
SHORTEST = 0.02  # seconds that it looks back at least
TICK = 0.1  # seconds between two reports of few processes, and of one slice of a meter
SOON = 0.01  # seconds after a refusal in which it is reported, with those that come meanwhile
BURST = 0.02  # seconds of the rate that may go at once after a pause
LOOK = 0.25  # seconds after which the limit is looked at again, as it grows

# Retries after errors that no lower rate would have avoided (500, 502, 504): without a budget a
# store that fails is asked eight times as often as one that works.
RETRIES_AT_FIRST = 256.0
RETRIES_PER_SECOND = 10.0
RETRIES_PER_ANSWER = 0.2

Clock = Callable[[], float]


class Meter:
    """Counts answers over the last second, in slices; times in seconds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._epoch_began = clock()
        self._start: float | None = None  # of the first slice with an answer
        self._slices: deque[_Slice] = deque()

    def note(self, answers: int, *, refused: int = 0, unanswered: int = 0) -> None:
        """``answers`` came, whatever they were; or some of those asked for a lower rate."""
        current = self._current()
        if self._start is None:
            self._start = current.began
        current.answers += answers
        current.refused += refused
        current.unanswered += unanswered

    def begin_epoch(self) -> None:
        """What comes from now on is counted by itself."""
        self._epoch_began = self._clock()
        self._slices.append(_Slice(self._epoch_began))

    def feedback(self, epoch: int, backlog: int) -> Feedback:
        """What is to be reported now."""
        now = self._clock()
        self._forget(now)
        own = [each for each in self._slices if each.began >= self._epoch_began]
        span = min(WINDOW, max(SHORTEST, now - (now if self._start is None else self._start)))
        return Feedback(
            epoch,
            accepted=sum(each.accepted for each in own),
            refused=sum(each.refused for each in own),
            unanswered=sum(each.unanswered for each in own),
            lately=sum(each.accepted for each in self._slices),
            span=span,
            backlog=backlog,
        )

    def _current(self) -> _Slice:
        now = self._clock()
        if not self._slices or self._slices[-1].began < now - TICK:
            self._forget(now)
            self._slices.append(_Slice(now))
        return self._slices[-1]

    def _forget(self, now: float) -> None:
        while self._slices and self._slices[0].began < now - WINDOW:
            self._slices.popleft()


@dataclass
class _Slice:
    began: float
    answers: int = 0
    refused: int = 0
    unanswered: int = 0

    @property
    def accepted(self) -> int:
        return max(0, self.answers - self.refused - self.unanswered)


class RequestLimiter:
    """Lets ``size`` requests be in flight at a time, and as many a second as the limit says.

    ``report`` sends what was counted to whoever sets the limit: soon after a refusal, and each
    ``TICK``. Times are in seconds, as ``clock`` gives them.
    """

    def __init__(
        self, size: int, report: Callable[[Feedback], None], *, clock: Clock = time.monotonic
    ) -> None:
        self.backlog: Callable[[], int] = int  # counts tasks that wait to become requests
        self.limit = NO_LIMIT
        self.epoch = NO_LIMIT.epoch
        self._report = report
        self._clock = clock
        self._meter = Meter(clock)
        self._size = self._free = size
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._answers = self._bad = 0  # since they were last noted
        self._throttled = self._taken = 0  # of all time
        self._refusal = Refusal("", "")
        self._answered = clock()  # when an answer came last, or none was expected
        self._stalled_since: float | None = None  # the first refusal since any success
        self._due = 0.0  # when the next request may go, while there is a limit
        self._release_timer: asyncio.TimerHandle | None = None
        self._report_timer: asyncio.TimerHandle | None = None
        self._budget = RetryBudget(clock)
        self._ended = False

    @property
    def limited(self) -> bool:
        """Whether the store limits the rate."""
        return self.limit.active(self._clock())

    @property
    def stalled(self) -> float:
        """Seconds for which the store has refused, and accepted nothing."""
        return 0.0 if self._stalled_since is None else self._clock() - self._stalled_since

    def start(self, tick: float = TICK) -> None:
        """Begin to count, and to report every ``tick`` seconds; the event loop must be running."""
        if self._answers or self._free == self._size:
            self._answered = self._clock()
        self._settle()
        self._send_report()
        asyncio.get_running_loop().call_later(tick, self.start, tick)

    def take_at_once(self) -> bool:
        """Let a request go if nothing holds it."""
        if self._waiting or self._free <= 0 or (self.limit.ceiling and self._held()):
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Let a request go as soon as may be. Raises ``Unfinished`` if the run ends first."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._release()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had been let go
                self._free += 1
            raise

    def give(self) -> None:
        """A request has come to its end, whatever that was."""
        self._free += 1
        self._answers += 1
        if self._waiting:
            self._release()

    def refused(self, epoch: int, code: str = "", text: str = "") -> None:
        """The store throttles a request that was sent in ``epoch``, and has been given back.

        ``code`` and ``text`` as ``Refusal`` has them.
        """
        self._throttled += 1
        self._refusal = Refusal(code, text)
        if self._stalled_since is None:
            self._stalled_since = self._clock()
        self._congested(epoch, refused=1)

    def unanswered(self, epoch: int) -> None:
        """No answer came to a request that was sent in ``epoch``, and has been given back."""
        self._congested(epoch, unanswered=1)

    def set_limit(self, limit: RateLimit) -> None:
        """Obey ``limit`` from now on."""
        now = self._clock()
        latest = now + 1.0 / limit.rate(now)
        if limit.epoch != self.limit.epoch:
            self._settle()
            self._meter.begin_epoch()
            # Processes that all begin to count now must not all send at the same moments.
            self._due = random.uniform(now, latest)
        self.limit, self.epoch = limit, limit.epoch
        self._due = min(self._due, latest)
        if self._release_timer is not None:
            self._release_timer.cancel()
            self._release_timer = None
        self._release()

    async def retry(self) -> None:
        """Wait until one more retry is in the budget, mostly not at all.

        Raises ``Unfinished`` if the run ends first.
        """
        while not self._budget.take():
            await asyncio.sleep(1.0 / RETRIES_PER_SECOND)
            if self._ended:
                raise Unfinished

    def end(self) -> None:
        """The run is ending: none that waits is sent any more; what still follows goes at once."""
        self._ended = True
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(Unfinished())

    def _congested(self, epoch: int, *, refused: int = 0, unanswered: int = 0) -> None:
        if epoch != self.limit.epoch:  # it tells nothing of the limit there is now
            self._answers -= 1
            return
        self._bad += 1
        self._settle()
        self._meter.note(0, refused=refused, unanswered=unanswered)
        if self._report_timer is None:
            loop = asyncio.get_running_loop()
            self._report_timer = loop.call_later(SOON, self._on_report)

    def _held(self) -> bool:
        """Whether the limit holds the next request; if not, it counts as gone."""
        now = self._clock()
        if self._ended or not self.limit.active(now):
            return False
        if now < self._due:
            return True
        self._due = max(self._due, now - BURST) + 1.0 / self.limit.rate(now)
        return False

    def _release(self) -> None:
        """Let those go that may, and come back when the next one may."""
        while self._waiting and self._free > 0:
            if self._waiting[0].done():  # cancelled
                self._waiting.popleft()
            elif self.limit.ceiling and self._held():
                self._come_back()
                return
            else:
                self._free -= 1
                self._waiting.popleft().set_result(None)

    def _come_back(self) -> None:
        if self._release_timer is None:
            wait = max(0.0, min(self._due - self._clock(), LOOK))
            loop = asyncio.get_running_loop()
            self._release_timer = loop.call_later(wait, self._on_release)

    def _on_release(self) -> None:
        self._release_timer = None
        self._release()

    def _on_report(self) -> None:
        self._report_timer = None
        self._settle()
        self._send_report()

    def _send_report(self) -> None:
        backlog = self.backlog() + len(self._waiting)
        seen = self._meter.feedback(self.limit.epoch, backlog)
        silent = -1.0 if self._free == self._size else self._clock() - self._answered
        seen = seen._replace(throttled=self._throttled, taken=self._taken, silent=silent)
        if self._stalled_since is not None:
            seen = seen._replace(stalled=self.stalled, refusal=self._refusal)
        self._report(seen)

    def _settle(self) -> None:
        answers, bad = self._answers, self._bad
        self._answers = self._bad = 0
        if answers > bad:
            self._stalled_since = None
            self._taken += answers - bad
            self._budget.earn(answers - bad)
        if answers > 0:
            self._meter.note(answers)


class RetryBudget:
    """Retries that may be made: some at first, so many a second, and a share of what succeeds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._left = RETRIES_AT_FIRST
        self._at = clock()

    def earn(self, answers: int) -> None:
        """``answers`` requests did not need one."""
        self._left = min(RETRIES_AT_FIRST, self._left + RETRIES_PER_ANSWER * answers)

    def take(self) -> bool:
        """Take one if there is one."""
        now = self._clock()
        earned = RETRIES_PER_SECOND * (now - self._at)
        self._left, self._at = min(RETRIES_AT_FIRST, self._left + earned), now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
