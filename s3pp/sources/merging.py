"""Several sources as one: their streams merged by key, and one key taken by one source."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from operator import itemgetter

from s3pp.errors import FailureKind
from s3pp.records import Entry, Failed
from s3pp.sources.scope import Record, Stream


def merged(streams: Sequence[Stream]) -> Iterator[Record]:
    """The records of ``streams``, each ascending, in ascending order.

    Where several sources give the same key, the one named first on the command line has it, and
    the others fail as conflicts.
    """
    if len(streams) == 1:
        return (record for _, record in streams[0])
    # The merge is stable: of equal keys, that of the first stream comes first.
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
    """``records`` up to and with the entry that makes ``limit`` of them; None: all."""
    if limit is None:
        yield from records
        return
    left = limit
    while left > 0 and (record := next(records, None)) is not None:
        left -= isinstance(record, Entry)
        yield record
