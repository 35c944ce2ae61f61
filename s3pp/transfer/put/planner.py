"""Planning of uploads: tasks for the putters, or immediate outcomes.

Files that names and listings suffice to decide never reach a putter; if the content is needed
(mode ``update``, an object present), the task carries the listing entry of that object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.records import Entry, Failed, Outcome, PutTask, Skipped, SkipReason
from s3pp.s3.multipart import size_fault
from s3pp.sources.destination_index import DestinationIndex
from s3pp.transfer import modes


class PutPlanner:
    """A converter of entries to tasks or outcomes, given the destination's listing."""

    def __init__(self, job: Job, index: DestinationIndex) -> None:
        self._mode = job.mode
        self._index = index

    def plan(self, found: Iterable[Entry | Skipped | Failed]) -> Iterator[PutTask | Outcome]:
        """Yield a task or an outcome for each record found, in order."""
        for item in found:
            yield self._step(item) if isinstance(item, Entry) else item

    def _step(self, entry: Entry) -> PutTask | Outcome:
        # Checked here, before a member is copied out of an archive for nothing.
        if fault := size_fault(entry.size):
            return Failed(entry.source, entry.key, FailureKind.TOO_LARGE, fault)
        dest = self._index.lookup(entry.key)
        reason = modes.decide_unread(self._mode, dest)
        if isinstance(reason, SkipReason):
            return Skipped(entry.source, entry.key, entry.size, reason)
        return PutTask(entry, dest, self._index.ask)
