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


class RecordFile(AbstractContextManager["RecordFile[T]"], Generic[T]):
    """Records in one file without a name; ``purpose`` begins the message where the disk is full."""

    def __init__(self, purpose: str) -> None:
        import tempfile  # rarely needed, and slow to import

        self._purpose = purpose
        with _disk_trouble(purpose):
            self._file = tempfile.TemporaryFile(prefix="s3pp-records-")  # noqa: SIM115

    def __exit__(self, *_: object) -> None:
        with _disk_trouble(self._purpose):
            self._file.close()

    def write(self, records: Iterable[T]) -> tuple[int, int]:
        """Append records; returns where they begin and end. Raises ``FatalError``."""
        begin = self._file.tell()
        source = iter(records)
        while block := list(islice(source, BLOCK)):
            packed = pickle.dumps(block, pickle.HIGHEST_PROTOCOL)
            with _disk_trouble(self._purpose):
                self._file.write(len(packed).to_bytes(HEADER, "big"))
                self._file.write(packed)
        with _disk_trouble(self._purpose):
            self._file.flush()
        return begin, self._file.tell()

    def read(self, begin: int, end: int) -> Iterator[T]:
        """Yield the records between two offsets that ``write`` returned."""
        descriptor = self._file.fileno()
        while begin < end:
            length = int.from_bytes(os.pread(descriptor, HEADER, begin), "big")
            yield from pickle.loads(os.pread(descriptor, length, begin + HEADER))
            begin += HEADER + length


class _Runs(AbstractContextManager["_Runs[T]"], Generic[T]):
    """Sorted runs in one file; a span is the offsets of the start and the end of a run."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []
        self._file = RecordFile[T]("sorting names")

    def __exit__(self, *_: object) -> None:
        self._file.__exit__()

    def write(self, run: Iterable[T]) -> None:
        """Append one sorted run."""
        self.spans.append(self._file.write(run))

    def merge(self, spans: Iterable[tuple[int, int]], key: Key[T] | None) -> Iterator[T]:
        """Return the records of several runs in order; equal ones in the order of their runs."""
        runs = (self._file.read(*span) for span in spans)
        return heapq.merge(*runs, key=key)  # type: ignore[arg-type]


@contextmanager
def _disk_trouble(purpose: str) -> Iterator[None]:
    """Raise ``FatalError`` for an error of the disk."""
    try:
        yield
    except OSError as error:
        import tempfile

        raise FatalError(
            f"{purpose} in {tempfile.gettempdir()}: {error.strerror}; "
            "make room there, or point TMPDIR elsewhere"
        ) from error
