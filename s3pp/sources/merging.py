"""Merging of several sources by key, with conflicts between them as failures."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from operator import itemgetter

from s3pp.errors import FailureKind
from s3pp.records import Entry, Failed
from s3pp.sources.scope import Record, Stream


def merged(streams: Sequence[Stream]) -> Iterator[Record]:
    """Return the records of ``streams``, each of which ascends, in ascending order.

    If several sources map to the same key, the one named first on the command line gets it, and the
    others fail as conflicts.
    """
    if len(streams) == 1:
        return (record for _, record in streams[0])
    # The merge is stable: of equal keys, the one from the first stream comes first.
    return _without_conflicts(heapq.merge(*streams, key=itemgetter(0)))


def _without_conflicts(stream: Stream) -> Iterator[Record]:
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


def limited(records: Iterator[Record], limit: int | None) -> Iterator[Record]:
    """Yield ``records`` up to and including the entry number ``limit``; None: all of them."""
    if limit is None:
        yield from records
        return
    left = limit
    while left > 0 and (record := next(records, None)) is not None:
        left -= isinstance(record, Entry)
        yield record
