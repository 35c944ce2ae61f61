"""How any task comes to its end where something went wrong: as an outcome, whatever it was."""

from __future__ import annotations

from s3pp.errors import FailureKind, FatalError, ObjectError, Unfinished
from s3pp.records import Failed, Task


def failed(task: Task, error: Exception) -> Failed:
    """The outcome of a task whose way ended in ``error``.

    Raises ``FatalError`` and ``Unfinished`` as they are: there is no outcome.
    """
    if isinstance(error, FatalError | Unfinished):
        raise error
    if isinstance(error, ObjectError):
        return Failed(task.source, task.target, error.kind, str(error), error.code)
    message = f"internal error: {error!r}"
    return Failed(task.source, task.target, FailureKind.INTERNAL, message, type(error).__name__)
