"""Counts what the walk of a job will find, ahead of it: numbers and sizes, in constant memory.

::

    trees              names and sizes, unsorted: half of what the walk costs
    lists of names     ─┐
    plans, journals     ├─▶ as the walk reads them
    listings           ─┘

Filters apply. What only a decision shows, such as what an update skips, is not known here; nor is
the content of archives, and of standard input, which can be read once only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum
from itertools import islice
from stat import S_ISREG
from typing import NamedTuple

from s3pp.job import STREAM, Job
from s3pp.localfs.paths import is_unfinished
from s3pp.places import Side
from s3pp.records import Entry, Skipped
from s3pp.s3.listing import Listed
from s3pp.sources import entries
from s3pp.sources.destination_index import RemoteBucket
from s3pp.sources.earlier_runs import Found
from s3pp.sources.filesystem import DIRECTORY, FILE, TreeWalk, walk_single
from s3pp.sources.filters import NameChoice, Scope, filters_of

CHUNK = 1000  # objects counted together
MOST_OPEN = 64  # directories read at a time; below, the names of one are read at once


class CountWay(Enum):
    """How a job is counted ahead."""

    NOT = "only the walk shows it, or it costs as many requests as the walk"
    TREES = "by the names and sizes of files"
    ENTRIES = "by what the walk reads, in its order"
    PLAN = "by the lines of a plan"
    JOURNAL = "by the objects in a journal"
    LISTINGS = "by another listing of each origin"


class Counted(NamedTuple):
    """Some of what a walk will find."""

    objects: int
    size: int  # bytes


def way_to_count(job: Job) -> CountWay:
    """Return how ``job`` can be counted."""
    if job.applies is not None:
        return CountWay.PLAN
    if job.verified is not None:
        return CountWay.JOURNAL
    from_stdin = STREAM in (job.choosing.files_from, job.choosing.manifest)
    if from_stdin or job.is_stream or job.walk == "tar":
        return CountWay.NOT
    if job.origins:
        return CountWay.NOT if job.by_name or job.reads_nothing else CountWay.LISTINGS
    ordered = job.by_name or job.choosing.limit is not None
    return CountWay.ENTRIES if ordered else CountWay.TREES


def count_local(job: Job) -> Iterator[Counted]:
    """Yield what is counted of a job, ``CHUNK`` objects at a time, of any way but ``LISTINGS``.

    Raises ``FatalError`` for a plan or a journal that cannot be read.
    """
    way = way_to_count(job)
    if way is CountWay.TREES:
        yield from _count_trees(job)
    elif way is CountWay.ENTRIES:
        yield from _in_chunks(_size_of(each) for each in entries(job))
    elif way is CountWay.PLAN:
        from s3pp.sources.plan_file import read_plan

        yield from _in_chunks(task.size for task in read_plan(job))
    elif way is CountWay.JOURNAL:
        from s3pp.sources.recorded_objects import sizes_recorded

        yield from _in_chunks(sizes_recorded(str(job.verified)))


def count_listings(
    job: Job, buckets: Mapping[Side, RemoteBucket], choice: NameChoice
) -> Iterator[Counted]:
    """Yield what is counted of the origins of a job, likewise.

    Raises ``FatalError`` if one cannot be listed.
    """
    from s3pp.sources.objects import list_origin

    limit, choosing = job.choosing.limit, job.choosing
    if limit is None:  # what an earlier run has done is found as well, and skipped
        job = replace(job, choosing=replace(choosing, retry_from=(), resume_logs=()))
    for origin in job.origins:
        bucket = buckets[job.side_of(origin)]
        found = list_origin(job, origin, bucket, _ignore, choice)
        for counted in _in_chunks(map(_size_found, found)):
            yield counted
            limit = None if limit is None else limit - counted.objects
            if limit is not None and limit <= 0:
                return


def _ignore(_: str) -> None:
    """Drop a notice: the walk has the same."""


def _size_found(found: Found) -> int:
    return found.size if isinstance(found, Listed | Skipped) else 0


def _size_of(record: object) -> int:
    return record.size if isinstance(record, Entry | Skipped) else 0


def _in_chunks(sizes: Iterable[int]) -> Iterator[Counted]:
    sizes = iter(sizes)
    while chunk := list(islice(sizes, CHUNK)):
        yield Counted(len(chunk), sum(chunk))


def _count_trees(job: Job) -> Iterator[Counted]:
    scope = Scope.of(job, filters_of(job.choosing))
    for source in job.sources:
        own = scope.at(source.path).within(source.name)
        if os.path.isdir(source.path):
            yield from TreeCount(source.path, own).count()
        else:
            yield from _in_chunks(_size_of(record) for _, record in walk_single(source, own))


class _OpenDirectory(NamedTuple):
    """A directory on the path walked."""

    path: str
    relative: str  # to SOURCE: "" or "a/b/"
    names: Iterator[os.DirEntry[str]]


class TreeCount(TreeWalk):
    """Counts what a walk of one tree finds, in whatever order the system has it."""

    def __init__(self, top: str, scope: Scope) -> None:
        super().__init__(top, scope)
        self._open: list[_OpenDirectory] = []  # the path walked
        self._found = self._size = 0  # not yielded yet
        self._chooses = scope.filters.by_name or scope.filters.by_stat

    def count(self) -> Iterator[Counted]:
        """Yield what is counted, some ``CHUNK`` objects at a time."""
        self._enter_counted(self._top, "")
        while self._open:
            self._count_names(self._open[-1])
            if self._found >= CHUNK or not self._open:
                yield Counted(self._found, self._size)
                self._found = self._size = 0

    def _count_names(self, directory: _OpenDirectory) -> None:
        """Count names up to the end of the directory, the next one in it, or a chunk."""
        try:
            for entry in directory.names:
                if entry.is_file(follow_symlinks=False):
                    self._count_file(directory, entry)
                elif self._count_other(directory, entry):
                    return
                if self._found >= CHUNK:
                    return
        except OSError:  # it cannot be read on, which the walk reports
            self._found += 1
        self._open.pop()

    def _count_file(self, directory: _OpenDirectory, entry: os.DirEntry[str]) -> None:
        if self._chooses and self._leaves_out(directory.relative + entry.name, FILE):
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # it fails when it is walked, too
            self._found += 1
            return
        if self._chooses or is_unfinished(entry.name):
            self._count(entry.name, status)
        else:  # the usual case, without a call
            self._found += 1
            self._size += status.st_size

    def _count_other(self, directory: _OpenDirectory, entry: os.DirEntry[str]) -> bool:
        """Count what is no regular file; True: it is a directory, which is counted next."""
        kind = self._kind(entry)
        relative = directory.relative + entry.name
        if kind == DIRECTORY:
            if self._scope.filters.tree_refusal(relative):
                return False
            self._enter_counted(os.path.join(directory.path, entry.name), relative + "/")
            return True
        if self._chooses and self._leaves_out(relative, kind):
            return False
        try:
            status = entry.stat() if kind == FILE else None
        except OSError:  # a broken link
            status = None
        if status is not None and S_ISREG(status.st_mode):
            self._count(entry.name, status)
        else:
            self._found += 1
        return False

    def _enter_counted(self, path: str, relative: str) -> None:
        """Begin to read a directory; one that cannot be read is found as a failure."""
        try:
            names = os.scandir(path)
        except OSError:
            self._found += 1
            return
        if len(self._open) < MOST_OPEN:
            self._open.append(_OpenDirectory(path, relative, names))
            return
        with names:
            self._open.append(_OpenDirectory(path, relative, iter([*names])))

    def _leaves_out(self, relative: str, kind: int) -> bool:
        return self._scope.filters.by_name and self._is_refused(relative, kind)

    def _count(self, name: str, status: os.stat_result) -> None:
        filters = self._scope.filters
        if is_unfinished(name):  # it is skipped
            self._found += 1
        elif not filters.by_stat or not filters.stat_refusal(status.st_size, status.st_mtime_ns):
            self._found += 1
            self._size += status.st_size

    def _path_walked(self) -> list[str]:
        return [each.path for each in self._open]
