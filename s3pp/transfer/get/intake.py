"""Large bodies on their way into files, digested as they come; and the digest of files there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from s3pp.transfer.bodies import PIECE
from s3pp.transfer.files.landing import Landing, Manner
from s3pp.transfer.files.tree import Tree
from s3pp.transfer.verify import Arrived, Corrupt, Expected, digest, fault


class Intake:
    """A ``wire.Sink`` that writes a temporary file. Close it in any case."""

    def __init__(self, tree: Tree, path: str, *, mode: int | None) -> None:
        self._landing = Landing(tree, path, mode=mode)
        self._md5 = hashlib.md5(usedforsecurity=False)

    def restart(self) -> None:
        """A body begins."""
        if self._landing.size:
            self._landing.restart()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, piece: bytes) -> None:
        """Append ``piece``."""
        self._landing.write(piece)
        self._md5.update(piece)

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._landing.size

    def fault(self, expected: Expected) -> Corrupt | None:
        """Why what came is not the object; may read it all again: not on an event loop."""
        md5 = self._md5.hexdigest()
        return fault(Arrived(self._landing.size, md5, self.pieces), expected)

    def pieces(self) -> Iterator[bytes]:
        """What came, read again."""
        return self._landing.pieces()

    def finish(self, manner: Manner) -> bool:
        """Give the file its name; False where ``manner.fresh`` and something stands there."""
        return self._landing.finish(manner.mtime_ns, fsync=manner.fsync, fresh=manner.fresh)

    def close(self) -> None:
        """Leave nothing behind that was not finished."""
        self._landing.discard()


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
