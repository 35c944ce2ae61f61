"""``--walk tar``: the regular members of tar archives, without unpacking them.

* A SOURCE is an archive, plain or compressed with gzip, bzip2 or xz. Keys are the names in the
  archive; ``./a`` and ``a`` are the same.
* A name that is absolute or has a ``..`` segment fails: it escapes the archive.
* Links, FIFOs, devices and other special members are skipped. Directories yield nothing.
* If a name occurs more than once, the last member counts, as after extraction.
* The members of a plain archive are read in place. Those of a compressed archive, and sparse
  ones, cannot be: their entries have ``spool`` set, and ``spooling`` copies them out in one
  more pass over the archive.
* A truncated or damaged archive fails under its own name; the members before the damage are
  processed (of a gzip stream, up to a read buffer of 8 KiB less). Damage includes a missing
  end-of-archive mark and a wrong checksum of the compressed stream. A file that is no archive
  fails in the same way.

Only headers are read here, into the external sort: memory is constant however many members.

The standard library reads the headers; ``Archive`` adds constant memory, and an error for an
archive that ends early.
"""

from __future__ import annotations

import bz2
import lzma
import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

from isal import igzip

from s3pp.errors import FailureKind
from s3pp.limits import MIB, PIECE
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.records import Entry, Failed, Skipped, SkipReason
from s3pp.sources.filters import (
    NS,
    Record,
    Scope,
    Stream,
    key_bytes,
    key_fault,
    leads_out,
    normalize,
)

MAX_EXTENSION = 16 * MIB  # bytes of one extended header; larger ones are refused

_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"\x5d\0\0": "xz"}
_EXTENSIONS = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
LAST = b"\xff"  # sorts after every key: UTF-8 contains no such byte

Row = tuple[bytes, int, Record]  # the bytes it sorts by, its number in the archive, the record


def walk_members(path: str, scope: Scope) -> Stream:
    """Yield the members of the archive at ``path``, then its failure, if any."""
    filters = scope.filters
    rows = sort_records(_Members(path, scope).rows(), memory=SortMemory(RICH_RUN_LENGTH))
    for order, record in _last_of_each(rows):
        if (
            filters.by_stat
            and isinstance(record, Entry)
            and filters.stat_refusal(record.size, record.mtime_ns)
        ):
            filters.refused += 1
            continue
        yield order, record


def _last_of_each(rows: Iterator[Row]) -> Stream:
    """Yield the last of the members with the same name."""
    last = next(rows, None)
    for row in rows:
        if last is not None and last[0] != row[0]:
            yield last[0], last[2]
        last = row
    if last is not None:
        yield last[0], last[2]


class _Members:
    """The members of one archive, as records."""

    def __init__(self, path: str, scope: Scope) -> None:
        self._path = path
        self._scope = scope
        self._packed = False
        self._changed_ns = 0  # the archive's own time

    def rows(self) -> Iterator[Row]:
        """Yield every member with a name that the globs choose, in archive order."""
        place = 0
        try:
            with open(self._path, "rb") as stream:
                self._packed = compression(stream) is not None
                self._changed_ns = os.fstat(stream.fileno()).st_mtime_ns
            with open_archive(self._path) as archive:
                for place, member in enumerate(archive.members()):
                    archive.skip()  # a member counts once all of it is known to exist
                    yield from self._row(member, place)
                if self._packed:
                    archive.drain()
        except NotAnArchive as error:
            takes = "--walk tar reads tar files, plain or compressed with gzip, bzip2 or xz"
            yield self._failure(f"not a tar archive ({error}): {takes}", place)
        except Exception as error:  # tarfile documents no complete list of its errors on damage
            yield self._failure(f"the archive cannot be read to its end: {_reason(error)}", place)

    def _failure(self, why: str, place: int) -> Row:
        failed = Failed(self._path, self._scope.prefix, FailureKind.UNREADABLE, why)
        return LAST, place, failed

    def _row(self, member: tarfile.TarInfo, place: int) -> Iterator[Row]:
        name = member.name if leads_out(member.name) else normalize(member.name)
        if member.isdir():
            return
        key = self._scope.prefix + name
        order = key_bytes(key)
        if self._scope.filters.is_elsewhere(order):
            return
        if self._scope.filters.name_refusal(name) is not None:
            self._scope.filters.refused += 1
            return
        yield order, place, self._record(member, name, key, order)

    def _record(self, member: tarfile.TarInfo, name: str, key: str, order: bytes) -> Record:
        source = f"{self._path}:{member.name}"
        if member.issym() or member.islnk():
            return Skipped(source, key, 0, SkipReason.LINK_MEMBER)
        if not member.isreg():
            return Skipped(source, key, 0, SkipReason.SPECIAL)
        fault = "escapes the archive" if leads_out(name) else key_fault(order)
        if fault or not name:
            return Failed(source, key, FailureKind.NAME, fault or "has no name")
        spool = self._packed or member.issparse()
        entry = Entry(key, self._path, member.size, _mtime_ns(member), member.offset_data, source)
        return entry._replace(spool=spool, pinned_ns=None if spool else self._changed_ns)


