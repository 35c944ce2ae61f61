"""Reading a tar archive from front to back, plain or compressed, member by member.

The standard library reads the headers; what is added here is what a long run needs: constant
memory, and no archive that ends early without a word.
"""

from __future__ import annotations

import bz2
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

from isal import igzip

from s3pp.limits import MIB

PIECE = MIB  # bytes read at once
MAX_EXTENSION = 16 * MIB  # bytes of one extended header; beyond that it is a bomb, not a name

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
    """A header that refuses what ``TarFile`` would take for the end of the archive."""

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
    """An open archive, at its first member. Any defect raises; ``tarfile`` is not choosy what."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._tar = tarfile.TarFile(
            fileobj=stream,
            tarinfo=_Header,
            encoding="utf-8",
            errors="surrogateescape",
        )

    def members(self) -> Iterator[tarfile.TarInfo]:
        """The headers in archive order; content has to be read before the next one is asked for."""
        before = 0
        if self._tar.offset == 0:  # no member at all; before 3.11 asking again would raise
            return
        while (member := self._tar.next()) is not None:
            if self._tar.offset <= before:  # a negative size in an extended header
                raise tarfile.ReadError("a header that points backwards")
            before = self._tar.offset
            self._tar.members = []  # type: ignore[attr-defined]  # it remembers all it has met
            yield member

    def content(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of the member just met, in pieces; holes of sparse members are filled."""
        stream = self._tar.extractfile(member)
        while stream is not None and (piece := stream.read(PIECE)):
            yield piece

    def skip(self) -> None:
        """Go past the data of the member just met; raises when the archive ends before it."""
        end = self._tar.offset
        if end == self._stream.tell():
            return
        self._stream.seek(end - 1)
        if not self._stream.read(1):
            raise tarfile.ReadError("cut off within a member")

    def drain(self) -> None:
        """Read to the very end, where compressed streams keep their checksums."""
        while self._stream.read(PIECE):
            pass


@contextmanager
def opened(path: str) -> Iterator[Archive]:
    """The archive at ``path``, until the context ends."""
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(open(path, "rb"))
        packing = compression(stream)
        if packing is not None:
            stream = stack.enter_context(_unpacked(stream, packing))
        yield Archive(stream)


def compression(stream: BinaryIO) -> str | None:
    """How a stream at its beginning is compressed: gz, bz2, xz or None; it stays where it is."""
    start = stream.read(8)
    stream.seek(0)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def _unpacked(stream: BinaryIO, packing: str) -> BinaryIO:
    if packing == "gz":
        return cast(BinaryIO, igzip.open(stream, "rb"))  # type: ignore[no-untyped-call]
    if packing == "bz2":
        return cast(BinaryIO, bz2.BZ2File(stream))
    return cast(BinaryIO, lzma.LZMAFile(stream))
