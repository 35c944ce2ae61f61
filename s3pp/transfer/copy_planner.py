"""Planning a copy: two listings are merged, and mostly suffice to decide.

Runs of objects that both sides have are compared as a whole where nobody wants them named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from s3pp.errors import FailureKind
from s3pp.job import Compare, Job
from s3pp.places import Origin
from s3pp.records import CopyTask, Dest, Facts, Failed, Outcome, Skipped, SkipReason, other_size
from s3pp.s3.listing import Listed
from s3pp.s3.timestamps import epoch_nanoseconds
from s3pp.sources.destination_index import DestinationIndex
from s3pp.sources.filters import ANY_KEY, key_bytes, key_fault
from s3pp.transfer import modes
from s3pp.transfer.chunks import chunks
from s3pp.transfer.overlap import Overlap, Overlaps
from s3pp.transfer.planners import Found, Step

CHUNK = 250  # objects that are compared as a whole: a part of a page
_SAME_ETAG = SkipReason.SAME_ETAG  # evaluated once, see ``modes``


class CopyPlanner:
    """A converter of an origin's objects to tasks or outcomes, given the destination's listing."""

    def __init__(
        self, job: Job, origin: Origin, index: DestinationIndex, *, overlap: Overlaps
    ) -> None:
        self._rule = modes.SendRule.of(job)
        self._timed = job.compare is Compare.MTIME
        self._keeps_facts = job.output.keeps_facts
        # A move has to delete the source, and a verify may have to read it, where ETags are equal.
        self._sees_all = job.moves or job.verification.deep
        self._index = index
        self._overlap, self._overlaps = overlap, overlap.any
        # Whether equal sizes and ETags alone decide that there is nothing to copy.
        self._by_etag = modes.equal_etags_suffice(self._rule) and not self._sees_all
        start, self._cut = origin.renaming
        self._prefix = job.dest.key(start)

    def leave_unchanged(
        self, found: Iterable[Found], count: Callable[[int, int], None]
    ) -> Iterator[Found]:
        """Yield what is found, but for runs of objects that are skipped as ``SAME_ETAG``.

        Their number and their bytes are passed to ``count``. A run is compared as a whole, at a
        tenth of the cost.
        """
        for chunk in chunks(found, CHUNK):
            same = self._same_from_start(chunk)
            if same:
                count(same, sum(each.size for each in chunk[:same] if isinstance(each, Listed)))
            yield from chunk[same:] if same else chunk

    def _same_from_start(self, chunk: Sequence[Found]) -> int:
        """Return how many objects at the start of ``chunk`` are unchanged."""
        if not self._by_etag or self._overlaps or set(map(type, chunk)) != {Listed}:
            return 0
        keys, sizes, etags, *_ = zip(*chunk, strict=True)
        if not all(sizes) or not all(etags):
            return 0
        cut, prefix = self._cut, self._prefix
        targets = keys if not (cut or prefix) else tuple([prefix + key[cut:] for key in keys])
        return self._index.count_equal(targets, sizes, etags) if targets[0] else 0  # it has no name

    def plan(self, found: Iterable[Found]) -> Iterator[Step]:
        """Yield a task or an outcome for each object found, in order."""
        for each in found:
            if not isinstance(each, Listed):  # the source knows its name, not the destination
                yield each._replace(target=self._prefix + each.target)
            elif not (self._overlaps and self._overlap.excluded(each.key)):
                yield self._step(each)

    def _step(self, found: Listed) -> CopyTask | Outcome:
        key, size, etag, _, _ = found
        target = self._prefix + key[self._cut :]
        if not 0 < len(target) <= ANY_KEY and (fault := _target_fault(target)):
            return Failed(key, target, FailureKind.NAME, fault)
        if self._overlaps and (clash := self._overlap.fault(target)):
            return Failed(key, target, FailureKind.CONFLICT, clash)
        there = self._index.lookup(target)
        if there is None:
            return self._decide(found, target, None)
        if self._by_etag and size and etag and size == there[1] and etag == there[2]:
            skipped = Skipped(key, target, size, _SAME_ETAG, None, None, etag)
            if self._keeps_facts:
                return _with_etags(skipped, etag, etag)
            return skipped  # in later runs, most
        return self._decide(found, target, self._index.as_dest(there))

    def _decide(self, found: Listed, target: str, dest: Dest | None) -> CopyTask | Outcome:
        key, size, etag, modified, storage_class = found
        time = epoch_nanoseconds(modified) if self._timed else None
        if not (self._index.ask or self._sees_all):
            reason = modes.decide_copy(self._rule, Dest(size, etag), dest, modified_ns=time)
            if isinstance(reason, SkipReason):
                same = etag if reason is _SAME_ETAG else ""
                skipped = Skipped(key, target, size, reason, None, other_size(size, dest), same)
                there = dest.etag if dest else ""
                return skipped if not self._keeps_facts else _with_etags(skipped, etag, there)
        return CopyTask(key, target, size, etag, storage_class, dest, self._index.ask, time)


def _with_etags(skipped: Skipped, source: str, dest: str) -> Skipped:
    return skipped._replace(facts=Facts.of_object(source, dest))


def _target_fault(target: str) -> str | None:
    if not target:
        return "it would have no name there: name a prefix for the destination"
    return key_fault(key_bytes(target))


def overlap_of(job: Job, origin: Origin, notify: Callable[[str], None], *, same: bool) -> Overlap:
    """Return where ``origin`` and the destination of ``job`` overlap, and notify users of it.

    ``same``: both are in one bucket of one store.
    """
    overlap = Overlap.of(origin, job.dest, same=same)
    if overlap.note:
        notify(overlap.note)
    return overlap
