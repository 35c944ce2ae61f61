"""Two objects whose ETags tell nothing: only an equal strong checksum of both makes them alike."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from transfer.buckets import DENIED, Pairs, Scripted, looked

from s3pp.integrity.compare import same_checksum
from s3pp.integrity.stored_object import StoredObject
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM

HERE, THERE = Dest(9, "etag-2"), Dest(9, "other")
SHA, OTHER = "x-amz-checksum-sha256: AAAA", "x-amz-checksum-sha256: BBBB"
COMPOSITE = "x-amz-checksum-type: COMPOSITE"


class Bucket(Scripted):
    """Keeps how it is looked at."""

    async def look(self, key: str, *, headers: Pairs = (), asked: bool = False) -> Answer | None:
        assert list(headers) == [ASK_CHECKSUM]
        return await super().look(key, headers=headers, asked=asked)


def compared(one: Any, other: Any, source: Dest = HERE, dest: Dest = THERE) -> bool:
    here, there = Bucket(looks=[one]), Bucket(looks=[other])
    objects = StoredObject(here, "a", source), StoredObject(there, "b", dest)  # type: ignore[arg-type]
    found = asyncio.run(same_checksum(*objects))
    assert (here.asked, there.asked) == (["a"], ["b"])
    return found


def held(*lines: str, dest: Dest = HERE) -> Answer:
    return looked(dest.etag, dest.size, *lines)


def there(*lines: str) -> Answer:
    return held(*lines, dest=THERE)


@pytest.mark.parametrize("name", ["crc64nvme", "md5", "sha1", "sha256", "sha512"])
def test_an_equal_strong_checksum_is_proof(name: str) -> None:
    line = f"x-amz-checksum-{name}: AAAA"
    assert compared(held(line), there(line))


@pytest.mark.parametrize("name", ["crc32", "crc32c"])
def test_a_weak_one_is_none(name: str) -> None:
    line = f"x-amz-checksum-{name}: AAAA"
    assert not compared(held(line), there(line))


def test_one_in_common_is_enough() -> None:
    more = "x-amz-checksum-crc32: AAAA"
    assert compared(held(SHA, more), there(SHA, "x-amz-checksum-crc32: BBBB"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (held(SHA), there(OTHER)),
        (held(SHA), there()),
        (held(), there()),
        (held(SHA), there("x-amz-checksum-sha1: AAAA")),
        (held(SHA, COMPOSITE), there(SHA, COMPOSITE)),
        (held("x-amz-checksum-sha256: AAAA-2"), there("x-amz-checksum-sha256: AAAA-2")),
    ],
    ids=["other", "none there", "none", "of other kinds", "composite", "of parts"],
)
def test_what_proves_nothing(one: Answer, other: Answer) -> None:
    assert not compared(one, other)


@pytest.mark.parametrize(
    "other",
    [None, DENIED, looked("newer", 9, SHA), looked("other", 8, SHA)],
    ids=["gone", "denied", "another etag", "another size"],
)
def test_an_object_that_is_not_the_listed_one_is_not_alike(other: Any) -> None:
    assert compared(held(SHA), there(SHA))
    assert not compared(held(SHA), other)
    assert not compared(other, there(SHA), source=THERE)
