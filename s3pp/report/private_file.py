"""Opening of private files, which name objects: other users must not read or redirect them.

* A new file gets mode 0600. Permissions of others on an existing one are removed, with a remark;
  if they cannot be removed, because the file belongs to another user, the file is refused.
* A symbolic link is followed only if no other user could have created it: each directory on the
  path that holds one must belong to this user or to root, and be writable by its owner alone.
  Otherwise any user who may write to a shared directory could have lines appended to our files.
* A named pipe or a socket is refused: its reader could block the whole run, or never open it. A
  file that is open already, such as ``/dev/stderr``, is accepted without changing its mode.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import NamedTuple

from s3pp.errors import UsageError

MODE = 0o600
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
    try:
        place = _without_links(path)
        fd = _open(place.path)
        try:
            if _is_pipe(os.fstat(fd).st_mode, place.path):
                raise _no_file(path, argument)
            os.set_blocking(fd, True)
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
    return f"{name} was open to other users (mode {mode:04o}): narrowed to {mode & ~_OTHERS:04o}"


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
