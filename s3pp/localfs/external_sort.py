"""External sorting of records, in constant memory.

Records are collected in *runs*. Records that fit one run are sorted in memory without touching
the disk. Otherwise each full run is sorted and spilled, and the runs are merged while they are
read back. All runs of a sort are stored in one temporary file (``$TMPDIR``), so a sort costs one
descriptor however much it spills; the file has no name, so even ``kill -9`` leaves nothing behind.
"""

from __future__ import annotations

import heapq
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

from s3pp.errors import FatalError

T = TypeVar("T")
Key = Callable[[T], Any]

RUN_LENGTH = 100_000  # records in memory, over all sorts that share a ``SortMemory``
RICH_RUN_LENGTH = 25_000  # the same, for records of half a kilobyte, such as entries and tasks
LEAST_RUN = 1_000  # records that a sort may hold even if others have used up the limit
FAN_IN = 64  # runs merged at once: each keeps one block in memory
BLOCK = 500  # records pickled together: pickling them one by one costs three times as much
HEADER = 4  # bytes of a block's length


class SortMemory:
    """A limit on the records held by all sorts of one walk: nested directories share it."""

    def __init__(self, records: int = RUN_LENGTH, least: int = LEAST_RUN) -> None:
        self._free = records
        self._least = least

    @property
    def run_length(self) -> int:
        """The maximum number of records in the next run."""
        return max(self._least, self._free)

    def take(self, records: int) -> None:
        """Count ``records`` as held; a negative number releases them."""
        self._free -= records


def sort_records(
    records: Iterable[T], *, key: Key[T] | None = None, memory: SortMemory | None = None
) -> Iterator[T]:
    """Yield ``sorted(records, key=key)``, also stable, in constant memory.

    ``records`` must be picklable if they exceed one run. Raises ``FatalError`` if the temporary
    file cannot be written. Closing the generator frees the file.
    """
    memory = memory or SortMemory()
    length = memory.run_length
    source = iter(records)
    run = sorted(islice(source, length), key=key)  # type: ignore[type-var, arg-type]
    held = len(run)
    memory.take(held)
    try:
        if held < length:
            yield from run
        else:
            yield from _spill(run, source, key)
    finally:
        memory.take(-held)


def _spill(run: list[T], source: Iterator[T], key: Key[T] | None) -> Iterator[T]:
    length = len(run)
    with _Runs[T]() as runs:
        while run:
            runs.write(run)
            run.clear()
            run.extend(islice(source, length))
            run.sort(key=key)
        with _narrow(runs, key) as few:
            yield from few.merge(few.spans, key)


def _narrow(runs: _Runs[T], key: Key[T] | None) -> _Runs[T]:
    """Merge neighbouring runs until at most ``FAN_IN`` are left; the sort stays stable."""
    while len(runs.spans) > FAN_IN:
        with runs:
            wider = _Runs[T]()
            for at in range(0, len(runs.spans), FAN_IN):
                wider.write(runs.merge(runs.spans[at : at + FAN_IN], key))
        runs = wider
    return runs


class _Runs(AbstractContextManager["_Runs[T]"], Generic[T]):
    """Sorted runs in one unnamed file; a span is the offsets of the start and the end of a run."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []
        import tempfile  # rarely needed, and slow to import

        with _disk_trouble():
            self._file = tempfile.TemporaryFile(prefix="s3pp-sort-")  # noqa: SIM115

    def __exit__(self, *_: object) -> None:
        with _disk_trouble():
            self._file.close()

    def write(self, run: Iterable[T]) -> None:
        """Append one sorted run."""
        begin = self._file.tell()
        source = iter(run)
        while block := list(islice(source, BLOCK)):
            packed = pickle.dumps(block, pickle.HIGHEST_PROTOCOL)
            with _disk_trouble():
                self._file.write(len(packed).to_bytes(HEADER, "big"))
                self._file.write(packed)
        with _disk_trouble():
            self._file.flush()
        self.spans.append((begin, self._file.tell()))

    def merge(self, spans: Iterable[tuple[int, int]], key: Key[T] | None) -> Iterator[T]:
        """Return the records of several runs in order; equal ones in the order of their runs."""
        return heapq.merge(*(self._read(*span) for span in spans), key=key)  # type: ignore[arg-type]

    def _read(self, at: int, end: int) -> Iterator[T]:
        descriptor = self._file.fileno()
        while at < end:
            length = int.from_bytes(os.pread(descriptor, HEADER, at), "big")
            yield from pickle.loads(os.pread(descriptor, length, at + HEADER))
            at += HEADER + length


@contextmanager
def _disk_trouble() -> Iterator[None]:
    """Raise ``FatalError`` for an error of the disk: the run cannot continue unsorted."""
    try:
        yield
    except OSError as error:
        import tempfile

        raise FatalError(
            f"sorting names in {tempfile.gettempdir()}: {error.strerror}; "
            "make room there, or point TMPDIR elsewhere"
        ) from error
