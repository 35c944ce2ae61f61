"""A file that arrives in ranges, by the hands of many processes, and outlives them all.

::

    lead      Partial: opens or finds <name>.s3pp-<16 digits>.part, and locks it
              ─▶ claims the record beside it (.ranges) ─▶ … ─▶ finish │ leave │ discard
    any       RangeFile: opens both, locks the record with others ─▶ pwrite … ─▶ notes the range
    worker

The name says what it is of, so a later run finds it again. The lock on the file says that a lead is
alive, and another run then writes its own under another name. A lead that died may have left
others at work on ranges that it offered; they share the lock on the record, and its claim tells
them whose they are. So a new lead waits for those who write, changes the claim, and from then on
nobody writes but for it: what has been verified stays as it is.

A name that can be guessed may be taken by another user, who could then write to what has been
verified. So the lead makes the file, or goes on with one that has the owner that a file made there
has (which is not this user wherever the mount shows another); and those who write to it look
whether it is the one that the lead opened.
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

_TRIES = 3  # times a file is opened that others rename or remove meanwhile
_WAITS, _WAIT = 50, 0.2  # how often, and how many seconds, those are waited for who still write

_PIECE = 256 * 1024  # bytes read at a time, of each of many ranges

_SAFE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = _SAFE | os.O_CREAT | os.O_EXCL


class InUse(Exception):
    """Another run has this partial file, or nobody can say whether: take another name."""


class NoLocks(InUse):
    """Nobody can say whether; its text tells users what that means for them."""


class Misfit(ObjectError):
    """What came is not the range that was asked for."""

    def __init__(self, what: str) -> None:
        message = f"the store does not answer with the range that is asked for: {what}"
        super().__init__(FailureKind.INTEGRITY, message)


class Partial(Landing):
    """A ``Landing`` under a name that a later run finds again. Finish, leave or discard it.

    ``layout`` is what is wanted, and then what is there: of ranges of another size too, unless
    their digests are MD5s, by which they are the object's parts. Raises ``InUse``, and as
    ``Landing``. May wait for seconds: not on an event loop.
    """

    def __init__(
        self, tree: Tree, path: str, name: str, layout: Layout, *, mode: int | None
    ) -> None:
        self.layout = layout
        self.claim = f"{random.getrandbits(64):016x}"
        self.known: dict[int, str] = {}  # digests, by the numbers of ranges that were there
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
        """Keep what has come, if anything has; whether it has."""
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
        """Remove it, and its record. Never raises."""
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
        except BlockingIOError:  # nor is it ours any more if we made it
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
        """Take the record, and go on with what it says or begin anew."""
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
        # The record has the permissions that the umask leaves, and this file those of the file
        # it was to replace when it was begun.
        mode = os.fstat(self._record).st_mode if self._mode is None else first_mode(self._mode)
        with contextlib.suppress(OSError):
            os.fchmod(self._fd, stat.S_IMODE(mode))

    def _close_record(self) -> None:
        fd, self._record = self._record, -1
        if fd >= 0:
            os.close(fd)


class RangeFile:
    """One range of a file that is led elsewhere; a ``wire.Sink``. Close it.

    Raises ``Vanished`` where the file is gone or another, or has another lead by now.
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
        """Of what came, in hex."""
        return self._state.digest().hex()

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._at + _PIECE - self._room

    def restart(self) -> None:
        """A body begins."""
        self._at = 0  # bytes written
        self._held: list[bytes] = []  # pieces that came since
        self._room = _PIECE  # bytes until these are written
        self._left = self._part.span.size  # bytes that may still come
        self._state = running(self._part.digest)

    def write(self, piece: bytes) -> None:
        """Put ``piece`` where it belongs. Raises ``Misfit`` where the range ends before it does."""
        count = len(piece)
        self._left -= count
        if self._left < 0:
            raise Misfit(f"more than {self._part.span.size} bytes came")
        self._state.update(piece)
        self._held.append(piece)
        self._room -= count
        if self._room <= 0:  # libcurl gives 16 KiB at a time, too few for a system call each
            self.flush()

    def flush(self) -> None:
        """Write what came last."""
        pieces, count = self._held, _PIECE - self._room
        try:
            self._put(pieces, self._part.span.offset + self._at, count)
        except OSError as error:
            raise self._tree.refusal(self._part.path, "written", error) from None
        self._at, self._held, self._room = self._at + count, [], _PIECE

    def digest_there(self) -> str:
        """The digest, in hex, of what is there already; reads it: not on an event loop."""
        state, span = running(self._part.digest), self._part.span
        for piece in pieces_of(self._fd, span.offset, span.size):
            state.update(piece)
        return state.digest().hex()

    def note(self) -> None:
        """Let later runs know that the range is there."""
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
        while written < count:  # the last room on the disk: the next one says so
            written += os.pwrite(self._fd, rest[written:], offset + written)

    def _attended(self, directory: Descriptor, name: str) -> int:
        """The record, locked with others, if it is still the lead's that offered this part."""
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
    """``size`` bytes of an open file, in order; fewer where it ends before."""
    while size and (piece := os.pread(fd, min(size, _PIECE), offset)):
        yield piece
        offset += len(piece)
        size -= len(piece)


def _open(directory: Descriptor, name: str, mode: int) -> tuple[int, bool]:
    """Make a file, or open one that is ours alone; and whether it was made.

    What others can write to is never resumed.
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
    """Whether what is open is a file of ours, under one name only."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    return status.st_uid == os.geteuid() or status.st_uid == _owner_shown(directory)


def _owner_shown(directory: Descriptor) -> int:
    """The owner of what we make there, who on some mounts is not who we are; -1: none can be told.

    A run that is killed right here leaves what the next one sweeps.
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
    """Whether an open file still stands under its name: others may have taken it away."""
    try:
        there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        return os.path.samestat(os.fstat(fd), there)
    except OSError:
        return False


def _wait_for(fd: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Lock a record once nobody writes for a lead that is gone; ``InUse`` where that takes long."""
    for _ in range(_WAITS):
        try:
            return lock(fd)
        except BlockingIOError:
            sleep(_WAIT)
    raise InUse
