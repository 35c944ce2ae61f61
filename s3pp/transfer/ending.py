"""How any task comes to its end: as an outcome, whatever happened on the way."""

from __future__ import annotations

from collections.abc import Awaitable

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.records import Failed, Outcome, Task


async def ended(task: Task, course: Awaitable[Outcome]) -> Outcome:
    """The outcome of ``course``, which works on ``task``. Raises ``FatalError`` only."""
    try:
        return await course
    except FatalError:
        raise
    except ObjectError as error:
        return Failed(task.source, task.target, error.kind, str(error))
    except Exception as error:
        message = f"internal error: {error!r}"
        return Failed(task.source, task.target, FailureKind.INTERNAL, message)
