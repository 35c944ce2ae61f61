"""Counts of what the package's own code does: calls, and blocks of memory allocated.

Both are exact, and the same in each run of one build of Python; time is neither.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import s3pp

PACKAGE = str(Path(s3pp.__file__).parent)
# Bounds are of Python 3.11. Other versions keep other kinds of objects in free lists, and some have
# no frame for a comprehension.
ROOM = 1.0 if sys.version_info[:2] == (3, 11) else 1.12


@contextmanager
def counted() -> Iterator[list[str]]:
    """The functions that are called; a coroutine that goes on after a wait is not called again."""
    calls: list[str] = []
    seen: set[int] = set()
    held: list[FrameType] = []  # so that no other frame gets the id of one that has ended

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE) or id(frame) in seen:
            return
        seen.add(id(frame))
        held.append(frame)
        calls.append(f"{Path(code.co_filename).stem}.{code.co_name}")

    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)


class Blocks:
    """Counts the blocks of memory that the package's own code allocates, by line.

    ::

        with Blocks() as blocks:
            ...
        blocks.total, blocks.most(10)

    After each instruction of the package it looks how many blocks are in use: where they are more
    than before, the line has allocated them. So it also counts what lives for an instant, and not
    what is allocated and released within one instruction, or while others run: the event loop, the
    server of a test. One for each call is the frame's, which is made since it is looked at.
    """

    def __init__(self, package: str = PACKAGE) -> None:
        self.by_line: Counter[str] = Counter()
        self._package = package
        self._used = 0

    def __enter__(self) -> Blocks:
        self._outer = sys.gettrace()  # of a tool that measures what tests cover
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._outer)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_line.values())

    def most(self, count: int = 12) -> str:
        """The lines that have allocated most."""
        lines = self.by_line.most_common(count)
        return "\n".join(f"{blocks:5} {line}" for line, blocks in lines)

    def _is_own(self, frame: FrameType | None) -> bool:
        return frame is not None and frame.f_code.co_filename.startswith(self._package)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        if not self._is_own(frame):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if self._is_own(frame.f_back):
            self._count(frame)
        else:
            self._used = sys.getallocatedblocks()
        return self._step

    def _step(self, frame: FrameType, _event: str, _argument: object) -> Any:
        self._count(frame)
        return self._step

    def _count(self, frame: FrameType) -> None:
        used = sys.getallocatedblocks()
        if used > self._used:
            code = frame.f_code
            where = f"{code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno} {code.co_name}"
            self.by_line[where] += used - self._used
        self._used = used


class Peak:
    """Measures the memory held at most, beyond what there was before, by all that runs meanwhile.

    ::

        with Peak() as held:
            ...
        held.bytes
    """

    def __init__(self) -> None:
        self.bytes = 0

    def __enter__(self) -> Peak:
        tracemalloc.start()
        self._before, _ = tracemalloc.get_traced_memory()
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = tracemalloc.get_traced_memory()[1] - self._before
        tracemalloc.stop()
