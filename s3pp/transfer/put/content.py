"""Content types, and compression.

Names decide first, by Python's ``mimetypes``. A name such as ``x.js.gz`` means that its content
is already compressed: its type is that of the compressed form (``application/gzip``), it is never
compressed again, and gets no Content-Encoding that would make a browser unpack it.

Compression is reproducible: the bytes depend on the content alone, as ``update`` needs. It is
ISA-L's at its strongest level: several times the speed of zlib at a slightly larger size. The
header has no name and no time. Other releases of the library may produce other bytes; then an
unchanged file is sent once more.
"""

from __future__ import annotations

import mimetypes
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, Protocol

from s3pp.transfer.bodies import Slice, SpooledBody

# Types that differ between Python versions or are missing in some.
_PINNED = {
    ".avif": "image/avif",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".parquet": "application/vnd.apache.parquet",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
}
_COMPRESSED_NAMES = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "br": "application/x-brotli",
    "compress": "application/x-compress",
}
# Leading bytes of compressed formats: gzip, bzip2, xz, zstd, zip, 7z, PNG, JPEG.
_COMPRESSED_MAGIC = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    b"7z\xbc\xaf",
    b"\x89PNG",
    b"\xff\xd8\xff",
)
_COMPRESSED_TYPES = ("audio/", "video/", "image/gif", "image/webp", "image/avif", "font/woff")
_LEVEL = 3  # ISA-L's strongest
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's manual: 16 more asks for a gzip header

MAGIC_BYTES = 4096  # passed to libmagic; its documentation asks for at least 2048


class Packer(Protocol):
    """A compressor, as of ``zlib.compressobj``."""

    def compress(self, piece: bytes, /) -> bytes:
        """Add the next piece; return what is compressed so far."""

    def flush(self) -> bytes:
        """Return the rest, after the last piece."""


class ByName(NamedTuple):
    """The type guessed from a name, or None, and whether the content is already compressed."""

    type: str | None
    compressed: bool


def by_name(name: str) -> ByName:
    """Guess from the last suffix of ``name``, without reading anything."""
    dot = name.rfind(".")
    # A leading dot starts no suffix.
    suffix = name[dot:] if dot > name.rfind("/") + 1 else ""
    return _by_suffix(suffix if suffix == ".Z" else suffix.lower())  # .z is not compress's


@lru_cache(maxsize=1024)
def _by_suffix(suffix: str) -> ByName:
    if suffix in _PINNED:
        return ByName(_PINNED[suffix], suffix in (".xz", ".zst"))
    guessed, encoding = mimetypes.guess_type(f"x{suffix}")
    if encoding:
        return ByName(_COMPRESSED_NAMES.get(encoding, "application/octet-stream"), True)
    return ByName(guessed, False)


def by_content(head: bytes) -> str | None:
    """Guess with libmagic from the first bytes; takes about 1 ms, so not on an event loop."""
    # Before magic, against the import order: it points python-magic to its bundled library. The
    # system's own libmagic, if there is one, cannot read the bundled database.
    import pylibmagic  # noqa: F401, I001
    import magic

    kind = magic.from_buffer(head, mime=True) if head else None
    return None if kind is None or kind.startswith("inode/") else str(kind)


def should_compress(kind: str | None, types: frozenset[str]) -> bool:
    """Return whether to gzip an object of this content type."""
    if not types or (kind or "").startswith(_COMPRESSED_TYPES):
        return False
    return "all" in types or (kind or "").partition(";")[0].strip().lower() in types


def looks_compressed(head: bytes) -> bool:
    """Return whether the first bytes are those of a compressed format."""
    return head.startswith(_COMPRESSED_MAGIC)


def compress(body: bytes) -> bytes:
    """Compress a body held in memory."""
    from isal import igzip

    return igzip.compress(body, _LEVEL, mtime=0)


def compression() -> tuple[str, ...]:
    """Return what decides, with the content and its type, whether and how a body is compressed."""
    return f"isal {_version('isal')} level {_LEVEL}", f"pylibmagic {_version('pylibmagic')}"


def _version(distribution: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def begin_compression() -> Packer:
    """Return a compressor of a body that arrives in pieces."""
    from isal import isal_zlib

    packer: Packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
    return packer


def compress_to_file(pieces: Iterable[bytes], name: str) -> Slice:
    """Compress a large body into a temporary file. Raises as ``SpooledBody`` does."""
    packer = begin_compression()
    spooled = SpooledBody(name)
    try:
        for piece in pieces:
            spooled.write(packer.compress(piece))
        spooled.write(packer.flush())
        return spooled.whole()
    except BaseException:
        spooled.close()
        raise
