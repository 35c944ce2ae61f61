"""What killed runs left: their temporary files, found by name and removed by the next run.

Another run may be alive in the same directory, and its temporaries have such names too. Which of
them are left over?

* A file that arrives piece by piece (``Landing``) is locked by its writer, and the system drops
  the lock however the writer ends. A lock that can be had at once therefore says: not of these.
* A small file (``land``) takes no lock, for it lives some 20 µs and a lock would cost a tenth of
  that. Its writer holds a shared lock on the *directory* instead, once for thousands of files. If
  the sweeper gets the directory exclusively, nobody is landing in it, and every file that was there
  before is left over, however young: a run started right after ``kill -9`` finds a clean place.
* Where others do land in the directory, what was last touched a few seconds ago is left over too.
  The time is ctime, since mtime is the object's; the few seconds are a hundred thousand lifetimes.
* Where locks cannot be had (some network file systems), only an hour without a write is proof.

* An unfinished download that a later run can go on with (``Partial``) is no left-over, for as long
  as that: until it is of no use to the object that is got now (``Superseded``), or nobody has
  touched it for a month. Its record alone, without it, is one at once.

None of this has to be right for anything to be safe. A temporary name is never used twice, so what
is removed is never a file under its own name; and a writer whose temporary was taken gets ENOENT
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
from s3pp.sources.naming import is_unfinished
from s3pp.transfer.files.locks import lock
from s3pp.transfer.files.paths import PARTIAL, RECORD, TEMPORARY, partial_stem, record_name
from s3pp.transfer.files.tree import Descriptor, Tree, split

SETTLED = 10.0  # seconds after which a file that nobody has locked is left over
SILENT = 3600.0  # seconds after which it is where locks tell nothing
KEPT = 30 * 86400.0  # seconds for which an unfinished download waits for the run that goes on

# For writing: where locks are made of byte ranges (NFS), an exclusive one needs that.
_TO_LOCK = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def sweep(tree: Tree, directory: str, *, clock: Callable[[], float] = time.time) -> int:
    """Remove what killed runs left in ``directory`` itself, and say how many files that were.

    A directory that is missing or cannot be read has none. Nothing may be landing there through
    ``tree`` itself. ``clock`` gives seconds since the epoch. Raises ``FatalError`` where no
    descriptor is left.
    """
    try:
        found = tree.directory(directory, make=False)
        return 0 if found is None else _swept(found, clock())
    except (ObjectError, OSError):  # whatever is to be written there will say what is wrong
        return 0


class Sweeper:
    """Sweeps each directory of a walk when the walk first comes to a file in it.

    Paths come in key order, in which all that lies below a directory stands together: of the
    directories that were swept, only those that lead to the present one have to be remembered.
    """

    def __init__(self, tree: Tree) -> None:
        self.removed = 0
        self._tree = tree
        self._swept: list[str] = []  # each lies in the one before

    def enter(self, path: str) -> None:
        """Sweep where the file ``path`` (or the marker of a directory) lies, if that is not done.

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


class _Ground(NamedTuple):
    """A directory that is being swept."""

    fd: int
    alone: bool  # nobody lands in it
    now: float  # seconds since the epoch


def _swept(directory: Descriptor, now: float) -> int:
    with os.scandir(directory) as entries:
        found = [entry.name for entry in entries if _is_unfinished(entry)]
    removed = _given_up(directory, found, now)
    names = [name for name in found if TEMPORARY.search(name)]
    if not names:
        return removed
    # Only now, after the names are known: whoever made one of them and still lands holds a lock.
    # Our own is none: it becomes the exclusive one, and ends with it.
    directory.shared = False
    ground = _Ground(directory, _is_alone(directory), now)
    try:
        return removed + sum(_removed(ground, name) for name in names)
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(directory, fcntl.LOCK_UN)


class Superseded:
    """Removes what is left of downloads whose object has been replaced since."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._parent: str | None = None  # the directory looked at last: most are beside another
        self._names: list[str] = []

    def remove(self, path: str, *, keep: str) -> None:
        """Remove partial files of ``path`` but for the one named ``keep``, unless they are in use.

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


def _given_up(directory: Descriptor, found: list[str], now: float) -> int:
    """Remove the partial files nobody will go on with; say how many files that were."""
    partials = {name for name in found if PARTIAL.search(name)}
    whose = {record_name(name) for name in partials}
    lone = [name for name in found if RECORD.search(name) and name not in whose]
    removed = sum(_is_lone(directory, name) and _unlinked(directory, name) for name in lone)
    for name in partials:
        with contextlib.suppress(OSError):
            touched = os.stat(name, dir_fd=directory, follow_symlinks=False).st_ctime
            removed += now - touched > KEPT and _remove_partial(directory, name, silent=True)
    return removed


def _is_lone(directory: Descriptor, name: str) -> bool:
    """Whether a record is alone: what came after it was looked for may have been seen first."""
    try:
        os.stat(f"{name.removesuffix('.ranges')}.part", dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False


def _remove_partial(directory: Descriptor, name: str, *, silent: bool = False) -> bool:
    """Remove a partial file with its record, unless somebody leads it.

    ``silent``: nobody has touched it for so long that it goes where locks tell nothing, too.
    """
    try:
        fd = os.open(name, _TO_LOCK, dir_fd=directory)
    except OSError:
        return False
    try:
        locked = _lock(fd)
        free = silent if locked is None else locked
        return free and _unlinked(directory, name) | _unlinked(directory, record_name(name))
    finally:
        os.close(fd)


def _unlinked(directory: Descriptor, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=directory)
        return True
    except OSError:
        return False


def _is_unfinished(entry: os.DirEntry[str]) -> bool:
    return is_unfinished(entry.name) and entry.is_file(follow_symlinks=False)


def _removed(ground: _Ground, name: str) -> bool:
    fd = -1
    try:
        with contextlib.suppress(PermissionError):  # another's file: only its age can tell
            fd = os.open(name, _TO_LOCK, dir_fd=ground.fd)
        status = os.stat(name, dir_fd=ground.fd, follow_symlinks=False)
        if not _left_over(ground, _lock(fd), status.st_ctime):
            return False
        os.unlink(name, dir_fd=ground.fd)  # while the lock is held: its writer would notice
        return True
    except OSError:  # it has its name by now, or is not ours to remove
        return False
    finally:
        if fd >= 0:
            os.close(fd)


def _left_over(ground: _Ground, locked: bool | None, touched: float) -> bool:
    """Whether nobody writes a temporary file any more, which was last ``touched`` then.

    ``locked`` says whether its lock could be had; None: locks tell nothing.
    """
    age = ground.now - touched
    if locked is None:
        return age > SILENT
    return locked and (ground.alone or age > SETTLED)


def _is_alone(directory: Descriptor) -> bool:
    """Lock a directory; False where others land in it, or may."""
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock(fd: int) -> bool | None:
    """Lock a file: True if that succeeded, False if another holds it, None if nobody can.

    None likewise for one that could not be opened.
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
