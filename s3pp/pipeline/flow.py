"""Rate control over the whole run: from workers' feedback to each worker's share of the limit.

::

    worker ──Feedback──▶ CongestionControl ──RateLimit──▶ every worker   at once, when lowered
                              └──────────────RateLimit──▶ every worker   each BALANCE, by backlog
                              └──────────────Flow───────▶ statter        likewise, where it changed
           └────▶ StallWatch ──Stall──▶ supervisor, which ends the run

    the limit ◀──SharedPace──▶ that of other runs on this machine   each PERIOD

    worker, walker ──Demand──▶ Quotas ──Permit──▶ the same, as far as the user's limits allow
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.pipeline.messages import Message
from s3pp.pipeline.shared_pace import ALONE, IDLE, PERIOD, RunRecord, SharedPace
from s3pp.report.failures import Cause
from s3pp.report.totals import Flow
from s3pp.s3.congestion import CongestionControl, Demand, Feedback, Refusal
from s3pp.s3.quotas import Quotas, monotonic_quotas

BALANCE = 0.25  # seconds between two redistributions of the rate

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
        self._control: CongestionControl[W] = CongestionControl()
        self._seen: dict[W, Feedback] = {}
        self._throttled_before = self._taken_before = 0  # by workers that are gone
        self._counts_flow = job.output.keeps_facts  # the journal has it at all times
        self._balanced = self._limited = 0.0
        self._shared: SharedPace | None = None
        self._part = ALONE.part  # of the limit of all runs on this machine
        self._exchanged = 0.0
        self._sent = Flow()

    def join(self, worker: W) -> None:
        """Add a worker that will send requests."""
        self._control.join(worker)

    def leave(self, worker: W) -> None:
        """Remove a child."""
        self._control.leave(worker)
        self._quotas.leave(worker)
        seen = self._seen.pop(worker, None)
        if seen is not None:
            self._throttled_before += seen.throttled
            self._taken_before += seen.taken

    def share(self, endpoint: str) -> None:
        """Share the limit with other runs on this machine that use ``endpoint``."""
        self._shared = SharedPace.of(endpoint)

    def close(self) -> None:
        """End the sharing."""
        if self._shared is not None:
            self._shared.close()

    def observe(self, worker: W, seen: Feedback | Demand, now: float) -> None:
        """Process what a child says of its requests, or needs for them.

        If a worker's feedback lowers the limit, it is sent to every worker.
        """
        if isinstance(seen, Demand):
            self._quotas.demand(worker, seen)
            return
        before, self._seen[worker] = self._seen.get(worker), seen
        if self._control.observe(worker, seen, now):
            self.spread()
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
        if self._shared is not None and now - self._exchanged >= PERIOD:
            self._exchanged = now
            self._exchange(self._shared, now)
        if self._control.limit.active(now):
            self._limited += now - before
            self.spread()
        flow = self._flow(now)
        if flow.facts != self._sent.facts or (self._counts_flow and flow != self._sent):
            self._sent = flow
            self._send(statter, flow)

    def spread(self) -> None:
        """Send each worker its share of the limit."""
        control = self._control
        for worker in control.workers:
            self._send(worker, control.limit.share(control.share(worker)))

    def _exchange(self, shared: SharedPace, now: float) -> None:
        """Tell other runs of the limit, and take over what they have learnt later."""
        control, before = self._control, self._part
        weight = 1.0 if control.is_busy else IDLE
        found = shared.exchange(RunRecord(now, weight, control.limit.share(1.0 / before)))
        self._part = found.part
        if found.limit.since > control.limit.since:
            control.follow(found.limit.share(found.part))
            self.spread()
        elif found.part != before:
            control.rescale(found.part / before)

    def _flow(self, now: float) -> Flow:
        limit, seen = self._control.limit, self._seen.values()
        throttled = self._throttled_before + sum(each.throttled for each in seen)
        return Flow(
            throttled=throttled,
            rate=limit.rate(now) if limit.active(now) else 0.0,
            silent=min((each.silent for each in seen if each.silent >= 0.0), default=0.0),
            in_flight=sum(each.in_flight for each in seen),
            limited=round(self._limited, 3),
            answered=throttled + self._taken_before + sum(each.taken for each in seen),
        )
