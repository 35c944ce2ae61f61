"""Partial files: written in ranges by several processes, and resumable by later runs.

::

    lead      PartialFile: opens or finds <name>.s3pp-<16 digits>.part, and locks it
              ─▶ claims the record beside it (.ranges) ─▶ … ─▶ finish │ keep │ discard
    any       ``range_file``: opens both, locks the record with others ─▶ pwrite … ─▶ records it
    worker

The name identifies the object, so a later run finds the file. A lock on the file means that a lead
is alive, and another run then writes its own file under another name. A lead that died may have
left workers writing ranges that it offered; they share the lock on the record, whose claim
identifies their lead. So a new lead waits for those writers and changes the claim; from then on
only its own workers write: verified ranges stay unchanged.

A predictable name may be taken by another user, who could then write to verified ranges. So the
lead creates the file, or resumes one that has the owner of files created there (which is not this
user if the mount shows another); and writers check that it is the file that the lead opened.

The record is text: the claim, which is of fixed length, and the layout; then a line for each range
that is complete::

    <claim> ["<etag>", <size>, <size of a range>, "<digest>"]
    <number> <size> <digest of these bytes, in hex>

Nothing in it is trusted: a range that it lists is read again, and compared with its digest. So a
line left incomplete by a crash of the machine does no harm, and lines are not flushed to the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from s3pp.localfs.locks import lock, unlock
from s3pp.localfs.paths import partial_name, record_name, shown, temporary_name
from s3pp.localfs.stale_files import SupersededFiles
from s3pp.localfs.temporary_file import TemporaryFile, Vanished, failure, first_mode, remove
from s3pp.localfs.tree import Descriptor, Tree, split

_TRIES = 3  # attempts to open a file that others rename or remove meanwhile
_WAITS, _WAIT = 50, 0.2  # number and seconds of waits for other writers

CLAIM = 16  # characters of a claim
_RANGE = re.compile(r"(\d{1,9}) (\d{1,20}) ([0-9a-f]{8,32})")  # a range in a record

EXISTING = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = EXISTING | os.O_CREAT | os.O_EXCL


class InUse(Exception):
    """Raised when another run uses this partial file, or may use it: take another name."""


class NoLocks(InUse):
    """Raised when the file cannot be locked; the message is for users."""


class RangeLayout(NamedTuple):
    """The identity of a partial file's object, and the layout of its ranges."""

    etag: str
    size: int  # bytes
    part_size: int  # bytes of each range but the last
    digest: str  # of each range


class Record(NamedTuple):
    """The content of a record."""

    layout: RangeLayout
    ranges: dict[int, str]  # digests, by number


class PartialFile(TemporaryFile):
    """A ``TemporaryFile`` under a name that a later run can find. Finish, keep or discard it.

    ``layout`` is first the one wanted, then that of the file: ranges of another size are accepted
    too, unless their digests are MD5s, which requires the object's parts. Raises ``InUse``, and as
    ``TemporaryFile``. May wait for seconds: not on an event loop.
    """

    def __init__(
        self, tree: Tree, path: str, name: str, layout: RangeLayout, *, mode: int | None
    ) -> None:
        self.layout = layout
        self.claim = f"{random.getrandbits(64):016x}"
        self.known: dict[int, str] = {}  # digests of ranges in the file, by number
        self._fixed_name = name
        self._record = -1
        super().__init__(tree, path, mode=mode)
        try:
            self._open_record()
        except OSError as error:
            raise self._fail(error) from None
        except InUse:
            self.keep_or_discard()
            raise

    def keep_or_discard(self) -> bool:
        """Keep the file if it has any range, else discard it; returns whether it was kept."""
        with contextlib.suppress(OSError):
            record = _read_record(self._record)
            if record is not None and record.ranges and self._temporary:
                self._temporary = ""
                self._close()
                self._close_record()
                return True
        self.discard()
        return False

    def discard(self) -> None:
        """Remove the file and its record. Never raises."""
        directory = self._directory
        super().discard()
        if directory is not None and self._record >= 0:
            remove(directory, record_name(self._fixed_name))
        self._close_record()

    def _open(self) -> tuple[str, int]:
        for _ in range(_TRIES):
            directory = self._tree.make(self._parent)
            try:
                fd, made = _open_own(directory, self._fixed_name, first_mode(self._mode))
                self._lock(directory, fd, made=made)
                if _has_name(directory, self._fixed_name, fd):
                    self._directory = directory
                    return self._fixed_name, fd
                os.close(fd)
            except FileNotFoundError:
                self._tree.forget()
            except OSError as error:
                raise failure(self._tree, self._path, error) from None
        raise Vanished(self._path)

    def _lock(self, directory: Descriptor, fd: int, *, made: bool) -> None:
        """Lock the file, or close it and raise ``InUse``."""
        try:
            return lock(fd)
        except BlockingIOError:  # another run has it, even if we created it
            os.close(fd)
            raise InUse from None
        except OSError as error:
            os.close(fd)
            if made:
                remove(directory, self._fixed_name)
            top, why = shown(self._tree.top), error.strerror
            message = f"'{top}': no file can be locked there ({why}), so no large object is resumed"
            raise NoLocks(message) from None

    def _open_record(self) -> None:
        """Claim the record, and resume its ranges or start anew."""
        assert self._directory is not None
        name = record_name(self._fixed_name)
        self._record, _ = _open_own(self._directory, name, 0o666)
        _lock_when_free(self._record)
        record = _read_record(self._record)
        if record is not None and self._fits(record.layout):
            self._resume(record)
        else:
            os.ftruncate(self._record, 0)
            self.preallocate(self.layout.size)
            first = f"{self.claim} {json.dumps(self.layout)}\n"
            os.pwrite(self._record, first.encode(), 0)
        unlock(self._record)

    def _fits(self, there: RangeLayout) -> bool:
        wanted, size = self.layout, os.fstat(self._fd).st_size
        free = wanted.digest != "md5" and there.part_size > 0
        return size == wanted.size and there == wanted._replace(
            part_size=there.part_size if free else wanted.part_size
        )

    def _resume(self, record: Record) -> None:
        os.pwrite(self._record, self.claim.encode(), 0)
        self.layout, self.size = record.layout, record.layout.size
        self.known = record.ranges
        # The record has the permissions left by the umask, and this file those of the file that
        # it was to replace when it was created.
        mode = os.fstat(self._record).st_mode if self._mode is None else first_mode(self._mode)
        with contextlib.suppress(OSError):
            os.fchmod(self._fd, stat.S_IMODE(mode))

    def _close_record(self) -> None:
        fd, self._record = self._record, -1
        if fd >= 0:
            os.close(fd)


