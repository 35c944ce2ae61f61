"""Outcomes and jobs to try the report on."""

from __future__ import annotations

from typing import Any

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.output import Output
from s3pp.places import Place, Source
from s3pp.records import (
    Deleted,
    DeleteReason,
    Done,
    Failed,
    Outcome,
    SendReason,
    Skipped,
    SkipReason,
)

DONE = Done("a/b.txt", "p/a/b.txt", 5, 4, "0cc1", SendReason.NEW)
SAME = Skipped("a/c", "p/a/c", 7, SkipReason.SAME_ETAG)
FIFO = Skipped("a/f", "p/a/f", 0, SkipReason.SPECIAL)
FAILED = Failed("a/d", "p/a/d", FailureKind.UNREADABLE, "permission denied")
DELETED = Deleted("p/x", 9, DeleteReason.NOT_IN_SOURCE, "0cc2", "marker")
KEPT = Failed("p/y", "p/y", FailureKind.ACCESS, "AccessDenied", "AccessDenied", deleting=True)
GONE = Skipped("p/z", "p/z", 3, SkipReason.GONE, deleting=True)
ALL: list[Outcome] = [DONE, SAME, FIFO, FAILED]


def job(*, dry_run: bool = False, **output: Any) -> Job:
    return Job("put", (Source("a"),), Place("bkt", "p"), dry_run=dry_run, output=Output(**output))
