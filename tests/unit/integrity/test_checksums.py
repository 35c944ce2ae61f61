"""Checksums: each algorithm, combined from parts, and the digests of bodies."""

from __future__ import annotations

import hashlib
import sys
import time
import zlib
from base64 import b64encode
from collections.abc import Callable
from types import ModuleType

import pytest
from awscrt import checksums as awscrt_checksums
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.integrity import checksums
from s3pp.integrity.checksums import ALGORITHMS, Digester, combine_crcs, composite_checksum, digest
from s3pp.limits import AUTO, CHECKSUMS, MAX_PARTS, MIB
from s3pp.s3.multipart import Spans
from s3pp.s3.sigv4 import UNSIGNED

BODIES = st.binary(max_size=300)
SIZES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8}
# Reflected: IEEE 802.3; RFC 3720, 12.1; and the NVM Command Set Specification, "64b CRC".
POLYNOMIALS = {"crc32": 0xEDB88320, "crc32c": 0x82F63B78, "crc64nvme": 0x9A6C9329AC4BC9B5}


def crc_of(name: str) -> Callable[[bytes], int]:
    if name == "crc32":
        return zlib.crc32
    found: Callable[[bytes], int] = getattr(pytest.importorskip("awscrt.checksums"), name)
    return found


def test_the_table_has_what_users_can_choose() -> None:
    """``limits`` lists it for the command line, which needs no library for that."""
    assert {*CHECKSUMS} - {AUTO} <= {*ALGORITHMS}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_table_is_right(name: str) -> None:
    pytest.importorskip("awscrt.checksums")
    algorithm = ALGORITHMS[name]
    assert algorithm.name == name
    assert algorithm.is_available
    assert len(digest(name, [b"some ", b"bytes"])) == algorithm.size
    assert algorithm.is_strong == (name not in ("crc32", "crc32c"))
    assert algorithm.is_crc == (name in SIZES)


def test_without_awscrt_two_cannot_be_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor with one that combines no CRCs: what is sent in parts needs both."""
    monkeypatch.setattr(checksums, "_crc", checksums._crc.__wrapped__)
    for missing in (None, ModuleType("awscrt")):
        for name in ("awscrt", "awscrt.checksums"):
            monkeypatch.setitem(sys.modules, name, missing)
        unavailable = {each.name for each in ALGORITHMS.values() if not each.is_available}
        assert unavailable == {"crc32c", "crc64nvme"}
        with pytest.raises(ValueError, match="awscrt"):
            digest("crc32c", [])


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("size", [1 << 16, MIB - 1, 5 * MIB + 7])
def test_two_make_one_however_long(name: str, size: int) -> None:
    second = bytes(range(256)) * (size // 256) + b"!" * (size % 256)
    parts = [(digest(name, [b"first"]), 5), (digest(name, [second]), size)]
    assert combine_crcs(name, parts) == checksums.checksum(name, [b"first", second])


@pytest.mark.parametrize("name", SIZES)
@given(body=BODIES, each=st.integers(1, 400))
def test_parts_make_the_whole(name: str, body: bytes, each: int) -> None:
    crc = crc_of(name)
    cut = [body[at : at + size] for _, at, size in map(tuple, Spans(len(body), each))]
    expected = b64encode(crc(body).to_bytes(SIZES[name], "big")).decode()
    assert combine_crcs(name, ((digest(name, [part]), len(part)) for part in cut)) == expected


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("size", [1, 16 * MIB, 5 << 30, 50 * 10**12])
def test_the_sizes_of_what_nobody_would_make_for_a_test(name: str, size: int) -> None:
    """Beyond what 32 bits count; held against multiplication by x to the power of 8 * size."""
    width, polynomial = SIZES[name] * 8, POLYNOMIALS[name]

    def times(a: int, b: int) -> int:
        product = 0
        for bit in range(width - 1, -1, -1):
            product ^= b if a >> bit & 1 else 0
            b = b >> 1 ^ (polynomial if b & 1 else 0)
        return product

    power, square = 1 << width - 1, 1 << width - 2
    for bit in range((8 * size).bit_length()):
        power = times(power, square) if 8 * size >> bit & 1 else power
        square = times(square, square)
    first, second = 0x12345678, 0x9ABCDEF0
    raw = [each.to_bytes(width // 8, "big") for each in (first, second)]
    expected = (times(first, power) ^ second).to_bytes(width // 8, "big")
    assert combine_crcs(name, zip(raw, (1, size), strict=True)) == b64encode(expected).decode()


@pytest.mark.parametrize("name", SIZES)
def test_as_many_parts_as_there_can_be_take_no_time_to_speak_of(name: str) -> None:
    size = SIZES[name]
    parts = [((n * 0x9E3779B1).to_bytes(8, "big")[-size:], 16 * MIB) for n in range(MAX_PARTS)]
    start = time.process_time()
    combine_crcs(name, parts)
    assert time.process_time() - start < 1  # some 5 ms


@pytest.mark.parametrize("name", ["sha256", "sha1", "crc32"])
@given(parts=st.lists(BODIES, min_size=1, max_size=5))
def test_a_composite_is_the_checksum_of_checksums(name: str, parts: list[bytes]) -> None:
    digests = [digest(name, [part]) for part in parts]
    value, _, count = composite_checksum(name, iter(digests)).partition("-")
    assert int(count) == len(parts)
    assert value == b64encode(digest(name, [b"".join(digests)])).decode()


def test_a_composite_as_documented() -> None:
    """S3 user guide, "Checking object integrity": the hash of the concatenated raw hashes."""
    raw = [hashlib.sha256(part).digest() for part in (b"one", b"two")]
    expected = b64encode(hashlib.sha256(b"".join(raw)).digest()).decode()
    assert composite_checksum("sha256", raw) == f"{expected}-2"


def header(checksum: str, body: bytes) -> tuple[str, str]:
    """The checksum header S3 defines for ``body``."""
    ways: dict[str, Callable[[], bytes]] = {
        "md5": lambda: hashlib.md5(body).digest(),
        "sha256": lambda: hashlib.sha256(body).digest(),
        "crc32": lambda: zlib.crc32(body).to_bytes(4, "big"),
        "crc32c": lambda: awscrt_checksums.crc32c(body).to_bytes(4, "big"),
        "crc64nvme": lambda: awscrt_checksums.crc64nvme(body).to_bytes(8, "big"),
    }
    name = "content-md5" if checksum == "md5" else f"x-amz-checksum-{checksum}"
    return name, b64encode(ways[checksum]()).decode()


@given(
    st.sampled_from(CHECKSUMS[1:]),
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
    for checksum in CHECKSUMS[1:]:
        digester = Digester(checksum, md5=True, signed=True)
        first = digester.of([b"a", b"b"])
        digester.of([b"other"])
        digester.of_body(b"another")
        assert digester.of([b"ab"]) == first == digester.of_body(b"ab")
