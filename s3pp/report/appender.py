"""Append-only files: the journal and the log."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress

from s3pp.errors import FatalError, UsageError
from s3pp.report.private_file import open_private, refuse_pipe

MOST_CUT = 1 << 20  # bytes of an incomplete last line; a longer one was not written by s3pp


class Unwritten(FatalError):
    """Raised when the file can no longer be written; ``what`` names the file and the cause."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: fix that, and run the same command again")
        self.what = what


class Appender:
    """``path``, opened for appending as ``private_file`` does.

    Concurrent runs may share a file: each ``append`` is one write at its end. ``argument`` is the
    option that named the file, for messages. ``restate`` returns the replacement of a last line
    that a full disk or a kill left incomplete; without it a line end is added.
    Raises ``UsageError`` if the file cannot be opened, and ``Unwritten`` as ``append`` does.
    """

    def __init__(
        self, path: str, argument: str, *, restate: Callable[[str], str] | None = None
    ) -> None:
        self._path = path
        self._argument = argument
        self._fd = open_private(path, argument).fd
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            self._begin_line(restate)

    def append(self, text: str) -> None:
        """Write ``text`` at the end of the file; raises ``Unwritten`` if writing fails."""
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Flush the file to the disk and close it."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):  # a pipe, a device
                raise self._broken(error) from None
        finally:
            os.close(self._fd)

    def _begin_line(self, restate: Callable[[str], str] | None) -> None:
        """Complete or replace an incomplete last line, so that the next append begins a line."""
        # A shared lock is held while the file is open: an exclusive one proves that nothing writes.
        alone = _locked(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        cut = _cut_line(self._fd)
        if cut is None:
            pass
        elif alone and restate is not None and cut.startswith(b"{") and len(cut) < MOST_CUT:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - len(cut))
            self.append(restate(cut.decode("utf-8", "backslashreplace")) + "\n")
        else:
            self.append("\n")
        _locked(self._fd, fcntl.LOCK_SH)

    def _broken(self, error: OSError) -> Unwritten:
        return Unwritten(f"{self._argument} {self._path!r}: writing failed: {error.strerror}")


def check_appendable(path: str, argument: str) -> str | None:
    """Create ``path`` if it is missing; raises ``UsageError`` if it cannot be written.

    ``argument`` is named in messages. Returns a remark on a change of the file's mode, if any.
    """
    if os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path):
        fd, remark = open_private(path, argument)
        os.close(fd)
        return remark
    refuse_pipe(path, argument)
    if not os.access(path, os.W_OK):  # pipes are not opened: closing one would end its reader
        raise UsageError(f"{argument} {path!r} cannot be written: permission denied")
    return None


def _locked(fd: int, kind: int) -> bool:
    """Lock the file; returns false if that fails, or if the file cannot be locked at all."""
    with suppress(OSError):
        fcntl.flock(fd, kind)
        return True
    return False


def _cut_line(fd: int) -> bytes | None:
    """Return the last line if it is incomplete, at most ``MOST_CUT`` bytes of it; else None."""
    size = os.fstat(fd).st_size
    with suppress(OSError):  # opened for writing only
        if not size or os.pread(fd, 1, size - 1) == b"\n":
            return None
        start = max(0, size - MOST_CUT)
        return os.pread(fd, size - start, start).rpartition(b"\n")[2]
    return None
