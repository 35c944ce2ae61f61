"""Append-only private files: the journal and the log.

They name objects: other users must not read or redirect them.

* A new file gets mode 0600. Permissions of others on an existing one are removed, with a remark;
  if they cannot be removed, because the file belongs to another user, the file is refused.
* A symbolic link is followed only if no other user could have created it: each directory on the
  path that holds one must belong to this user or to root, and be writable by its owner alone.
  Otherwise any user who may write to a shared directory could have lines appended to our files.
* A named pipe or a socket is refused: its reader could block the whole run, or never open it. A
  file that is open already, such as ``/dev/stderr``, is accepted without changing its mode. Where
  it is the file behind standard output or error, what is printed there is appended too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from s3pp.errors import FatalError, UsageError
from s3pp.report.own_files import check_named

MODE = 0o600
MOST_CUT = 1 << 20  # bytes of an incomplete last line; a longer one was not written by s3pp
_MOST_LINKS = 40  # the limit of Linux: path_resolution(7)
_DESCRIPTORS = re.compile(r"/proc/[0-9]+(/task/[0-9]+)?/fd")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class PrivateFile(NamedTuple):
    """An open file."""

    fd: int
    remark: str | None = None  # on a change of its mode, for the user


def open_private(path: str, argument: str) -> PrivateFile:
    """Open ``path`` for reading and appending; a missing file is created.

    ``argument`` is the option that named it. Raises ``UsageError`` if the file is refused.
    """
    check_named(path, argument)
    try:
        place = _without_links(path)
        fd = _open(place.path)
        try:
            if _is_pipe(os.fstat(fd).st_mode, place.path):
                raise _no_file(path, argument)
            os.set_blocking(fd, True)
            _append_all(fd)
            remark = None if place.inherited else _narrow(fd, f"{argument} {path!r}")
            return PrivateFile(fd, remark)
        except BaseException:
            os.close(fd)
            raise
    except _UntrustedLinkError as link:
        raise UsageError(
            f"{argument} {path!r}: {link.path!r} is a symbolic link in a directory that other users"
            " can change: name the file that is meant"
        ) from None
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a named pipe without a reader
            raise _no_file(path, argument) from None
        raise UsageError(
            f"{argument} {path!r} cannot be written: {error.strerror}; name another file"
        ) from None


def refuse_pipe(path: str, argument: str) -> None:
    """Raise ``UsageError`` for a named pipe or a socket, without opening it."""
    try:
        place = _without_links(path).path
        refused = _is_pipe(os.stat(place).st_mode, place)
    except (OSError, _UntrustedLinkError):
        return  # opening it reports why
    if refused:
        raise _no_file(path, argument)


def _no_file(path: str, argument: str) -> UsageError:
    return UsageError(f"{argument} {path!r} is a named pipe or a socket: name a file")


class _Place(NamedTuple):
    path: str  # without links
    inherited: bool  # a descriptor that was open already: /dev/stderr, /dev/fd/3


class _UntrustedLinkError(Exception):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def _open(path: str) -> int:
    # A pipe opened for reading too would never report that its reader is gone.
    way = os.O_RDWR if os.path.isfile(path) or not os.path.exists(path) else os.O_WRONLY
    if not _is_magic(path):
        way |= os.O_NOFOLLOW  # _without_links has resolved all links
    # Opening a named pipe would wait for its reader, without limit and deaf to signals.
    flags = way | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags, MODE)
    except PermissionError:  # appending suffices: only the last line is read
        return os.open(path, flags & ~os.O_RDWR | os.O_WRONLY, MODE)


def _append_all(fd: int) -> None:
    """Let standard output and error append if they are the same file, lest both overwrite it."""
    opened = os.fstat(fd)
    for standard in (1, 2):
        with suppress(OSError):  # it is closed
            if stat.S_ISREG(opened.st_mode) and os.path.samestat(os.fstat(standard), opened):
                flags = fcntl.fcntl(standard, fcntl.F_GETFL)
                fcntl.fcntl(standard, fcntl.F_SETFL, flags | os.O_APPEND)


def _narrow(fd: int, name: str) -> str | None:
    """Remove the permissions of other users; returns a remark if there were any."""
    found = os.fstat(fd)
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode) or not mode & _OTHERS:
        return None
    try:
        os.fchmod(fd, mode & ~_OTHERS)
    except PermissionError:
        raise UsageError(
            f"{name} is open to other users (mode {mode:04o}) and belongs to one of them:"
            " name another file"
        ) from None
    return f"{name} was open to other users (mode {mode:04o}): restricted to {mode & ~_OTHERS:04o}"


def _is_pipe(mode: int, path: str) -> bool:
    return stat.S_ISSOCK(mode) or (stat.S_ISFIFO(mode) and not _is_magic(path))


def _without_links(path: str) -> _Place:
    """Return ``path`` with every link in it replaced by its target.

    Raises ``_UntrustedLinkError`` for a link that another user may have created.
    """
    names = os.path.join(os.getcwd(), path).split("/")[::-1]
    place, links, inherited = "/", 0, False
    while names:
        here = os.path.join(place, names.pop())
        inherited = inherited or bool(_DESCRIPTORS.fullmatch(os.path.dirname(here)))
        if not os.path.islink(here) or _is_magic(here):
            place = here
            continue
        if not _is_ours(os.path.dirname(here)):
            raise _UntrustedLinkError(here)
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = os.readlink(here)
        names += target.split("/")[::-1]
        place = "/" if target.startswith("/") else place
    return _Place(place, inherited)


def _is_magic(path: str) -> bool:
    """Return whether ``path`` is a link in /proc to an open file without a path, such as a pipe."""
    try:
        target = os.path.join(os.path.dirname(path), os.readlink(path))
    except OSError:
        return False
    return os.path.exists(path) and not os.path.lexists(target)


def _is_ours(directory: str) -> bool:
    found = os.stat(directory)
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & _WRITABLE_BY_OTHERS


class Unwritten(FatalError):
    """Raised when the file can no longer be written; ``what`` names the file and the cause."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: fix that, and run the same command again")
        self.what = what


