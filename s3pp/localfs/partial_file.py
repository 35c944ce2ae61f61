"""Partial files: written in ranges by several processes, and resumable by later runs.

::

    lead      PartialFile: opens or finds <name>.s3pp-<16 digits>.part, and locks it
              ─▶ claims the record beside it (.ranges) ─▶ … ─▶ finish │ keep │ discard
    any       RangeFile: opens both, locks the record with others ─▶ pwrite … ─▶ records the range
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
from collections.abc import Callable
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import running
from s3pp.localfs.locks import lock, unlock
from s3pp.localfs.paths import PARTIAL, record_name, shown, temporary_name
from s3pp.localfs.temporary_file import TemporaryFile, Vanished, failure, first_mode, inode, remove
from s3pp.localfs.tree import Descriptor, Tree, split
from s3pp.records import GetPart

_TRIES = 3  # attempts to open a file that others rename or remove meanwhile
_WAITS, _WAIT = 50, 0.2  # number and seconds of waits for other writers

_BUFFERED = 256 * 1024  # bytes of each of many ranges that are written or read at a time

_CLAIM = 16  # characters of a claim
_RANGE = re.compile(r"(\d{1,9}) (\d{1,20}) ([0-9a-f]{8,32})")  # a range in a record

_SAFE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = _SAFE | os.O_CREAT | os.O_EXCL


class InUse(Exception):
    """Raised when another run uses this partial file, or may use it: take another name."""


class NoLocks(InUse):
    """Raised when the file cannot be locked; the message tells users the consequence."""


class WrongRange(ObjectError):
    """Raised when the data received is not the range requested."""

    def __init__(self, what: str) -> None:
        message = f"the store does not answer with the range that is asked for: {what}"
        super().__init__(FailureKind.INTEGRITY, message)


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


class RangeFile:
    """One range of a file with a lead elsewhere; a ``wire.Sink``. Close it.

    Raises ``Vanished`` if the file was removed or replaced, or has another lead by now.
    """

    def __init__(self, tree: Tree, part: GetPart) -> None:
        self._tree = tree
        self._part = part
        self._record = -1
        self.restart()
        parent, name = split(part.path)
        directory = tree.directory(parent, make=False)
        if directory is None:
            raise Vanished(part.path)
        if PARTIAL.search(name):
            self._record = self._open_record(directory, record_name(name))
        try:
            self._fd = os.open(name, _SAFE, dir_fd=directory)
        except OSError as error:
            self._close_record()
            raise failure(tree, part.path, error) from None
        if inode(self._fd) != part.inode:
            self.close()
            raise Vanished(part.path)

    @property
    def digest(self) -> str:
        """The digest of the data received, in hex."""
        return self._state.digest().hex()

    @property
    def size(self) -> int:
        """The number of bytes received."""
        return self._at + _BUFFERED - self._room

    def restart(self) -> None:
        """Start receiving a body from its first byte."""
        self._at = 0  # bytes written
        self._held: list[bytes] = []  # pieces received since then
        self._room = _BUFFERED  # bytes until they are written
        self._left = self._part.span.size  # bytes still expected
        self._state = running(self._part.digest)

    def write(self, piece: bytes) -> None:
        """Write ``piece``, buffered. Raises ``WrongRange`` if it exceeds the range."""
        count = len(piece)
        self._left -= count
        if self._left < 0:
            raise WrongRange(f"more than {self._part.span.size} bytes came")
        self._state.update(piece)
        self._held.append(piece)
        self._room -= count
        if self._room <= 0:  # libcurl passes 16 KiB at a time, too little for a system call each
            self.flush()

    def flush(self) -> None:
        """Write the buffered pieces."""
        pieces, count = self._held, _BUFFERED - self._room
        try:
            self._write_at(pieces, self._part.span.offset + self._at, count)
        except OSError as error:
            raise self._tree.refusal(self._part.path, "written", error) from None
        self._at, self._held, self._room = self._at + count, [], _BUFFERED

    def digest_in_file(self) -> str:
        """Return the digest, in hex, of the range in the file; reads it: not on an event loop."""
        state, span = running(self._part.digest), self._part.span
        at, end = span.offset, span.offset + span.size
        while at < end and (piece := os.pread(self._fd, min(end - at, _BUFFERED), at)):
            state.update(piece)
            at += len(piece)
        return state.digest().hex()

    def record(self) -> None:
        """Record for later runs that the range is complete."""
        span = self._part.span
        if self._record < 0:
            return
        try:
            line = f"{span.number} {span.size} {self.digest}\n"
            os.write(self._record, line.encode())  # it appends
        except OSError as error:
            raise self._tree.refusal(self._part.path, "written", error) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
        self._close_record()

    def _write_at(self, pieces: list[bytes], offset: int, count: int) -> None:
        written = os.pwritev(self._fd, pieces, offset) if pieces else 0
        rest = memoryview(b"".join(pieces)) if written < count else memoryview(b"")
        while written < count:  # disk almost full: the next write raises the error
            written += os.pwrite(self._fd, rest[written:], offset + written)

    def _open_record(self, directory: Descriptor, name: str) -> int:
        """Return the record, with a shared lock, if its claim is that of this part's lead."""
        try:
            fd = os.open(name, _SAFE | os.O_APPEND, dir_fd=directory)
        except OSError as error:
            raise failure(self._tree, self._part.path, error) from None
        try:
            lock(fd, shared=True)
            if os.pread(fd, _CLAIM, 0) == self._part.claim.encode():
                return fd
        except OSError:  # another lead is about to write its claim
            pass
        os.close(fd)
        raise Vanished(self._part.path)

    def _close_record(self) -> None:
        fd, self._record = self._record, -1
        if fd >= 0:
            os.close(fd)


def _open_own(directory: Descriptor, name: str, mode: int) -> tuple[int, bool]:
    """Create a file, or open one that is ours alone; returns whether it was created.

    A file that others can write to is never resumed.
    """
    with contextlib.suppress(FileExistsError):
        return os.open(name, _NEW, mode, dir_fd=directory), True
    try:
        fd = os.open(name, _SAFE, dir_fd=directory)
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
        etag, size, part_size, digest = json.loads(first[_CLAIM + 1 :])
        layout = RangeLayout(str(etag), int(size), int(part_size), str(digest))
    except (ValueError, TypeError):
        return None
    found = (match for line in rest if (match := _RANGE.fullmatch(line)))
    return Record(layout, {int(each[1]): each[3] for each in found})
