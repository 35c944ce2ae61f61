"""gzip with bytes that depend on the content alone, so that ``update`` knows them again.

ISA-L's compressor at its strongest level: several times the speed of zlib at a slightly larger
size. No name and no time go into the header. Other releases of the library may give other bytes;
then an unchanged file is sent once more.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from isal import igzip, isal_zlib

from s3pp.errors import FatalError
from s3pp.transfer.bodies import Slice

_LEVEL = 3  # ISA-L's strongest
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's manual: 16 more asks for a gzip header


def compressed(body: bytes) -> bytes:
    """The gzip form of a body held in memory."""
    return igzip.compress(body, _LEVEL, mtime=0)


def compressed_file(pieces: Iterable[bytes], name: str) -> Slice:
    """The gzip form of a body too large to hold, in an unlinked temporary file."""
    with _disk_trouble():
        fd, path = tempfile.mkstemp(prefix="s3pp-gzip-")
        os.unlink(path)
    try:
        packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
        for piece in pieces:
            _write(fd, packer.compress(piece))
        _write(fd, packer.flush())
        return Slice(fd, name)
    except BaseException:
        os.close(fd)
        raise


def _write(fd: int, body: bytes) -> None:
    view = memoryview(body)
    with _disk_trouble():
        while view:
            view = view[os.write(fd, view) :]


@contextmanager
def _disk_trouble() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = tempfile.gettempdir()
        raise FatalError(
            f"{where} has no room to compress in ({error.strerror}): point TMPDIR elsewhere"
        ) from None