class Appender:
    """``path``, opened for appending, see the module docstring.

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
        self._restate = restate
        self._complaint: str | None = None  # empty: it was returned
        self._is_cut: bool  # the last line, which a failure left so
        self._end: int  # the file's bytes, at least, when it was last looked at
        self._open(open_private(path, argument).fd)

    def is_alone(self) -> bool:
        """Whether no other run has the file open, as far as locks show it."""
        found = _lock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _lock(self._fd, fcntl.LOCK_SH)
        return found

    def append(self, text: str) -> None:
        """Write ``text`` at the end of the file; raises ``Unwritten`` if writing fails.

        What was written by then of a line is removed again, or ended by the next call.
        """
        whole = (b"\n" if self._is_cut else b"") + text.encode("utf-8", "backslashreplace")
        rest = memoryview(whole)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            self._drop_cut(whole[: len(whole) - len(rest)])
            raise self._broken(error) from None
        self._is_cut = False
        self._end += len(whole)

    def follow(self) -> bool:
        """Go on in the file that has the name by now, if that is another one, or was emptied.

        Returns whether it is. Where the name has no file one is created, and where it has one that
        cannot be opened, the renamed one is continued: see ``take_complaint``. Raises ``Unwritten``
        if that is deleted.
        """
        here = os.fstat(self._fd)
        if not stat.S_ISREG(here.st_mode):
            return False
        try:
            there = os.stat(self._path)
        except OSError:
            return self._reopen(here)
        if not os.path.samestat(here, there):
            return self._reopen(here)
        emptied, self._end = here.st_size < self._end, here.st_size
        return emptied

    def take_complaint(self) -> str | None:
        """Return why another file could not be opened, once."""
        complaint = self._complaint
        if complaint:
            self._complaint = ""
        return complaint or None

    def _reopen(self, here: os.stat_result) -> bool:
        try:
            fd = open_private(self._path, self._argument).fd
        except UsageError as error:
            if not here.st_nlink:
                raise Unwritten(f"{error}, and the one that it was is deleted") from None
            if self._complaint is None:
                self._complaint = f"{error}: the renamed file is continued"
            return False
        os.close(self._fd)
        self._open(fd)
        return True

    def _open(self, fd: int) -> None:
        self._fd, self._is_cut, self._end = fd, False, 0
        if stat.S_ISREG(os.fstat(fd).st_mode):
            self._begin_line(self._restate)
            self._end = os.fstat(fd).st_size

    def _drop_cut(self, written: bytes) -> None:
        """Remove what was written of a line that could not be written to its end."""
        cut = len(written) - (written.rfind(b"\n") + 1)
        self._is_cut = cut > 0 or (self._is_cut and not written)
        # Where another run has the file open, what it writes may follow.
        if cut and _lock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB):
            with suppress(OSError):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - cut)
                self._is_cut = False
        _lock(self._fd, fcntl.LOCK_SH)

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
        alone = _lock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        cut = _cut_line(self._fd)
        if cut is None:
            pass
        elif alone and restate is not None and cut.startswith(b"{") and len(cut) < MOST_CUT:
            self._restate_cut(cut, restate(cut.decode("utf-8", "backslashreplace")) + "\n")
        else:
            self._is_cut = True
        _lock(self._fd, fcntl.LOCK_SH)

    def _restate_cut(self, cut: bytes, line: str) -> None:
        """Replace the last line; on a full disk the next line goes in its place."""
        os.ftruncate(self._fd, os.fstat(self._fd).st_size - len(cut))
        with suppress(Unwritten):
            self.append(line)

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


def _lock(fd: int, kind: int) -> bool:
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
