"""A plan as a source: its lines, from the first, which has its settings, to the last.

::

    {"plan":1, …}       settings     see ``plan_settings``
    {"operation":…}     a line for each object, in ascending order of destinations
    {"totals":{…}}      without it the plan is not complete

Lines may be removed; they cannot be moved, repeated or changed to name other places. All are
checked before a run begins, so that a plan which was edited badly does nothing at all.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from s3pp.errors import FatalError, UsageError
from s3pp.job import Job
from s3pp.localfs.paths import shown
from s3pp.records import Task
from s3pp.sources.filters import key_bytes
from s3pp.sources.plan_lines import BadLine, PlanLines
from s3pp.sources.plan_settings import planned_job

LONGEST = 1 << 17  # bytes of a line: those of a plan have a path and a key, escaped


def open_plan(job: Job) -> Job:
    """Return the job that applies the plan of ``job``, which names its file.

    Raises ``UsageError`` for a file that is no plan, that is incomplete, or that has a line which
    cannot be executed.
    """
    path = str(job.applies)
    try:
        with _open(path) as file:
            _check_end(file)
            planned = planned_job(job, _settings(file.readline(LONGEST)))
            for _ in _read(file, PlanLines(planned)):
                pass
    except BadLine as error:
        raise UsageError(f"PLAN '{shown(path)}', {error}; nothing was done") from None
    except UsageError as error:
        raise UsageError(f"PLAN '{shown(path)}': {error}") from None
    return planned


def read_plan(job: Job) -> Iterator[Task]:
    """Yield the tasks of the plan that ``job`` applies, in constant memory.

    Raises ``FatalError`` if it cannot be read, or was changed since ``open_plan``.
    """
    path = str(job.applies)
    try:
        with _open(path) as file:
            file.readline(LONGEST)
            yield from _read(file, PlanLines(job))
    except (BadLine, UsageError) as error:
        raise FatalError(f"PLAN '{shown(path)}' was changed during the run: {error}") from None


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError("it is not a regular file, whose end can be looked at first")
            yield file
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}") from None


def _check_end(file: BinaryIO) -> None:
    """Raise ``UsageError`` unless the last line is that of a complete plan; rewinds ``file``."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST))
    *_, last, rest = (b"\n" + file.read()).rsplit(b"\n", 2)
    if rest or "totals" not in _parse(last, {}):
        raise UsageError("it has no last line with totals, so it is incomplete: plan again")
    file.seek(0)


def _settings(line: bytes) -> dict[str, Any]:
    found = _parse(line, {})
    if "plan" not in found:
        raise UsageError("its first line is not that of a plan: name a FILE of --plan")
    return found


def _read(file: BinaryIO, lines: PlanLines) -> Iterator[Task]:
    """Yield the tasks of all lines. Raises ``BadLine``, with the number of the line."""
    before, number = b"", 1
    while text := file.readline(LONGEST):
        number += 1
        try:
            line = _parse(text)
            if "totals" in line:
                _check_over(file)
                return
            task = lines.decode(line)
            before = _check_order(before, task)
        except BadLine as error:
            raise BadLine(f"line {number}: {error}") from None
        yield task


def _check_over(file: BinaryIO) -> None:
    """Raise ``BadLine`` if anything follows the totals, as where plans were joined."""
    if file.read(1):
        raise BadLine("it has totals, and more follows: apply each plan by itself")


def _check_order(before: bytes, task: Task) -> bytes:
    """Return the bytes that a destination sorts by. Raises ``BadLine`` if others come first."""
    order = key_bytes(task.target)
    if order == before and order:
        raise BadLine(f"its destination {task.target!r} is that of the line before")
    if order < before:
        why = "lines may be removed, not moved"
        raise BadLine(f"its destination {task.target!r} is not in ascending order: {why}")
    return order


def _parse(text: bytes, usual: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON object in a line; ``usual``, or ``BadLine``, for anything else."""
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    if usual is None:
        raise BadLine("it is not a JSON object")
    return usual
