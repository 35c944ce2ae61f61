"""The settings that every source needs, and the type of the records it yields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from s3pp.job import Job
from s3pp.records import Entry, Failed, Skipped
from s3pp.sources.choice import Choice

Record = Entry | Skipped | Failed

# The bytes a record sorts by, and the record. Records cannot sort by their own keys: the keys of
# failures are made printable, and a directory sorts as ``name/``.
Found = tuple[bytes, Record]
Stream = Iterator[Found]  # ascending


@dataclass(frozen=True)
class Scope:
    """The prefix of the keys, and the rules that choose names."""

    prefix: str  # of every key: "" or "some/prefix/"
    choice: Choice
    follow: bool  # symbolic links are followed

    @classmethod
    def of(cls, job: Job) -> Scope:
        """Return the scope of ``job``; raises ``UsageError`` for an invalid glob."""
        choosing = job.choosing
        return cls(job.dest.key(""), Choice(choosing), choosing.follow_symlinks is not False)
