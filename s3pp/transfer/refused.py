"""What it means for an object that a store will not give it: vanished, or archived."""

from __future__ import annotations

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.retry import StoreError

# What a GET and a CopyObject are told (API reference, "Error responses").
_ARCHIVED = ("InvalidObjectState", "ObjectNotInActiveTierError")


def source_fault(error: StoreError) -> ObjectError:
    """The failure that a refused GET, HEAD or CopyObject of a listed object means.

    ``error`` itself where it means what it says.
    """
    if error.code in _ARCHIVED:  # 403, and yet it has nothing to do with access
        message = "the object is archived and cannot be read: restore it first"
        return ObjectError(FailureKind.REJECTED, message)
    if error.status == 404 and error.code != "NoSuchBucket":
        return vanished()
    return error


def vanished() -> ObjectError:
    """The failure of an object that the store does not have any more."""
    return ObjectError(FailureKind.NOT_FOUND, "the object vanished since it was listed")
