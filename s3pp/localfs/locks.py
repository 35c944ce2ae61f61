"""Locks on files that others write to meanwhile, through other descriptors.

Except on SMB this is flock(2): its locks are advisory, and dropped with the last descriptor,
however a process ends. On SMB (Linux 5.5 and later) such a lock is mandatory: reads and writes
through another descriptor fail with EACCES (flock(2), "CIFS details"), and a shared lock prevents
all writes. So there one byte beyond any file's end is locked, by a lock of fcntl(2) that belongs
to the open file description as well.

Not used everywhere, because FUSE notifies a file system of the end of a flock lock, or of one owned
by a process, but not of one owned by an open file (fuse_setlk in the kernel's fs/fuse/file.c). The
locks of a killed process might persist.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from collections.abc import Callable
from functools import cache

_BEYOND = 1 << 62  # the offset of that byte
_FLOCK = struct.Struct("hhqqi")  # l_type, l_whence, l_start, l_len, l_pid; fcntl(2)

_SMB = (0xFF534D42, 0xFE534D42)  # f_type of SMB 1, and of 2 and 3; statfs(2)
_ROOM = 256  # bytes, larger than a ``struct statfs``
_TYPE_BITS = 0xFFFFFFFF


def lock(fd: int, *, shared: bool = False) -> None:
    """Lock an open file, which is writable; ``shared``: compatible with other shared locks.

    Never waits. Raises ``BlockingIOError`` if another holds it, ``OSError`` if unsupported.
    """
    if not on_smb(fd):
        return fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    try:
        _set(fd, kind)
    except PermissionError:  # POSIX allows it in place of EAGAIN, and SMB uses it so
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None


def unlock(fd: int) -> None:
    """Release the lock taken by ``lock``."""
    if on_smb(fd):
        _set(fd, fcntl.F_UNLCK)
    else:
        fcntl.flock(fd, fcntl.LOCK_UN)


def on_smb(fd: int) -> bool:
    """Return whether an open file is on an SMB mount."""
    type_of = _fstatfs()
    return type_of is not None and type_of(fd) in _SMB


def _set(fd: int, kind: int) -> None:
    if sys.platform == "linux":
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, _BEYOND, 1, 0))


@cache
def _fstatfs() -> Callable[[int], int] | None:
    """Return a function for a file system's type, which Python lacks; None if unavailable."""
    if sys.platform != "linux":
        return None
    import ctypes  # an upload needs none of it

    try:
        function = ctypes.CDLL(None).fstatfs
    except (OSError, AttributeError):
        return None

    def type_of(fd: int) -> int:
        status = (ctypes.c_long * (_ROOM // ctypes.sizeof(ctypes.c_long)))()  # f_type comes first
        return 0 if function(fd, status) else status[0] & _TYPE_BITS

    return type_of
