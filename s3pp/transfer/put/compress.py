"""Reproducible gzip compression: the bytes depend on the content alone, as ``update`` needs.

ISA-L's compressor at its strongest level: several times the speed of zlib at a slightly larger
size. The header has no name and no time. Other releases of the library may produce other bytes;
then an unchanged file is sent once more.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from isal import igzip, isal_zlib

from s3pp.transfer.bodies import Slice
from s3pp.transfer.spill import Spill

_LEVEL = 3  # ISA-L's strongest
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's manual: 16 more asks for a gzip header


def compressed(body: bytes) -> bytes:
    """Compress a body held in memory."""
    return igzip.compress(body, _LEVEL, mtime=0)


def compressed_file(pieces: Iterable[bytes], name: str) -> Slice:
    """Compress a large body into a temporary file. Raises as ``Spill`` does."""
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
    spill = Spill(name)
    try:
        for piece in pieces:
            spill.write(packer.compress(piece))
        spill.write(packer.flush())
        return spill.whole()
    except BaseException:
        spill.close()
        raise
