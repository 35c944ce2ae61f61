"""Partial files: written in ranges by several processes, and resumable by later runs.

::

    lead      Partial: opens or finds <name>.s3pp-<16 digits>.part, and locks it
              ─▶ claims the record beside it (.ranges) ─▶ … ─▶ finish │ leave │ discard
    any       RangeFile: opens both, locks the record with others ─▶ pwrite … ─▶ notes the range
    worker

The name identifies the object, so a later run finds the file. A lock on the file means that a lead
is alive, and another run then writes its own file under another name. A lead that died may have
left workers writing ranges that it offered; they share the lock on the record, whose claim
identifies their lead. So a new lead waits for those writers and changes the claim; from then on
only its own workers write: verified ranges stay unchanged.

A predictable name may be taken by another user, who could then write to verified ranges. So the
lead creates the file, or resumes one that has the owner of files created there (which is not this
user if the mount shows another); and writers check that it is the file that the lead opened.
"""

from __future__ import annotations

import contextlib
import os
import random
import stat
import time
from collections.abc import Callable, Iterator

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import running
from s3pp.records import GetPart
from s3pp.sources.naming import shown
from s3pp.transfer.files import record
from s3pp.transfer.files.landing import Landing, Vanished, failure, first_mode, inode, remove
from s3pp.transfer.files.locks import lock, unlock
from s3pp.transfer.files.paths import PARTIAL, record_name, temporary_name
from s3pp.transfer.files.record import Layout
from s3pp.transfer.files.tree import Descriptor, Tree, split

_TRIES = 3  # attempts to open a file that others rename or remove meanwhile
_WAITS, _WAIT = 50, 0.2  # number and seconds of waits for other writers

_PIECE = 256 * 1024  # bytes read at a time, of each of many ranges

_SAFE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = _SAFE | os.O_CREAT | os.O_EXCL


class InUse(Exception):
    """Raised when another run uses this partial file, or may use it: take another name."""


class NoLocks(InUse):
    """Raised when the file cannot be locked; the message tells users the consequence."""


class Misfit(ObjectError):
    """Raised when the data received is not the range requested."""

    def __init__(self, what: str) -> None:
        message = f"the store does not answer with the range that is asked for: {what}"
        super().__init__(FailureKind.INTEGRITY, message)


