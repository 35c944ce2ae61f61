"""What the store is asked where an ETag told nothing, and what its answers prove."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import md5, sha256
from typing import Any

import pytest
from transfer.buckets import DENIED, endpoint, looked, next_of

from s3pp.integrity.compare import Body, compare
from s3pp.integrity.etag import etag_of_md5s, likely_sizes
from s3pp.integrity.stored_object import StoredObject
from s3pp.limits import MIB
from s3pp.records import Dest, SendReason, SkipReason
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.exchange import Fault, WireError
from s3pp.s3.multipart import Spans
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.transfer.resources import Reader

UNKNOWN, DIFFERS = SendReason.UNKNOWN, SendReason.CHECKSUM
BODY = b"0123456789abcdef" * (MIB // 2)  # 8 MiB
ODD = 5 * MIB + 4321  # a part size that nobody would guess

FULL = "x-amz-checksum-type: FULL_OBJECT"


def in_parts(body: bytes, each: int) -> Dest:
    cut = [body[span.offset : span.offset + span.size] for span in Spans(len(body), each)]
    return Dest(len(body), etag_of_md5s(md5(part).digest() for part in cut))


@dataclass
class Bucket:
    """What it answers to a HEAD, and to one of the first part."""

    looks: list[Any]
    parts: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    endpoint: Any = field(default_factory=lambda: endpoint("bkt"))

    async def look(self, key: str, *, headers: Any) -> Answer | None:
        assert (key, tuple(headers)) == ("key", (("x-amz-checksum-mode", "ENABLED"),))
        self.asked.append("look")
        return next_of(self.looks)  # type: ignore[no-any-return]

    async def call(self, call: Call) -> Answer:
        assert (call.method, call.path) == ("HEAD", "/key")
        self.asked.append(call.query.replace("partNumber=1", "part"))
        return next_of(self.parts)  # type: ignore[no-any-return]


def verdict(bucket: Bucket, there: Dest, body: bytes = BODY, *, conclusive: bool = False) -> Any:
    stored = StoredObject(bucket, "key", there)  # type: ignore[arg-type]
    here = Body(lambda: (body[:7], body[7:]), Reader(ThreadPoolExecutor(1)), likely_sizes(there))
    return asyncio.run(compare(stored, here, conclusive=conclusive))


def checksum_line(body: bytes) -> str:
    return f"x-amz-checksum-sha256: {b64encode(sha256(body).digest()).decode()}"


OPAQUE = Dest(len(BODY), "not an md5")
PARTED = in_parts(BODY, ODD)
OTHER = b"!" + BODY[1:]


@pytest.mark.parametrize("there", [OPAQUE, PARTED], ids=["opaque", "parts"])
@pytest.mark.parametrize(
    ("stored", "expected"), [(BODY, SkipReason.SAME_CHECKSUM), (OTHER, DIFFERS)]
)
def test_a_strong_checksum_of_the_whole_decides(there: Dest, stored: bytes, expected: Any) -> None:
    bucket = Bucket([looked(there.etag, there.size, checksum_line(stored), FULL)])
    assert verdict(bucket, there) is expected
    assert bucket.asked == ["look"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["x-amz-checksum-crc32: AAAAAA=="],  # too weak to mean equal
        [checksum_line(BODY) + "-2", "x-amz-checksum-type: COMPOSITE"],
        [checksum_line(BODY), "x-amz-checksum-type: COMPOSITE"],
    ],
    ids=["none", "weak", "of parts", "said to be of parts"],
)
def test_any_other_checksum_tells_nothing(lines: list[str]) -> None:
    assert verdict(Bucket([looked(OPAQUE.etag, OPAQUE.size, *lines)]), OPAQUE) is UNKNOWN


@pytest.mark.parametrize(
    "found", [None, looked("other", len(BODY), checksum_line(BODY)), looked(OPAQUE.etag, 3)]
)
def test_what_is_no_longer_the_listed_object_is_not_known(found: Any) -> None:
    assert verdict(Bucket([found]), OPAQUE) is UNKNOWN


def test_the_first_part_tells_the_size_of_all() -> None:
    bucket = Bucket([looked(PARTED.etag, PARTED.size)], [looked("x", ODD)])
    assert verdict(bucket, PARTED) is SkipReason.SAME_ETAG
    assert verdict(bucket, PARTED, OTHER) is UNKNOWN
    assert bucket.asked == ["look", "part"] * 2


def test_whoever_has_to_know_asks_for_each_part() -> None:
    last = len(BODY) - ODD
    for told, expected in ((last, SendReason.ETAG), (last - 1, UNKNOWN)):
        sizes = (ODD, ODD, told)  # the first is asked for twice
        bucket = Bucket([looked(PARTED.etag, PARTED.size)], [looked("x", size) for size in sizes])
        assert verdict(bucket, PARTED, OTHER, conclusive=True) is expected
        assert bucket.asked == ["look", "part", "part", "partNumber=2"]


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        len(BODY),  # the store does not know the question
        4 * MIB - 1,  # would be three parts
        5 * MIB,  # a size that was tried before
    ],
)
def test_a_first_part_that_cannot_be_helps_nothing(size: int) -> None:
    there = in_parts(BODY, 5 * MIB)
    bucket = Bucket([looked(there.etag, there.size)], [looked("x", size)])
    assert verdict(bucket, there) is UNKNOWN


def test_of_one_part_the_size_is_not_asked_for() -> None:
    there = in_parts(BODY, len(BODY))
    bucket = Bucket([looked(there.etag, there.size)])
    assert verdict(bucket, there, OTHER) is UNKNOWN
    assert bucket.asked == ["look"]


@pytest.mark.parametrize("where", ["look", "part"])
def test_what_the_store_refuses_to_tell_is_not_known(where: str) -> None:
    found = DENIED if where == "look" else looked(PARTED.etag, PARTED.size)
    bucket = Bucket([found], [StoreError(501, "NotImplemented", "")])
    assert verdict(bucket, PARTED) is UNKNOWN


def test_a_store_that_does_not_answer_fails_the_object() -> None:
    with pytest.raises(NetworkError):
        verdict(Bucket([NetworkError(WireError(Fault.CONNECTION, "refused"))]), PARTED)
