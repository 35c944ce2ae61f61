"""Writing of one range of a file that another process may lead, see ``partial_file``."""

from __future__ import annotations

import os
from collections.abc import Sequence

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import begin_checksum
from s3pp.localfs.locks import lock
from s3pp.localfs.partial_file import CLAIM, EXISTING
from s3pp.localfs.paths import PARTIAL, record_name
from s3pp.localfs.temporary_file import Vanished, failure, inode
from s3pp.localfs.tree import Descriptor, Tree, split
from s3pp.records import GetPart

_BUFFERED = 256 * 1024  # bytes of each of many ranges that are written or read at a time
_LARGE = 64 * 1024  # bytes of a piece that is worth a system call of its own


class WrongRange(ObjectError):
    """Raised when the data received is not the range requested."""

    def __init__(self, what: str) -> None:
        message = f"the store does not answer with the range that is asked for: {what}"
        super().__init__(FailureKind.INTEGRITY, message)


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
            self._fd = os.open(name, EXISTING, dir_fd=directory)
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
        self._state = begin_checksum(self._part.digest)

    def write(self, piece: bytes | memoryview) -> None:
        """Write ``piece``, buffered. Raises ``WrongRange`` if it exceeds the range."""
        count = len(piece)
        self._left -= count
        if self._left < 0:
            raise WrongRange(f"received more than {self._part.span.size} bytes")
        self._state.update(piece)
        if count >= _LARGE and not self._held:
            self._write_out([piece], count)
            return
        self._held.append(bytes(piece))
        self._room -= count
        if self._room <= 0:
            self.flush()

    def flush(self) -> None:
        """Write the buffered pieces."""
        pieces, count = self._held, _BUFFERED - self._room
        self._held, self._room = [], _BUFFERED
        self._write_out(pieces, count)

    def digest_in_file(self) -> str:
        """Return the digest, in hex, of the range in the file; reads it: not on an event loop."""
        state, span = begin_checksum(self._part.digest), self._part.span
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

    def _write_out(self, pieces: Sequence[bytes | memoryview], count: int) -> None:
        """Write ``pieces``, which have ``count`` bytes."""
        try:
            self._write_at(pieces, self._part.span.offset + self._at, count)
        except OSError as error:
            raise self._tree.refusal(self._part.path, "written", error) from None
        self._at += count

    def _write_at(self, pieces: Sequence[bytes | memoryview], offset: int, count: int) -> None:
        written = os.pwritev(self._fd, pieces, offset) if pieces else 0
        rest = memoryview(b"".join(pieces)) if written < count else memoryview(b"")
        while written < count:  # disk almost full: the next write raises the error
            written += os.pwrite(self._fd, rest[written:], offset + written)

    def _open_record(self, directory: Descriptor, name: str) -> int:
        """Return the record, with a shared lock, if its claim is that of this part's lead."""
        try:
            fd = os.open(name, EXISTING | os.O_APPEND, dir_fd=directory)
        except OSError as error:
            raise failure(self._tree, self._part.path, error) from None
        try:
            lock(fd, shared=True)
            if os.pread(fd, CLAIM, 0) == self._part.claim.encode():
                return fd
        except OSError:  # another lead is about to write its claim
            pass
        os.close(fd)
        raise Vanished(self._part.path)

    def _close_record(self) -> None:
        fd, self._record = self._record, -1
        if fd >= 0:
            os.close(fd)
