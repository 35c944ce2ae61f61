"""From what a source holds to what is to be done: tasks for the putters, or outcomes at once.

What can be decided from names and listings alone is decided here and never reaches a putter; what
needs the content (mode ``update``, an object present) goes along with what the store holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job, Mode
from s3pp.records import Dest, Entry, Failed, Outcome, PutTask, Skipped, SkipReason
from s3pp.s3.retry import Remedy, StoreError
from s3pp.sources.bucket import DestListing, Unordered
from s3pp.transfer import modes
from s3pp.transfer.bodies import size_fault


class Planner:
    """Turns entries into tasks or outcomes by what the destination holds."""

    def __init__(self, job: Job, dest: DestListing | None, tell: Callable[[str], None]) -> None:
        self._mode = job.mode
        self._bucket = str(job.dest)
        self._dest = dest
        # Without a listing the putters ask for each key; mode stupid has nothing to ask.
        self._ask = dest is None and job.mode is not Mode.STUPID
        self._tell = tell

    def plan(self, found: Iterable[Entry | Skipped | Failed]) -> Iterator[PutTask | Outcome]:
        """Yield a task or an outcome for each thing found, in order."""
        for item in found:
            yield self._step(item) if isinstance(item, Entry) else item

    def _step(self, entry: Entry) -> PutTask | Outcome:
        # Told before a member of an archive is copied out of it for nothing.
        if fault := size_fault(entry.size):
            return Failed(entry.source, entry.key, FailureKind.TOO_LARGE, fault)
        dest = self._lookup(entry.key) if self._dest else None
        if dest is None or modes.needs_content(self._mode):
            return PutTask(entry, dest, self._ask)
        reason = modes.decide(self._mode, None, dest)
        assert isinstance(reason, SkipReason)
        return Skipped(entry.source, entry.key, entry.size, reason)

    def _lookup(self, key: str) -> Dest | None:
        assert self._dest is not None
        try:
            return self._dest.lookup(key)
        except Unordered:
            self._fall_back("does not list its keys in order")
        except StoreError as error:
            if error.remedy is not Remedy.NONE:
                raise FatalError(f"list {self._bucket}: {error}") from None
            self._fall_back(f"does not let us list ({error})")
        except ObjectError as error:
            raise FatalError(f"list {self._bucket}: {error}") from None
        return None

    def _fall_back(self, why: str) -> None:
        self._dest, self._ask = None, True
        self._tell(f"the store {why}: asking for every key with HEAD instead")
