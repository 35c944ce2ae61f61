"""Bodies: files or slices of them, in memory if small, else as streams; and spooled ones.

The stamp of a file (size and times) is taken when it is opened and again when it has been read or
sent; if the stamps differ, the file changed meanwhile, and the data read is discarded.

What is compressed or relayed, and too large for memory, is spooled to an unnamed temporary file.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from s3pp.errors import FailureKind, FatalError, ObjectError, outdated
from s3pp.limits import PIECE, SMALL
from s3pp.records import Entry, PutPart, Stamp

_MISSING = (errno.ENOENT, errno.ENOTDIR)


class PartBody(Protocol):
    """The body of a part: a ``wire.Stream`` that can be digested before it is sent."""

    size: int  # bytes

    def read(self, count: int) -> bytes:
        """As ``Stream.read``."""

    def rewind(self) -> None:
        """As ``Stream.rewind``."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole content."""

    def check(self) -> None:
        """Raise ``Changed`` if the source has changed since it was opened."""

    def close(self) -> None:
        """Release the body."""


class MemoryBody:
    """A body in memory, in pieces; a ``PartBody``."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """``pieces``: none of them empty."""
        self.size = sum(map(len, pieces))
        self._pieces = pieces
        self._next = 0  # the piece that is read next
        self._start = 0  # where in it

    def read(self, count: int) -> bytes:
        """Return up to ``count`` bytes, empty at the end."""
        if self._next == len(self._pieces):
            return b""
        piece, start = self._pieces[self._next], self._start
        self._start += count
        if self._start >= len(piece):
            self._next, self._start = self._next + 1, 0
        return piece[start : start + count]

    def rewind(self) -> None:
        """Start again from the first byte."""
        self._next = self._start = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole content."""
        return iter(self._pieces)

    def check(self) -> None:
        """Do nothing: no other process can change it."""

    def close(self) -> None:
        """Do nothing: whoever has made it holds the memory."""


class Changed(ObjectError):
    """Raised when the source changed while it was read; reading it again may help."""

    def __init__(self, path: str) -> None:
        super().__init__(FailureKind.CHANGED, f"{path} changed while it was read")


class Slice:
    """An open source, read in order; a ``wire.Stream``.

    ``size`` is its current size in bytes, not that seen by the walk. Close it.
    """

    def __init__(self, fd: int, path: str, *, start: int = 0, size: int | None = None) -> None:
        self._fd = fd
        self._path = path
        self._start = start
        status = os.fstat(fd)
        self._stamp = stamp_of(status)
        self.size = status.st_size - start if size is None else size
        self._at = 0

    def read(self, count: int) -> bytes:
        """Return up to ``count`` bytes, empty at the end.

        Raises ``Changed`` if the file was truncated, ``ObjectError`` if it cannot be read.
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
        """Yield the whole content, ``PIECE`` bytes at a time."""
        self.rewind()
        while piece := self.read(PIECE):
            yield piece

    def head(self, count: int) -> bytes:
        """Return the first ``count`` bytes, or all if there are fewer."""
        return os.pread(self._fd, min(count, self.size), self._start)

    @property
    def stamp(self) -> Stamp:
        """The stamp of the file when it was opened, which identifies its state."""
        return self._stamp

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self._fd

    @property
    def start(self) -> int:
        """The offset of the slice in the file, in bytes."""
        return self._start

    def check(self) -> None:
        """Raise ``Changed`` if the file has changed since it was opened."""
        if stamp_of(os.fstat(self._fd)) != self._stamp:
            raise Changed(self._path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def open_entry(entry: Entry) -> bytes | Slice:
    """Return the body of an entry: in memory if it is small, else open.

    Raises ``ObjectError`` if it is no readable regular file, ``Changed`` if it is being written.
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
        if entry.pinned_ns is not None:
            _check_pinned(entry, status)
        start = entry.offset or 0
        size = status.st_size if entry.offset is None else entry.size
        if size <= SMALL:
            # One byte more than the size of a whole file: some, as in /proc, have size 0 but much
            # content.
            body = os.pread(fd, size if entry.offset is not None else size + 1, start)
            after = os.fstat(fd)
            # ``stamp_of`` inlined, to save calls: this runs for every small file.
            if (
                len(body) == size
                and after.st_mtime_ns == status.st_mtime_ns
                and after.st_ctime_ns == status.st_ctime_ns
                and after.st_size == status.st_size
            ):
                return body
            hidden = size == 0 and stamp_of(after) == stamp_of(status)
            raise _hides_its_size(entry.source) if hidden else Changed(entry.source)
        opened = Slice(fd, entry.source, start=start, size=size)
        keep = True
        return opened
    finally:
        if not keep:
            os.close(fd)


