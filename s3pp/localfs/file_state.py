"""The state of a local file: whether a file whose digest is known is still the same, unread.

A write changes the times of a file, but not visibly if it follows the last one within the
resolution of the file system's clock: a digest computed between both would be taken for that of the
final content. So the state of a file that was modified shortly before it was read identifies
nothing (git has the same rule: Documentation/technical/racy-git.txt).

``ctime`` is set by the kernel, and cannot be set back like ``mtime``; but some file systems have
only ``mtime``, and show it as both.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import NamedTuple

# Nanoseconds. The coarsest resolution in use is that of FAT, two seconds; clocks advance by ticks.
SETTLED = 3_000_000_000
_SECOND = 1_000_000_000


class FileState(NamedTuple):
    """What changes with the content of a local file."""

    device: int
    inode: int
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """Return the state of the file that ``status`` describes."""
        times = status.st_mtime_ns, status.st_ctime_ns
        return cls(status.st_dev, status.st_ino, status.st_size, *times)


class FileDigest(NamedTuple):
    """A digest of a local file. Producers: workers, the walker; consumer: the statter."""

    state: FileState
    kind: str  # see ``transfer/file_digests``
    value: str


class Doubt(Enum):
    """Why a file may have other content in the same state."""

    RECENT = "modified shortly before it was read, or in the future"
    COARSE = "times in whole seconds"  # and often inode numbers that change: FAT, SFTP


def doubt(state: FileState, read_ns: int) -> Doubt | None:
    """Return why ``state`` does not identify the content of a file; None if it does.

    ``read_ns``: when reading began, in nanoseconds since the epoch, by the clock of this machine.
    """
    if state.ctime_ns % _SECOND == 0:
        return Doubt.COARSE
    if max(state.mtime_ns, state.ctime_ns) > read_ns - SETTLED:
        return Doubt.RECENT
    return None


def cache_notice(path: str, why: str) -> str:
    """Return the notice that the ETag cache at ``path`` cannot be read, or written to.

    It is the same for both, as notices are shown once.
    """
    return f"--etag-cache {path!r}: {why}; this run or the next one reads more files than needed"
