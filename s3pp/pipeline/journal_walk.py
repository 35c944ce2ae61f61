"""The walk of a ``verify JOURNAL``: what listings show is decided here, and the rest by workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from s3pp.errors import FailureKind, ObjectError
from s3pp.job import STREAM, Job, Mode
from s3pp.localfs.paths import shown
from s3pp.pipeline.walks import Surroundings
from s3pp.places import Place, Side
from s3pp.recorded import VerifyTask
from s3pp.records import Done, Failed, Outcome, Skipped, SkipReason, Task
from s3pp.sources.destination_index import DestinationIndex, ListingLookup
from s3pp.sources.journal_reader import JournalRun
from s3pp.sources.recorded_objects import Latest, RecordedObjects, State
from s3pp.transfer.verify.verdicts import Seen, match_recorded

Step = Task | Outcome


def walk_journal(job: Job, around: Surroundings) -> Iterator[Step]:
    """Yield an outcome, or a task, for each destination in the journal of ``job``."""
    path = str(job.verified)
    found, stores = RecordedObjects(path), _Stores(job, around)
    for latest in found:
        step = stores.step(latest)
        if step is not None:
            yield step
    if text := _other_account(found.reader.last, job):
        around.notify(text)
    for number, why in found.bad:
        yield _of_journal(f"{path}:{number}", f"this line cannot be read: {why}")
    if more := found.bad_count - len(found.bad):
        yield _of_journal(path, f"{more} more lines cannot be read")
    if not found.reader.is_complete:
        why = (
            "its last run did not come to its end, so that it does not name all objects:"
            " repeat that run, and verify its journal again"
        )
        yield _of_journal(path, why)


def _other_account(run: JournalRun | None, job: Job) -> str | None:
    """Return the notice that the store is asked with another access key than that of ``run``.

    The verdicts stay, as keys are replaced from time to time, and most stores have one bucket of
    a name, whoever asks.
    """
    wrote = run.accounts.dest if run is not None and run.accounts is not None else ""
    if not wrote or job.accounts.source in ("", wrote):
        return None
    return (
        f"verify {shown(str(job.verified))}: its last run had another access key: where each"
        " account of the store has buckets of its own these are others (--profile)"
    )


def _of_journal(name: str, why: str) -> Failed:
    name = shown(os.path.abspath(name))
    return Failed(name, name, FailureKind.UNDECIDED, why)


class _Stores:
    """The buckets of the destinations, each with its listing, read in the order of the keys."""

    def __init__(self, job: Job, around: Surroundings) -> None:
        self._job = job
        self._around = around
        self._deep = job.verification.deep
        self._store = job.stores.source
        self._bucket = ""
        self._index: DestinationIndex | None = None

    def step(self, latest: Latest) -> Step | None:
        """Return the step of a destination; None: the journal calls it neither done nor failed."""
        row = latest.row
        task = VerifyTask(row.bucket, row.name, self._bytes(latest), latest.recorded)
        if row.state is State.DELETED:
            if not latest.was_done:
                return None
            return Skipped(task.source, task.target, 0, SkipReason.DELETED)
        if row.state is State.FAILED:
            why = f"the journal has it as failed ({row.kind}), and not done after that"
            return _undecided(task, f"{why}: transfer it again (--retry-from)")
        if row.name == STREAM:
            why = "it was written to standard output: a journal does not say where it went"
            return _undecided(task, why)
        if not row.bucket:
            return task
        if row.store and row.store != self._store:
            what = f"it is in the store {row.store}, and {self._store or 'another'} is asked"
            return _undecided(task, f"{what}: name the store with --endpoint-url")
        if row.bucket not in self._job.buckets:
            return _undecided(task, "no bucket can have the name of its bucket")
        return self._look(task)

    def _bytes(self, latest: Latest) -> int:
        return (latest.recorded.size or 0) if self._deep else 0

    def _look(self, task: VerifyTask) -> Step:
        """Return the outcome of an object that its listing decides; else its task."""
        index = self._listing(task.bucket)
        found = index.lookup(task.name)
        if found is None or self._deep:
            return task
        try:
            by = match_recorded(task.recorded, Seen(found.size, found.etag))
        except ObjectError:  # a HEAD shows more
            return task
        return Done(task.source, task.target, found.size, 0, found.etag, by)

    def _listing(self, bucket: str) -> DestinationIndex:
        if self._index is None or bucket != self._bucket:
            number = self._job.buckets.index(bucket)
            prefix, lister = (
                self._job.origins[number].prefix,
                self._around.buckets[Side("source", number)],
            )
            job = replace(self._job, dest=Place(bucket, prefix), mode=Mode.UPDATE)
            listing = ListingLookup(lister, prefix, run=lister.run)
            self._bucket = bucket
            self._index = DestinationIndex(job, listing, self._around.notify)
        return self._index


def _undecided(task: VerifyTask, why: str) -> Failed:
    return Failed(task.source, task.target, FailureKind.UNDECIDED, why)
