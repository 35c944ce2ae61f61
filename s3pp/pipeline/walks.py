"""The walk of each verb: from listings and files to tasks.

::

    put    files ───────────▶ PutPlanner ──PutTask──▶
                dest's listing ──▲
    get    source's listing ▶ GetPlanner ──GetTask──▶
    copy   source's listing ▶ CopyPlanner ─CopyTask─▶
                dest's listing ──▲
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

from s3pp.errors import FatalError, ObjectError
from s3pp.job import Job, Mode, Side
from s3pp.localfs.name_conflicts import folds_names
from s3pp.localfs.stale_files import Sweeper
from s3pp.localfs.tree import Tree
from s3pp.pipeline.connect import DistantBucket
from s3pp.places import Origin
from s3pp.records import Failed, Outcome, Task
from s3pp.s3.endpoint import Opened
from s3pp.s3.listing import Listed, fetch_page
from s3pp.sources import entries
from s3pp.sources.bucket import BucketListing
from s3pp.sources.lookup import as_listed
from s3pp.sources.namesake import namesake
from s3pp.sources.objects import objects, single
from s3pp.transfer.copy.overlap import Overlap
from s3pp.transfer.copy.planner import CopyPlanner
from s3pp.transfer.get.planner import GetPlanner
from s3pp.transfer.known import Known
from s3pp.transfer.put.planner import PutPlanner

Steps = Iterator[Task | Outcome]


class Surroundings(NamedTuple):
    """The environment of a walk."""

    opened: Mapping[Side, Opened]
    buckets: Mapping[Side, DistantBucket]
    tell: Callable[[str], None]  # a line for users
    stdin: BinaryIO | None  # what --files-from - reads


def walk(job: Job, around: Surroundings) -> Steps:
    """Yield the tasks of ``job``, and the outcomes of entries that do not become tasks."""
    if job.verb == "put":
        return PutPlanner(job, _known(job, around)).plan(entries(job, around.stdin))
    origin, found = _source(job, around)
    if job.verb == "get":
        return _planned_get(job, origin).plan(found)
    return _planned_copy(job, origin, around).plan(found)


def listed(job: Job, around: Surroundings) -> Iterator[Listed | Failed]:
    """Yield everything that ``job`` reads from its origin, in key order."""
    return _source(job, around)[1]


def _source(job: Job, around: Surroundings) -> tuple[Origin, Iterator[Listed | Failed]]:
    origin = _origin(job, around)
    return origin, _found(job, origin, around)


def _origin(job: Job, around: Surroundings) -> Origin:
    assert job.origin is not None
    if job.choosing.files_from is not None:  # names are below it, even if there are none
        return job.origin
    alone = around.opened[Side.SOURCE].single
    if alone is None:
        alone = _is_empty(job.origin, around.buckets[Side.SOURCE])
    return job.origin.alone if alone else job.origin


def _is_empty(origin: Origin, bucket: DistantBucket) -> bool:
    """Whether an origin that may mean a single object has nothing below its prefix."""
    if origin.single is None:
        return False
    # A whole page: not every store handles max-keys=1 correctly.
    try:
        page = bucket.run(fetch_page(bucket, {"prefix": origin.prefix})).result()
    except ObjectError as error:
        raise FatalError(f"list {origin}: {error}") from None
    return not page.objects and page.following is None


def _found(job: Job, origin: Origin, around: Surroundings) -> Iterator[Listed | Failed]:
    bucket = around.buckets[Side.SOURCE]
    if origin.prefix == origin.single:
        return single(job, origin, _looked_up(origin, bucket))
    return _besides(job, origin, around, objects(job, origin, bucket, around.tell, around.stdin))


def _besides(
    job: Job, origin: Origin, around: Surroundings, found: Iterator[Listed | Failed]
) -> Iterator[Listed | Failed]:
    """Yield ``found``, with a notice about an omitted object; both are requested at once."""
    bucket = around.buckets[Side.SOURCE]
    asked = bucket.run(namesake(job, origin, bucket))
    first = next(found, None)
    if note := asked.result():
        around.tell(note)
    if first is not None:
        yield first
        yield from found


def _looked_up(origin: Origin, bucket: DistantBucket) -> Listed:
    """Look up the object itself, which does not require ListBucket."""
    try:
        answer = bucket.run(bucket.look(origin.prefix)).result()
        found = as_listed(origin.prefix, answer) if answer else None
    except ObjectError as error:
        raise FatalError(f"head {origin}: {error}") from None
    if found is None:
        raise FatalError(f"no objects found under {origin}")
    return found


def _known(job: Job, around: Surroundings) -> Known:
    """The destination's listing, where the mode compares."""
    listing = None
    if job.mode is not Mode.STUPID:
        bucket = around.buckets[Side.DEST]
        listing = BucketListing(bucket, job.dest.key(""), run=bucket.run)
    return Known(job, listing, around.tell)


def _planned_get(job: Job, origin: Origin) -> GetPlanner:
    tree = Tree(job.directory, follow=job.choosing.follow_symlinks is True)
    if job.dry_run:
        folding = tree.directory("", make=False) is not None and folds_names(
            job.directory, write=False
        )
        return GetPlanner(origin, folds=folding, entering=lambda _: None)
    tree.make("")
    return GetPlanner(origin, folds=folds_names(job.directory), entering=Sweeper(tree).enter)


def _planned_copy(job: Job, origin: Origin, around: Surroundings) -> CopyPlanner:
    source, dest = (around.opened[side].endpoint for side in (Side.SOURCE, Side.DEST))
    overlap = Overlap.of(origin, job.dest, same=source.same_bucket(dest))
    if overlap.note:
        around.tell(overlap.note)
    return CopyPlanner(job, origin, _known(job, around), overlap=overlap)
