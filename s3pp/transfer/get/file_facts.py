"""What shows without reading its content whether a file is an object: its time, and its size.

A file that an object was compressed to (``--gzip-suffix``) has the size before that, modulo 4 GiB,
in its last four bytes (RFC 1952, ISIZE).
"""

from __future__ import annotations

import os

from s3pp.localfs.tree import Tree
from s3pp.records import Dest, GetTask, SendReason, SkipReason
from s3pp.s3.answers import GZIP_MAGIC
from s3pp.s3.timestamps import epoch_nanoseconds
from s3pp.transfer import modes

_LEAST = 18  # bytes of a gzip member: header and trailer
MODULUS = 1 << 32  # of the size that it tells


def by_time(task: GetTask, here: os.stat_result) -> SkipReason | SendReason:
    """Return the reason by the time, which a getter sets on every file that it writes."""
    return modes.by_time(epoch_nanoseconds(task.modified), here.st_mtime_ns)


def file_state(here: os.stat_result | None) -> Dest | None:
    """Return what a plan notes of the file in the place of an object; None: there is none."""
    return None if here is None else Dest(here.st_size, "", here.st_mtime_ns)


def unpacked_size(tree: Tree, path: str) -> int | None:
    """Return the size of what was compressed to ``path``, modulo ``MODULUS``; None: it is no gzip.

    Raises as ``Tree.open_read`` does.
    """
    fd = tree.open_read(path)
    try:
        size = os.fstat(fd).st_size
        if size < _LEAST or os.pread(fd, len(GZIP_MAGIC), 0) != GZIP_MAGIC:
            return None
        return int.from_bytes(os.pread(fd, 4, size - 4), "little")
    finally:
        os.close(fd)
