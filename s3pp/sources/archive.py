"""Sequential reading of tar archives, plain or compressed, member by member.

The standard library reads the headers; this module adds constant memory, and an error for an
archive that ends early.
"""

from __future__ import annotations

import bz2
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

from isal import igzip

from s3pp.limits import MIB, PIECE

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


class Archive:
    """An open archive, at its first member. Defects raise whatever ``tarfile`` raises."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._tar = tarfile.TarFile(
            fileobj=stream,
            tarinfo=_Header,
            encoding="utf-8",
            errors="surrogateescape",
        )

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
def opened(path: str) -> Iterator[Archive]:
    """Open the archive at ``path``; leaving the context closes it."""
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(open(path, "rb"))
        packing = compression(stream)
        if packing is not None:
            stream = stack.enter_context(_unpacked(stream, packing))
        yield Archive(stream)


def compression(stream: BinaryIO) -> str | None:
    """Return the compression of a stream (gz, bz2, xz or None), which is left at its start."""
    start = stream.read(8)
    stream.seek(0)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def _unpacked(stream: BinaryIO, packing: str) -> BinaryIO:
    if packing == "gz":
        return cast(BinaryIO, igzip.open(stream, "rb"))  # type: ignore[no-untyped-call]
    if packing == "bz2":
        return cast(BinaryIO, bz2.BZ2File(stream))
    return cast(BinaryIO, lzma.LZMAFile(stream))
