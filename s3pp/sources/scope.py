"""What every source needs to know of the job, and how it says what it found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from s3pp.job import Job
from s3pp.records import Entry, Failed, Skipped
from s3pp.sources.choice import Choice

Record = Entry | Skipped | Failed

# The bytes a record sorts by, and the record. Records cannot sort by their own keys: those of
# failures are made printable, and a directory sorts as ``name/``.
Found = tuple[bytes, Record]
Stream = Iterator[Found]  # ascending


@dataclass(frozen=True)
class Scope:
    """Where names lead to, and which of them are chosen."""

    prefix: str  # what every key begins with: "" or "some/prefix/"
    choice: Choice
    follow: bool  # symbolic links are followed

    @classmethod
    def of(cls, job: Job) -> Scope:
        """The scope of ``job``; raises ``UsageError`` for a glob that is none."""
        choosing = job.choosing
        return cls(job.dest.key(""), Choice(choosing), choosing.follow_symlinks is not False)
