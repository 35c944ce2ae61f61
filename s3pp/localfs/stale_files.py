"""Removal of temporary files left by killed runs, which are found by name.

Another run may be active in the same directory, and its temporaries have such names too. These
rules decide which of them are left over:

* A ``TemporaryFile``, written piece by piece, is locked by its writer, and the system drops the
  lock however the writer ends. A file that can be locked at once therefore has no such writer.
* A small file (``write_file``) is not locked: it exists for some 20 µs, of which a lock would cost
  a tenth. Its writer holds a shared lock on the *directory* instead, once for thousands of files.
  If the sweeper gets an exclusive lock on the directory, no run is writing there, and every earlier
  temporary is left over, whatever its age: a run right after ``kill -9`` finds a clean directory.
* If others do write in the directory, files last changed more than a few seconds ago are left over.
  The time is ctime, since mtime is the object's; the few seconds are a hundred thousand lifetimes.
* Without locks (some network file systems), only an hour without a change is proof.

* A ``PartialFile``, which a later run can resume, is kept until it does not match the current
  object (``SupersededFiles``), or has been unchanged for a month. A record without its partial file
  is left over at once.

Safety does not depend on these rules. A temporary name is never used twice, so a file under its
final name is never removed; and a writer whose temporary was removed gets ENOENT
from its rename, reports nothing done, and does it again. The rules only make that rare.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from s3pp.errors import ObjectError
from s3pp.localfs.locks import lock
from s3pp.localfs.paths import PARTIAL, RECORD, TEMPORARY, is_unfinished, partial_stem, record_name
from s3pp.localfs.tree import Descriptor, Tree, split

SETTLED = 10.0  # seconds after which an unlocked file is left over
SILENT = 3600.0  # seconds after which a file is left over where there are no locks
KEPT = 30 * 86400.0  # seconds for which an unfinished download is kept to be resumed

# For writing: where locks are byte-range locks (NFS), an exclusive one needs that.
_TO_LOCK = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def sweep(tree: Tree, directory: str, *, clock: Callable[[], float] = time.time) -> int:
    """Remove the files left by killed runs in ``directory`` itself; returns their number.

    A directory that is missing or cannot be read has none. No file may be written there through
    ``tree`` meanwhile. ``clock`` returns seconds since the epoch. Raises ``FatalError`` if no
    descriptor is left.
    """
    try:
        found = tree.directory(directory, make=False)
        return 0 if found is None else _sweep_directory(found, clock())
    except (ObjectError, OSError):  # writing there reports the fault
        return 0


class Sweeper:
    """A sweeper of each directory of a walk, at the first file in it.

    Paths come in key order, in which all paths below a directory are contiguous: of the
    directories swept, only the ancestors of the current one need to be kept.
    """

    def __init__(self, tree: Tree) -> None:
        self.removed = 0
        self._tree = tree
        self._swept: list[str] = []  # each is below the one before

    def enter(self, path: str) -> None:
        """Sweep the directory of the file (or directory marker) ``path`` unless already done.

        Raises as ``sweep`` does.
        """
        parent = path.rpartition("/")[0]
        swept = self._swept
        while swept and not _within(parent, swept[-1]):
            swept.pop()
        if not swept or swept[-1] != parent:
            self.removed += sweep(self._tree, parent)
            swept.append(parent)


def _within(path: str, directory: str) -> bool:
    return path == directory or not directory or path.startswith(f"{directory}/")


class _SweptDirectory(NamedTuple):
    """A directory being swept."""

    fd: int
    alone: bool  # no other run writes in it
    now: float  # seconds since the epoch


def _sweep_directory(directory: Descriptor, now: float) -> int:
    with os.scandir(directory) as entries:
        found = [entry.name for entry in entries if _is_unfinished(entry)]
    removed = _remove_expired(directory, found, now)
    names = [name for name in found if TEMPORARY.search(name)]
    if not names:
        return removed
    # Only after the names were read: an active writer of one of them holds a lock. Our own
    # shared lock does not count: it becomes the exclusive one, and ends with it.
    directory.shared = False
    swept = _SweptDirectory(directory, _is_alone(directory), now)
    try:
        return removed + sum(_remove_if_stale(swept, name) for name in names)
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(directory, fcntl.LOCK_UN)


class SupersededFiles:
    """Removal of partial files whose object has been replaced since."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._parent: str | None = None  # of the last call: most files are in the same one
        self._names: list[str] = []

    def remove(self, path: str, *, keep: str) -> None:
        """Remove partial files of ``path`` except the one named ``keep``, unless in use.

        Reads the directory: not on an event loop. Raises as ``sweep`` does.
        """
        parent, name = split(path)
        stem = partial_stem(name)
        with contextlib.suppress(ObjectError, OSError):
            directory = self._tree.directory(parent, make=False)
            if directory is None:
                return
            if parent != self._parent:
                self._names, self._parent = _partials(directory), parent
            for each in self._names:
                if each.startswith(stem) and each != keep:
                    _remove_partial(directory, each)