class OpenedFile(NamedTuple):
    """A file that is to be written in ranges."""

    file: TemporaryFile
    layout: RangeLayout
    claim: str = ""  # of a ``PartialFile``
    known: Mapping[int, str] = MappingProxyType({})  # digests of ranges in the file, by number


class PartialFiles:
    """The files of large downloads in one tree. ``notify`` informs users."""

    def __init__(self, tree: Tree, notify: Callable[[str], None]) -> None:
        self._tree = tree
        self._notify = notify
        self._superseded = SupersededFiles(tree)

    def open(
        self, path: str, layout: RangeLayout, origin: Sequence[str], *, mode: int | None
    ) -> OpenedFile:
        """Open a file that a later run can resume, or one that none can: it is preallocated.

        ``origin`` identifies the content; empty: it is never resumed. Other partial files of
        ``path`` are removed. Raises as ``TemporaryFile``. May wait: not on an event loop.
        """
        name = partial_name(split(path)[1], *origin) if origin else ""
        try:
            if name:
                partial = PartialFile(self._tree, path, name, layout, mode=mode)
                return OpenedFile(partial, partial.layout, partial.claim, partial.known)
        except NoLocks as error:
            self._notify(str(error))
        except InUse:
            pass
        finally:
            self._superseded.remove(path, keep=name)
        file = TemporaryFile(self._tree, path, mode=mode)
        file.preallocate(layout.size)
        return OpenedFile(file, layout)


def _open_own(directory: Descriptor, name: str, mode: int) -> tuple[int, bool]:
    """Create a file, or open one that is ours alone; returns whether it was created.

    A file that others can write to is never resumed.
    """
    with contextlib.suppress(FileExistsError):
        return os.open(name, _NEW, mode, dir_fd=directory), True
    try:
        fd = os.open(name, EXISTING, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError:  # a link, a FIFO, another user's file
        raise InUse from None
    if not _is_ours(directory, fd):
        os.close(fd)
        raise InUse
    return fd, False


def _is_ours(directory: Descriptor, fd: int) -> bool:
    """Return whether an open file is a regular file of ours, with one name only."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    return status.st_uid == os.geteuid() or status.st_uid == _owner_of_new(directory)


def _owner_of_new(directory: Descriptor) -> int:
    """Return the owner of files created there, who differs from us on some mounts; -1: unknown.

    If the run is killed here, the next one removes the file.
    """
    name = temporary_name("owner")
    try:
        fd = os.open(name, _NEW, 0o600, dir_fd=directory)
    except OSError:
        return -1
    try:
        return os.fstat(fd).st_uid
    finally:
        os.close(fd)
        remove(directory, name)


def _has_name(directory: Descriptor, name: str, fd: int) -> bool:
    """Return whether an open file still has its name; others may have removed it."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        return os.path.samestat(os.fstat(fd), found)
    except OSError:
        return False


def _lock_when_free(fd: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Lock a record once a dead lead's writers are done; raises ``InUse`` if that takes long."""
    for _ in range(_WAITS):
        try:
            return lock(fd)
        except BlockingIOError:
            sleep(_WAIT)
    raise InUse


def _read_record(fd: int) -> Record | None:
    """Return the content of a record; None if it is invalid."""
    text = os.pread(fd, os.fstat(fd).st_size, 0).decode("utf-8", "replace")
    first, *rest = text.split("\n")
    try:
        etag, size, part_size, digest = json.loads(first[CLAIM + 1 :])
        layout = RangeLayout(str(etag), int(size), int(part_size), str(digest))
    except (ValueError, TypeError, RecursionError):
        return None
    found = (match for line in rest if (match := _RANGE.fullmatch(line)))
    return Record(layout, {int(each[1]): each[3] for each in found})
