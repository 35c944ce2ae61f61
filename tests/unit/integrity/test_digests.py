"""Checksums, held against the libraries that define them."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable

import pytest
from awscrt import checksums
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.integrity.digests import Digester
from s3pp.limits import CHECKSUMS
from s3pp.s3.sigv4 import UNSIGNED


def header(checksum: str, body: bytes) -> tuple[str, str]:
    """The checksum header S3 defines for ``body``."""
    ways: dict[str, Callable[[], bytes]] = {
        "md5": lambda: hashlib.md5(body).digest(),
        "sha256": lambda: hashlib.sha256(body).digest(),
        "crc32": lambda: zlib.crc32(body).to_bytes(4, "big"),
        "crc32c": lambda: checksums.crc32c(body).to_bytes(4, "big"),
        "crc64nvme": lambda: checksums.crc64nvme(body).to_bytes(8, "big"),
    }
    name = "content-md5" if checksum == "md5" else f"x-amz-checksum-{checksum}"
    return name, b64encode(ways[checksum]()).decode()


@given(
    st.sampled_from(CHECKSUMS),
    st.lists(st.binary(max_size=40), max_size=5),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None, max_examples=examples(200))
def test_digests_are_right_in_one_piece_and_in_many(
    checksum: str, pieces: list[bytes], md5: bool, signed: bool
) -> None:
    digester = Digester(checksum, md5=md5, signed=signed)
    body = b"".join(pieces)
    for found in (digester.of_body(body), digester.of(pieces)):
        assert found.header == header(checksum, body)
        wanted = hashlib.md5(body).hexdigest() if md5 or checksum == "md5" else ""
        assert found.md5 == wanted
        assert found.payload_hash == (hashlib.sha256(body).hexdigest() if signed else UNSIGNED)


# The catalogue of CRC algorithms gives the values of "123456789": CRC-32/ISO-HDLC, CRC-32/ISCSI,
# CRC-64/NVME.
@pytest.mark.parametrize(
    ("checksum", "value"),
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_check_values(checksum: str, value: str) -> None:
    digester = Digester(checksum, md5=False, signed=False)
    expected = b64encode(bytes.fromhex(value)).decode()
    assert digester.of_body(b"123456789").header[1] == expected


def test_a_digester_keeps_nothing_of_the_body_before() -> None:
    for checksum in CHECKSUMS:
        digester = Digester(checksum, md5=True, signed=True)
        first = digester.of([b"a", b"b"])
        digester.of([b"other"])
        digester.of_body(b"another")
        assert digester.of([b"ab"]) == first == digester.of_body(b"ab")
