"""Unnamed temporary files for bodies too large for memory."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.transfer.bodies import Slice


class Spill:
    """A temporary file that receives a body, a ``wire.Sink``. Close it unless ``whole`` was called.

    Every method raises ``FatalError`` if the disk is full, and ``ObjectError`` if the limit on the
    size of this process's files is reached.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        with _disk_trouble():
            self._fd, path = tempfile.mkstemp(prefix="s3pp-")
            os.unlink(path)

    def restart(self) -> None:
        """Discard the data of an earlier attempt."""
        with _disk_trouble():
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)

    def write(self, piece: bytes) -> None:
        """Append the next piece."""
        view = memoryview(piece)
        with _disk_trouble():
            while view:
                view = view[os.write(self._fd, view) :]

    def whole(self) -> Slice:
        """Return the body for reading, which then owns the file: close that instead."""
        return Slice(self._fd, self._name)

    def close(self) -> None:
        """Close the file, which frees its space."""
        os.close(self._fd)


@contextmanager
def _disk_trouble() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _meant(error) from None


def _meant(error: OSError) -> ObjectError | FatalError:
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if error.errno == errno.EFBIG and limit != resource.RLIM_INFINITY:  # no disk would help
        message = (
            f"it passes through a temporary file, and those may have {limit} bytes (ulimit -f)"
        )
        return ObjectError(FailureKind.TOO_LARGE, f"{message}: raise that limit")
    where = tempfile.tempdir or "the directory for temporary files"
    return FatalError(
        f"{where} cannot hold what passes through it ({error.strerror}): "
        "point TMPDIR elsewhere, or lower --concurrency"
    )
