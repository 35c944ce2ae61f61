"""One record, two forms: a line for users, an event for programs."""

from __future__ import annotations

import json
import os
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
    """The forms of an outcome, for one job.

    ``source`` and ``target`` are what its names are completed by: ``s3://bucket/``, ``DIRECTORY/``.
    """

    verb: str
    source: str
    target: str
    dry_run: bool = False

    @classmethod
    def of(cls, job: Job) -> Lines:
        """The forms for ``job``'s outcomes."""
        source = f"s3://{job.origin.bucket}/" if job.origin else ""
        target = f"s3://{job.dest.bucket}/"
        if job.verb == "get":
            target = os.path.join(job.directory, "")
        return cls(job.verb, source, target, job.dry_run)

    def text(self, outcome: Outcome) -> str:
        """``put a/b.txt -> s3://b/p/a/b.txt (new)``, without the line end.

        A failure ends in its cause: ``put a/b.txt -> s3://b/p/a/b.txt: permission denied``.
        """
        kind = type(outcome)
        verb = "skip" if kind is Skipped else self.verb
        source = printable(self.source + outcome.source)
        line = f"{verb} {source} -> {printable(self.target + outcome.target)}"
        if isinstance(outcome, Failed):
            return f"{line}: {one_line(outcome.message)}"
        return f"{line} ({outcome.reason.value})"

    def event(self, outcome: Outcome) -> dict[str, Any]:
        """The outcome as ``--json`` and the journal give it."""
        event: dict[str, Any] = {
            "event": type(outcome).__name__.lower(),
            "verb": self.verb,
            "source": self.source + outcome.source,
        }
        event |= self._place(outcome)
        event |= _particulars(outcome)
        if self.dry_run:
            event["dry_run"] = True
        return event

    def _place(self, outcome: Outcome) -> dict[str, str]:
        """What a program finds the object by: its bucket and key, and of a getter the file."""
        if self.verb == "get":
            bucket = _bucket(self.source)
            return {"bucket": bucket, "key": outcome.source, "path": self.target + outcome.target}
        return {"bucket": _bucket(self.target), "key": outcome.target}

    def json(self, outcome: Outcome) -> str:
        """``event`` as one line of JSON, without the line end."""
        return _encode(self.event(outcome))


def _bucket(place: str) -> str:
    return place.removeprefix("s3://").removesuffix("/")


def _particulars(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failed):
        code = {"code": outcome.code} if outcome.code else {}
        return {"kind": outcome.kind.value, "message": outcome.message} | code
    facts = {"size": outcome.size, "reason": outcome.reason.value}
    if isinstance(outcome, Done):
        facts |= {
            "sent": outcome.sent,
            "etag": outcome.etag,
            "attempts": outcome.attempts,
        }
    return facts
