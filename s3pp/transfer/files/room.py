"""Room for a file whose size is known, taken before its bytes come.

A file system that deals in extents gives any size at once, and says at once if it has not got it:
better than after hours. One in memory has to find page after page, which keeps a processor busy for
as long as writing them half does, while nothing else of the object can move; there the writing may
as well do it. Which of the two it is shows as the room is taken.

``posix_fallocate`` would not do: where the file system has no such thing, as NFS before 4.2, the C
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

_STEP = 64 << 20  # bytes asked for first; each time twice as many
_QUICK = 16 << 30  # bytes/s above which taking room first costs an object no time worth saving
_PATIENCE = 0.02  # seconds after which that is looked at

_ABSENT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENODEV)

Allocate = Callable[[int, int, int], None]


def take(fd: int, size: int, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Make an open file ``size`` bytes long, with the room for them as far as that comes quickly.

    Raises ``OSError`` where there is not so much room, or files must not be so large.
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
    """fallocate(2), which Python has not; None where the system has not either."""
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
