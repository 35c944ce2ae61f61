"""Decompression of objects stored with Content-Encoding gzip."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from isal import isal_zlib
from isal.igzip_lib import IsalError

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import PIECE
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile
from s3pp.localfs.tree import Tree
from s3pp.s3.answers import content_codings, gzip_layers
from s3pp.s3.wire import Response

GZIP = b"\x1f\x8b"  # the start of every member (RFC 1952)
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's manual: 16 more asks for a gzip header


def layers(response: Response) -> int:
    """Return how often to unpack an object. Raises ``ObjectError`` for codings other than gzip."""
    found = gzip_layers(response)
    if found is None:
        listed = ", ".join(content_codings(response))
        message = f"stored with Content-Encoding {listed}, of which only gzip can be unpacked: "
        raise ObjectError(FailureKind.REJECTED, f"{message}get it without --gunzip")
    return found


def unpacked(
    tree: Tree, path: str, packed: Iterable[bytes], manner: FileAttributes, *, times: int = 1
) -> bool:
    """Write ``packed``, unpacked ``times`` times, to ``path``.

    Returns and raises as ``file.land`` does. Memory does not grow with the size. Raises
    ``ObjectError`` if it is not complete gzip data.
    """
    file = TemporaryFile(tree, path, mode=manner.mode)
    for _ in range(times):
        packed = inflated(packed)
    try:
        for piece in packed:
            file.write(piece)
        return file.finish(manner.mtime_ns, fsync=manner.fsync, fresh=manner.fresh)
    finally:
        file.discard()


def inflated(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decompressed data of all gzip members, in pieces of at most ``PIECE`` bytes.

    Zeros after a member are padding, as for gzip(1): tapes are padded with them.
    """
    unpacker, members, start = None, 0, b""
    for piece in packed:
        rest, start = start + piece, b""
        while rest:
            if unpacker is None:
                rest = rest.lstrip(b"\0") if members else rest
                if len(rest) < len(GZIP):
                    start = rest
                    break
                unpacker = _unpacker_for(rest, members)
            yield _decompressed(unpacker, rest)
            rest = unpacker.unconsumed_tail or unpacker.unused_data
            if unpacker.eof:
                unpacker, members = None, members + 1
    if unpacker is not None or start == GZIP[: len(start)] != b"":
        raise _unsound("the gzip data ends in the middle")
    if start:
        raise _no_member(members)


def _unpacker_for(rest: bytes, members: int) -> Any:
    """Return a decompressor for the member at the start of ``rest``, after ``members`` others."""
    if not rest.startswith(GZIP):
        raise _no_member(members)
    return isal_zlib.decompressobj(_GZIP_WINDOW)


def _decompressed(unpacker: Any, packed: bytes) -> bytes:
    try:
        piece: bytes = unpacker.decompress(packed, PIECE)
    except IsalError:  # type: ignore[misc]  # an instance, to its stubs
        raise _unsound("the gzip data is damaged") from None
    return piece


def _no_member(members: int) -> ObjectError:
    return _unsound("other bytes follow the gzip data" if members else "it is no gzip")


def _unsound(why: str) -> ObjectError:
    message = f"stored with Content-Encoding gzip, but {why}: get it without --gunzip"
    return ObjectError(FailureKind.REJECTED, message)
