"""Planning of downloads: tasks for the getters, or immediate outcomes.

Whether a name can be a file beside the others is decided here, where all names pass in order. What
the directory holds already is seen by the getters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.localfs.name_conflicts import folds_names, mark_conflicts, mark_conflicts_folded
from s3pp.localfs.paths import path_fault
from s3pp.localfs.stale_files import Sweeper
from s3pp.localfs.tree import Tree
from s3pp.places import Origin
from s3pp.records import Failed, GetTask, Outcome
from s3pp.s3.listing import Listed


class GetPlanner:
    """A converter of objects to tasks or outcomes.

    ``folds``: the file system does not distinguish all names. ``entering`` is called with the
    target of each task, in their order, before the task is sent.
    """

    def __init__(self, origin: Origin, *, folds: bool, entering: Callable[[str], None]) -> None:
        self._cut = origin.cut
        self._folds = folds
        self._entering = entering

    @classmethod
    def of(cls, job: Job, origin: Origin) -> GetPlanner:
        """Return the planner of ``job``, which creates its directory unless it is a dry run."""
        tree = Tree(job.directory, follow=job.choosing.follow_symlinks is True)
        if job.dry_run:
            there = tree.directory("", make=False) is not None
            folds = there and folds_names(job.directory, write=False)
            return cls(origin, folds=folds, entering=lambda _: None)
        tree.make("")
        return cls(origin, folds=folds_names(job.directory), entering=Sweeper(tree).enter)

    def plan(self, found: Iterable[Listed | Failed]) -> Iterator[GetTask | Outcome]:
        """Yield a task or an outcome for each object found."""
        separate = mark_conflicts_folded if self._folds else mark_conflicts
        steps = (each if isinstance(each, Failed) else self._step(each) for each in found)
        for step, conflict in separate(steps, _target):
            if conflict is not None:
                yield Failed(step.source, step.target, FailureKind.CONFLICT, conflict)
                continue
            if isinstance(step, GetTask):
                self._entering(step.target)
            yield step

    def _step(self, found: Listed) -> GetTask | Failed:
        key, size, etag, modified, _ = found
        target = key[self._cut :]
        if fault := path_fault(target, size):
            return Failed(key, target, FailureKind.NAME, fault)
        return GetTask(key, target, size, etag, modified)


def _target(step: GetTask | Failed) -> str | None:
    """Return the name that will be written; None if none will be."""
    return step.target if isinstance(step, GetTask) else None
