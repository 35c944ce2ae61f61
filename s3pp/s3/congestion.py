"""Congestion control: the request rate towards one store, over all processes of a run.

A store that throttles (503 SlowDown, 429) limits requests per second, so that is the quantity
controlled; the number of requests in flight follows, as rate times latency. There is no limit until
a store asks for one. From then on it is a function of the time since it was last lowered::

    rate
      │                 ╱  the excess over the ceiling doubles every 0.4 seconds, so that a
      │               ╱    store that takes more is followed: five times as much in 4.4 seconds
    c ┼ ─ ─ ─ ─ ─ __╱─ ─ ─ the ceiling: requests per second that the store last accepted
      │ ____───‾‾          a few in a hundred less, so that what is waiting can drain
      └─────────┬──────────────▶ time
        lowered      refused again: a new ceiling, a new epoch

The curve serves the purpose of CUBIC's (RFC 9438): it stays near the last rate that worked, then
leaves it at an increasing pace. Like BBR, it derives the ceiling from the delivery rate, not the
send rate. Nothing here waits or sends: ``limiter`` does.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

HEADROOM = 0.03  # share of the ceiling by which a limit starts below it
EXCESS = 0.002  # share of the ceiling by which it grows in the first DOUBLING
DOUBLING = 0.4  # seconds in which the growth doubles
SLOW_START = 0.2  # the same, while the ceiling is far below that of a moment ago
RECOVERY = 0.15  # seconds in which the rate doubles after the store refused nearly everything
LIFTED = 6.0  # seconds without a refusal until the limit ends; it would be 66 ceilings then

EVIDENCE = 8  # answers within an epoch that suffice to judge it
PATIENCE = 0.25  # seconds after which fewer suffice
MIN_REFUSALS = 3  # refusals needed before a limit is set: one alone means little
UNSEEN = 0.02  # share of refusals that is ignored: requests arrive at random times
MOSTLY = 0.5  # share of refusals at which the rate is lowered at once, not only its ceiling
LOOKBACK = 1.0  # seconds in which what was accepted ``lately`` was
NO_BURST = 0.5  # seconds of which what a store allows once is the lesser part
AT_FIRST = 0.1  # seconds over which the first refusals are assumed to have arrived
STEEPEST = 0.5  # the most that one step lowers the rate: to this share of it

LEAST = 1.0  # requests a second that are always sent, to find out when throttling ends
# The same where no answer comes, since attempts are counted then: 512 requests make their 8
# attempts in about a minute.
LEAST_UNANSWERED = 64.0

# If refusals do not decrease at a quarter of the rate, the rate is not their cause. So many answers
# at that rate show it: fewer are chance, where many runs share what a store takes, and each has a
# few requests a second.
INDIFFERENT = 4.0
ENOUGH = 64
MOST_TOLERATED = 0.5  # largest share of refusals that may be independent of the rate
TOLERANCE = 20.0  # seconds for which such refusals are ignored

WorkerT = TypeVar("WorkerT", bound=Hashable)


class RateLimit(NamedTuple):
    """A limit on requests per second; a ``ceiling`` of 0 means no limit."""

    epoch: int = 0  # incremented each time the limit is lowered
    ceiling: float = 0.0  # requests per second
    since: float = 0.0  # when it was set, in seconds of a monotonic clock
    doubling: float = DOUBLING  # seconds
    start: float = 1.0  # initial share of the ceiling, which doubles each RECOVERY

    def rate(self, now: float) -> float:
        """Requests per second at ``now``; infinite where there is no limit."""
        if not self.active(now):
            return float("inf")
        age = now - self.since
        share: float = 1.0 - HEADROOM + EXCESS * (2.0 ** (age / self.doubling) - 1.0)
        recovered: float = self.start * 2.0 ** (age / RECOVERY)
        return self.ceiling * min(share, recovered)

    def active(self, now: float) -> bool:
        """Whether the limit is in effect."""
        return self.ceiling > 0.0 and now - self.since < LIFTED

    def share(self, part: float) -> RateLimit:
        """The limit of one process that may send ``part`` of the whole."""
        return self._replace(ceiling=self.ceiling * part)


NO_LIMIT = RateLimit()


class PrefixLimit(NamedTuple):
    """The limit of requests below a prefix. Producer: the supervisor; consumer: workers."""

    prefix: str  # with its bucket: ``bucket/logs/``
    limit: RateLimit  # ``NO_LIMIT``: it is no longer limited by itself


class Refusal(NamedTuple):
    """The error with which a store throttles."""

    code: str
    text: str  # with the endpoint, for the user


class Count(NamedTuple):
    """The answers of a store to requests of one kind."""

    accepted: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.accepted + self.refused

    @property
    def share(self) -> float:
        """The share that was refused."""
        return self.refused / max(self.total, 1)

    def plus(self, other: Count) -> Count:
        """Both together."""
        return Count(self.accepted + other.accepted, self.refused + other.refused)


class Feedback(NamedTuple):
    """One process's measurements of the store. Sent by ``limiter``, read by ``CongestionControl``.

    Answers are counted over the last second, for requests sent within ``epoch``.
    """

    epoch: int
    accepted: int
    refused: int  # throttled
    unanswered: int  # reset, timed out
    lately: int  # accepted within the last second, whatever the epoch
    span: float  # the seconds in which these were counted; less than one at the start
    backlog: int  # waiting requests and tasks
    throttled: int = 0  # requests that the store throttled, since the start
    taken: int = 0  # requests that it did not, since the start
    stalled: float = 0.0  # seconds since the first refusal after which none was accepted
    refusal: Refusal = Refusal("", "")  # the last of these refusals
    silent: float = -1.0  # seconds without any answer; negative where none is expected
    in_flight: int = 0  # requests
    prefix: str = ""  # of the requests that are counted; empty: of those below no limited one
    evidence: tuple[tuple[str, Count], ...] = ()  # for limited prefixes, see ``prefixes``

    @property
    def congested(self) -> int:
        """Answers that ask for a lower rate."""
        return self.refused + self.unanswered


class Demand(NamedTuple):
    """What a process asks for, in addition to what it has asked for before."""

    requests: int = 0
    sent: int = 0  # bytes of bodies
    received: int = 0


class Permit(NamedTuple):
    """What a process may use, once."""

    requests: int = 0
    sent: int = 0
    received: int = 0


class _Sums(NamedTuple):
    accepted: float = 0.0
    congested: float = 0.0
    unanswered: float = 0.0
    lately: float = 0.0
    backlog: float = 0.0

    def exchange(self, before: _Sums, after: _Sums) -> _Sums:
        return _Sums(*(a - b + c for a, b, c in zip(self, before, after, strict=True)))

    @property
    def answers(self) -> float:
        """Answers of this epoch."""
        return self.accepted + self.congested

    @property
    def refusals(self) -> float:
        """The share of refusals among the answers."""
        return self.congested / max(self.answers, 1.0)


class CongestionControl(Generic[WorkerT]):
    """The limit for all workers, computed from their reports; times in seconds, given by the
    caller, of one monotonic clock."""

    def __init__(self) -> None:
        self.limit = NO_LIMIT
        self._reports: dict[WorkerT, _Sums] = {}
        self._sums = _Sums()
        self._reporting: set[WorkerT] = set()  # those that have reported at all
        self._counted: set[WorkerT] = set()  # those whose report belongs to this epoch
        self._span = 0.0  # seconds in which what was accepted lately was: of the first worker
        self._recent = 0.0  # the highest ceiling of a moment ago
        self._episode = _Episode()
        self._tolerated = UNSEEN
        self._tolerated_until = 0.0
        self._unsure_until = 0.0  # see ``_raise``

    @property
    def workers(self) -> list[WorkerT]:
        """The workers that send requests."""
        return list(self._reports)

    def join(self, worker: WorkerT) -> None:
        """Add a worker that will send requests."""
        self._reports.setdefault(worker, _Sums())

    def leave(self, worker: WorkerT) -> None:
        """Remove a worker."""
        self._sums = self._sums.exchange(self._reports.pop(worker, _Sums()), _Sums())
        self._reporting.discard(worker)
        self._counted.discard(worker)

    def share(self, worker: WorkerT) -> float:
        """The share of the rate for ``worker``, chosen so that all finish at the same time."""
        # One more for each, so that an idle worker can start.
        mine = self._reports[worker].backlog + 1.0
        return mine / (self._sums.backlog + len(self._reports))

    def observe(self, worker: WorkerT, feedback: Feedback, now: float) -> bool:
        """Process a report; return whether the limit was lowered, which begins a new epoch."""
        self._count(worker, feedback)
        if not self._congested(now):
            self._raise(now)
            return False
        if self._indifferent():
            self._tolerated = min(MOST_TOLERATED, 1.5 * self._sums.refusals)
            self._tolerated_until = now + TOLERANCE
            self._begin(NO_LIMIT)
        else:
            self._lower(now)
        return True

    @property
    def is_busy(self) -> bool:
        """Whether requests or tasks wait."""
        return self._sums.backlog > 0.0

    def follow(self, limit: RateLimit) -> None:
        """Take over a limit that was found by another run."""
        self._recent = max(limit.ceiling, 0.7 * self._recent)
        self._begin(limit)

    def lift(self) -> None:
        """End the limit: what was refused is limited in another way."""
        self._recent = 0.0
        self._begin(NO_LIMIT)

    def rescale(self, factor: float) -> None:
        """Change the limit, and what is remembered of it, by ``factor``."""
        self._recent *= factor
        self.limit = self.limit._replace(ceiling=self.limit.ceiling * factor)

    def _count(self, worker: WorkerT, feedback: Feedback) -> None:
        seen = _Sums(
            lately=feedback.lately,
            backlog=feedback.backlog,
        )
        self._span = max(self._span, feedback.span)
        if feedback.epoch == self.limit.epoch:
            seen = seen._replace(
                accepted=feedback.accepted,
                congested=feedback.congested,
                unanswered=feedback.unanswered,
            )
            self._counted.add(worker)
        self._reporting.add(worker)
        self._sums = self._sums.exchange(self._reports.get(worker, _Sums()), seen)
        self._reports[worker] = seen

    def _congested(self, now: float) -> bool:
        sums, limit = self._sums, self.limit
        if sums.congested < 1.0:
            return False
        if now >= self._tolerated_until:
            self._tolerated = UNSEEN
        if not limit.active(now):
            return sums.congested >= MIN_REFUSALS and sums.refusals > self._tolerated
        if sums.refusals <= self._tolerated:
            return False
        enough = sums.answers >= EVIDENCE
        return enough or now - limit.since >= PATIENCE

    def _lower(self, now: float) -> None:
        sums, limit = self._sums, self.limit
        rate, lately = limit.rate(now), self._of_all(sums.lately)
        mostly = sums.refusals >= MOSTLY
        ceiling = self._accepted_rate()
        self._unsure_until = now + LOOKBACK if ceiling < STEEPEST * rate else now
        if limit.active(now):
            kept = max(STEEPEST, 1.1 * (1.0 - sums.refusals))
            ceiling = min(ceiling, rate * kept / (1.0 - HEADROOM))
        unanswered = 2.0 * sums.unanswered > sums.congested
        least = LEAST_UNANSWERED if unanswered else LEAST
        # A full second of accepted requests is no burst. Where nearly all were refused, few were
        # sent and fewer accepted: that alone is no reason to discard the ceiling.
        known = lately if mostly or self._span >= LOOKBACK else 0.0
        ceiling = max(ceiling, known, least, STEEPEST * limit.ceiling)
        self._episode = self._episode.step(lately, limit.ceiling, sums, now)
        start = max(least, STEEPEST * rate) / ceiling if mostly and limit.active(now) else 1.0
        searching = ceiling < 0.7 * self._recent or not self._recent
        self._recent = max(ceiling, 0.7 * self._recent)
        doubling = SLOW_START if searching else DOUBLING
        self._begin(RateLimit(limit.epoch, ceiling, now, doubling, start))

    def _raise(self, now: float) -> None:
        """Raise a ceiling below what turns out to have been accepted when it was set.

        Refusals are reported at once, and what was accepted later: after the latency of requests,
        and of messages from other machines, and at the next report of each worker.
        """
        limit = self.limit
        if now < self._unsure_until and limit.active(now) and self._sums.lately:
            accepted = self._of_all(self._sums.lately / max(self._span, NO_BURST))
            ceiling = max(limit.ceiling, accepted)
            self.limit = limit._replace(ceiling=ceiling)
            self._recent = max(self._recent, ceiling)

    def _accepted_rate(self) -> float:
        """Requests a second that were accepted.

        At the start this may be a burst that the store allows once, so a limit derived from it is
        halved as long as too many requests are refused. If none is known to have been accepted,
        the refused ones are counted instead.
        """
        sums = self._sums
        known = sums.lately / self._span if sums.lately else sums.congested / AT_FIRST
        return self._of_all(known)

    def _of_all(self, of_those_reporting: float) -> float:
        """Scale a sum to all workers, assuming that those yet to report are like the others."""
        return of_those_reporting * len(self._reports) / max(len(self._reporting), 1)

    def _indifferent(self) -> bool:
        """Whether the share of refusals is what it was at many times the rate, so not due to it."""
        episode, refusals = self._episode, self._sums.refusals
        return (
            episode.is_far_below(self.limit.ceiling)
            and episode.answers_below + self._sums.answers >= ENOUGH
            and refusals <= MOST_TOLERATED
            and 0.0 < episode.refusals <= MOST_TOLERATED
            and refusals >= 0.5 * episode.refusals
        )

    def _begin(self, limit: RateLimit) -> None:
        """Begin an epoch, in which earlier answers do not count."""
        self.limit = limit._replace(epoch=self.limit.epoch + 1)
        for worker in self._counted:
            seen = self._reports[worker]
            before = seen._replace(lately=0.0, backlog=0.0)
            self._sums = self._sums.exchange(before, _Sums())
            self._reports[worker] = seen._replace(accepted=0, congested=0, unanswered=0)
        self._counted.clear()


class _Episode(NamedTuple):
    """A series of lowerings: the ceiling it started from, and the answers since."""

    ceiling: float = 0.0
    until: float = 0.0  # a lowering before this time belongs to the episode
    accepted: float = 0.0
    congested: float = 0.0
    answers_below: float = 0.0  # to requests under a ceiling that was far below the first one

    @property
    def refusals(self) -> float:
        return self.congested / max(self.accepted + self.congested, 1.0)

    def is_far_below(self, ceiling: float) -> bool:
        """Whether fewer requests would be refused under ``ceiling``, were the rate the cause."""
        return 0.0 < ceiling <= self.ceiling / INDIFFERENT

    def step(self, lately: float, ceiling: float, sums: _Sums, now: float) -> _Episode:
        """Return the episode with one more lowering, of a limit that has ``ceiling``."""
        before = self if now < self.until else _Episode(lately)
        below = sums.answers if before.is_far_below(ceiling) else 0.0
        return _Episode(
            before.ceiling,
            now + 1.5,  # by then a correct limit has grown back to its ceiling
            before.accepted + sums.accepted,
            before.congested + sums.congested,
            before.answers_below + below,
        )
