"""Planning: tasks for the workers, or immediate outcomes, one planner for each verb.

What names and listings suffice to decide never reaches a worker:

put
    If the content is needed (mode ``update``, an object present), the task carries the listing
    entry of that object.
get
    Whether a name can be a file beside the others is decided here, where all names pass in order.
    What the directory holds already is seen by the getters.
copy
    Both sides are listings: see ``copy_planner``.
remove
    Every object that is listed is a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.localfs.paths import path_fault
from s3pp.localfs.tree import Tree
from s3pp.places import Origin
from s3pp.records import (
    CopyTask,
    DeleteReason,
    DeleteTask,
    Entry,
    Facts,
    Failed,
    GetTask,
    Outcome,
    PutTask,
    Skipped,
    SkipReason,
    Task,
    other_size,
)
from s3pp.s3.listing import Listed
from s3pp.s3.multipart import size_fault
from s3pp.sources.destination_index import DestinationIndex
from s3pp.sources.left_out import LeftOut, OfAnotherShard
from s3pp.transfer import modes

Step = GetTask | CopyTask | Outcome  # of one object
Found = Listed | Skipped | Failed


class PutPlanner:
    """A converter of entries to tasks or outcomes, given the destination's listing."""

    def __init__(self, job: Job, index: DestinationIndex) -> None:
        self._rule = modes.SendRule.of(job)
        self._index = index
        self._keeps_facts = job.output.keeps_facts

    def plan(self, found: Iterable[Entry | Skipped | Failed]) -> Iterator[PutTask | Outcome]:
        """Yield a task or an outcome for each record found, in order."""
        for item in found:
            yield self._step(item) if isinstance(item, Entry) else item

    def _step(self, entry: Entry) -> PutTask | Outcome:
        # Checked here, before a member is copied out of an archive for nothing.
        if fault := size_fault(entry.size):
            return Failed(entry.source, entry.key, FailureKind.TOO_LARGE, fault)
        found = self._index.lookup(entry.key)
        dest = self._index.as_dest(found) if found else None
        reason = modes.decide_unread(self._rule, dest, size=entry.size, modified_ns=entry.mtime_ns)
        if isinstance(reason, SkipReason):
            there = other_size(entry.size, dest)
            skipped = Skipped(entry.source, entry.key, entry.size, reason, dest_size=there)
            if self._keeps_facts:
                return skipped._replace(facts=Facts.of_file(entry.mtime_ns, dest))
            return skipped
        return PutTask(entry, dest, self._index.ask)


