"""Bodies that are written to a file while they arrive, and digested; unpacking of gzip."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from isal import isal_zlib
from isal.igzip_lib import IsalError

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.multipart_etag import RollingETags, likely_sizes
from s3pp.integrity.verifiers import ReceivedBody
from s3pp.limits import PIECE
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile
from s3pp.localfs.tree import Tree
from s3pp.records import Dest
from s3pp.s3.answers import GZIP_MAGIC

_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's manual: 16 more asks for a gzip header


class FileSink:
    """A ``wire.Sink`` that writes a temporary file. Close it in any case."""

    def __init__(
        self, tree: Tree, path: str, *, mode: int | None, part_size: int | None = None
    ) -> None:
        """``part_size``: bytes of the parts whose ETag is computed; None: the MD5 is."""
        self._file = TemporaryFile(tree, path, mode=mode)
        self._part_size = part_size
        self._feed, self._etag = self._start_digest()

    def restart(self) -> None:
        """Start receiving a body from its first byte."""
        if self._file.size:
            self._file.restart()
        self._feed, self._etag = self._start_digest()

    def write(self, piece: bytes) -> None:
        """Append ``piece``."""
        self._file.write(piece)
        self._feed(piece)

    @property
    def size(self) -> int:
        """The number of bytes received."""
        return self._file.size

    def arrived(self) -> ReceivedBody:
        """Return what was received, with its ETag."""
        return ReceivedBody(self._file.size, self._etag(), self.pieces)

    def pieces(self) -> Iterator[bytes]:
        """Yield what was received, read from the file."""
        return self._file.pieces()

    def finish(self, attributes: FileAttributes) -> bool:
        """Rename the file to its name; returns false if it must be fresh and the name exists."""
        return self._file.finish(
            attributes.mtime_ns, fsync=attributes.fsync, fresh=attributes.fresh
        )

    def close(self) -> None:
        """Remove the file unless it was finished."""
        self._file.discard()

    def _start_digest(self) -> tuple[Callable[[bytes], object], Callable[[], str]]:
        """Return a function that takes the pieces, and one that returns their ETag."""
        if self._part_size is None:
            whole = hashlib.md5(usedforsecurity=False)
            return whole.update, whole.hexdigest
        each, rolling = self._part_size, RollingETags([self._part_size])
        return rolling.feed, lambda: rolling.etags()[each]


def likely_part_size(there: Dest, wanted: int) -> int | None:
    """Return the size in which an object was most likely sent in parts; None: not in parts.

    ``wanted``: the size of this run's parts, in bytes.
    """
    sizes = likely_sizes(there, wanted)
    return sizes[0] if sizes else None


def unpack_file(
    tree: Tree, path: str, packed: Iterable[bytes], attributes: FileAttributes, *, times: int = 1
) -> bool:
    """Write ``packed``, unpacked ``times`` times, to ``path``.

    Returns and raises as ``write_file`` does. Memory does not grow with the size. Raises
    ``ObjectError`` if it is not complete gzip data.
    """
    file = TemporaryFile(tree, path, mode=attributes.mode)
    for _ in range(times):
        packed = inflate(packed)
    try:
        for piece in packed:
            file.write(piece)
        return file.finish(attributes.mtime_ns, fsync=attributes.fsync, fresh=attributes.fresh)
    finally:
        file.discard()


def inflate(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decompressed data of all gzip members, in pieces of at most ``PIECE`` bytes.

    Zeros after a member are padding, as for gzip(1): tapes are padded with them.
    """
    unpacker, members, start = None, 0, b""
    for piece in packed:
        rest, start = start + piece, b""
        while rest:
            if unpacker is None:
                rest = rest.lstrip(b"\0") if members else rest
                if len(rest) < len(GZIP_MAGIC):
                    start = rest
                    break
                unpacker = _start_member(rest, members)
            yield _decompress(unpacker, rest)
            rest = unpacker.unconsumed_tail or unpacker.unused_data
            if unpacker.eof:
                unpacker, members = None, members + 1
    if unpacker is not None or start == GZIP_MAGIC[: len(start)] != b"":
        raise _invalid("the gzip data ends in the middle")
    if start:
        raise _no_member(members)


def _start_member(rest: bytes, members: int) -> Any:
    """Return a decompressor for the member at the start of ``rest``, after ``members`` others."""
    if not rest.startswith(GZIP_MAGIC):
        raise _no_member(members)
    return isal_zlib.decompressobj(_GZIP_WINDOW)


def _decompress(unpacker: Any, packed: bytes) -> bytes:
    try:
        piece: bytes = unpacker.decompress(packed, PIECE)
    except IsalError:  # type: ignore[misc]  # an instance, to its stubs
        raise _invalid("the gzip data is damaged") from None
    return piece


def _no_member(members: int) -> ObjectError:
    return _invalid("other bytes follow the gzip data" if members else "it is no gzip")


def _invalid(why: str) -> ObjectError:
    message = f"stored with Content-Encoding gzip, but {why}: get it without --gunzip"
    return ObjectError(FailureKind.REJECTED, message)
