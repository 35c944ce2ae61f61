"""Sources opened and read: a whole file or a slice of one, small in memory, large as a stream.

A file is stamped (size and times) when it is opened and again when it has been read or sent;
if the stamps differ it changed meanwhile, and what was read is not trusted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.records import Entry, PutPart, Stamp

SMALL = 256 * 1024  # bytes up to which a body is held in memory
PIECE = 1024 * 1024  # bytes read at a time where a body is streamed

_MISSING = (errno.ENOENT, errno.ENOTDIR)


class Changed(ObjectError):
    """The source changed while it was read; reading it again may help."""

    def __init__(self, path: str) -> None:
        super().__init__(FailureKind.CHANGED, f"{path} changed while it was read")


class Slice:
    """An open source, read in order; a ``wire.Stream``.

    ``size`` is what the file holds now, not what the walk saw. Close it.
    """

    def __init__(self, fd: int, path: str, *, start: int = 0, size: int | None = None) -> None:
        self._fd = fd
        self._path = path
        self._start = start
        status = os.fstat(fd)
        self._stamp = _stamp(status)
        self.size = status.st_size - start if size is None else size
        self._at = 0

    def read(self, count: int) -> bytes:
        """Return up to ``count`` bytes, empty at the end.

        Raises ``Changed`` if they are gone, ``ObjectError`` if they cannot be read.
        """
        count = min(count, self.size - self._at)
        if count == 0:
            return b""
        try:
            piece = os.pread(self._fd, count, self._start + self._at)
        except OSError as error:
            raise unreadable(self._path, error) from None
        if not piece:
            raise Changed(self._path)
        self._at += len(piece)
        return piece

    def rewind(self) -> None:
        """Start again from the first byte."""
        self._at = 0

    def pieces(self) -> Iterator[bytes]:
        """The whole of it, ``PIECE`` bytes at a time."""
        self.rewind()
        while piece := self.read(PIECE):
            yield piece

    def head(self, count: int) -> bytes:
        """The first ``count`` bytes, or all if there are fewer."""
        return os.pread(self._fd, min(count, self.size), self._start)

    @property
    def stamp(self) -> Stamp:
        """What tells the file as it was opened from any other state of it."""
        return self._stamp

    def fileno(self) -> int:
        """The open file's descriptor."""
        return self._fd

    @property
    def start(self) -> int:
        """Where in the file it begins, in bytes."""
        return self._start

    def check(self) -> None:
        """Raise ``Changed`` if the file is not as it was when it was opened."""
        if _stamp(os.fstat(self._fd)) != self._stamp:
            raise Changed(self._path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def open_entry(entry: Entry) -> bytes | Slice:
    """The body of an entry: in memory if it is small, else open.

    Raises ``ObjectError`` where it is no readable regular file, ``Changed`` if it is written to.
    """
    try:
        # Without O_NONBLOCK a FIFO that took the file's place would block here for ever.
        fd = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise unreadable(entry.source, error) from None
    keep = False
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ObjectError(FailureKind.UNREADABLE, f"{entry.source} is no longer a regular file")
        if entry.archive_ns not in (None, status.st_mtime_ns):
            message = f"{entry.path} changed since its headers were read: put it again"
            raise ObjectError(FailureKind.CHANGED, message)
        start = entry.offset or 0
        size = status.st_size if entry.offset is None else entry.size
        if size <= SMALL:
            # One byte more than a whole file says it has: some, as in /proc, say nothing and hold
            # much.
            body = os.pread(fd, size if entry.offset is not None else size + 1, start)
            after = os.fstat(fd)
            # As ``_stamp`` has it, but for the calls: every small file passes here.
            if (
                len(body) == size
                and after.st_mtime_ns == status.st_mtime_ns
                and after.st_ctime_ns == status.st_ctime_ns
                and after.st_size == status.st_size
            ):
                return body
            hidden = size == 0 and _stamp(after) == _stamp(status)
            raise _hides_its_size(entry.source) if hidden else Changed(entry.source)
        opened = Slice(fd, entry.source, start=start, size=size)
        keep = True
        return opened
    finally:
        if not keep:
            os.close(fd)


def _hides_its_size(source: str) -> ObjectError:
    message = f"{source} says that it is empty, and is not: copy it to a real file first"
    return ObjectError(FailureKind.UNREADABLE, message)


def open_part(part: PutPart) -> Slice:
    """One part of a body, open. Raises ``Changed`` if the file is not what the lead opened.

    Raises ``ObjectError`` where it is not readable any more.
    """
    try:
        fd = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise unreadable(part.name, error) from None
    span = part.span
    opened = Slice(fd, part.name, start=part.start + span.offset, size=span.size)
    if opened.stamp != part.stamp:
        opened.close()
        raise Changed(part.name)
    return opened


def unreadable(source: str, error: OSError) -> ObjectError:
    """The failure an ``OSError`` on a source means."""
    if error.errno in (errno.EMFILE, errno.ENFILE):  # says nothing about this file
        message = f"{error.strerror}: raise the limit (ulimit -n), or lower --concurrency"
        raise FatalError(message, FailureKind.UNREADABLE)
    kind = FailureKind.NOT_FOUND if error.errno in _MISSING else FailureKind.UNREADABLE
    what = "vanished" if kind is FailureKind.NOT_FOUND else "cannot be read"
    return ObjectError(kind, f"{source} {what}: {error.strerror}")


def _stamp(status: os.stat_result) -> Stamp:
    """What tells two states of a file apart without reading it."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
