"""The checksums that S3 keeps of objects: one table, and how each is computed and combined.

::

    name                    library   of an object that was uploaded in parts S3 keeps
    crc32                   isal      FULL_OBJECT: that of all bytes, which those of the parts make
    crc32c, crc64nvme       awscrt    likewise
    md5, sha1, sha256, …    hashlib   COMPOSITE: one of the parts' hashes, and how many they are

(S3 user guide, "Checking object integrity".)
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, Protocol


class Algorithm(NamedTuple):
    """A checksum, by the name S3 has for it, in lower case."""

    name: str
    size: int  # bytes of a digest
    is_crc: bool  # checksums of parts combine to the one of the whole
    needs_awscrt: bool = False  # an extra: this machine may be unable to compute it

    @property
    def header(self) -> str:
        """The header of an answer that has it, in base64."""
        return f"x-amz-checksum-{self.name}"

    @property
    def request_header(self) -> str:
        """The header of a request whose body it is of."""
        return "content-md5" if self.name == "md5" else self.header

    @property
    def is_strong(self) -> bool:
        """Whether equality means equal bytes: of 32 bits one change in four billion goes unseen."""
        return self.size > 4

    @property
    def is_available(self) -> bool:
        """Whether this machine can compute it."""
        return not self.needs_awscrt or _crc(self.name) is not None


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        each.name: each
        for each in (  # the cheapest first
            Algorithm("crc32", 4, is_crc=True),
            Algorithm("crc32c", 4, is_crc=True, needs_awscrt=True),
            Algorithm("crc64nvme", 8, is_crc=True, needs_awscrt=True),
            Algorithm("md5", 16, is_crc=False),
            Algorithm("sha1", 20, is_crc=False),
            Algorithm("sha256", 32, is_crc=False),
            Algorithm("sha512", 64, is_crc=False),
        )
    }
)
CHEAP = "crc32"  # of bytes that only have to be recognized

# Takes bytes, and the CRC of all bytes before them.
Update = Callable[[bytes, int], int]


class Running(Protocol):
    """A digest of bytes that come piece by piece."""

    def update(self, piece: bytes, /) -> None:
        """The next piece."""

    def digest(self) -> bytes:
        """Of what came so far; a CRC with its highest byte first."""


def running(name: str) -> Running:
    """Begin a checksum. Raises ``ValueError`` for one that this machine cannot compute."""
    algorithm = ALGORITHMS[name]
    if not algorithm.is_crc:
        return hashlib.new(name, usedforsecurity=False)
    return _RunningCrc(crc_update(name), algorithm.size)


def digest(name: str, pieces: Iterable[bytes]) -> bytes:
    """The checksum of all ``pieces``. Raises as ``running`` does."""
    state = running(name)
    for piece in pieces:
        state.update(piece)
    return state.digest()


def checksum(name: str, pieces: Iterable[bytes]) -> str:
    """A checksum as S3 writes it, in base64. Raises as ``running`` does."""
    return checksum_text(digest(name, pieces))


def checksum_text(raw: bytes) -> str:
    """A digest as S3 writes checksums."""
    return b2a_base64(raw, newline=False).decode()


def full_object(name: str, parts: Iterable[tuple[bytes, int]]) -> str:
    """The CRC of an object, in base64, from the digests of its parts and their sizes in bytes.

    Reads none of its bytes: some 0.5 µs a part.
    """
    combine, crc = _needed(name).combine, 0
    for part, size in parts:
        crc = combine(crc, int.from_bytes(part, "big"), size)
    return checksum_text(crc.to_bytes(ALGORITHMS[name].size, "big"))


def composite(name: str, digests: Iterable[bytes]) -> str:
    """The checksum of the parts' checksums, which S3 writes as base64 and their count."""
    parts = list(digests)
    return f"{checksum(name, parts)}-{len(parts)}"


class _CrcFunctions(NamedTuple):
    update: Update
    combine: Callable[[int, int, int], int]  # two CRCs, and the bytes that the second is of


class _RunningCrc:
    def __init__(self, update: Update, size: int) -> None:
        self._update = update
        self._size = size
        self._crc = 0

    def update(self, piece: bytes, /) -> None:
        self._crc = self._update(piece, self._crc)

    def digest(self) -> bytes:
        return self._crc.to_bytes(self._size, "big")


def crc_update(name: str) -> Update:
    """The function that continues a CRC. Raises ``ValueError`` where awscrt is missing."""
    return _needed(name).update


def _needed(name: str) -> _CrcFunctions:
    found = _crc(name)
    if found is None:
        raise ValueError(f"{name} needs awscrt")
    return found


@lru_cache
def _crc(name: str) -> _CrcFunctions | None:
    """The functions of a library for a CRC; None where it is not installed, or is too old."""
    if name == "crc32":
        from isal import isal_zlib  # zlib's, at many times its speed

        return _CrcFunctions(isal_zlib.crc32, isal_zlib.crc32_combine)
    try:
        from awscrt import checksums

        return _CrcFunctions(getattr(checksums, name), getattr(checksums, f"combine_{name}"))
    except (ImportError, AttributeError):
        return None
