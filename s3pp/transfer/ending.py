"""How any task comes to its end where something went wrong: as an outcome, whatever it was."""

from __future__ import annotations

from s3pp.errors import FatalError, ObjectError, Unfinished, unexpected, unexpected_kind
from s3pp.records import Failed, Task


def failed(task: Task, error: Exception) -> Failed:
    """The outcome of a task whose way ended in ``error``; raises as ``failure`` does."""
    return failure(task.source, task.target, error)


def failure(source: str, target: str, error: Exception) -> Failed:
    """The outcome of what ended in ``error``, by the words of outcomes.

    Raises ``FatalError`` and ``Unfinished`` as they are: there is no outcome.
    """
    if isinstance(error, FatalError | Unfinished):
        raise error
    if isinstance(error, ObjectError):
        return Failed(source, target, error.kind, str(error), error.code)
    kind, code = unexpected_kind(error), type(error).__name__
    return Failed(source, target, kind, unexpected(error), code)
