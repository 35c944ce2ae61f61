"""The allocation of disk space for a large file."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from functools import cache

_STEP = 64 << 20  # bytes of the first request, doubled each time
_QUICK = 16 << 30  # bytes/s above which the time for allocation is negligible
_PATIENCE = 0.02  # seconds before that rate is checked
# The errors of file systems that cannot allocate.
_NO_ALLOCATION = (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV)


def allocate(fd: int, size: int, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Extend an open file to ``size`` bytes, and allocate space as long as that is fast.

    A file system with extents allocates any size at once, or reports at once that it cannot: better
    than after hours. One in memory allocates page by page, which takes half as long as writing, so
    there the writes may as well allocate. Which kind it is shows during the allocation. Raises
    ``OSError`` if there is not enough space, or a file must not be so large.
    """
    os.ftruncate(fd, size)
    fallocate, start, done, step = _fallocate(), clock(), 0, _STEP
    while fallocate is not None and done < size:
        try:
            fallocate(fd, done, min(step, size - done))
        except OSError as error:
            if error.errno in _NO_ALLOCATION:
                return
            raise
        done, step = done + step, 2 * step
        if clock() - start > _PATIENCE + done / _QUICK:
            return


@cache
def _fallocate() -> Callable[[int, int, int], None] | None:
    """Return fallocate(2), which Python lacks; None if the system lacks it too.

    ``posix_fallocate`` is unsuitable: where the file system does not support it, as NFS before 4.2,
    the C library writes to each block instead (glibc manual, "Storage Allocation").
    """
    if sys.platform != "linux" or sys.maxsize < 1 << 32:  # there offsets have 32 bits
        return None
    import ctypes  # only large files need it

    try:
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    def call(fd: int, offset: int, size: int) -> None:
        while function(fd, 0, offset, size):
            number = ctypes.get_errno()
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number))

    return call
