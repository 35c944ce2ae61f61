"""A file of ours that only grows: the journal, the log."""

from __future__ import annotations

import errno
import os

from s3pp.errors import FatalError, UsageError


class Appender:
    """``path``, opened for appending and created with mode 0600.

    Concurrent runs may share a file: each ``append`` is one write at the end of it.
    ``argument`` is the option that named the file, for messages.
    """

    def __init__(self, path: str, argument: str) -> None:
        self._path = path
        self._argument = argument
        torn = _torn(path)
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(
                f"{argument} {path!r} cannot be written: {error.strerror}; name another file"
            ) from None
        if torn:  # a run that was killed in the middle of a line must not spoil this one's first
            self.append("\n")

    def append(self, text: str) -> None:
        """Write ``text`` at the end of the file; ``FatalError`` where the disk refuses."""
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Bring everything to the disk, and close."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):  # a pipe, a device
                raise self._broken(error) from None
        finally:
            os.close(self._fd)

    def _broken(self, error: OSError) -> FatalError:
        return FatalError(
            f"{self._argument} {self._path!r}: writing failed: {error.strerror}: "
            "mend that, and run the same command again"
        )


def check_appendable(path: str, argument: str) -> None:
    """Create ``path`` if need be; ``UsageError`` naming ``argument`` if it cannot be written."""
    if os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path):
        Appender(path, argument).close()
    elif not os.access(path, os.W_OK):  # a pipe is not opened: closing it would end its reader
        raise UsageError(f"{argument} {path!r} cannot be written: permission denied")


def _torn(path: str) -> bool:
    """Whether the file exists and its last line has no end."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            if not file.seek(0, os.SEEK_END):
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False
