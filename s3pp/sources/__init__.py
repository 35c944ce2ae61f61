"""The sources of a job: directory trees, lists of names, tar archives, buckets.

::

    filesystem   a tree, or one file  ─┐
    names        --files-from          ├─▶ merge, by key ──▶ Entry | Skipped | Failed
    archive      --walk tar            ─┘                      │
                                                               └─ Entry.spool ─▶ spooling ─▶ Spooled

    objects              a bucket's listing    ──▶ Listed | Failed, by key
    inventory            an S3 Inventory       ──▶ likewise
    destination_index    beside keys in order  ──▶ what the destination holds
    extraneous           beside keys in order  ──▶ what only the destination has
    earlier_runs         beside keys in order  ──▶ what journals say is done
    incomplete_uploads   a bucket's uploads    ──▶ Upload | Skipped | Failed

``filesystem``, ``names`` and ``archive``, with ``spooling``, yield the files to upload, ``objects``
the objects to download, copy or list (``list_scope``: all, or one of the ``levels``),
``incomplete_uploads`` what ``clean`` aborts. ``filters``
choose names, by the patterns of ``globs``, and turn them into keys; ``name_lookup`` finds objects
by their names, ``inventory_rows`` and ``inventory`` those that S3 has listed by itself;
``destination_index`` shows what the destination holds; ``earlier_runs`` what
is done already, ``extraneous`` what only the destination has; ``left_out`` marks what the run
leaves alone, as that of other shards; ``plan_file`` reads the plan that an
apply executes: its first line with ``plan_settings``, the others with ``plan_lines``;
``journal_reader`` reads journals, ``journal_beginning`` whether a file is one,
``journal_places`` where their destinations are, and ``recorded_objects`` what they say of each;
``counting`` counts what a walk will find, ahead of it;
``checking`` validates sources before the run starts; ``object_rules`` finds the attributes of an
object by its name.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.places import Source
from s3pp.records import Entry, Failed
from s3pp.sources import filesystem
from s3pp.sources.checking import check
from s3pp.sources.filters import Filters, Record, Scope, Stream

if TYPE_CHECKING:
    from s3pp.sources.object_rules import ObjectRules

__all__ = ["Record", "check", "entries", "rules_of"]


def rules_of(job: Job) -> ObjectRules | None:
    """Return the rules of ``job`` for the attributes of objects; None: it has none."""
    if not job.objects.rules or job.applies is not None:  # workers find those of a plan
        return None
    from s3pp.sources.object_rules import ObjectRules

    return ObjectRules(job)


def entries(
    job: Job, stdin: BinaryIO | None = None, filters: Filters | None = None
) -> Iterator[Record]:
    """Yield one entry or one outcome for each file in the sources of ``job``.

    Ascending by the UTF-8 bytes of ``Entry.key``; a directory that fails takes the place of its
    contents. Memory does not grow with their number. ``stdin`` is read for ``--files-from -``.
    ``check`` should have passed; sources that changed since then yield ``Failed``. ``filters`` are
    those of ``job``, for a caller that asks them afterwards.

    Entries with ``spool`` set cannot be read in place: pass their tasks through ``spool`` first.
    The ``mtime_ns`` of an entry with an ``offset`` is the member's, not that of ``path``.
    """
    scope = Scope.of(job, filters)
    streams = [_stream(source, job, scope, stdin) for source in job.sources]
    records = _mark_others(merge(streams), scope.filters)
    return limit_entries(_skip_done(records, job), job.choosing.limit)


# A module that few runs need is imported by those: imports are most of what a small run costs.


def _mark_others(records: Iterator[Record], filters: Filters) -> Iterator[Record]:
    """Yield ``records``, those of other shards marked, where those are yielded at all."""
    if filters.shard is None or not filters.names_others:
        return records
    from s3pp.sources.left_out import mark_files

    return mark_files(records, filters.shard)


def _skip_done(records: Iterator[Record], job: Job) -> Iterator[Record]:
    """Yield ``records``, those of files that were sent in an earlier run as skipped."""
    if not job.choosing.names_earlier_runs:
        return records
    from s3pp.sources.earlier_runs import EarlierRuns, skip_done

    return skip_done(records, EarlierRuns.of(job))


def _stream(source: Source, job: Job, scope: Scope, stdin: BinaryIO | None) -> Stream:
    if job.walk == "tar":
        from s3pp.sources import archive

        return archive.walk_members(source.path, scope.within(source.name))
    scope = scope.at(source.path)
    if job.by_name:
        return _walk_list(source, job, scope, stdin)
    return filesystem.walk_files(source, scope)


def _walk_list(source: Source, job: Job, scope: Scope, stdin: BinaryIO | None) -> Stream:
    from s3pp.sources import names

    with names.read_list(job.choosing, stdin) as given:
        yield from names.walk_names(source.path, scope.within(source.name), given)


def merge(streams: Sequence[Stream]) -> Iterator[Record]:
    """Return the records of ``streams``, each of which ascends, in ascending order.

    If several sources map to the same key, the one named first on the command line gets it, and the
    others fail as conflicts.
    """
    if len(streams) == 1:
        return (record for _, record in streams[0])
    # The merge is stable: of equal keys, the one from the first stream comes first.
    return _fail_conflicts(heapq.merge(*streams, key=itemgetter(0)))


def _fail_conflicts(stream: Stream) -> Iterator[Record]:
    owner: Entry | None = None
    for _, record in stream:
        if not isinstance(record, Entry):
            yield record
        elif owner is None or record.key != owner.key:
            owner = record
            yield record
        else:
            message = f"key conflict: {owner.source!r} already maps to this key"
            yield Failed(record.source, record.key, FailureKind.CONFLICT, message)


def limit_entries(records: Iterator[Record], limit: int | None) -> Iterator[Record]:
    """Yield ``records`` up to and including the entry number ``limit``; None: all of them."""
    if limit is None:
        yield from records
        return
    left = limit
    while left > 0 and (record := next(records, None)) is not None:
        left -= isinstance(record, Entry)
        yield record
