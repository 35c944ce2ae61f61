"""The two forms of an outcome: a line for users, an event for programs."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any

from s3pp.job import Job
from s3pp.records import Done, Failed, Outcome, Skipped, UploadFacts
from s3pp.report.escape import one_line, printable
from s3pp.s3.answers import parse_time

# ASCII only: lone surrogates are preserved, and every stream's encoding accepts the line.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def as_json(event: dict[str, Any]) -> str:
    """Return ``event`` as one line of JSON, without the line end."""
    return _encode(event)


@dataclass(frozen=True)
class Lines:
    """Formatter of the outcomes of one job.

    ``source`` and ``target`` are prefixes of the names: ``s3://bucket/``, ``DIRECTORY/``.
    """

    verb: str
    source: str
    target: str
    dry_run: bool = False

    @classmethod
    def of(cls, job: Job) -> Lines:
        """Return the formatter for ``job``."""
        source = f"s3://{job.origin.bucket}/" if job.origin else ""
        if job.verb == "clean":
            return UploadLines(job.verb, source, source, job.dry_run, time.time())
        target = f"s3://{job.dest.bucket}/"
        if job.verb == "get":
            target = os.path.join(job.directory, "")
        return cls(job.verb, source, target, job.dry_run)

    def text(self, outcome: Outcome) -> str:
        """Return ``put a/b.txt -> s3://b/p/a/b.txt (new)``, without the line end.

        A failure ends with its cause: ``put a/b.txt -> s3://b/p/a/b.txt: permission denied``.
        """
        kind = type(outcome)
        verb = "skip" if kind is Skipped else self.verb
        source = printable(self.source + outcome.source)
        line = f"{verb} {source} -> {printable(self.target + outcome.target)}"
        if isinstance(outcome, Failed):
            return f"{line}: {one_line(outcome.message)}"
        return f"{line} ({outcome.reason.value})"

    def event(self, outcome: Outcome) -> dict[str, Any]:
        """Return the outcome as an event of ``--json`` and the journal."""
        event: dict[str, Any] = {"event": type(outcome).__name__.lower(), "verb": self.verb}
        event |= self._place(outcome)
        event |= self._particulars(outcome)
        if self.dry_run:
            event["dry_run"] = True
        return event

    def json(self, outcome: Outcome) -> str:
        """Return ``event(outcome)`` as one line of JSON, without the line end."""
        return _encode(self.event(outcome))

    def _place(self, outcome: Outcome) -> dict[str, str]:
        """Return the location of the object: its bucket and key, and for a get the file."""
        source, target = self.source + outcome.source, self.target + outcome.target
        if self.verb == "get":
            bucket, key = _bucket(self.source), outcome.source
            return {"source": source, "bucket": bucket, "key": key, "path": target}
        return {"source": source, "bucket": _bucket(self.target), "key": outcome.target}

    def _particulars(self, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Failed):
            code = {"code": outcome.code} if outcome.code else {}
            return {"kind": outcome.kind.value, "message": outcome.message} | code
        facts = {"size": outcome.size, "reason": outcome.reason.value}
        if isinstance(outcome, Done):
            facts |= {"sent": outcome.sent, "etag": outcome.etag, "attempts": outcome.attempts}
        return facts


@dataclass(frozen=True)
class UploadLines(Lines):
    """Formatter of the outcomes of a clean. Ages are relative to ``now``, in seconds (epoch)."""

    now: float = 0.0

    def text(self, outcome: Outcome) -> str:
        """Return ``abort s3://b/a (2 parts, 4096 bytes, begun 2026-11-17T08:30:00Z: 3d ago)``.

        Like ``Lines.text``; the line of a skipped upload begins with ``skip``.
        """
        place = printable(self.target + outcome.target)
        if isinstance(outcome, Failed):
            return f"abort {place}: {one_line(outcome.message)}"
        if isinstance(outcome, Skipped):
            return f"skip {place} ({outcome.reason.value})"
        _, initiated, parts = _upload(outcome)
        held = "parts unknown" if parts is None else f"{parts} parts, {outcome.size} bytes"
        ago = age(self.now - parse_time(initiated).timestamp())
        return f"abort {place} ({held}, begun {printable(initiated)}: {ago} ago)"

    def _place(self, outcome: Outcome) -> dict[str, str]:
        upload = _upload(outcome)
        key = {"bucket": _bucket(self.target), "key": outcome.target}
        return {**key, "upload_id": upload.id, "initiated": upload.initiated}

    def _particulars(self, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Done):
            parts = _upload(outcome).parts
            return {"parts": parts, "size": None if parts is None else outcome.size}
        if isinstance(outcome, Skipped):
            return {"reason": outcome.reason.value}
        return super()._particulars(outcome)


def age(seconds: float) -> str:
    """Format an age as in options, rounded down to one unit: ``3d``, ``26h``, ``12m``, ``5s``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def _upload(outcome: Outcome) -> UploadFacts:
    assert outcome.upload is not None, "a clean has outcomes of uploads only"
    return outcome.upload


def _bucket(place: str) -> str:
    return place.removeprefix("s3://").removesuffix("/")
