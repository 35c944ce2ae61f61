"""Atomic writing of files: under a temporary name, renamed when complete.

::

    open temporary ─▶ write … ─▶ permissions, mtime, fsync ─▶ close ─▶ rename │ link (mode add)
                        │  ▲
                        └──┘ restart: another attempt

Under its final name a file is always complete: the old one until the rename, the new one after it.
If the temporary file has been removed by then (by a sweeper, or with its directory), nothing was
changed, and the write can be repeated: ``Vanished``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError, S3ppError
from s3pp.limits import PIECE
from s3pp.localfs.allocation import allocate
from s3pp.localfs.locks import lock
from s3pp.localfs.paths import temporary_name
from s3pp.localfs.tree import Descriptor, Tree, split

_TRIES = 3  # times a small file is written before its vanishing counts as a failure

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777  # kept from the file it replaces: no setuid bit

# The errors of file systems without hard links, permissions, or fsync of directories.
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS)
_UNKNOWN_HERE = (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


class Vanished(ObjectError):
    """Raised when the temporary file was removed before the rename; fetching again may help."""

    def __init__(self, path: str) -> None:
        message = f"the temporary file of {path!r} vanished: does another program clean up there?"
        super().__init__(FailureKind.CHANGED, message)


class FileAttributes(NamedTuple):
    """The attributes of a finished file."""

    mtime_ns: int | None = None  # since the epoch; None: as it was written
    mode: int | None = None  # st_mode of the file it replaces; None: a new file, as umask has it
    fsync: bool = False  # of the file before the rename, and then of the directory
    fresh: bool = False  # only if its name is free
    over: tuple[int, int] | None = None  # only if what it replaces has this size and mtime


def write_file(
    tree: Tree, path: str, body: bytes, attributes: FileAttributes, *, tries: int = _TRIES
) -> bool:
    """Write a whole file; returns false if ``attributes`` forbid to replace what has its name.

    For bodies in memory: costs an open, a write, a close, a rename and little else. Raises
    ``ObjectError`` (``Vanished`` if the temporary vanished in each of ``tries``) or ``FatalError``,
    after removing the temporary.
    """
    try:
        directory, name = tree.parent(path, make=True)
        assert directory is not None, "it was made"
        temporary = temporary_name(name)
        mode = 0o666 if attributes.mode is None else 0o600  # ``first_mode``, inlined
        fd = os.open(temporary, _NEW, mode, dir_fd=directory)
        try:
            try:
                if (written := os.write(fd, body)) < len(body):
                    _write(fd, memoryview(body)[written:])
                _seal(fd, attributes)
            finally:
                os.close(fd)
            if attributes.fresh or attributes.fsync or attributes.over is not None:
                return _give_name(directory, temporary, name=name, attributes=attributes)
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            return True
        except BaseException:
            remove(directory, temporary)
            raise
    except FileNotFoundError:
        if tries == 1:
            raise Vanished(path) from None
        tree.forget()
        return write_file(tree, path, body, attributes, tries=tries - 1)
    except OSError as error:
        raise failure(tree, path, error) from None


class TemporaryFile:
    """A file that is written piece by piece. Finish it or discard it.

    While it is written an exclusive lock keeps sweepers of other runs from removing it.
    ``mode`` is as in ``FileAttributes``. Methods raise as ``write_file`` does, after discarding the
    file.
    """

    def __init__(self, tree: Tree, path: str, *, mode: int | None = None) -> None:
        self.size = 0  # bytes written since the start or ``restart``
        self._tree = tree
        self._path = path
        self._mode = mode
        self._parent, self._name = split(path)
        self._directory: Descriptor | None = None  # of the temporary file
        self._temporary, self._fd = self._open()

    @property
    def temporary(self) -> str:
        """The temporary path, relative to the tree."""
        return f"{self._parent}/{self._temporary}" if self._parent else self._temporary

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode number of the open file, by which others identify it."""
        return inode(self._fd)

    def preallocate(self, size: int) -> None:
        """Allocate ``size`` bytes of disk space. May block: not on an event loop."""
        try:
            allocate(self._fd, size)
        except OSError as error:
            raise self._fail(error) from None
        self.size = size

    def write(self, piece: bytes | memoryview) -> None:
        """Append ``piece``."""
        try:
            _write(self._fd, piece)
        except OSError as error:
            raise self._fail(error) from None
        self.size += len(piece)

    def restart(self) -> None:
        """Discard the data written, for a new attempt from the first byte."""
        try:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        except OSError as error:
            raise self._fail(error) from None
        self.size = 0

    def pieces(self, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """Yield the data written from ``start``, all or ``size`` bytes, in pieces of ``PIECE``."""
        at, end = start, self.size if size is None else start + size
        while at < end and (piece := self._read(at, min(PIECE, end - at))):
            yield piece
            at += len(piece)

    def finish(self, attributes: FileAttributes) -> bool:
        """Rename the file to its final name; returns false as ``write_file`` does.

        Its ``mode`` is the one given before. The directory is looked up again, in case it was
        replaced.
        """
        attributes = attributes._replace(mode=self._mode)
        held = -1
        try:
            held = os.dup(self._fd)  # keeps the lock until the rename
            _seal(self._fd, attributes)
            self._close()  # some file systems report write errors only here
            directory = self._tree.make(self._parent)
            finished = _give_name(
                directory, self._temporary, name=self._name, attributes=attributes
            )
        except OSError as error:
            raise self._fail(error) from None
        except S3ppError:
            self.keep_or_discard()
            raise
        finally:
            if held >= 0:
                os.close(held)
        self._temporary = ""
        self.discard()
        return finished

    def keep_or_discard(self) -> bool:
        """Keep the file if a later run can resume it, else discard it; returns whether kept."""
        self.discard()
        return False

    def discard(self) -> None:
        """Remove the unfinished file, if any. Never raises."""
        with contextlib.suppress(OSError):
            self._close()
        temporary, self._temporary = self._temporary, ""
        directory, self._directory = self._directory, None
        if temporary and directory is not None:  # even if it was moved
            remove(directory, temporary)

    def _open(self) -> tuple[str, int]:
        for _ in range(_TRIES):
            temporary = temporary_name(self._name)
            directory = self._tree.make(self._parent)
            try:
                fd = os.open(temporary, _NEW, first_mode(self._mode), dir_fd=directory)
            except FileNotFoundError:
                self._tree.forget()
                continue
            except OSError as error:
                raise failure(self._tree, self._path, error) from None
            if _claim(fd):
                self._directory = directory
                return temporary, fd
            os.close(fd)
            remove(directory, temporary)
        raise Vanished(self._path)

    def _read(self, at: int, count: int) -> bytes:
        try:
            return os.pread(self._fd, count, at)
        except OSError as error:
            raise self._fail(error) from None

    def _fail(self, error: OSError) -> S3ppError:
        self.keep_or_discard()
        return failure(self._tree, self._path, error)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def first_mode(mode: int | None) -> int:
    """Return the mode of a temporary file: private while it replaces an existing file."""
    return 0o666 if mode is None else 0o600


def inode(fd: int) -> tuple[int, int]:
    """Return device and inode number of an open file."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _claim(fd: int) -> bool:
    """Lock a new temporary file; returns false if a sweeper got it first."""
    try:
        lock(fd)
    except BlockingIOError:
        return False
    except OSError:  # no locks here: sweepers then go by its age
        return True
    return os.fstat(fd).st_nlink > 0


def _write(fd: int, body: bytes | memoryview) -> None:
    written = os.write(fd, body)
    while written < len(body):  # disk almost full, or a limit: the next write raises the error
        written += os.write(fd, memoryview(body)[written:])


def _seal(fd: int, attributes: FileAttributes) -> None:
    """Set mode and time, and fsync if wanted."""
    try:
        if attributes.mode is not None:
            os.fchmod(fd, attributes.mode & _PERMISSIONS)
        if attributes.mtime_ns is not None:
            os.utime(fd, ns=(attributes.mtime_ns, attributes.mtime_ns))
    except OSError as error:
        _let_pass(error)
    if attributes.fsync:
        os.fsync(fd)


def _give_name(
    directory: Descriptor, temporary: str, *, name: str, attributes: FileAttributes
) -> bool:
    if attributes.fresh:
        if not _link(directory, temporary, name):
            return False
    elif attributes.over is not None and _state(directory, name) != attributes.over:
        remove(directory, temporary)
        return False
    else:
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    if attributes.fsync:
        try:
            os.fsync(directory)
        except OSError as error:
            _let_pass(error)
    return True


def _link(directory: Descriptor, temporary: str, name: str) -> bool:
    """Rename without replacing; the temporary name is removed in any case."""
    try:
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except FileExistsError:
        _look(directory, name)
        remove(directory, temporary)
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _rename_if_free(directory, temporary, name)
    remove(directory, temporary)
    return True


def _rename_if_free(directory: Descriptor, temporary: str, name: str) -> bool:
    """Rename if the name is free; without hard links another writer may still interfere."""
    try:
        _look(directory, name)
    except FileNotFoundError:
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        return True
    remove(directory, temporary)
    return False


def _state(directory: Descriptor, name: str) -> tuple[int, int] | None:
    """Return size and mtime of a regular file; None: there is none."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _look(directory: Descriptor, name: str) -> None:
    """Raise ``IsADirectoryError`` or ``FileNotFoundError`` if ``name`` is one or missing."""
    if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def remove(directory: Descriptor, temporary: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(temporary, dir_fd=directory)


def _let_pass(error: OSError) -> None:
    """Raise ``error`` unless it means that the file system does not support the operation."""
    if error.errno not in _UNKNOWN_HERE:
        raise error


def failure(tree: Tree, path: str, error: OSError) -> S3ppError:
    if isinstance(error, FileNotFoundError):
        return Vanished(path)
    if isinstance(error, IsADirectoryError):
        message = f"{path!r} is a directory here, and no file can take its place: move it away"
        return ObjectError(FailureKind.CONFLICT, message)
    return tree.refusal(path, "written", error)
