"""Conversion of errors of any kind to failed outcomes."""

from __future__ import annotations

from s3pp.errors import FatalError, ObjectError, Unfinished, unexpected, unexpected_kind
from s3pp.records import Failed, Task


def failed(task: Task, error: Exception) -> Failed:
    """Return the outcome of a task that raised ``error``; raises as ``failure`` does."""
    return failure(task.source, task.target, error)


def failure(source: str, target: str, error: Exception) -> Failed:
    """Return the failure of ``source`` and ``target`` for ``error``.

    ``FatalError`` and ``Unfinished`` are raised again: they have no outcome.
    """
    if isinstance(error, FatalError | Unfinished):
        raise error
    if isinstance(error, ObjectError):
        return Failed(source, target, error.kind, str(error), error.code, kept=error.kept)
    kind, code = unexpected_kind(error), type(error).__name__
    return Failed(source, target, kind, unexpected(error), code)