def _mtime_ns(member: tarfile.TarInfo) -> int:
    """Return nanoseconds since the epoch; 0 for an invalid time (pax headers may hold any text)."""
    try:
        return int(member.mtime * NS)
    except (ValueError, OverflowError):
        return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


class _Header(tarfile.TarInfo):
    """A header that raises for defects that ``TarFile`` would take for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        extension = header.type in _EXTENSIONS
        if header.size < 0 or (extension and header.size > MAX_EXTENSION):
            raise tarfile.ReadError(f"a header that claims {header.size} bytes")
        return header

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # the zero block that ends every archive
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise tarfile.ReadError("no end-of-archive mark: it may be cut off") from None
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None


class NotAnArchive(Exception):
    """Raised for a file that does not begin as an archive does."""


class Archive:
    """An open archive, at its first member. Defects raise whatever ``tarfile`` raises."""

    def __init__(self, stream: BinaryIO) -> None:
        """Read the first header. Raises ``NotAnArchive`` if there is none."""
        self._stream = stream
        try:
            self._tar = tarfile.TarFile(
                fileobj=stream, tarinfo=_Header, encoding="utf-8", errors="surrogateescape"
            )
        except tarfile.ReadError as error:
            raise NotAnArchive(str(error)) from None

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Yield the headers in archive order; read a member's content before the next header."""
        before = 0
        if self._tar.offset == 0:  # no members; before 3.11 another call of next() would raise
            return
        while (member := self._tar.next()) is not None:
            if self._tar.offset <= before:  # a negative size in an extended header
                raise tarfile.ReadError("a header that points backwards")
            before = self._tar.offset
            self._tar.members = []  # type: ignore[attr-defined]  # or it would keep all members
            yield member

    def content(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """Yield the content of the current member in pieces; holes of sparse members are filled."""
        stream = self._tar.extractfile(member)
        while stream is not None and (piece := stream.read(PIECE)):
            yield piece

    def skip(self) -> None:
        """Skip the data of the current member; raises if the archive ends within it."""
        end = self._tar.offset
        if end == self._stream.tell():
            return
        self._stream.seek(end - 1)
        if not self._stream.read(1):
            raise tarfile.ReadError("cut off within a member")

    def drain(self) -> None:
        """Read to the end of the stream, where compressed streams keep their checksums."""
        while self._stream.read(PIECE):
            pass


@contextmanager
def open_archive(path: str) -> Iterator[Archive]:
    """Open the archive at ``path``; leaving the context closes it."""
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(open(path, "rb"))
        packing = compression(stream)
        if packing is not None:
            stream = stack.enter_context(_decompress(stream, packing))
        yield Archive(stream)


def compression(stream: BinaryIO) -> str | None:
    """Return the compression of a stream (gz, bz2, xz or None), which is left at its start."""
    start = stream.read(8)
    stream.seek(0)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def _decompress(stream: BinaryIO, packing: str) -> BinaryIO:
    if packing == "gz":
        return cast(BinaryIO, igzip.open(stream, "rb"))  # type: ignore[no-untyped-call]
    if packing == "bz2":
        return cast(BinaryIO, bz2.BZ2File(stream))
    return cast(BinaryIO, lzma.LZMAFile(stream))
