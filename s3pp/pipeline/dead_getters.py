"""Temporary files that getters left which died during the run: removed when it ends.

Only then: as long as others land files in a directory, nobody can tell theirs from these. A
partial file of a large object is no such file: another getter goes on with it, or the next run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.pipeline.messages import TaskBatch
from s3pp.transfer.files.leftovers import sweep
from s3pp.transfer.files.tree import Tree


class DeadGetters:
    """Where the getters that died may have left something."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._directories: set[str] = set()  # below DIRECTORY

    def lost(self, batches: Iterable[TaskBatch]) -> None:
        """A worker died while it had these."""
        if self._job.verb == "get" and not self._job.dry_run:
            for batch in batches:
                self._directories |= {t.target.rpartition("/")[0] for t in batch.tasks}

    def sweep(self) -> None:
        """Remove what they left. Nobody of this run may be alive; never raises."""
        tree = Tree(self._job.directory, follow=self._job.choosing.follow_symlinks is True)
        with contextlib.suppress(FatalError):  # no descriptors: the next run sweeps as well
            for directory in sorted(self._directories):
                sweep(tree, directory)
        self._directories.clear()
