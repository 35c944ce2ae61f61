"""Checksums of a body: what the store verifies, what ``update`` compares, what is signed."""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Iterable
from typing import NamedTuple

from s3pp.integrity.checksums import ALGORITHMS, crc_update
from s3pp.s3.sigv4 import UNSIGNED


class Digests(NamedTuple):
    """All that is known of one body; ``md5`` is hex, empty where nobody asked for it."""

    md5: str
    header: tuple[str, str]  # the checksum header, lower-case name
    payload_hash: str  # for the signature


class Digester:
    """Computes just the digests one run needs, over a body in one piece or in many.

    ``checksum`` is the one sent; ``md5`` asks for the MD5 beside it; ``signed`` asks for the
    SHA-256 that a signature over plain http holds.
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