class GetPlanner:
    """A converter of objects to tasks or outcomes.

    ``folds``: the file system does not distinguish all names. ``entering`` is called with the
    target of each task, in their order, before the task is sent.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        folds: bool,
        entering: Callable[[str], None],
        gzip_suffix: str = "",
    ) -> None:
        self._start, self._cut = origin.renaming
        self._gzip_suffix = gzip_suffix
        exact = origin.is_single and origin.name is not None
        self._added = "" if exact else gzip_suffix
        self._folds = folds
        self._entering = entering

    @classmethod
    def of(cls, job: Job, origin: Origin) -> GetPlanner:
        """Return the planner of ``job``, which creates its directory unless it is a dry run."""
        from s3pp.localfs.name_conflicts import folds_names  # what no upload needs
        from s3pp.localfs.stale_files import Sweeper

        tree = Tree(job.directory, follow=job.choosing.follow_symlinks is True)
        suffix = job.download.gzip_suffix
        several = len(job.origins) > 1 or not origin.is_single  # one name cannot fold with another
        if job.dry_run:
            there = tree.directory("", make=False) is not None
            folds = there and several and folds_names(job.directory, write=False)
            return cls(origin, folds=folds, entering=lambda _: None, gzip_suffix=suffix)
        tree.make("")
        folds = several and folds_names(job.directory)
        return cls(origin, folds=folds, entering=Sweeper(tree).enter, gzip_suffix=suffix)

    def plan(self, found: Iterable[Found]) -> Iterator[Step]:
        """Yield a task or an outcome for each object found."""
        return self.separate(self.steps(found))

    def steps(self, found: Iterable[Found]) -> Iterator[Step]:
        """Yield a task or an outcome for each object, without regard to the others."""
        return (
            self._step(each) if isinstance(each, Listed) else self._named(each) for each in found
        )

    def _named(self, outcome: Skipped | Failed) -> Skipped | Failed:
        target = self._start + outcome.target
        if isinstance(outcome, LeftOut) and self._packs(outcome.source, target):
            target += self._added  # the name that the file has if it is there
        return outcome._replace(target=target)

    def _packs(self, key: str, target: str) -> bool:
        return self._gzip_suffix != "" and not key.endswith(".gz") and not target.endswith("/")

    def separate(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Yield ``steps``, in the order of their targets, those in conflict as failures."""
        from s3pp.localfs.name_conflicts import mark_conflicts, mark_conflicts_folded

        if self._gzip_suffix:
            steps = _in_new_order(steps)
        if self._folds:
            marked = mark_conflicts_folded(steps, _file_name, place=_target)
        else:
            marked = mark_conflicts(steps, _file_name)
        for step, conflict in marked:
            if conflict is not None:
                if isinstance(step, OfAnotherShard):  # which reports it
                    continue
                yield Failed(step.source, step.target, FailureKind.CONFLICT, conflict)
                continue
            if isinstance(step, GetTask):
                self._entering(step.target)
            yield step

    def _step(self, found: Listed) -> GetTask | Failed:
        key, size, etag, modified, _ = found
        target = self._start + key[self._cut :]
        pack = self._gzip_suffix != "" and self._packs(key, target)
        if pack:
            target += self._added
        if fault := path_fault(target, size):
            return Failed(key, target, FailureKind.NAME, fault)
        return GetTask(key, target, size, etag, modified, pack)


def _in_new_order(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps, whose targets have a suffix, in the order of these; each target is given once.

    What would get the name of another object's file fails.
    """
    last: GetTask | None = None
    for step in sort_records(steps, key=lambda step: step.target):
        if not isinstance(step, GetTask):
            yield step
        elif last is not None and step.target == last.target and step.source != last.source:
            why = f"the compressed {last.source!r} gets this name: choose another --gzip-suffix"
            yield Failed(step.source, step.target, FailureKind.CONFLICT, why)
        else:
            last = step
            yield step


def _target(step: Step) -> str:
    return step.target


def _file_name(step: Step) -> str | None:
    """Return the name that will be written, by whichever shard; None if none will be."""
    return step.target if isinstance(step, (GetTask, OfAnotherShard)) else None


def without_others(steps: Iterable[Task | Outcome]) -> Iterator[Task | Outcome]:
    """Yield ``steps``, but for those of other shards, which were needed to plan them."""
    return (step for step in steps if not isinstance(step, OfAnotherShard))


def smallest_first(tasks: Iterable[Task]) -> Iterator[Task]:
    """Yield tasks in the order of their sizes, for ``--order size``."""
    return sort_records(tasks, key=attrgetter("size"), memory=SortMemory(RICH_RUN_LENGTH))


def plan_removal(found: Iterable[Found]) -> Iterator[DeleteTask | Outcome]:
    """Yield a task to delete each object; a name without an object is one that is gone already."""
    for each in found:
        if isinstance(each, Failed):
            yield _not_found(each)
        elif isinstance(each, Skipped):
            yield each
        else:
            reason = DeleteReason.SELECTED
            yield DeleteTask(each.key, each.size, each.etag, each.modified, reason)


def _not_found(failed: Failed) -> Outcome:
    if failed.kind is FailureKind.NOT_FOUND:
        return Skipped(failed.source, failed.source, 0, SkipReason.GONE, deleting=True)
    return failed._replace(target=failed.source, deleting=True)
