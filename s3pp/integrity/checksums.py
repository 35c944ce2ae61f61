"""The checksums that S3 keeps of objects: one table, and how each is computed and combined.

::

    name                    library   of an object that was uploaded in parts S3 keeps
    crc32                   isal      FULL_OBJECT: of all bytes, combined from those of the parts
    crc32c, crc64nvme       awscrt    the same
    md5, sha1, sha256, …    hashlib   COMPOSITE: a hash of the parts' hashes, and their number

(S3 user guide, "Checking object integrity".)
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, Protocol

from s3pp.s3.sigv4 import UNSIGNED


class Algorithm(NamedTuple):
    """A checksum algorithm, by its name in S3, in lower case."""

    name: str
    size: int  # bytes of a digest
    is_crc: bool  # checksums of parts combine to the one of the whole
    needs_awscrt: bool = False  # which has no wheels for some machines

    @property
    def header(self) -> str:
        """The header of an answer that contains it, in base64."""
        return f"x-amz-checksum-{self.name}"

    @property
    def request_header(self) -> str:
        """The header of a request that contains it for the body."""
        return "content-md5" if self.name == "md5" else self.header

    @property
    def is_strong(self) -> bool:
        """Whether equality means equal bytes: 32 bits miss one change in four billion."""
        return self.size > 4

    @property
    def is_installed(self) -> bool:
        """Whether what computes it is installed; imports nothing."""
        return not self.needs_awscrt or _has_awscrt()

    @property
    def is_available(self) -> bool:
        """Whether this machine can compute it; imports what does."""
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
CHEAPEST = "crc32"  # for bytes that only have to be recognized

# Its arguments are bytes, and the CRC of all bytes before them.
Update = Callable[[bytes | memoryview, int], int]


class RunningChecksum(Protocol):
    """A checksum of bytes that arrive piece by piece."""

    def update(self, piece: bytes | memoryview, /) -> None:
        """Add the next piece."""

    def digest(self) -> bytes:
        """The checksum of all pieces so far; a CRC has its highest byte first."""


def begin_checksum(name: str) -> RunningChecksum:
    """Start a checksum. Raises ``ValueError`` for one that this machine cannot compute."""
    algorithm = ALGORITHMS[name]
    if not algorithm.is_crc:
        return hashlib.new(name, usedforsecurity=False)
    return _RunningCrc(crc_update(name), algorithm.size)


def digest(name: str, pieces: Iterable[bytes]) -> bytes:
    """The checksum of all ``pieces``. Raises as ``begin_checksum`` does."""
    state = begin_checksum(name)
    for piece in pieces:
        state.update(piece)
    return state.digest()


def checksum(name: str, pieces: Iterable[bytes]) -> str:
    """The checksum of all ``pieces`` in base64, as S3 has it. Raises like ``begin_checksum``."""
    return checksum_text(digest(name, pieces))


def checksum_text(raw: bytes) -> str:
    """A digest as S3 writes checksums."""
    return b2a_base64(raw, newline=False).decode()


def combine_crcs(name: str, parts: Iterable[tuple[bytes, int]]) -> str:
    """The CRC of an object, in base64, from the digests of its parts and their sizes in bytes.

    Reads none of its bytes: some 0.5 µs a part.
    """
    combine, crc = _crc_functions(name).combine, 0
    for part, size in parts:
        crc = combine(crc, int.from_bytes(part, "big"), size)
    return checksum_text(crc.to_bytes(ALGORITHMS[name].size, "big"))


def composite_checksum(name: str, digests: Iterable[bytes]) -> str:
    """The checksum of the parts' checksums: base64, and the number of parts."""
    parts = list(digests)
    return f"{checksum(name, parts)}-{len(parts)}"


class _CrcFunctions(NamedTuple):
    update: Update
    combine: Callable[[int, int, int], int]  # two CRCs, and the length of the second in bytes


