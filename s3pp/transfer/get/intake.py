"""Large bodies on their way into files, digested as they come; and the digest of files there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

from s3pp.integrity.checksums import digest
from s3pp.integrity.multipart_etag import Rolling
from s3pp.integrity.received import Arrived
from s3pp.limits import PIECE
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile
from s3pp.localfs.tree import Tree


class Intake:
    """A ``wire.Sink`` that writes a temporary file. Close it in any case."""

    def __init__(
        self, tree: Tree, path: str, *, mode: int | None, part_size: int | None = None
    ) -> None:
        """``part_size``: bytes of the parts that the ETag is to be made of; None: it is the MD5."""
        self._file = TemporaryFile(tree, path, mode=mode)
        self._part_size = part_size
        self._feed, self._etag = self._digest()

    def restart(self) -> None:
        """A body begins."""
        if self._file.size:
            self._file.restart()
        self._feed, self._etag = self._digest()

    def write(self, piece: bytes) -> None:
        """Append ``piece``."""
        self._file.write(piece)
        self._feed(piece)

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._file.size

    def arrived(self) -> Arrived:
        """What came, with the ETag that it makes."""
        return Arrived(self._file.size, self._etag(), self.pieces)

    def pieces(self) -> Iterator[bytes]:
        """What came, read again."""
        return self._file.pieces()

    def finish(self, manner: FileAttributes) -> bool:
        """Give the file its name; False where ``manner.fresh`` and something stands there."""
        return self._file.finish(manner.mtime_ns, fsync=manner.fsync, fresh=manner.fresh)

    def close(self) -> None:
        """Leave nothing behind that was not finished."""
        self._file.discard()

    def _digest(self) -> tuple[Callable[[bytes], object], Callable[[], str]]:
        """What takes the pieces, and what tells the ETag that they make."""
        if self._part_size is None:
            whole = hashlib.md5(usedforsecurity=False)
            return whole.update, whole.hexdigest
        each, rolling = self._part_size, Rolling([self._part_size])
        return rolling.feed, lambda: rolling.etags()[each]


def md5_of(tree: Tree, path: str) -> str:
    """The MD5 of a file in ``tree``, in hex. Raises as ``Tree.open_read`` does."""
    return digest("md5", pieces_of(tree, path)).hex()


def pieces_of(tree: Tree, path: str) -> Iterator[bytes]:
    """A file in ``tree``, ``PIECE`` bytes at a time. Raises as ``Tree.open_read`` does."""
    fd = tree.open_read(path)
    try:
        while piece := os.read(fd, PIECE):
            yield piece
    except OSError as error:
        raise tree.refusal(path, "read", error) from None
    finally:
        os.close(fd)
