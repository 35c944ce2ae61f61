"""Failures of objects: what refusals of the source mean, and how errors become outcomes."""

from __future__ import annotations

from s3pp.errors import (
    FailureKind,
    FatalError,
    ObjectError,
    RunEnding,
    outdated,
    unexpected,
    unexpected_kind,
)
from s3pp.records import Failed, GetTask, PartFault, Task
from s3pp.s3.retry import StoreError

# The codes for a GET and a CopyObject (API reference, "Error responses").
_ARCHIVED = ("InvalidObjectState", "ObjectNotInActiveTierError")
_FAULTS = {
    404: PartFault.REMOVED,
    412: PartFault.REPLACED,
    416: PartFault.REPLACED,  # it has shrunk: a store may check the range before the condition
    501: PartFault.NO_RANGES,  # or no conditions
}


# S3 user guide, "Access control list (ACL) overview".
NO_EMAIL = "S3 grants nothing to e-mail addresses since 2025-10-01: name a canonical user ID"


class ObjectReplaced(ObjectError):
    """Raised when an object is replaced while it is fetched; fetching it again may help."""

    def __init__(self) -> None:
        message = "it was replaced while it was fetched, each time: get it again later"
        super().__init__(FailureKind.CHANGED, message)


def failed(task: Task, error: Exception) -> Failed:
    """Return the outcome of a task that raised ``error``; raises as ``failure`` does."""
    return failure(task.source, task.target, error)


def failure(source: str, target: str, error: Exception) -> Failed:
    """Return the failure of ``source`` and ``target`` for ``error``.

    ``FatalError`` and ``RunEnding`` are raised again: they have no outcome.
    """
    if isinstance(error, FatalError | RunEnding):
        raise error
    if isinstance(error, ObjectError):
        kind, text, code = error.kind, str(error), error.code
        return Failed(source, target, kind, text, code, kept=error.kept, attempts=error.attempt)
    kind, code = unexpected_kind(error), type(error).__name__
    return Failed(source, target, kind, unexpected(error), code)


def fault_of(error: ObjectError) -> PartFault:
    """Return what the refusal of a range shows of the whole object."""
    if not isinstance(error, StoreError) or error.code == "NoSuchBucket":
        return PartFault.NONE
    return _FAULTS.get(error.status, PartFault.NONE)


def check_planned(task: GetTask, etag: str) -> None:
    """Raise ``ObjectError`` if a plan means another object than the one with this ETag."""
    if task.planned is not None and etag != task.etag:
        raise outdated("the object")


def source_fault(error: StoreError, *, planned: bool = False) -> ObjectError:
    """Return the failure for a refused GET, HEAD or CopyObject of a listed object.

    ``error`` itself if it has no special meaning. ``planned``: the ETag was a condition.
    """
    fault: ObjectError = error
    if planned and error.status == 412:
        fault = outdated("the object")
    elif error.code in _ARCHIVED:  # 403, but not a matter of access
        message = "the object is archived and cannot be read: restore it first"
        fault = ObjectError(FailureKind.REJECTED, message)
    elif error.status == 404 and error.code != "NoSuchBucket":
        fault = object_vanished()
    fault.attempt = error.attempt
    return fault


def unreadable_source(error: StoreError) -> ObjectError:
    """Return the failure for a refused GET of an object that is copied through this machine."""
    fault = source_fault(error)
    if fault is error:
        return ObjectError(error.kind, f"the source cannot be read: {error}")
    return fault


def object_vanished() -> ObjectError:
    """Return the failure of an object that no longer exists."""
    return ObjectError(FailureKind.NOT_FOUND, "the object vanished since it was listed")