def _partials(directory: Descriptor) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if PARTIAL.search(entry.name)]


def _remove_expired(directory: Descriptor, found: list[str], now: float) -> int:
    """Remove partial files that are too old to resume, and lone records; returns their number."""
    partials = {name for name in found if PARTIAL.search(name)}
    whose = {record_name(name) for name in partials}
    lone = [name for name in found if RECORD.search(name) and name not in whose]
    removed = sum(_is_orphan(directory, name) and _unlink(directory, name) for name in lone)
    for name in partials:
        with contextlib.suppress(OSError):
            touched = os.stat(name, dir_fd=directory, follow_symlinks=False).st_ctime
            removed += now - touched > KEPT and _remove_partial(directory, name, silent=True)
    return removed


def _is_orphan(directory: Descriptor, name: str) -> bool:
    """Return whether a record has no partial file; checked again, as the listing may be older."""
    try:
        os.stat(f"{name.removesuffix('.ranges')}.part", dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False


def _remove_partial(directory: Descriptor, name: str, *, silent: bool = False) -> bool:
    """Remove a partial file with its record, unless a lead has it locked.

    ``silent``: unchanged for so long that it is removed even where there are no locks.
    """
    try:
        fd = os.open(name, _TO_LOCK, dir_fd=directory)
    except OSError:
        return False
    try:
        locked = _lock(fd)
        free = silent if locked is None else locked
        return free and _unlink(directory, name) | _unlink(directory, record_name(name))
    finally:
        os.close(fd)


def _unlink(directory: Descriptor, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=directory)
        return True
    except OSError:
        return False


def _is_unfinished(entry: os.DirEntry[str]) -> bool:
    return is_unfinished(entry.name) and entry.is_file(follow_symlinks=False)


def _remove_if_stale(swept: _SweptDirectory, name: str) -> bool:
    fd = -1
    try:
        with contextlib.suppress(PermissionError):  # another user's file: only its age decides
            fd = os.open(name, _TO_LOCK, dir_fd=swept.fd)
        status = os.stat(name, dir_fd=swept.fd, follow_symlinks=False)
        if not _is_stale(swept, _lock(fd), status.st_ctime):
            return False
        os.unlink(name, dir_fd=swept.fd)  # while the lock is held, so that its writer notices
        return True
    except OSError:  # renamed meanwhile, or not removable by this user
        return False
    finally:
        if fd >= 0:
            os.close(fd)


def _is_stale(swept: _SweptDirectory, locked: bool | None, touched: float) -> bool:
    """Return whether a temporary file, last changed at ``touched``, has no writer.

    ``locked`` is whether it could be locked; None: there are no locks.
    """
    age = swept.now - touched
    if locked is None:
        return age > SILENT
    return locked and (swept.alone or age > SETTLED)


def _is_alone(directory: Descriptor) -> bool:
    """Lock a directory; returns false if others write in it, or may."""
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock(fd: int) -> bool | None:
    """Lock a file: True if that succeeded, False if another holds it, None if unsupported.

    None also for a file that could not be opened.
    """
    if fd < 0:
        return None
    try:
        lock(fd)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
