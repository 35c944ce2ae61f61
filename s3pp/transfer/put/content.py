"""Content types and compression: what an object is labelled as, and whether it is gzipped.

Names decide first, by Python's ``mimetypes``. A name such as ``x.js.gz`` says that its content is
already compressed: it is labelled as what it is (``application/gzip``), never compressed again,
and never given a Content-Encoding that would make a browser unpack it.
"""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from typing import NamedTuple

# What Python versions disagree on, or do not know.
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
# Leading bytes of formats that gain nothing: gzip, bzip2, xz, zstd, zip, 7z, PNG, JPEG.
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
MAGIC_BYTES = 4096  # what libmagic is shown; its documentation asks for at least 2048


class ByName(NamedTuple):
    """What a name says: the type, or None, and whether the content is compressed already."""

    type: str | None
    compressed: bool


def by_name(name: str) -> ByName:
    """Guess from the last suffix of ``name``, without reading anything."""
    dot = name.rfind(".")
    # A dot that begins the name begins no suffix.
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
    """Ask libmagic about the first bytes; costs about a millisecond, so not on an event loop."""
    # First, whatever the sorter says: it points python-magic to the library that it carries. The
    # system's own libmagic, where there is one, cannot read the database that comes with it.
    import pylibmagic  # noqa: F401, I001
    import magic

    kind = magic.from_buffer(head, mime=True) if head else None
    return None if kind is None or kind.startswith("inode/") else str(kind)


def should_compress(kind: str | None, types: frozenset[str]) -> bool:
    """Whether an object of this content type is among those to gzip."""
    if not types or (kind or "").startswith(_COMPRESSED_TYPES):
        return False
    return "all" in types or (kind or "").partition(";")[0].strip().lower() in types


def looks_compressed(head: bytes) -> bool:
    """Whether the first bytes are those of a compressed format."""
    return head.startswith(_COMPRESSED_MAGIC)