class _RunningCrc:
    def __init__(self, update: Update, size: int) -> None:
        self._update = update
        self._size = size
        self._crc = 0

    def update(self, piece: bytes | memoryview, /) -> None:
        self._crc = self._update(piece, self._crc)

    def digest(self) -> bytes:
        return self._crc.to_bytes(self._size, "big")


def crc_update(name: str) -> Update:
    """The function that continues a CRC. Raises ``ValueError`` where awscrt is missing."""
    return _crc_functions(name).update


def _crc_functions(name: str) -> _CrcFunctions:
    found = _crc(name)
    if found is None:
        raise ValueError(f"{name} needs awscrt")
    return found


@lru_cache
def _crc(name: str) -> _CrcFunctions | None:
    """The functions of a library for a CRC; None if it is not installed, or too old."""
    if name == "crc32":
        from isal import isal_zlib  # zlib's, at many times its speed

        return _CrcFunctions(isal_zlib.crc32, isal_zlib.crc32_combine)
    try:
        from awscrt import checksums

        return _CrcFunctions(getattr(checksums, name), getattr(checksums, f"combine_{name}"))
    except (ImportError, AttributeError):
        return None


@lru_cache
def _has_awscrt() -> bool:
    from importlib.util import find_spec  # most runs do not need it

    return find_spec("awscrt") is not None


class Digests(NamedTuple):
    """The digests of one body; ``md5`` is in hex, and empty unless requested."""

    md5: str
    header: tuple[str, str]  # the checksum header, lower-case name
    payload_hash: str  # for the signature

    @property
    def named(self) -> str:
        """The checksum that is sent, with its algorithm; an MD5 in hex, any other in base64."""
        name, value = self.header
        if name == "content-md5":
            return f"md5:{self.md5}"
        return f"{name.removeprefix('x-amz-checksum-')}:{value}"


class Digester:
    """Computes the digests that a run needs, of bodies in one piece or in many.

    ``checksum`` names the one to send; ``md5``: also compute the MD5; ``signed``: also compute the
    SHA-256, which signatures over plain http contain.
    """

    def __init__(self, checksum: str, *, md5: bool, signed: bool) -> None:
        algorithm = ALGORITHMS[checksum]
        self._checksum = checksum
        self._md5 = md5 or checksum == "md5"
        self._sha256 = signed or checksum == "sha256"
        self._signed = signed
        self._header, self._size = algorithm.request_header, algorithm.size
        self._crc = crc_update(checksum) if algorithm.is_crc else None

    def of_body(self, body: bytes) -> Digests:
        """Digest a body held in memory."""
        md5 = hashlib.md5(body, usedforsecurity=False).digest() if self._md5 else b""
        sha256 = hashlib.sha256(body).digest() if self._sha256 else b""
        if self._checksum != "md5":
            return self._digests(md5, sha256, self._crc(body, 0) if self._crc else 0)
        header = ("content-md5", b2a_base64(md5, newline=False).decode())
        return Digests(md5.hex(), header, sha256.hex() if self._signed else UNSIGNED)

    def of(self, pieces: Iterable[bytes]) -> Digests:
        """Digest a body given in pieces."""
        md5 = hashlib.md5(usedforsecurity=False) if self._md5 else None
        sha256 = hashlib.sha256() if self._sha256 else None
        crc = 0
        for piece in pieces:
            if md5:
                md5.update(piece)
            if sha256:
                sha256.update(piece)
            if self._crc:
                crc = self._crc(piece, crc)
        return self._digests(md5.digest() if md5 else b"", sha256.digest() if sha256 else b"", crc)

    def _digests(self, md5: bytes, sha256: bytes, crc: int) -> Digests:
        if self._crc:
            raw = crc.to_bytes(self._size, "big")
        else:
            raw = md5 if self._checksum == "md5" else sha256
        header = (self._header, b2a_base64(raw, newline=False).decode())
        return Digests(md5.hex(), header, sha256.hex() if self._signed else UNSIGNED)
