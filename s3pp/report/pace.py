"""The pace of a run: what it did in the last seconds, as the journal and the report have it."""

from __future__ import annotations

from typing import Any

from s3pp.report.totals import Flow, Totals

FIRST = 10.0  # seconds until the first event: a shorter run has none
SHORTEST, LONGEST = 2.0, 10.0  # seconds that another one is about
SHARE = 60.0  # the time that has passed is divided by this in between


class Pacemaker:
    """Measures what a run does between two events; times in seconds of one monotonic clock."""

    def __init__(self, now: float) -> None:
        self._began = self._since = self._flow_at = now
        self._flow = Flow()
        self._in_flight = 0.0  # requests, times the seconds for which they were
        self._before = _Counts(Totals(), Flow())
        self._is_used = False

    def set_flow(self, flow: Flow, now: float) -> None:
        """Take the state of the store under the run's load."""
        self._in_flight += self._flow.in_flight * (now - self._flow_at)
        self._flow, self._flow_at = flow, now

    def take(self, totals: Totals, now: float) -> dict[str, Any] | None:
        """Return the facts of the event that is due by ``now``, if one is."""
        wait = min(LONGEST, max(SHORTEST, (now - self._began) / SHARE))
        if now - self._since < (wait if self._is_used else FIRST):
            return None
        self._is_used = True
        return self._facts(totals, now)

    def end(self, totals: Totals, now: float) -> dict[str, Any] | None:
        """Return the facts of the last event, if there was another, and any time since."""
        return self._facts(totals, now) if self._is_used and now > self._since else None

    def _facts(self, totals: Totals, now: float) -> dict[str, Any]:
        self.set_flow(self._flow, now)
        seconds, counts = now - self._since, _Counts(totals, self._flow)
        facts = {"seconds": round(seconds, 3), **counts.since(self._before)}
        if self._flow.answered:  # in one process nobody counts
            facts["in_flight"] = round(self._in_flight / seconds, 1)
        if self._flow.rate:
            facts["rate_limit"] = round(self._flow.rate, 1)
        self._before, self._since, self._in_flight = counts, now, 0.0
        return facts


class _Counts:
    """What was counted by some time."""

    def __init__(self, totals: Totals, flow: Flow) -> None:
        self._objects, self._bytes = totals.finished, totals.moved
        self._requests, self._throttled = flow.answered, flow.throttled
        self._retries = dict(totals.retries)

    def since(self, before: _Counts) -> dict[str, Any]:
        """Return what was counted since."""
        retries = {
            cause: count - before._retries.get(cause, 0)
            for cause, count in self._retries.items()
            if count > before._retries.get(cause, 0)
        }
        facts: dict[str, Any] = {
            "objects": self._objects - before._objects,
            # What of an object was sent already counts less once it is known to be resumed.
            "bytes": max(0, self._bytes - before._bytes),
            "requests": max(0, self._requests - before._requests),
        }
        if self._throttled > before._throttled:
            facts["throttled"] = self._throttled - before._throttled
        return facts | ({"retries": retries} if retries else {})
