"""What a run is to delete, kept until it may: in order, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from s3pp.localfs.external_sort import RecordFile
from s3pp.records import DeleteTask

BATCH = 1000  # deletions sent together: what one DeleteObjects may have


class DeleteSpool:
    """Tasks to delete, in order: few in memory, others in a file without a name."""

    def __init__(self, block: int = BATCH) -> None:
        self.count = 0
        self._block = block
        # As plain tuples, which are pickled in a tenth of the time.
        self._file: RecordFile[tuple[Any, ...]] | None = None
        self._end = 0  # of the file
        self._newest: list[DeleteTask] = []

    def add(self, task: DeleteTask) -> None:
        """Add a task. Raises ``FatalError`` if the disk is full."""
        self.count += 1
        self._newest.append(task)
        if len(self._newest) >= self._block:
            if self._file is None:
                self._file = RecordFile("noting what to delete")
            _, self._end = self._file.write(map(tuple, self._newest))
            self._newest.clear()

    def batches(self) -> Iterator[list[DeleteTask]]:
        """Yield all tasks, up to ``block`` at a time."""
        rows = self._file.read(0, self._end) if self._file is not None else iter(())
        while batch := [DeleteTask(*row) for row in islice(rows, self._block)]:
            yield batch
        if self._newest:
            yield self._newest
