"""The look at the source of a mirror right before its put deletes what was not there.

What is there now counts as it would in a walk: a directory holds other keys than its own, and
whatever else has the name is that key's, be it sent or not.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from stat import S_ISDIR, S_ISLNK

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.records import DeleteReason, DeleteTask, Failed, Outcome, Skipped, SkipReason
from s3pp.sources.extraneous import MirrorScope
from s3pp.transfer.delete.deleter import Ended
from s3pp.transfer.resources import Reader

_NOT_IN_SOURCE = DeleteReason.NOT_IN_SOURCE  # evaluated once: until Python 3.12 it takes 0.25 µs
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class SourceLook:
    """Looks whether a directory has the files of keys that are to be deleted."""

    def __init__(self, directory: str, reader: Reader, *, cut: int, follow: bool) -> None:
        """``cut``: characters of a key before the file's path; ``follow``: links are followed."""
        self._directory = directory
        self._reader = reader
        self._cut = cut
        self._follow = follow

    @classmethod
    def of(cls, job: Job, reader: Reader) -> SourceLook | None:
        """Return what looks at the directory that a put mirrors; None: ``job`` is another run."""
        if job.verb != "put" or not job.deletion.extraneous:
            return None
        cut, (source,), chosen = MirrorScope.of(job).cut, job.sources, job.choosing
        follow = chosen.follow_symlinks is not False and chosen.linked_directories
        return cls(source.path, reader, cut=cut, follow=follow)

    async def find_absent(self, tasks: Sequence[DeleteTask], ended: Ended) -> list[DeleteTask]:
        """Return the tasks whose files are not there; the others get their outcomes."""
        ended.update(await self._reader.away(lambda: self._look(tasks)))
        return [task for task in tasks if task.target not in ended]

    def _look(self, tasks: Sequence[DeleteTask]) -> Ended:
        ended: Ended = {}
        directory, is_there = "", False
        for task in tasks:
            if task.reason is not _NOT_IN_SOURCE:
                continue
            path = f"{self._directory}/{task.target[self._cut :]}"
            parent = path.rpartition("/")[0]
            if parent != directory:  # what belongs together is together
                directory, is_there = parent, not is_absent(parent)
            if is_there and (outcome := self._outcome(task, path)) is not None:
                ended[task.target] = outcome
        return ended

    def _outcome(self, task: DeleteTask, path: str) -> Outcome | None:
        """Return the outcome of a task that must not be executed; None: it may be."""
        target = task.target
        try:
            if not has_object(path, follow=self._follow):
                return None
        except OSError as error:
            message = f"it is kept, as SOURCE cannot be examined for it: {error.strerror}"
            return Failed(target, target, FailureKind.UNREADABLE, message, deleting=True)
        return Skipped(target, target, task.size, SkipReason.IN_SOURCE, deleting=True)


def is_absent(directory: str) -> bool:
    """Return whether nothing can be below ``directory``; false where that cannot be known."""
    try:
        os.lstat(directory)
    except ValueError:  # no file can have the name
        return True
    except OSError as error:
        return error.errno in _ABSENT
    return False


def has_object(path: str, *, follow: bool) -> bool:
    """Return whether a walk finds something under the name ``path`` itself, and not below it.

    Raises ``OSError`` where that cannot be known.
    """
    try:
        mode = os.lstat(path).st_mode
    except ValueError:  # no file can have the name
        return False
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise
    is_directory = os.path.isdir(path) if S_ISLNK(mode) and follow else S_ISDIR(mode)
    return not is_directory
