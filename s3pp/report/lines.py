"""One record, two forms: a line for people, an event for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from s3pp.job import Job
from s3pp.records import Done, Failed, Outcome, Skipped
from s3pp.report.escape import one_line, printable

# ASCII only: a lone surrogate survives, and no stream's encoding can refuse the line.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def as_json(event: dict[str, Any]) -> str:
    """``event`` as one line of JSON, without the line end."""
    return _encode(event)


@dataclass(frozen=True)
class Lines:
    """The forms of an outcome, for one job."""

    verb: str
    bucket: str
    dry_run: bool = False

    @classmethod
    def of(cls, job: Job) -> Lines:
        """The forms for ``job``'s outcomes."""
        return cls(job.verb, job.dest.bucket, job.dry_run)

    def text(self, outcome: Outcome) -> str:
        """``put a/b.txt -> s3://b/p/a/b.txt (new)``, without the line end.

        A failure ends in its cause: ``put a/b.txt -> s3://b/p/a/b.txt: permission denied``.
        """
        kind = type(outcome)
        verb = "skip" if kind is Skipped else self.verb
        target = f"s3://{self.bucket}/{printable(outcome.target)}"
        line = f"{verb} {printable(outcome.source)} -> {target}"
        if isinstance(outcome, Failed):
            return f"{line}: {one_line(outcome.message)}"
        return f"{line} ({outcome.reason.value})"

    def event(self, outcome: Outcome) -> dict[str, Any]:
        """The outcome as ``--json`` and the journal give it."""
        event: dict[str, Any] = {
            "event": type(outcome).__name__.lower(),
            "verb": self.verb,
            "source": outcome.source,
            "bucket": self.bucket,
            "key": outcome.target,
        }
        event |= _particulars(outcome)
        if self.dry_run:
            event["dry_run"] = True
        return event

    def json(self, outcome: Outcome) -> str:
        """``event`` as one line of JSON, without the line end."""
        return _encode(self.event(outcome))


def _particulars(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failed):
        return {"kind": outcome.kind.value, "message": outcome.message}
    facts = {"size": outcome.size, "reason": outcome.reason.value}
    if isinstance(outcome, Done):
        facts |= {
            "sent": outcome.sent,
            "etag": outcome.etag,
            "attempts": outcome.attempts,
        }
    return facts
