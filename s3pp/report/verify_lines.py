"""The lines of a verify.

Of two ends they name both, as those of a transfer do, and of what only the destination has that. Of
a journal they name the destination alone, or a line of the journal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from s3pp.escaping import one_line, printable
from s3pp.job import Job
from s3pp.records import Deleted, Failed, Outcome, Skipped
from s3pp.report.failures import explain
from s3pp.report.lines import Lines


@dataclass(frozen=True)
class EndsLines(Lines):
    """Formatter of the outcomes of a ``verify SOURCE DEST``."""

    def text(self, outcome: Outcome) -> str:
        """As ``Lines.text``; of what has no source ``verify s3://b/a: …``."""
        if outcome.source:
            return super().text(outcome)
        return _one_name(self.target + outcome.target, outcome)

    def _place(self, outcome: Outcome) -> dict[str, str]:
        if outcome.source:
            return super()._place(outcome)
        if self.verb == "get":
            return {"path": self.target + outcome.target}
        return {"bucket": _bucket_of(self.target), "key": outcome.target}


@dataclass(frozen=True)
class JournalLines(Lines):
    """Formatter of the outcomes of a ``verify JOURNAL``, which have full names."""

    def text(self, outcome: Outcome) -> str:
        """Return ``verify s3://b/a (size and etag)``."""
        return _one_name(outcome.target, outcome)

    def _place(self, outcome: Outcome) -> dict[str, str]:
        name = outcome.target
        for bucket in self.buckets:
            if name.startswith(f"s3://{bucket}/"):
                return {"bucket": bucket, "key": name.removeprefix(f"s3://{bucket}/")}
        return {"path": name}


def lines_of(job: Job, source: str) -> Lines:
    """Return the formatter for ``job``, a verify; ``source`` as in ``Lines``."""
    if job.verified is not None:
        return JournalLines("verify", "", "", buckets=job.buckets)
    target = os.path.join(job.directory, "") if job.verb == "get" else f"s3://{job.dest.bucket}/"
    return EndsLines(job.verb, source, target, title=job.title)


def _one_name(name: str, outcome: Outcome) -> str:
    place = printable(name)
    if isinstance(outcome, Failed):
        return f"verify {place}: {one_line(explain(outcome))}"
    assert not isinstance(outcome, Deleted), "a verify deletes nothing"
    verb = "skip" if isinstance(outcome, Skipped) else "verify"
    return f"{verb} {place} ({outcome.reason.value})"


def _bucket_of(place: str) -> str:
    return place.removeprefix("s3://").removesuffix("/")
