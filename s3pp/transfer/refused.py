"""Failures of objects that a store refuses to return: vanished or archived."""

from __future__ import annotations

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.retry import StoreError

# The codes for a GET and a CopyObject (API reference, "Error responses").
_ARCHIVED = ("InvalidObjectState", "ObjectNotInActiveTierError")


def source_fault(error: StoreError) -> ObjectError:
    """Return the failure for a refused GET, HEAD or CopyObject of a listed object.

    ``error`` itself if it has no special meaning.
    """
    if error.code in _ARCHIVED:  # 403, but not a matter of access
        message = "the object is archived and cannot be read: restore it first"
        return ObjectError(FailureKind.REJECTED, message)
    if error.status == 404 and error.code != "NoSuchBucket":
        return vanished()
    return error


def vanished() -> ObjectError:
    """Return the failure of an object that no longer exists."""
    return ObjectError(FailureKind.NOT_FOUND, "the object vanished since it was listed")
