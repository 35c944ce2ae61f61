"""Locks on files that others write to meanwhile, by descriptors of their own.

Anywhere but on SMB this is flock(2): its locks concern nobody who does not ask for them, and are
dropped with the last descriptor, however a process ends. On SMB (Linux 5.5 and later) such a lock
is a wall around the file: whoever reads or writes it by another descriptor is refused with EACCES
(flock(2), "CIFS details"), and while it is shared nobody at all can write. So there one byte is
locked that no file has; this takes a lock of fcntl(2) that belongs to the open file as well.

Why not everywhere: FUSE tells a file system when a lock of flock ends, or one that belongs to a
process, but not one that belongs to an open file (fuse_setlk in the kernel's fs/fuse/file.c). What
a killed process had locked might stay so for good.
"""

from __future__ import annotations

import ctypes
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
_ROOM = 256  # bytes, more than a ``struct statfs`` has
_TYPE_BITS = 0xFFFFFFFF


def lock(fd: int, *, shared: bool = False) -> None:
    """Lock an open file, which can be written to; ``shared``: with others who do so.

    Never waits. Raises ``BlockingIOError`` where another has it, ``OSError`` where nobody can.
    """
    if not on_smb(fd):
        return fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    try:
        _set(fd, kind)
    except PermissionError:  # by POSIX that may mean the same as EAGAIN, and on SMB it does
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None


def unlock(fd: int) -> None:
    """Give back what ``lock`` took."""
    if on_smb(fd):
        _set(fd, fcntl.F_UNLCK)
    else:
        fcntl.flock(fd, fcntl.LOCK_UN)


def on_smb(fd: int) -> bool:
    """Whether an open file lies on a server that SMB leads to."""
    told = _fstatfs()
    return told is not None and told(fd) in _SMB


def _set(fd: int, kind: int) -> None:
    if sys.platform == "linux":
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, _BEYOND, 1, 0))


@cache
def _fstatfs() -> Callable[[int], int] | None:
    """The type of an open file's file system, which Python does not tell; None likewise."""
    if sys.platform != "linux":
        return None
    try:
        function = ctypes.CDLL(None).fstatfs
    except (OSError, AttributeError):
        return None

    def type_of(fd: int) -> int:
        told = (ctypes.c_long * (_ROOM // ctypes.sizeof(ctypes.c_long)))()  # f_type comes first
        return 0 if function(fd, told) else told[0] & _TYPE_BITS

    return type_of
