"""What a walker can walk: directory trees, lists of names, tar archives, buckets.

::

    filesystem   a tree, or one file  ─┐
    names        --files-from          ├─▶ merging ──▶ Entry | Skipped | Failed, by key
    tar          --walk tar            ─┘                  │
                                                           └─ Entry.spool ─▶ spooling ─▶ Spooled

    bucket       beside keys in order  ─┐
    objects      a bucket's listing    ─┴──▶ Listed | Failed, by key
    unfinished   a bucket's uploads    ────▶ Upload | Skipped | Failed

``filesystem``, ``names``, and ``tar`` with ``archive`` and ``spooling`` are the files that are
put; ``merging`` joins them. ``objects`` are what is got, copied and listed, ``lookup`` finds
those that a list names, ``namesake`` the one that is left out beside a prefix; ``bucket`` is the
destination's listing, ``unfinished`` the uploads that a clean aborts. ``scope`` carries what all of
them need of the job, ``checking`` looks before anything starts, ``choice`` and ``globs`` decide
what belongs to it, ``naming`` turns names into keys, and ``sorting`` keeps order in constant
memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from s3pp.job import Job
from s3pp.sources import filesystem, names, tar
from s3pp.sources.checking import check
from s3pp.sources.merging import limited, merged
from s3pp.sources.scope import Record, Scope, Stream
from s3pp.sources.spooling import Spooled, spool

__all__ = ["Record", "Spooled", "check", "entries", "spool"]


def entries(job: Job, stdin: BinaryIO | None = None) -> Iterator[Record]:
    """Everything the sources of ``job`` hold, each under one outcome or one entry.

    Ascending by the UTF-8 bytes of ``Entry.key``; a directory that fails stands where its
    contents would. Memory does not grow with their number. ``stdin`` is what ``--files-from -``
    reads. ``check`` should have passed; what has changed since ends as ``Failed``.

    Entries with ``spool`` set cannot be read in place: their tasks go through ``spool`` first.
    The ``mtime_ns`` of an entry with an ``offset`` is the member's, not that of ``path``.
    """
    scope = Scope.of(job)
    streams = [_stream(source, job, scope, stdin) for source in job.sources]
    return limited(merged(streams), job.choosing.limit)


def _stream(source: str, job: Job, scope: Scope, stdin: BinaryIO | None) -> Stream:
    if job.walk == "tar":
        return tar.found(source, scope)
    if job.choosing.files_from is not None:
        return _listed(source, job, scope, stdin)
    return filesystem.found(source, scope)


def _listed(source: str, job: Job, scope: Scope, stdin: BinaryIO | None) -> Stream:
    with names.read_list(job.choosing, stdin) as given:
        yield from names.found(source, scope, given)