class Partial(Landing):
    """A ``Landing`` under a name that a later run can find. Finish, leave or discard it.

    ``layout`` is first the one wanted, then that of the file: ranges of another size are accepted
    too, unless their digests are MD5s, which requires the object's parts. Raises ``InUse``, and as
    ``Landing``. May wait for seconds: not on an event loop.
    """

    def __init__(
        self, tree: Tree, path: str, name: str, layout: Layout, *, mode: int | None
    ) -> None:
        self.layout = layout
        self.claim = f"{random.getrandbits(64):016x}"
        self.known: dict[int, str] = {}  # digests of existing ranges, by number
        self._fixed_name = name
        self._record = -1
        super().__init__(tree, path, mode=mode)
        try:
            self._settle()
        except OSError as error:
            raise self._failed(error) from None
        except InUse:
            self.leave()
            raise

    def leave(self) -> bool:
        """Keep the file if it has any range, else discard it; returns whether it was kept."""
        with contextlib.suppress(OSError):
            noted = record.read(self._record)
            if noted is not None and noted.ranges and self._temporary:
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

    def _opened(self) -> tuple[str, int]:
        for _ in range(_TRIES):
            directory = self._tree.made(self._parent)
            try:
                fd, made = _open(directory, self._fixed_name, first_mode(self._mode))
                self._lock(directory, fd, made=made)
                if _is_there(directory, self._fixed_name, fd):
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

    def _settle(self) -> None:
        """Claim the record, and resume its ranges or start anew."""
        assert self._directory is not None
        name = record_name(self._fixed_name)
        self._record, _ = _open(self._directory, name, 0o666)
        _wait_for(self._record)
        noted = record.read(self._record)
        if noted is not None and self._fits(noted.layout):
            self._go_on(noted)
        else:
            os.ftruncate(self._record, 0)
            self.preallocate(self.layout.size)
            record.write(self._record, self.claim, self.layout)
        unlock(self._record)

    def _fits(self, there: Layout) -> bool:
        wanted, size = self.layout, os.fstat(self._fd).st_size
        free = wanted.digest != "md5" and there.part_size > 0
        return size == wanted.size and there == wanted._replace(
            part_size=there.part_size if free else wanted.part_size
        )

    def _go_on(self, noted: record.Noted) -> None:
        record.claim(self._record, self.claim)
        self.layout, self.size = noted.layout, noted.layout.size
        self.known = {number: digest for number, (_, digest) in noted.ranges.items()}
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
            self._record = self._attended(directory, record_name(name))
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
        return self._at + _PIECE - self._room

    def restart(self) -> None:
        """Start receiving a body from its first byte."""
        self._at = 0  # bytes written
        self._held: list[bytes] = []  # pieces received since then
        self._room = _PIECE  # bytes until they are written
        self._left = self._part.span.size  # bytes still expected
        self._state = running(self._part.digest)

    def write(self, piece: bytes) -> None:
        """Write ``piece`` at its offset, buffered. Raises ``Misfit`` if it exceeds the range."""
        count = len(piece)
        self._left -= count
        if self._left < 0:
            raise Misfit(f"more than {self._part.span.size} bytes came")
        self._state.update(piece)
        self._held.append(piece)
        self._room -= count
        if self._room <= 0:  # libcurl passes 16 KiB at a time, too little for a system call each
            self.flush()

    def flush(self) -> None:
        """Write the buffered pieces."""
        pieces, count = self._held, _PIECE - self._room
        try:
            self._put(pieces, self._part.span.offset + self._at, count)
        except OSError as error:
            raise self._tree.refusal(self._part.path, "written", error) from None
        self._at, self._held, self._room = self._at + count, [], _PIECE

    def digest_there(self) -> str:
        """Return the digest, in hex, of the range in the file; reads it: not on an event loop."""
        state, span = running(self._part.digest), self._part.span
        for piece in pieces_of(self._fd, span.offset, span.size):
            state.update(piece)
        return state.digest().hex()

    def note(self) -> None:
        """Record for later runs that the range is complete."""
        span = self._part.span
        if self._record < 0:
            return
        try:
            record.note(self._record, span.number, span.size, self.digest)
        except OSError as error:
            raise self._tree.refusal(self._part.path, "written", error) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
        self._close_record()

    def _put(self, pieces: list[bytes], offset: int, count: int) -> None:
        written = os.pwritev(self._fd, pieces, offset) if pieces else 0
        rest = memoryview(b"".join(pieces)) if written < count else memoryview(b"")
        while written < count:  # disk almost full: the next write raises the error
            written += os.pwrite(self._fd, rest[written:], offset + written)

    def _attended(self, directory: Descriptor, name: str) -> int:
        """Return the record, with a shared lock, if its claim is that of this part's lead."""
        try:
            fd = os.open(name, _SAFE | os.O_APPEND, dir_fd=directory)
        except OSError as error:
            raise failure(self._tree, self._part.path, error) from None
        try:
            lock(fd, shared=True)
            if record.claimed(fd) == self._part.claim:
                return fd
        except OSError:  # another lead is about to write its claim
            pass
        os.close(fd)
        raise Vanished(self._part.path)

    def _close_record(self) -> None:
        fd, self._record = self._record, -1
        if fd >= 0:
            os.close(fd)


def pieces_of(fd: int, offset: int, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes of an open file, in order; fewer if it ends before."""
    while size and (piece := os.pread(fd, min(size, _PIECE), offset)):
        yield piece
        offset += len(piece)
        size -= len(piece)


def _open(directory: Descriptor, name: str, mode: int) -> tuple[int, bool]:
    """Create a file, or open one that is ours alone; returns whether it was created.

    A file that others can write to is never resumed.
    """
    try:
        return os.open(name, _NEW, mode, dir_fd=directory), True
    except FileExistsError:
        pass
    try:
        fd = os.open(name, _SAFE, dir_fd=directory)
    except OSError:
        if _stands(directory, name):
            raise InUse from None
        raise
    if not _is_ours(directory, fd):
        os.close(fd)
        raise InUse
    return fd, False


def _is_ours(directory: Descriptor, fd: int) -> bool:
    """Return whether an open file is a regular file of ours, with one name only."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    return status.st_uid == os.geteuid() or status.st_uid == _owner_shown(directory)


def _owner_shown(directory: Descriptor) -> int:
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


def _stands(directory: Descriptor, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    except OSError:
        return False


def _is_there(directory: Descriptor, name: str, fd: int) -> bool:
    """Return whether an open file still has its name: others may have removed it."""
    try:
        there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        return os.path.samestat(os.fstat(fd), there)
    except OSError:
        return False


def _wait_for(fd: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Lock a record once a dead lead's writers are done; raises ``InUse`` if that takes long."""
    for _ in range(_WAITS):
        try:
            return lock(fd)
        except BlockingIOError:
            sleep(_WAIT)
    raise InUse
