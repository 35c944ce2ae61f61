"""Access to DIRECTORY through descriptors only, so that no name leads out of it.

A path is walked segment by segment, each opened below the one before and never through a symbolic
link. Replacing a directory by a link during the run has no effect: the open descriptor is still
that of the directory, and after a second at most the path is walked again.

DIRECTORY itself is checked before the first request to the store (``check_directory``); the same
faults, if they arise during the run, are reported for each file.

::

    top ─openat─▶ a ─openat─▶ b      directory("a/b"), mostly from the cache
                              └─▶ openat, fstatat, renameat of the names in it
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import stat
import time
from collections.abc import Callable, Iterator

from s3pp.errors import FailureKind, FatalError, ObjectError, S3ppError, UsageError
from s3pp.limits import PIECE
from s3pp.localfs.paths import shown

OPEN_DIRECTORIES = 64  # the most kept open, and never more than
SHARE = 8  # this fraction of the limit on descriptors: most keys share the previous key's directory
TRUSTED = 1.0  # seconds for which a path is assumed to lead to the open directory

_TRIES = 3  # walks made before a directory counts as repeatedly removed by others
_LEADS_AWAY = ("", ".", "..")

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK a FIFO that took a file's place would block for ever.
_TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_SUCH_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


def most_directories() -> int:
    """Return the maximum number of directories that a tree keeps open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    return OPEN_DIRECTORIES if unlimited else max(1, min(OPEN_DIRECTORIES, soft // SHARE))


class Descriptor(int):
    """An open directory: a descriptor that is closed when no reference is left.

    So it may leave the cache while another thread is about to use it, and its number is not
    reused for another file meanwhile.
    """

    shared = False  # True: the lock that keeps sweepers out is held

    def __del__(self) -> None:
        os.close(self)


class Tree:
    """The directory that a run writes to. It may be a symbolic link itself.

    Paths are relative to it, "/"-separated, without empty or dot segments. All methods may be
    called from any thread. Create one in each process: its locks would be shared across a fork.
    """

    def __init__(
        self,
        top: str,
        *,
        follow: bool = False,
        fsync: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``follow``: links to directories are followed if they lead to inside ``top``.

        ``fsync``: created directories are flushed to the disk. ``clock`` returns seconds.
        """
        self.top = top
        self._fsync = fsync
        self._clock = clock
        self._inside = Tree(top, fsync=fsync, clock=clock) if follow else None  # follows no link
        self._until = 0.0
        self._most = most_directories()
        self._open: dict[str, Descriptor] = {}  # by path, the least recently used first

    def directory(self, path: str, *, make: bool) -> Descriptor | None:
        """Return the open directory ``path`` ("" is the top); None if it does not exist.

        ``make`` means that a file will be written in it: missing directories are created, and the
        result is never None. It stays open while referenced; do not keep it for long.

        Raises ``ObjectError`` if a file or a link is in the way or the system refuses,
        ``FatalError`` if the disk is full or no descriptor is left.
        """
        if self._clock() >= self._until:
            self.forget()
        cache = self._open
        found = cache.pop(path, None)
        if found is not None:
            cache[path] = found
        else:
            found = self._walk(path, make)
        if make and found is not None and not found.shared:
            _share(found)
        return found

    def parent(self, path: str, *, make: bool) -> tuple[Descriptor | None, str]:
        """Return the ``directory`` that ``path`` is in, and its name in it. Raises as that does."""
        above, slash, name = path.rpartition("/")
        if name in _LEADS_AWAY or (slash and not above):
            raise _no_path(path)
        found = self._open.get(above)  # a fast path: this runs twice for every small file
        if found is None or (make and not found.shared) or self._clock() >= self._until:
            found = self.directory(above, make=make)
        return found, name

    def make(self, path: str) -> Descriptor:
        """Return ``directory(path, make=True)``."""
        found = self.directory(path, make=True)
        assert found is not None
        return found

    def forget(self) -> None:
        """Drop the cache, so that every path is walked again."""
        self._until = self._clock() + TRUSTED
        self._open = {}
        if self._inside is not None:
            self._inside.forget()

    def close(self) -> None:
        """Close every directory not in use."""
        self.forget()

    def status(self, path: str) -> os.stat_result | None:
        """Return the lstat of ``path``; None if it does not exist. Creates nothing.

        Raises like ``directory``.
        """
        directory, name = self.parent(path, make=False)
        if directory is None:
            return None
        try:
            return os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.refusal(path, "looked at", error) from None

    def open_read(self, path: str) -> int:
        """Open the regular file ``path`` for reading; the caller closes the descriptor.

        Raises ``ObjectError``: NOT_FOUND, CONFLICT for anything but a regular file, UNREADABLE.
        """
        directory, name = self.parent(path, make=False)
        if directory is None:
            raise ObjectError(FailureKind.NOT_FOUND, f"{path!r} vanished")
        try:
            fd = os.open(name, _TO_READ, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
                raise _irregular(path) from None
            raise self.refusal(path, "read", error) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise _irregular(path)
        return fd

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the regular file ``path``, ``PIECE`` bytes at a time. Raises as ``open_read``."""
        fd = self.open_read(path)
        try:
            while piece := os.read(fd, PIECE):
                yield piece
        except OSError as error:
            raise self.refusal(path, "read", error) from None
        finally:
            os.close(fd)

    def make_directory(self, path: str) -> bool:
        """Create the directory ``path`` (with or without a closing slash), and its parents.

        Returns false if it existed already. Raises like ``directory``.
        """
        path = path.removesuffix("/")
        if self.directory(path, make=False) is not None:
            return False
        self.make(path)
        return True

    def refusal(self, path: str, done: str, error: OSError) -> S3ppError:
        """Return the error for an ``OSError``: ``path`` cannot be ``done`` ("written", "read")."""
        top, cause = shown(self.top), error.strerror
        if error.errno in _NO_DESCRIPTORS:  # concerns the process, not this file
            why = f"{cause}: raise the limit (ulimit -n), or lower --concurrency"
        elif error.errno in _FULL:
            why = f"no room in '{top}' ({cause}): free some, and run the same command again"
        elif error.errno in _CLOSED and done in ("written", "created") and self._is_closed():
            why = f"nothing can be written in '{top}': {cause}: make it writable, or name another"
        else:
            kind = _KINDS.get(error.errno or 0, FailureKind.UNREADABLE)
            limits = " for this file system, or for ulimit -f" * (kind is FailureKind.TOO_LARGE)
            return ObjectError(kind, f"{path or self.top!r} cannot be {done}: {cause}{limits}")
        return FatalError(why, FailureKind.UNREADABLE)

    def _is_closed(self) -> bool:
        """Return whether no file can be written: not at the top, which has no directories."""
        with contextlib.suppress(OSError), os.scandir(self.top) as entries:
            return not os.access(self.top, os.W_OK) and not any(e.is_dir() for e in entries)
        return False

    def _walk(self, path: str, make: bool) -> Descriptor | None:
        try:
            for _ in range(_TRIES - 1):
                try:
                    return self._descend(path, make)
                except FileNotFoundError:  # a directory was removed: start from the top
                    self.forget()
            return self._descend(path, make)
        except OSError as error:
            raise self.refusal(path, "created" if make else "opened", error) from None

    def _descend(self, path: str, make: bool) -> Descriptor | None:
        """Open the directories of ``path`` that are not open, below the nearest open one."""
        at = path
        while at and at not in self._open:
            at = at.rpartition("/")[0]
        here = self._open.get(at)
        if here is None:
            at, here = "", self._keep("", self._enter(make))
        missing = path[len(at) + 1 :] if at else path
        for name in missing.split("/") if at != path else ():
            if here is None:
                return None
            at = f"{at}/{name}" if at else name
            here = self._keep(at, self._step(here, at, make=make))
        return here

    def _keep(self, path: str, found: Descriptor | None) -> Descriptor | None:
        if found is not None:
            cache = self._open
            cache[path] = found
            # A copy, because another thread may change the cache meanwhile.
            for oldest in tuple(cache.copy())[: -self._most]:
                cache.pop(oldest, None)
        return found

    def _enter(self, make: bool) -> Descriptor | None:
        top = self.top or "."
        try:
            return Descriptor(os.open(top, _DIRECTORY))
        except FileNotFoundError:
            if not make:
                return None
            os.makedirs(top, exist_ok=True)
            return Descriptor(os.open(top, _DIRECTORY))
        except NotADirectoryError:
            message = f"'{shown(top)}' is not a directory: move it away, or name another"
            raise ObjectError(FailureKind.CONFLICT, message) from None

    def _step(self, above: Descriptor, path: str, *, make: bool) -> Descriptor | None:
        """Open the last segment of ``path``, whose parent is ``above``."""
        name = split(path)[1]
        try:
            return _open_directory(above, name)
        except FileNotFoundError:
            if not make:
                return None
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise self.refusal(path, "opened", error) from None
            return self._detour(above, path, make=make)
        try:
            self._make(above, name)
            return _open_directory(above, name)
        except NotADirectoryError:  # another process created it, and not as a directory
            return self._detour(above, path, make=make)

    def _make(self, above: Descriptor, name: str) -> None:
        try:
            os.mkdir(name, 0o777, dir_fd=above)
        except FileExistsError:  # another worker was faster
            return
        if self._fsync:
            os.fsync(above)

    def _detour(self, above: Descriptor, path: str, *, make: bool) -> Descriptor | None:
        """Follow the link ``path``, if it is one and allowed; else raise ``ObjectError``."""
        if not stat.S_ISLNK(os.stat(split(path)[1], dir_fd=above, follow_symlinks=False).st_mode):
            message = f"{path!r} is a file here, so nothing can go below it: move it away"
            raise ObjectError(FailureKind.CONFLICT, message)
        if self._inside is None:
            message = f"{path!r} is a symbolic link, and nothing is written through it: remove it"
            raise ObjectError(FailureKind.CONFLICT, f"{message}, or use --follow-symlinks")
        return self._inside.directory(self._resolve(path), make=make)

    def _resolve(self, path: str) -> str:
        """Return the resolved target of the link ``path``, relative to the top."""
        top = os.path.realpath(self.top)
        link = os.path.join(top, path)
        real = os.path.realpath(link)
        if os.path.commonpath([top, real]) != top:
            message = f"{path!r} is a symbolic link that leads out of '{shown(self.top)}'"
            raise ObjectError(FailureKind.CONFLICT, f"{message}: nothing is written through it")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.stat(link)  # raises ELOOP for a loop of links
        return "" if real == top else os.path.relpath(real, top)


def check_directory(directory: str) -> None:
    """Raise ``UsageError`` if ``directory`` cannot be created or entered. Creates nothing.

    An existing directory need not be writable: directories in it may be.
    """
    path = os.path.abspath(directory)
    nearest = _nearest(directory, path)
    if not os.path.isdir(nearest):
        raise _unfit(directory, f"'{shown(nearest)}' is not a directory")
    if nearest == path:
        if not os.access(path, os.R_OK | os.X_OK):
            raise _unfit(directory, f"it cannot be opened: {os.strerror(errno.EACCES)}")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        cause = os.strerror(errno.EROFS if _read_only(nearest) else errno.EACCES)
        raise _unfit(directory, f"nothing can be written in '{shown(nearest)}': {cause}")


def make_directory(directory: str) -> None:
    """Create ``directory`` if it is missing; raises ``UsageError`` if that fails."""
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise _unfit(directory, f"it cannot be created: {error.strerror}") from None


def _nearest(directory: str, path: str) -> str:
    """Return ``path``, or the nearest directory above it that exists."""
    while True:
        try:
            os.lstat(path)
            return path
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
        except OSError as error:
            raise _unfit(directory, f"'{shown(path)}' cannot be opened: {error.strerror}") from None


def _read_only(path: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return False


def _unfit(directory: str, cause: str) -> UsageError:
    return UsageError(f"DIRECTORY '{shown(directory)}': {cause}: name another")


def split(path: str) -> tuple[str, str]:
    """Split ``path`` into directory and name. Raises ``ObjectError`` for an invalid name."""
    parent, slash, name = path.rpartition("/")
    if name in _LEADS_AWAY or (slash and not parent):
        raise _no_path(path)
    return parent, name


def _no_path(path: str) -> ObjectError:
    return ObjectError(FailureKind.NAME, f"{path!r} is no path below the directory")


def _open_directory(above: Descriptor, name: str) -> Descriptor:
    return Descriptor(os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above))


def _share(directory: Descriptor) -> None:
    """Lock out sweepers while files are written here (see ``stale_files.py``)."""
    try:
        fcntl.flock(directory, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # a sweeper is at work: next time
        return
    except OSError:  # no locks here, not for sweepers either
        pass
    directory.shared = True


def _irregular(path: str) -> ObjectError:
    return ObjectError(FailureKind.CONFLICT, f"{path!r} is not a regular file: move it away")


_KINDS = dict.fromkeys(_NO_SUCH_NAMES, FailureKind.NAME) | {
    errno.ENOENT: FailureKind.NOT_FOUND,
    errno.ELOOP: FailureKind.CONFLICT,
    errno.EFBIG: FailureKind.TOO_LARGE,
}
