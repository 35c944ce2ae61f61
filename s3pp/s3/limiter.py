"""Admission of one process's requests: limits on requests in flight, their rate, and retries.

::

    Bucket.call ── take ──▶ in flight ── give ──▶ Meter ── Feedback ──▶ congestion control
                     ▲                                                     │
                     └── due times, first come first served ◀── RateLimit ─┘

While there is no rate limit, a request passes through ``take_at_once`` and ``give`` only.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from s3pp.errors import RunEnding
from s3pp.s3.congestion import LIFTED, NO_LIMIT, Feedback, RateLimit, Refusal
from s3pp.s3.prefixes import Lanes

WINDOW = 1.0  # seconds that a meter looks back
SHORTEST = 0.02  # seconds that it looks back at least, at the start
TICK = 0.1  # seconds between two reports of few processes; length of one slice of a meter
SOON = 0.01  # seconds after a refusal until it is reported, with those that arrive meanwhile
BURST = 0.02  # seconds' worth of requests that may be sent at once after a pause
LOOK = 0.25  # seconds after which the limit, which grows, is evaluated again

# Retries after errors that a lower rate would not have avoided (500, 502, 504): without a budget, a
# failing store would get eight times as many requests as a working one.
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
        """Add ``answers`` of any kind; or count some already added as asking for a lower rate."""
        current = self._current()
        if self._start is None:
            self._start = current.began
        current.answers += answers
        current.refused += refused
        current.unanswered += unanswered

    def begin_epoch(self) -> None:
        """Count answers from now on separately."""
        self._epoch_began = self._clock()
        self._slices.append(_Slice(self._epoch_began))

    def feedback(self, epoch: int, backlog: int) -> Feedback:
        """The report to send now."""
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
    """Admits up to ``size`` requests in flight, at no more than the limit's rate.

    ``report`` sends the counts to the process that sets the limit: soon after a refusal, and every
    ``TICK``. Times are in seconds, as returned by ``clock``.
    """

    def __init__(
        self,
        size: int,
        report: Callable[[Feedback], None],
        *,
        clock: Clock = time.monotonic,
        prefix: str = "",
    ) -> None:
        """``prefix``: requests below it are limited by themselves, by this."""
        self.backlog: Callable[[], int] = int  # the number of tasks waiting to become requests
        # Whether requests are in flight whose bodies wait, so that no answer can come.
        self.expects_silence: Callable[[], bool] = bool
        self.limit = NO_LIMIT
        self.epoch = NO_LIMIT.epoch
        self.lanes: Lanes[RequestLimiter] | None = None  # None while the store throttles nothing
        self._watched = 0.0  # until when it is not None
        self._prefix = prefix
        self._closed = False
        self._report = report
        self._clock = clock
        self._meter = Meter(clock)
        self._size = self._free = size
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._answers = self._bad = 0  # since they were last noted
        self._throttled = self._taken = 0  # since the start
        self._refusal = Refusal("", "")
        self._answered = clock()  # when an answer last came, or none was expected
        self._stalled_since: float | None = None  # time of the first refusal since any success
        self._due = 0.0  # when the next request may be sent, while there is a limit
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
        """Seconds for which the store has refused requests and accepted none."""
        return 0.0 if self._stalled_since is None else self._clock() - self._stalled_since

    def start(self, tick: float = TICK) -> None:
        """Start counting, and reporting every ``tick`` seconds; the event loop must be running."""
        if self._answers or self._free == self._size or self.expects_silence():
            self._answered = self._clock()
        self._settle()
        self._send_report()
        if not self._closed:
            asyncio.get_running_loop().call_later(tick, self.start, tick)

    def watch(self) -> Lanes[RequestLimiter]:
        """Count requests by their places from now on, until the store has refused none for long."""
        self._watched = self._clock() + LIFTED
        if self.lanes is None:
            self.lanes = Lanes(self, self._create_lane)
        return self.lanes

    def record_place(self, place: str) -> None:
        """Record where the request was to go that the store throttled, see ``prefixes``."""
        if place and not self._prefix:
            self.watch().refuse(place)

    def put_back(self) -> None:
        """Take back the admission of a request that was not sent."""
        self._free += 1
        self._release()

    def close(self) -> None:
        """Send no more reports."""
        self._closed = True

    def take_at_once(self) -> bool:
        """Admit a request if it need not wait; return whether it was admitted."""
        if self._waiting or self._free <= 0 or (self.limit.ceiling and self._must_wait()):
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Wait until a request is admitted. Raises ``RunEnding`` if the run ends first."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._release()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had been admitted
                self._free += 1
            raise

    def give(self) -> None:
        """Record that a request has ended, with whatever result."""
        self._free += 1
        self._answers += 1
        if self._waiting:
            self._release()

    def record_refusal(self, epoch: int, code: str = "", text: str = "") -> None:
        """Record that the store throttled a request sent in ``epoch`` and already given back.

        ``code`` and ``text`` are those of ``Refusal``.
        """
        self._throttled += 1
        self._refusal = Refusal(code, text)
        if self._stalled_since is None:
            self._stalled_since = self._clock()
        self._record_congestion(epoch, refused=1)

    def record_silence(self, epoch: int) -> None:
        """Record that a request sent in ``epoch``, and already given back, got no answer."""
        self._record_congestion(epoch, unanswered=1)

    def set_limit(self, limit: RateLimit) -> None:
        """Apply ``limit`` from now on."""
        now = self._clock()
        if limit.ceiling and not self._prefix:
            self.watch()  # what this process is refused nothing of is evidence as well
        latest = now + 1.0 / limit.rate(now)
        if limit.epoch != self.limit.epoch:
            self._settle()
            self._meter.begin_epoch()
            # Random, because all processes start to count now and must not send in step.
            self._due = random.uniform(now, latest)
        self.limit, self.epoch = limit, limit.epoch
        self._due = min(self._due, latest)
        if self._release_timer is not None:
            self._release_timer.cancel()
            self._release_timer = None
        self._release()

    async def retry(self) -> None:
        """Wait until the budget allows one more retry; usually it does at once.

        Raises ``RunEnding`` if the run ends first.
        """
        while not self._budget.take():
            await asyncio.sleep(1.0 / RETRIES_PER_SECOND)
            if self._ended:
                raise RunEnding

    def end(self) -> None:
        """End the run: waiting requests are dropped, later ones are admitted without a limit."""
        self._ended = True
        for lane in self.lanes.limited.values() if self.lanes is not None else ():
            lane.end()
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(RunEnding())

    def _create_lane(self, prefix: str) -> RequestLimiter:
        lane = RequestLimiter(self._size, self._report, clock=self._clock, prefix=prefix)
        lane.expects_silence = self.expects_silence
        lane.start()
        if self._ended:
            lane.end()
        return lane

    def _record_congestion(self, epoch: int, *, refused: int = 0, unanswered: int = 0) -> None:
        if epoch != self.limit.epoch:  # it says nothing about the current limit
            self._answers -= 1
            return
        self._bad += 1
        self._settle()
        self._meter.note(0, refused=refused, unanswered=unanswered)
        if self._report_timer is None:
            loop = asyncio.get_running_loop()
            self._report_timer = loop.call_later(SOON, self._on_report)

    def _must_wait(self) -> bool:
        """Whether the limit holds the next request back; if not, it is counted as sent."""
        now = self._clock()
        if self._ended or not self.limit.active(now):
            return False
        if now < self._due:
            return True
        self._due = max(self._due, now - BURST) + 1.0 / self.limit.rate(now)
        return False

    def _release(self) -> None:
        """Admit waiting requests, and schedule the next call for when another may be sent."""
        while self._waiting and self._free > 0:
            if self._waiting[0].done():  # cancelled
                self._waiting.popleft()
            elif self.limit.ceiling and self._must_wait():
                self._schedule_release()
                return
            else:
                self._free -= 1
                self._waiting.popleft().set_result(None)

    def _schedule_release(self) -> None:
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
        seen = seen._replace(
            throttled=self._throttled,
            taken=self._taken,
            silent=silent,
            in_flight=self._size - self._free,
        )
        if self._prefix:
            seen = seen._replace(prefix=self._prefix)
        elif self.lanes is not None:
            seen = seen._replace(evidence=self.lanes.take_evidence())
            if not self.lanes.limited and self._clock() > self._watched:
                self.lanes = None
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
    """Budget for retries: an initial amount, plus some per second and per success."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._left = RETRIES_AT_FIRST
        self._at = clock()

    def earn(self, answers: int) -> None:
        """Add the share for ``answers`` requests that needed no retry."""
        self._left = min(RETRIES_AT_FIRST, self._left + RETRIES_PER_ANSWER * answers)

    def take(self) -> bool:
        """Take one retry if there is one; return whether there was."""
        now = self._clock()
        earned = RETRIES_PER_SECOND * (now - self._at)
        self._left, self._at = min(RETRIES_AT_FIRST, self._left + earned), now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
