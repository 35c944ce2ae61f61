"""The events of a run, as the journal has them: its start, each outcome, its pace, its summary.

::

    outcomes ──▶ RunEvents ──▶ Journal      --journal
                          └──▶ RunAggregate --report

``docs/journal.rst`` describes their fields.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any

from s3pp import __version__
from s3pp.errors import ExitStatus
from s3pp.facts import time_text
from s3pp.job import Compare, Job
from s3pp.records import Failed, Outcome
from s3pp.report.lines import Lines
from s3pp.report.object_facts import with_facts
from s3pp.report.totals import Totals, summary_event

SCHEMA = 2  # of the journal's lines; 1 had no ``run``, and no facts of objects

Event = dict[str, Any]


class RunEvents:
    """Makes the events of one run."""

    def __init__(self, job: Job) -> None:
        self.lines = Lines.of(job)
        self.run = os.urandom(6).hex()  # in each event, as others may write to the same journal
        self._failures: Counter[str] = Counter()  # by their kind

    def start(self, job: Job) -> Event:
        """Return the event that begins the run, of which ``job`` is known by now."""
        return start_event(job, self.run)

    def outcome(self, outcome: Outcome, now: float) -> Event:
        """Return the event of an outcome; ``now``: seconds since the epoch."""
        if isinstance(outcome, Failed):
            self._failures[outcome.kind.value] += 1
        return with_facts(self._with_run(self.lines.event(outcome)), outcome, now)

    def pace(self, facts: Event) -> Event:
        """Return the event of what the run did lately."""
        return {"event": "pace", "run": self.run, "time": _now()} | facts

    def summary(self, totals: Totals, job: Job, status: ExitStatus) -> Event:
        """Return the event that ends the run."""
        end: Event = {"exit_code": int(status), "failures": dict(self._failures)}
        if totals.retries:
            end["retries"] = dict(totals.retries)
        if totals.flow.throttled:
            end["throttled"] = totals.flow.throttled
        return self._with_run(summary_event(totals, job)) | {"time": _now()} | end

    def _with_run(self, event: Event) -> Event:
        return {"event": event["event"], "run": self.run} | event


def _now() -> str:
    return time_text(time.time())


def start_event(job: Job, run: str) -> Event:
    """Return the event that begins the run of ``job`` with the id ``run``."""
    event: dict[str, Any] = {
        "event": "start",
        "run": run,
        "schema": SCHEMA,
        "time": _now(),
        "version": __version__,
        "verb": job.title,
        "sources": list(job.reads),
    }
    if job.verb not in ("clean", "remove"):
        event |= {"dest": job.writes, "mode": job.mode.value}
    if job.applies is not None:
        event["plan"] = job.applies
    if job.compare is not Compare.ETAG:
        event["compare"] = job.compare.value
    if job.choosing.shard is not None:
        event["shard"] = str(job.choosing.shard)
    stores, accounts = job.stores, job.accounts
    known = {"source_endpoint": stores.source, "dest_endpoint": stores.dest}
    known |= {"source_account": accounts.source, "dest_account": accounts.dest}
    event |= {name: text for name, text in known.items() if text}
    event["directory"] = os.getcwd()
    kinds = {"dry_run": job.dry_run, "sandbox": job.sandbox}
    event |= {kind: True for kind, given in kinds.items() if given}
    return event | _invocation(job)


def _invocation(job: Job) -> dict[str, Any]:
    """Return how the run was called; nothing if that is not known."""
    called = job.output.invocation
    if called is None:
        return {}
    withheld = {"withheld": list(called.withheld)} if called.withheld else {}
    return {"command": list(called.command), "settings": called.settings} | withheld
