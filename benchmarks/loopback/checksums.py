"""The checksum that S3 keeps of every object, whoever put it."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable
from typing import Any


def crc64nvme(blocks: Iterable[memoryview]) -> bytes:
    """The CRC64NVME of a body, in base64. Raises ``SystemExit`` without awscrt."""
    try:
        from awscrt import checksums
    except ImportError:
        raise SystemExit("a CRC64NVME needs awscrt: pip install awscrt") from None
    function: Any = checksums.crc64nvme
    crc = 0
    for block in blocks:
        crc = function(block, crc)
    return b2a_base64(crc.to_bytes(8, "big"), newline=False)
