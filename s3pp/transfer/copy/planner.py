"""Planning of copies: tasks for the copiers, or immediate outcomes.

Both sides are listings, and decisions that they suffice for need no request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.places import Origin
from s3pp.records import CopyTask, Dest, Failed, Outcome, Skipped, SkipReason
from s3pp.s3.listing import Listed
from s3pp.sources.naming import key_fault, raw
from s3pp.transfer import modes
from s3pp.transfer.copy.overlap import Overlap
from s3pp.transfer.known import Known


class CopyPlanner:
    """A converter of an origin's objects to tasks or outcomes, given the destination's listing."""

    def __init__(self, job: Job, origin: Origin, known: Known, *, overlap: Overlap) -> None:
        self._mode = job.mode
        self._known = known
        self._overlap = overlap
        self._prefix = job.dest.key("")
        self._cut = origin.cut

    def plan(self, found: Iterable[Listed | Failed]) -> Iterator[CopyTask | Outcome]:
        """Yield a task or an outcome for each object found, in order."""
        for each in found:
            if isinstance(each, Failed):
                yield each
            elif not self._overlap.excluded(each.key):
                yield self._step(each)

    def _step(self, found: Listed) -> CopyTask | Outcome:
        key, size, etag, _, storage_class = found
        target = self._prefix + key[self._cut :]
        if fault := _fault(target):
            return Failed(key, target, FailureKind.NAME, fault)
        if clash := self._overlap.fault(target):
            return Failed(key, target, FailureKind.CONFLICT, clash)
        dest = self._known.lookup(target)
        if not self._known.ask:
            reason = modes.decide_copy(self._mode, Dest(size, etag), dest)
            if isinstance(reason, SkipReason):
                return Skipped(key, target, size, reason)
        return CopyTask(key, target, size, etag, storage_class, dest, self._known.ask)


def _fault(target: str) -> str | None:
    if not target:
        return "it would have no name there: name a prefix for the destination"
    return key_fault(raw(target))
