"""The walk of a verify: two ends that are compared, or a journal and what is there.

::

    SOURCE DEST   the steps of an update ─▶ EndsRule.settle ─▶ outcomes, and tasks for workers
                      └─ Mirror: what only DEST has ─────────▶ outcomes, at the end
    JOURNAL       recorded objects, by destination
                      + a listing of their bucket ─▶ match_recorded ─▶ outcomes, and tasks
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.pipeline.mirror import Mirror, open_mirror
from s3pp.pipeline.walks import Surroundings
from s3pp.records import Failed, Outcome, Task
from s3pp.transfer.verify.verdicts import EndsRule

Step = Task | Outcome
Walk = Callable[[Job, Surroundings], Iterator[Step]]


def walk_verified(job: Job, around: Surroundings, walk: Walk) -> Iterator[Step]:
    """Yield the steps of a verify; ``walk`` yields those of a transfer, without deletions."""
    if job.verified is not None:
        from s3pp.pipeline.journal_walk import walk_journal

        return walk_journal(job, around)
    return _walk_ends(replace(job, dry_run=True), around, walk)


def _walk_ends(job: Job, around: Surroundings, walk: Walk) -> Iterator[Step]:
    mirror, rule = None, EndsRule(job)
    if looks_both_ways(job):
        mirror = open_mirror(job, around.buckets, around.choice.filters)
        around = around._replace(mirror=mirror)
    steps = walk(job, around)
    for step in steps if mirror is None else mirror.follow(steps):
        yield rule.settle(step)
    if mirror is not None:
        yield from _extra(job, mirror)


def looks_both_ways(job: Job) -> bool:
    """Return whether it is looked for what only the destination has.

    It is not where the source is a single one, or a list: that says nothing about others.
    """
    if job.verification.one_way or job.unlisted or job.choosing.limit is not None:
        return False
    if job.origins:
        return not job.origin.is_single
    return os.path.isdir(job.sources[0].path)


def _extra(job: Job, mirror: Mirror) -> Iterator[Outcome]:
    """Yield the outcomes of what only the destination has; all else has been followed."""
    mirror.finish()
    if mirror.fault:
        why = f"what it has besides is not known: {mirror.fault}; --one-way does not look for it"
        yield Failed("", job.dest.key(""), FailureKind.UNDECIDED, why)
        return
    for batch in mirror.batches():
        for each in batch:
            why = "it exists at the destination only"
            yield Failed("", each.target, FailureKind.EXTRA, why)
