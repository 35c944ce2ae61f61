"""The sources of a job: directory trees, lists of names, tar archives, buckets.

::

    filesystem   a tree, or one file  ─┐
    names        --files-from          ├─▶ merging ──▶ Entry | Skipped | Failed, by key
    tar          --walk tar            ─┘                  │
                                                           └─ Entry.spool ─▶ spooling ─▶ Spooled

    bucket       beside keys in order  ─┐
    objects      a bucket's listing    ─┴──▶ Listed | Failed, by key
    unfinished   a bucket's uploads    ────▶ Upload | Skipped | Failed

``filesystem``, ``names``, and ``tar`` with ``archive`` and ``spooling`` yield the files to
upload; ``merging`` joins them. ``objects`` yields the objects to download, copy or list;
``lookup`` finds those named in a list, ``namesake`` the one left out beside a prefix. ``bucket``
is the destination's listing, ``unfinished`` yields the uploads for ``clean`` to abort. ``scope``
carries the settings that all sources share, ``checking`` validates them before the run starts,
``choice`` and ``globs`` are the filters, and ``naming`` turns names into keys.
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
    """Yield one entry or one outcome for each file in the sources of ``job``.

    Ascending by the UTF-8 bytes of ``Entry.key``; a directory that fails takes the place of its
    contents. Memory does not grow with their number. ``stdin`` is read for ``--files-from -``.
    ``check`` should have passed; sources that changed since then yield ``Failed``.

    Entries with ``spool`` set cannot be read in place: pass their tasks through ``spool`` first.
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
