"""What the source has and the run leaves alone, where it has to be known: never reported.

::

    found ──size, age──▶ chosen ─────────────────▶ as it is
                    └──▶ not ────────────────────▶ nothing or, of a mirror, ``LeftOut``
    found ──shard.has(key)──▶ of this shard ─────▶ as it is
                         └──▶ of another ────────▶ nothing or, where it matters, ``OfAnotherShard``

What is of another shard matters where its name excludes others (of a get, ``a`` and ``a/b``; of
several sources, two objects that get one name), and where ``--delete`` must not delete it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s3pp.places import Origin
from s3pp.records import Entry, Failed, Skipped, SkipReason
from s3pp.s3.listing import Listed
from s3pp.shard import Shard
from s3pp.sources.filters import Filters, Record, key_bytes

Found = Listed | Skipped | Failed


class LeftOut(Skipped):
    """An object of the source that size or age leave out."""

    __slots__ = ()

    @classmethod
    def of(cls, source: str, target: str) -> LeftOut:
        """Return the record of an object; ``target`` as in ``Skipped``."""
        return cls(source, target, 0, SkipReason.IN_SOURCE)


class OfAnotherShard(LeftOut):
    """What another run does."""

    __slots__ = ()


def mark_files(records: Iterable[Record], shard: Shard) -> Iterator[Record]:
    """Yield ``records``, those of other shards as ``OfAnotherShard``.

    What is not a file, such as a directory that cannot be listed, concerns every shard.
    """
    for each in records:
        key = each.key if isinstance(each, Entry) else each.target
        concerns_all = isinstance(each, Failed) and (not key or key.endswith("/"))
        yield each if concerns_all or shard.has(key_bytes(key)) else _file_of_another(each, key)


def _file_of_another(record: Record, key: str) -> OfAnotherShard:
    reason = record.reason if isinstance(record, Skipped) else SkipReason.IN_SOURCE
    return OfAnotherShard(record.source or key, key, 0, reason)


def choose_own(found: Iterable[Found], filters: Filters) -> Iterator[Found]:
    """Yield what is of the shard of ``filters``."""
    return (each for each in found if not filters.is_elsewhere(key_bytes(_key(each))))


def mark_objects(found: Iterable[Found], shard: Shard, origin: Origin) -> Iterator[Found]:
    """Yield ``found`` in ``origin``, what is of other shards as ``OfAnotherShard``.

    Failures of other shards are left out.
    """
    _, cut = origin.renaming
    for each in found:
        key = _key(each)
        if shard.has(key_bytes(key)):
            yield each
        elif not isinstance(each, Failed):
            yield OfAnotherShard(key, key[cut:], 0, SkipReason.IN_SOURCE)


def _key(found: Found) -> str:
    return found.key if isinstance(found, Listed) else found.source
