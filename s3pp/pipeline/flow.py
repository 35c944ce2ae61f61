"""One rate for the whole run: what workers see of the store, and each one's share of the limit.

::

    worker ──Feedback──▶ CongestionControl ──RateLimit──▶ every worker   at once, when lowered
                              └──────────────RateLimit──▶ every worker   each BALANCE, by backlog
                              └──────────────Flow───────▶ statter        likewise, where it changed
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from s3pp.pipeline.messages import Message
from s3pp.report.totals import Flow
from s3pp.s3.congestion import CongestionControl, Feedback

BALANCE = 0.25  # seconds between two looks at who needs how much of the rate

W = TypeVar("W", bound=Hashable)


class FlowControl(Generic[W]):
    """Holds the congestion control of one run; times in seconds of one monotonic clock."""

    def __init__(self, send: Callable[[W, Message], None]) -> None:
        """``send`` sends a message to a worker, or to the statter."""
        self._send = send
        self._control: CongestionControl[W] = CongestionControl()
        self._seen: dict[W, Feedback] = {}
        self._throttled_before = 0  # by workers that are gone
        self._balanced = 0.0
        self._told = Flow()

    def join(self, worker: W) -> None:
        """A worker is going to send requests."""
        self._control.join(worker)

    def leave(self, worker: W) -> None:
        """A worker is gone."""
        self._control.leave(worker)
        seen = self._seen.pop(worker, None)
        self._throttled_before += seen.throttled if seen else 0

    def observe(self, worker: W, seen: Feedback, now: float) -> None:
        """Take what a worker sees; if the limit has to be lowered, every worker is told."""
        self._seen[worker] = seen
        if self._control.observe(worker, seen, now):
            self.spread()

    def balance(self, now: float, statter: W) -> None:
        """Each ``BALANCE``: share the limit by what waits now, and tell the user how it stands."""
        if now - self._balanced < BALANCE:
            return
        self._balanced = now
        if self._control.limit.active(now):
            self.spread()
        flow = self._flow(now)
        if flow.told != self._told.told:
            self._told = flow
            self._send(statter, flow)

    def spread(self) -> None:
        """Send each worker its share of the limit."""
        control = self._control
        for worker in control.workers:
            self._send(worker, control.limit.share(control.share(worker)))

    def _flow(self, now: float) -> Flow:
        limit, seen = self._control.limit, self._seen.values()
        return Flow(
            throttled=self._throttled_before + sum(each.throttled for each in seen),
            rate=limit.rate(now) if limit.active(now) else 0.0,
            silent=min((each.silent for each in seen if each.silent >= 0.0), default=0.0),
        )