def _check_pinned(entry: Entry, status: os.stat_result) -> None:
    """Raise ``ObjectError`` for an archive that was walked, or a file that was planned, in another
    state.
    """
    if entry.offset is None:
        if (entry.size, entry.pinned_ns) != (status.st_size, status.st_mtime_ns):
            raise outdated(entry.source)
    elif entry.pinned_ns != status.st_mtime_ns:
        message = f"{entry.path} changed since its headers were read: put it again"
        raise ObjectError(FailureKind.CHANGED, message)


def _hides_its_size(source: str) -> ObjectError:
    message = f"{source} has size 0, but contains data: copy it to a real file first"
    return ObjectError(FailureKind.UNREADABLE, message)


def open_part(part: PutPart) -> Slice:
    """Open one part of a body. Raises ``Changed`` if the file is not in the state the lead opened.

    Raises ``ObjectError`` if it is no longer readable.
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
    """Return the failure for an ``OSError`` on a source."""
    if error.errno in (errno.EMFILE, errno.ENFILE):  # concerns the process, not this file
        message = f"{error.strerror}: raise the limit (ulimit -n), or lower --concurrency"
        raise FatalError(message, FailureKind.UNREADABLE)
    kind = FailureKind.NOT_FOUND if error.errno in _MISSING else FailureKind.UNREADABLE
    what = "vanished" if kind is FailureKind.NOT_FOUND else "cannot be read"
    return ObjectError(kind, f"{source} {what}: {error.strerror}")


def stamp_of(status: os.stat_result) -> Stamp:
    """Return values that distinguish states of a file without reading it."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


class SpooledBody:
    """A temporary file that receives a body, a ``wire.Sink``. Close it unless ``whole`` was called.

    Every method raises ``FatalError`` if the disk is full, and ``ObjectError`` if the limit on the
    size of this process's files is reached.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        with _disk_faults():
            self._fd, path = tempfile.mkstemp(prefix="s3pp-")
            os.unlink(path)

    def restart(self) -> None:
        """Discard the data of an earlier attempt."""
        with _disk_faults():
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)

    def write(self, piece: bytes | memoryview) -> None:
        """Append the next piece."""
        view = memoryview(piece)
        with _disk_faults():
            while view:
                view = view[os.write(self._fd, view) :]

    def whole(self) -> Slice:
        """Return the body for reading, which then owns the file: close that instead."""
        return Slice(self._fd, self._name)

    def close(self) -> None:
        """Close the file, which frees its space."""
        os.close(self._fd)


@contextmanager
def _disk_faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _disk_fault(error) from None


def _disk_fault(error: OSError) -> ObjectError | FatalError:
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if error.errno == errno.EFBIG and limit != resource.RLIM_INFINITY:  # no disk would help
        message = f"it needs a temporary file, and those are limited to {limit} bytes (ulimit -f)"
        return ObjectError(FailureKind.TOO_LARGE, f"{message}: raise that limit")
    where = tempfile.tempdir or "the directory for temporary files"
    return FatalError(
        f"{where} cannot hold temporary files ({error.strerror}): "
        "point TMPDIR elsewhere, or lower --concurrency"
    )
