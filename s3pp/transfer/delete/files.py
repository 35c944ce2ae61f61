"""The deleter of files below DIRECTORY.

Every path is walked by descriptors, see ``localfs/tree``, so that no link leads out of it. Only a
regular file is deleted, and only if it is still the one that was seen. The directories that this
empties are removed in the end, as far up as they are empty, but never DIRECTORY itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from s3pp.errors import FailureKind, ObjectError
from s3pp.localfs.tree import Tree
from s3pp.places import single_slashes
from s3pp.records import Deleted, DeleteTask, Failed, Outcome
from s3pp.transfer.bodies import stamp_of
from s3pp.transfer.delete.deleter import Ended, deleted, foresee, gone, not_deleted
from s3pp.transfer.resources import Reader

CHANGED = "it has changed since it was listed, and is kept: run the same command again"
IRREGULAR = "it is not a regular file any more, and is kept"


class FileDeleter:
    """A deleter of files; in a dry run it touches nothing."""

    def __init__(self, tree: Tree, reader: Reader, *, dry_run: bool) -> None:
        """``tree`` follows no links."""
        self.notes: list[str] = []
        self._tree = tree
        self._reader = reader
        self._dry_run = dry_run

    async def delete(self, tasks: Sequence[DeleteTask], ended: Ended) -> None:
        """As ``Deleter.delete``."""
        if self._dry_run:
            foresee(tasks, ended, ())
            return
        emptied = set()
        for task in tasks:
            outcome = ended[task.target] = await self._reader.run(self._delete, task)
            if not isinstance(outcome, Failed):  # one that is gone may be a killed worker's
                emptied.add(task.target.rpartition("/")[0])
        for path in sorted(emptied, reverse=True):  # what lies below others comes first
            await self._reader.run(self._prune, path)
        self._tree.forget()

    def _delete(self, task: DeleteTask) -> Outcome:
        try:
            directory, name = self._tree.parent(task.target, make=False)
            if directory is None:
                return gone(task)
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if (fault := _difference(found, task)) is not None:
                return fault
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return gone(task)
        except OSError as error:
            return not_deleted(task, self._tree.refusal(task.target, "deleted", error))
        except ObjectError as error:
            return not_deleted(task, error)
        return deleted(task)

    def _prune(self, path: str) -> None:
        """Remove the directory ``path`` and those above it, as far as they are empty."""
        while path:
            try:
                above, name = self._tree.parent(path, make=False)
                if above is None:
                    return
                os.rmdir(name, dir_fd=above)
            except (OSError, ObjectError):  # not empty, a link by now, or not ours to remove
                return
            path = path.rpartition("/")[0]


class SourceDeleter:
    """A deleter of files of the sources of a move, which tasks name by their paths."""

    def __init__(self, sources: Sequence[str], reader: Reader, *, dry_run: bool) -> None:
        """``sources``: directories, or files."""
        self.notes: list[str] = []
        tops = {_top(source) for source in sources}
        self._deleters = {top: FileDeleter(Tree(top), reader, dry_run=dry_run) for top in tops}
        # The nearest first, where one source lies in another.
        self._tops = sorted(tops, key=len, reverse=True)

    async def delete(self, tasks: Sequence[DeleteTask], ended: Ended) -> None:
        """As ``Deleter.delete``."""
        by_top: dict[str, dict[str, DeleteTask]] = {}
        for task in tasks:
            top = next(each for each in self._tops if task.target.startswith(_begin(each)))
            relative = single_slashes(task.target[len(_begin(top)) :])
            by_top.setdefault(top, {})[relative] = task
        for top, below in by_top.items():
            relatives = [task._replace(target=name) for name, task in below.items()]
            outcomes: Ended = {}
            try:
                await self._deleters[top].delete(relatives, outcomes)
            finally:
                for name, outcome in outcomes.items():
                    ended[below[name].target] = _rename(outcome, below[name].target)


def _top(source: str) -> str:
    """Return the directory that the files of a source are in."""
    return source if os.path.isdir(source) else os.path.dirname(source)


def _begin(top: str) -> str:
    """Return what the paths of the files in ``top`` begin with."""
    return os.path.join(top, "") if top else ""


def _rename(outcome: Outcome, target: str) -> Outcome:
    if isinstance(outcome, Deleted):
        return outcome._replace(target=target)
    return outcome._replace(source=target, target=target)


def _difference(found: os.stat_result, task: DeleteTask) -> Failed | None:
    """Return the failure of a task whose file is not the one that was seen."""
    if not stat.S_ISREG(found.st_mode):
        return not_deleted(task, ObjectError(FailureKind.CONFLICT, IRREGULAR))
    seen, now = task.stamp or (task.size,), stamp_of(found)
    # Where another name of it was deleted, by whichever worker, its ctime says nothing.
    counted = 2 if found.st_nlink < task.links else 3
    same = now[:counted][: len(seen)] == seen[:counted]
    return None if same else not_deleted(task, ObjectError(FailureKind.CHANGED, CHANGED))
