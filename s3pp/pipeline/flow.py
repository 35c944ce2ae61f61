"""Rate control over the whole run: from workers' feedback to each worker's share of the limit.

::

    worker ──Feedback──▶ CongestionControl ──RateLimit──▶ every worker   at once, when lowered
                              └──────────────RateLimit──▶ every worker   each BALANCE, by backlog
                              └──────────────Flow───────▶ statter        likewise, where it changed
           └────▶ StallWatch ──Stall──▶ supervisor, which ends the run

                              └──────────────PrefixLimit─▶ every worker   likewise, by prefix
    worker ──Feedback.evidence──▶ PrefixFinder, which names the prefixes that are limited

    the limits ◀──SharedPace──▶ those of other runs on this machine   each PERIOD

    worker, walker ──Demand──▶ Quotas ──Permit──▶ the same, as far as the user's limits allow
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.pipeline.messages import Message, Notice
from s3pp.pipeline.shared_pace import ALONE, IDLE, PERIOD, RunRecord, SharedPace
from s3pp.report.failures import Cause
from s3pp.report.totals import Flow
from s3pp.s3.congestion import (
    LEAST,
    NO_LIMIT,
    CongestionControl,
    Demand,
    Feedback,
    PrefixLimit,
    RateLimit,
    Refusal,
)
from s3pp.s3.prefixes import MOST_PREFIXES, PrefixFinder
from s3pp.s3.quotas import Quotas, monotonic_quotas

BALANCE = 0.25  # seconds between two redistributions of the rate
LOOK = 0.1  # seconds between two searches for prefixes, which take up to milliseconds

W = TypeVar("W", bound=Hashable)


class Stall(NamedTuple):
    """The store has throttled every request for so long that the run must end."""

    seconds: float
    refusal: Refusal

    @property
    def cause(self) -> Cause:
        """The cause with which the refused objects fail."""
        return Cause(FailureKind.STORE, self.refusal.code)

    def __str__(self) -> str:
        why = f"throttled for {self.seconds:.0f} s in which no request succeeded"
        return f"{self.refusal.text} ({why}, and the rest is not tried: see --max-throttled)"


class StallWatch:
    """Detects that the store has accepted no request of the run for ``bound`` seconds."""

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._accepted = float("-inf")  # when a worker last reported an accepted request
        self._since: float | None = None  # the first refusal since then

    def see(self, before: Feedback | None, seen: Feedback, now: float) -> Stall | None:
        """Process a worker's report; ``before`` is its previous one. Returns why the run must end.

        Only a refusal ends it, so that a store without requests meanwhile gets another chance.
        """
        taken, throttled = (before.taken, before.throttled) if before else (0, 0)
        if seen.taken > taken:
            self._accepted, self._since = now, None
        elif seen.throttled > throttled:
            if self._since is None:
                self._since = max(self._accepted, now - seen.stalled)
            if now - self._since >= self._bound:
                return Stall(now - self._since, seen.refusal)
        return None


class SharedControl(Generic[W]):
    """The limit of one run for all requests, or below one prefix, shared with other runs."""

    def __init__(self, shared: SharedPace | None = None) -> None:
        self.control: CongestionControl[W] = CongestionControl()
        self.shared = shared
        self._part = ALONE.part  # of the limit of all runs on this machine
        self._exchanged = 0.0

    def exchange(self, now: float) -> bool:
        """Every ``PERIOD``, write the limit for other runs, and take over what they learnt later.

        Returns whether a limit was taken over.
        """
        if self.shared is None or now - self._exchanged < PERIOD:
            return False
        self._exchanged = now
        control, before = self.control, self._part
        weight = 1.0 if control.is_busy else IDLE
        found = self.shared.exchange(RunRecord(now, weight, control.limit.share(1.0 / before)))
        self._part = found.part
        if found.limit.since > control.limit.since:
            control.follow(found.limit.share(found.part))
            return True
        if found.part != before:
            control.rescale(found.part / before)
        return False

    def limits(self) -> list[tuple[W, RateLimit]]:
        """The share of each worker."""
        control = self.control
        return [(each, control.limit.share(control.share(each))) for each in control.workers]

    def close(self) -> None:
        """End the sharing."""
        if self.shared is not None:
            self.shared.close()


class FlowControl(Generic[W]):
    """Holds the congestion control of one run; times in seconds of one monotonic clock."""

    def __init__(
        self,
        send: Callable[[W, Message], None],
        abort: Callable[[str, Cause], None],
        job: Job,
    ) -> None:
        """``send`` sends a message to a child.

        ``abort`` ends the run after ``--max-throttled``, see ``StallWatch``; it gets the reason,
        and the cause with which objects fail.
        """
        self._send = send
        self._abort = abort
        self._stalled = StallWatch(job.access.max_throttled)
        self._quotas: Quotas[W] = monotonic_quotas(job.speed)
        self._all: SharedControl[W] = SharedControl()
        self._below: dict[str, SharedControl[W]] = {}  # by prefix
        self._finder = PrefixFinder()
        self._looked = float("-inf")  # for prefixes, last
        self._endpoint = ""
        self._unshared = ""  # why limits are not shared, until that is said
        self._says_so = job.output.verbosity > 0
        self._seen: dict[tuple[W, str], Feedback] = {}  # by prefix, too
        # By workers that are gone, and below prefixes that are no longer limited.
        self._throttled_before = self._taken_before = 0
        self._counts_flow = job.output.keeps_facts  # the journal has it at all times
        self._balanced = self._limited = 0.0
        self._sent = Flow()

    def join(self, worker: W) -> None:
        """Add a worker that will send requests."""
        for each in self._controls:
            each.control.join(worker)

    def leave(self, worker: W) -> None:
        """Remove a child."""
        for each in self._controls:
            each.control.leave(worker)
        self._quotas.leave(worker)
        self._forget([each for each in self._seen if each[0] == worker])

    def share(self, endpoint: str) -> None:
        """Share limits with other runs on this machine that use ``endpoint``."""
        self._all.shared, self._unshared = SharedPace.of(endpoint)
        self._endpoint = "" if self._unshared else endpoint

    def close(self) -> None:
        """End the sharing."""
        for each in self._controls:
            each.close()

    def observe(self, worker: W, seen: Feedback | Demand, now: float) -> None:
        """Process what a child says of its requests, or needs for them.

        If a worker's feedback lowers a limit, it is sent to every worker.
        """
        if isinstance(seen, Demand):
            self._quotas.demand(worker, seen)
            return
        paced = self._below.get(seen.prefix) if seen.prefix else self._all
        if paced is None:  # sent before the worker knew that the prefix is no longer limited
            return
        before, self._seen[worker, seen.prefix] = self._seen.get((worker, seen.prefix)), seen
        if paced.control.observe(worker, seen, now):
            self.spread()
        if seen.evidence:
            self._find_prefixes(seen, now)
        if stall := self._stalled.see(before, seen, now):
            self._abort(str(stall), stall.cause)

    def permit(self, most: float) -> float:
        """Send what the user's limits allow by now; return seconds until more, at most ``most``."""
        now = time.monotonic()
        for child, permit in self._quotas.permits(now).items():
            self._send(child, permit)
        return min(most, self._quotas.wait(now))

    def balance(self, now: float, statter: W) -> None:
        """Every ``BALANCE``, redistribute the limit by backlog and send the flow to the statter."""
        if now - self._balanced < BALANCE:
            return
        before, self._balanced = self._balanced, now
        taken_over = [each.exchange(now) for each in self._controls]
        self._drop_prefixes(now)
        if self._below or self._all.control.limit.active(now):
            self._limited += now - before
            self.spread()
        elif any(taken_over):
            self.spread()
        self._report_unshared(statter)
        flow = self._flow(now)
        if flow.facts != self._sent.facts or (self._counts_flow and flow != self._sent):
            self._sent = flow
            self._send(statter, flow)

    def spread(self) -> None:
        """Send each worker its share of the limits."""
        for prefix, paced in self._below.items():  # before what waits below them is let go
            for worker, limit in paced.limits():
                self._send(worker, PrefixLimit(prefix, limit))
        for worker, limit in self._all.limits():
            self._send(worker, limit)

    def _report_unshared(self, statter: W) -> None:
        """With ``-v``, say once why limits are not shared."""
        shared = self._all.shared
        why = self._unshared or (shared.trouble if shared is not None else "")
        if why and self._says_so:
            self._says_so = False
            alone = "this run does not share the rate of a store that throttles with others"
            self._send(statter, Notice(f"{alone} on this machine: {why}"))

    @property
    def _controls(self) -> list[SharedControl[W]]:
        return [self._all, *self._below.values()]

    def _find_prefixes(self, seen: Feedback, now: float) -> None:
        """If the evidence is that of prefixes, limit these instead of everything."""
        self._finder.add(seen.evidence, now)
        refused = any(count.refused for _, count in seen.evidence)
        if not refused or now - self._looked < LOOK:
            return
        self._looked = now
        found = self._finder.find()
        if found and len(self._below.keys() | found) <= MOST_PREFIXES:
            for prefix, accepted in found.items():
                self._limit_prefix(prefix, RateLimit(0, max(LEAST, accepted), now))
            self._finder.clear()
            self._all.control.lift()
            self.spread()

    def _limit_prefix(self, prefix: str, limit: RateLimit) -> None:
        shared = SharedPace.of(f"{self._endpoint}/{prefix}")[0] if self._endpoint else None
        paced = self._below[prefix] = SharedControl(shared)
        for worker in self._all.control.workers:
            paced.control.join(worker)
        paced.control.follow(limit)

    def _drop_prefixes(self, now: float) -> None:
        """Forget prefixes whose limit has ended, as the store has long refused nothing below."""
        for prefix, paced in list(self._below.items()):
            if not paced.control.limit.active(now):
                self._below.pop(prefix).close()
                for worker in paced.control.workers:
                    self._send(worker, PrefixLimit(prefix, NO_LIMIT))
                self._forget([each for each in self._seen if each[1] == prefix])

    def _forget(self, reports: list[tuple[W, str]]) -> None:
        for each in reports:
            seen = self._seen.pop(each)
            self._throttled_before += seen.throttled
            self._taken_before += seen.taken

    def _flow(self, now: float) -> Flow:
        limit, seen = self._all.control.limit, self._seen.values()
        below = {each: paced.control.limit.rate(now) for each, paced in self._below.items()}
        throttled = self._throttled_before + sum(each.throttled for each in seen)
        return Flow(
            throttled=throttled,
            rate=limit.rate(now) if limit.active(now) else 0.0,
            silent=min((each.silent for each in seen if each.silent >= 0.0), default=0.0),
            in_flight=sum(each.in_flight for each in seen),
            limited=round(self._limited, 3),
            answered=throttled + self._taken_before + sum(each.taken for each in seen),
            below=tuple(below.items()),
        )
