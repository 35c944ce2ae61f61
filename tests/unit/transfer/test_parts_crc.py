"""CRCs of parts make the CRC of the whole, and hashes of parts the hash that S3 keeps."""

from __future__ import annotations

import hashlib
import time
import zlib
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.limits import MAX_PARTS, MIB
from s3pp.transfer.parts.crc import combined, composite, full_object
from s3pp.transfer.parts.plan import spans
from s3pp.transfer.verify import digest

BODIES = st.binary(max_size=300)
SIZES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8}


def crc_of(name: str) -> Callable[[bytes], int]:
    if name == "crc32":
        return zlib.crc32
    checksums = pytest.importorskip("awscrt.checksums")
    found: Callable[[bytes], int] = getattr(checksums, name)
    return found


@pytest.mark.parametrize("name", SIZES)
@given(first=BODIES, second=BODIES)
def test_two_make_one(name: str, first: bytes, second: bytes) -> None:
    crc = crc_of(name)
    assert combined(name, crc(first), crc(second), len(second)) == crc(first + second)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("size", [1 << 16, MIB - 1, 5 * MIB + 7])
def test_two_make_one_however_long(name: str, size: int) -> None:
    crc, second = crc_of(name), bytes(range(256)) * (size // 256) + b"!" * (size % 256)
    assert combined(name, crc(b"first"), crc(second), size) == crc(b"first" + second)


@pytest.mark.parametrize("name", SIZES)
@given(body=BODIES, each=st.integers(1, 400))
def test_parts_make_the_whole(name: str, body: bytes, each: int) -> None:
    crc = crc_of(name)
    cut = [body[at : at + size] for _, at, size in map(tuple, spans(len(body), each))]
    expected = b64encode(crc(body).to_bytes(SIZES[name], "big")).decode()
    assert full_object(name, ((crc(part), len(part)) for part in cut)) == expected


@pytest.mark.parametrize("name", SIZES)
@given(a=BODIES, b=BODIES, c=BODIES)
def test_the_order_of_combining_does_not_matter(name: str, a: bytes, b: bytes, c: bytes) -> None:
    x, y, z = map(crc_of(name), (a, b, c))
    left = combined(name, combined(name, x, y, len(b)), z, len(c))
    right = combined(name, x, combined(name, y, z, len(c)), len(b) + len(c))
    assert left == right


@pytest.mark.parametrize("name", SIZES)
def test_it_agrees_with_another_implementation(name: str) -> None:
    """Sizes whose bytes nobody would make for a test: beyond what 32 bits count."""
    checksums = pytest.importorskip("awscrt.checksums")
    other = getattr(checksums, f"combine_{name}", None)
    if other is None:
        pytest.skip("this awscrt does not combine")
    for size in (1, 16 * MIB, 5 << 30, 50 * 10**12):
        assert combined(name, 0x12345678, 0x9ABCDEF0, size) == other(0x12345678, 0x9ABCDEF0, size)


@pytest.mark.parametrize("name", SIZES)
def test_as_many_parts_as_there_can_be_take_no_time_to_speak_of(name: str) -> None:
    parts = [(number * 0x9E3779B1 & 0xFFFFFFFF, 16 * MIB) for number in range(MAX_PARTS)]
    start = time.process_time()
    full_object(name, parts)
    assert time.process_time() - start < 2  # some 0.1 s


@pytest.mark.parametrize("name", ["sha256", "sha1", "crc32"])
@given(parts=st.lists(BODIES, min_size=1, max_size=5))
def test_a_composite_is_the_checksum_of_checksums(name: str, parts: list[bytes]) -> None:
    digests = [digest(name, [part]) for part in parts]
    value, _, count = composite(name, iter(digests)).partition("-")
    assert int(count) == len(parts)
    assert value == b64encode(digest(name, [b"".join(digests)])).decode()


def test_a_composite_as_documented() -> None:
    """S3 user guide, "Checking object integrity": the hash of the concatenated raw hashes."""
    raw = [hashlib.sha256(part).digest() for part in (b"one", b"two")]
    expected = b64encode(hashlib.sha256(b"".join(raw)).digest()).decode()
    assert composite("sha256", raw) == f"{expected}-2"
