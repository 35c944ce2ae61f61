"""Allocation of disk space for a file of known size, before its data arrives.

A file system with extents allocates any size at once, or reports at once that it cannot: better
than after hours. One in memory has to allocate page by page, which takes a processor about half as
long as writing them, while no data of the object is transferred; there the writes may as well
allocate. Which kind it is shows during the allocation.

``posix_fallocate`` is unsuitable: if the file system does not support it, as NFS before 4.2, the C
library writes to each block instead (glibc manual, "Storage Allocation").
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import time
from collections.abc import Callable
from functools import cache

_STEP = 64 << 20  # bytes of the first request, doubled each time
_QUICK = 16 << 30  # bytes/s above which the time for allocation is negligible
_PATIENCE = 0.02  # seconds before that rate is checked

_ABSENT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENODEV)

Allocate = Callable[[int, int, int], None]


def take(fd: int, size: int, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Extend an open file to ``size`` bytes, and allocate space as long as that is fast.

    Raises ``OSError`` if there is not enough space, or a file must not be so large.
    """
    os.ftruncate(fd, size)
    allocate, start, done, step = _allocate(), clock(), 0, _STEP
    while allocate is not None and done < size:
        try:
            allocate(fd, done, min(step, size - done))
        except OSError as error:
            if error.errno in _ABSENT:
                return
            raise
        done, step = done + step, 2 * step
        if clock() - start > _PATIENCE + done / _QUICK:
            return


@cache
def _allocate() -> Allocate | None:
    """Return fallocate(2), which Python lacks; None if the system lacks it too."""
    if sys.platform != "linux" or sys.maxsize < 1 << 32:  # there offsets have 32 bits
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    def allocate(fd: int, offset: int, size: int) -> None:
        while function(fd, 0, offset, size):
            number = ctypes.get_errno()
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number))

    return allocate
