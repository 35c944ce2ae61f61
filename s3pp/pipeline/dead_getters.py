"""Removal, at the end of a run, of the temporary files of getters that died during it.

Not earlier: while other getters write to a directory, their files look the same. The partial file
of a large object is kept: another getter resumes it, or the next run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.localfs.stale_files import sweep
from s3pp.localfs.tree import Tree
from s3pp.pipeline.messages import TaskBatch


class DeadGetters:
    """The directories in which dead getters may have left files."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._directories: set[str] = set()  # below DIRECTORY

    def lost(self, batches: Iterable[TaskBatch]) -> None:
        """Record the batches of a worker that died."""
        if self._job.verb == "get" and not self._job.dry_run:
            for batch in batches:
                self._directories |= {t.target.rpartition("/")[0] for t in batch.tasks}

    def sweep(self) -> None:
        """Remove the files. All workers of this run must have ended; never raises."""
        tree = Tree(self._job.directory, follow=self._job.choosing.follow_symlinks is True)
        with contextlib.suppress(FatalError):  # no descriptors: the next run sweeps as well
            for directory in sorted(self._directories):
                sweep(tree, directory)
        self._directories.clear()
