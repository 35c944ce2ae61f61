"""What a walker finds under each verb: its sources, and the planner that makes tasks of it.

::

    put    files ───────────▶ PutPlanner ──▶ PutTask ─┐
                dest's listing ──▲                    │
    get    source's listing ▶ GetPlanner ──▶ GetTask ─┼▶ walker
    copy   source's listing ▶ CopyPlanner ─▶ CopyTask ┤
                dest's listing ──▲                    │
    apply  a plan ──────────▶ find_applied ──▶ any ───┤
                dest's listing ──▲                    │
    verify as put, get, copy; or a journal ──▶ … ─────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from s3pp.job import Job
from s3pp.pipeline.connect import DistantBucket
from s3pp.places import Side
from s3pp.records import DeleteTask, Outcome, Task
from s3pp.sources import entries
from s3pp.sources.destination_index import DestinationIndex
from s3pp.sources.filters import NameChoice
from s3pp.transfer.copy_planner import CopyPlanner, overlap_of
from s3pp.transfer.planners import GetPlanner, PutPlanner, plan_removal, without_others

if TYPE_CHECKING:
    from s3pp.pipeline.mirror import Mirror
    from s3pp.pipeline.planned_deletions import PlannedDeletions


class Surroundings(NamedTuple):
    """The environment of a walk."""

    buckets: Mapping[Side, DistantBucket]
    notify: Callable[[str], None]  # a line for users
    choice: NameChoice
    mirror: Mirror | PlannedDeletions | None = None  # of --delete
    # Takes the number of objects skipped as ``SAME_ETAG``, and their bytes, where they need not be
    # named.
    count_unchanged: Callable[[int, int], None] | None = None


def walk(job: Job, around: Surroundings) -> Iterator[Task | Outcome]:
    """Yield the tasks of ``job``, and the outcomes of entries that do not become tasks."""
    if job.verifies:
        verification = import_module("s3pp.pipeline.verification")  # what few runs need
        compared: Iterator[Task | Outcome] = verification.walk_verified(job, around, _walk)
        return compared
    steps = (_walk if job.applies is None else _walk_plan)(job, around)
    return steps if around.mirror is None else around.mirror.follow(steps)


def _walk(job: Job, around: Surroundings) -> Iterator[Task | Outcome]:
    """Yield the steps of a transfer; without a mirror, those of its shard alone."""
    filters = around.choice.filters
    if filters.shard is None or not _needs_others(job, around):
        return _walk_ends(job, around)
    filters.names_others = True
    steps = _walk_ends(job, around)
    if around.mirror is not None:
        return steps
    return without_others(steps)


def _needs_others(job: Job, around: Surroundings) -> bool:
    """Return whether what is of other shards matters to this one, see ``sources/left_out``.

    Of a list it is not known what exists without asking for each of its names.
    """
    if around.mirror is not None and job.verb != "remove":  # whose deletions are its own steps
        return True
    return len(job.origins) > 1 or (job.verb == "get" and not job.unlisted)


def _walk_ends(job: Job, around: Surroundings) -> Iterator[Task | Outcome]:
    if job.verb == "put":
        return PutPlanner(job, _destination(job, around)).plan(
            entries(job, around.choice.stdin, around.choice.filters)
        )
    if job.reads_nothing:
        return iter(())  # and DIRECTORY, which could become a file, is not created
    if len(job.origins) > 1:
        return _walk_several(job, around)
    from s3pp.sources.objects import list_origin

    source, notify, origin = around.buckets[Side.SOURCE], around.notify, job.origin
    found = list_origin(job, origin, source, notify, around.choice)
    if job.verb == "get":
        return GetPlanner.of(job, origin).plan(found)
    if job.verb == "remove":
        return plan_removal(found)
    overlap = overlap_of(job, origin, notify, same=_is_dest(source, around))
    planner = CopyPlanner(job, origin, _destination(job, around), overlap=overlap)
    if around.count_unchanged is not None and around.mirror is None:
        found = planner.leave_unchanged(found, around.count_unchanged)
    return planner.plan(found)


def _walk_plan(job: Job, around: Surroundings) -> Iterator[Task | Outcome]:
    """Yield the tasks of the plan that ``job`` applies."""
    from s3pp.sources.plan_file import read_plan
    from s3pp.transfer.applier import find_applied

    planned: Iterator[Any] = read_plan(job)
    if job.verb == "remove":
        return planned
    if job.verb == "get":
        return GetPlanner.of(job, job.origins[0]).separate(planned)
    index = DestinationIndex.of(job, _destination_lister(around), around.notify)
    return (task if isinstance(task, DeleteTask) else find_applied(task, index) for task in planned)


def _walk_several(job: Job, around: Surroundings) -> Iterator[Task | Outcome]:
    """Yield the tasks and outcomes of a job that reads several places."""
    from s3pp.sources.objects import list_origin
    from s3pp.transfer.several_origins import Crossing, limit_found, merge_origins, plan_several

    origins = job.origins
    buckets = [around.buckets[job.side_of(origin)] for origin in origins]
    all_of = replace(job, choosing=replace(job.choosing, limit=None))
    listings = [
        partial(list_origin, all_of, origin, bucket, around.notify, around.choice)
        for origin, bucket in zip(origins, buckets, strict=True)
    ]
    found = limit_found(merge_origins(origins, listings), job.choosing.limit)
    if job.verb == "get":
        first = GetPlanner.of(job, origins[0])
        suffix = job.download.gzip_suffix
        others = [
            GetPlanner(each, folds=False, entering=_ignore, gzip_suffix=suffix)
            for each in origins[1:]
        ]
        steps = plan_several(origins, [each.steps for each in (first, *others)], found)
        return first.separate(steps)
    same = [_is_dest(bucket, around) for bucket in buckets]
    index, planners = _destination(job, around), []
    for number, origin in enumerate(origins):
        overlap = Crossing.among(number, origins, job.dest, same=same)
        if overlap.own.note:
            around.notify(overlap.own.note)
        planners.append(CopyPlanner(job, origin, index, overlap=overlap))
    return plan_several(origins, [each.plan for each in planners], found)


def _ignore(_: str) -> None:
    return


def _is_dest(source: DistantBucket, around: Surroundings) -> bool:
    """Return whether the bucket that is read is the one that is written to."""
    return source.opened.endpoint.same_bucket(around.buckets[Side.DEST].opened.endpoint)


def _destination(job: Job, around: Surroundings) -> DestinationIndex:
    mirror: Any = around.mirror
    if mirror is not None:  # which reads the listing in any case
        return DestinationIndex(job, mirror, around.notify)
    return DestinationIndex.of(job, _destination_lister(around), around.notify)


def _destination_lister(around: Surroundings) -> DistantBucket:
    return around.buckets.get(Side.LISTING) or around.buckets[Side.DEST]
