"""Unpacking of what is stored with Content-Encoding gzip, in bounded space; and packing of files.

Gzip packs zeros by a factor of 1,032, and no data by more. What is packed several times can be any
number of times as long as the object, of which a store or whoever wrote to it may make use.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from isal import isal_zlib
from isal.igzip_lib import IsalError

from s3pp.body_options import DownloadOptions
from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import PIECE
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile
from s3pp.localfs.tree import Tree
from s3pp.s3.answers import GZIP_MAGIC, Answer, content_codings, gzip_layers
from s3pp.transfer.put.content import begin_compression

_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's manual: 16 more asks for a gzip header
ALWAYS = 1 << 20  # bytes that may be unpacked whatever the ratio
MOST_LAYERS = 8  # times that an object is packed


class Unpacking(NamedTuple):
    """How a body is to be unpacked."""

    times: int
    most: int  # bytes that may come of it

    @classmethod
    def of(cls, answer: Answer, size: int, options: DownloadOptions) -> Unpacking | None:
        """Return how a body of ``size`` bytes is to be unpacked; None: not at all.

        Raises as ``layers`` does.
        """
        times = layers(answer) if options.gunzip else 0
        return cls(times, max(ALWAYS, options.max_ratio * size)) if times else None

    def unpack(self, packed: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what is in ``packed``, in pieces.

        Raises ``ObjectError`` if it is not complete gzip data, or too much comes of it, at any
        time.
        """
        pieces = packed
        for _ in range(self.times):
            pieces = self._bounded(inflate(pieces))
        yield from pieces

    def _bounded(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > self.most:
                raise ObjectError(
                    FailureKind.TOO_LARGE,
                    f"unpacked it has more than {self.most} bytes, too many for its size as it is"
                    " stored: raise --max-ratio, or get it without --gunzip",
                )
            yield piece


def unpack_file(
    tree: Tree,
    path: str,
    packed: Iterable[bytes],
    attributes: FileAttributes,
    *,
    unpacking: Unpacking,
) -> bool:
    """Write ``packed``, unpacked, to ``path``.

    Returns and raises as ``write_file`` does. Memory does not grow with the size. Raises
    ``ObjectError`` as ``Unpacking.unpack`` does.
    """
    file = TemporaryFile(tree, path, mode=attributes.mode)
    try:
        for piece in unpacking.unpack(packed):
            file.write(piece)
        return file.finish(attributes)
    finally:
        file.discard()


def write_packed(
    tree: Tree, path: str, pieces: Iterable[bytes], attributes: FileAttributes
) -> bool:
    """Write ``pieces``, compressed, to ``path``. Returns and raises as ``write_file`` does.

    It is one gzip member without a name or a time, so that the same bytes give the same file.
    """
    file, packer = TemporaryFile(tree, path, mode=attributes.mode), begin_compression()
    try:
        for piece in pieces:
            file.write(packer.compress(piece))
        file.write(packer.flush())
        return file.finish(attributes)
    finally:
        file.discard()


def layers(answer: Answer) -> int:
    """Return how often to unpack an object. Raises ``ObjectError`` where that is not possible."""
    found = gzip_layers(answer.response)
    if found is None:
        listed = ", ".join(content_codings(answer.response))
        message = f"stored with Content-Encoding {listed}, of which only gzip can be unpacked: "
        raise ObjectError(FailureKind.REJECTED, f"{message}get it without --gunzip")
    if found > MOST_LAYERS:
        raise _invalid(f"{found} times over, and at most {MOST_LAYERS} are undone")
    return found


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
        raise _invalid("the gzip data is truncated")
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
    return _invalid("other bytes follow the gzip data" if members else "it is not gzip data")


def _invalid(why: str) -> ObjectError:
    message = f"stored with Content-Encoding gzip, but {why}: get it without --gunzip"
    return ObjectError(FailureKind.REJECTED, message)
