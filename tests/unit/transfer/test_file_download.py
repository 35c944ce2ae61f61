"""Bodies that came with one GET, held against the ETag of the parts that they were sent in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import md5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.integrity.etag import etag_of_md5s
from s3pp.integrity.verifiers import Corrupt, ReceivedBody
from s3pp.limits import SMALL
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response
from s3pp.s3.retry import StoreError
from s3pp.transfer.errors import ObjectReplaced
from s3pp.transfer.get.file_download import parts_fault
from s3pp.transfer.resources import Reader

from .buckets import endpoint, looked

BODY = bytes(range(100)) * 3
WHOLE = "x-amz-checksum-crc32: AAAAAA=="  # which another has held the body against
KMS = "x-amz-server-side-encryption: aws:kms"
MINIO = "Server: MinIO"


def made_of(parts: Iterable[bytes]) -> str:
    return etag_of_md5s(md5(part).digest() for part in parts)


def cut(body: bytes, sizes: Iterable[int]) -> list[bytes]:
    parts, at = [], 0
    for size in sizes:
        parts.append(body[at : at + size])
        at += size
    return parts


def even(body: bytes, each: int) -> list[int]:
    return [len(body[at : at + each]) for at in range(0, len(body), each)] or [0]


def changed(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@dataclass
class Store:
    """Tells of the parts of one object; ``parts``: their sizes, or what a HEAD of any raises."""

    etag: str
    parts: list[int] | StoreError
    endpoint: Endpoint = field(default_factory=lambda: endpoint("bucket"))
    asked: list[int] = field(default_factory=list)

    async def call(self, call: Call) -> Answer:
        number = int(call.query.removeprefix("partNumber="))
        self.asked.append(number)
        if isinstance(self.parts, StoreError):
            raise self.parts
        return looked(self.etag, self.parts[number - 1])


def verdict(
    store: Store, body: bytes, *lines: str, etag: str | None = None, makes: str = ""
) -> Corrupt | None:
    """What is said of ``body``, whose object has ``etag``, or what the store says of its parts."""
    named = f'ETag: "{store.etag if etag is None else etag}"'
    told = Response(200, b"".join([f"{line}\r\n".encode() for line in ("", named, *lines)]), b"")
    arrived = ReceivedBody(len(body), makes, lambda: (body[:7], body[7:]))
    reader = Reader(ThreadPoolExecutor(1))
    return asyncio.run(parts_fault(store, reader, "k", Answer(told, 1), arrived))  # type: ignore[arg-type]


BODIES = st.binary(min_size=1, max_size=120)
UNTOLD = [StoreError(status, "", "no such thing") for status in (400, 403, 405, 416, 501)]


@given(BODIES, st.integers(1, 130), st.data())
@settings(deadline=None)
def test_equal_parts_prove_the_body_or_that_it_is_wrong(
    body: bytes, each: int, data: st.DataObject
) -> None:
    sizes = even(body, each)
    store = Store(made_of(cut(body, sizes)), sizes)
    assert verdict(store, body) is None
    assert store.asked == ([1] if len(sizes) > 1 else [])
    wrong = verdict(store, changed(body, data.draw(st.integers(0, len(body) - 1))))
    assert wrong is not None
    assert wrong.kind is FailureKind.INTEGRITY
    assert store.etag in str(wrong)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.booleans())
@settings(deadline=None)
def test_of_other_parts_nothing_follows(sizes: list[int], right: bool) -> None:
    """Unless they happen to be equal; no body is ever called wrong for how it was sent."""
    body = bytes(range(sum(sizes)))
    store = Store(made_of(cut(body, sizes)), sizes)
    wrong = verdict(store, body if right else changed(body, 0))
    assert (wrong is not None) == (not right and sizes == even(body, sizes[0]))


@pytest.mark.parametrize("told", [*UNTOLD, [len(BODY)] * 3], ids=str)
def test_where_the_store_does_not_tell_nothing_follows(told: list[int] | StoreError) -> None:
    etag = made_of(cut(BODY, [120, 120, 60]))
    for body in (BODY, changed(BODY, 5)):
        store = Store(etag, told)
        assert verdict(store, body) is None
        assert store.asked == [1]


def test_nothing_is_asked_without_need() -> None:
    sizes = [200, 100]
    store = Store(made_of(cut(BODY, sizes)), sizes)
    other = changed(BODY, 5)
    assert verdict(store, other, makes=store.etag) is None  # it has been seen to be right
    assert verdict(store, other, WHOLE) is None  # so it has here
    assert verdict(store, other, KMS) is None  # the ETag is none of the bytes
    for etag in ("", "word", md5(BODY).hexdigest(), f"{'0' * 32}-0", f"{'0' * 32}-10001"):
        assert verdict(store, other, etag=etag) is None
    assert store.asked == []
    assert verdict(store, other, makes=md5(other).hexdigest()) is not None
    assert store.asked == [1, 1, 2]


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1], ids=str)
def test_of_one_part_all_is_known(size: int) -> None:
    body = bytes(size)
    store = Store(made_of([body]), UNTOLD[0])
    assert verdict(store, body) is None
    assert verdict(store, body + b"!") is not None
    assert verdict(store, body, etag=f"{'0' * 32}-1") is not None
    # It makes such ETags up, with --no-compat, of what was sent with one PUT.
    assert verdict(store, body, MINIO, etag=f"{'0' * 32}-1") is None
    assert store.asked == []


def test_of_several_parts_each_store_is_believed() -> None:
    store = Store(made_of(cut(BODY, [200, 100])), [200, 100])
    assert verdict(store, BODY, MINIO) is None
    assert verdict(store, changed(BODY, 5), MINIO) is not None


@pytest.mark.parametrize(
    "how", [StoreError(412, "HTTP412", ""), "another", StoreError(503, "HTTP503", "")], ids=str
)
def test_what_is_replaced_meanwhile_is_not_called_wrong(how: StoreError | str) -> None:
    etag = made_of(cut(BODY, [200, 100]))
    replaced = isinstance(how, str) or how.status == 412
    store = Store(f"{'0' * 32}-2", [200, 100]) if isinstance(how, str) else Store(etag, how)
    with pytest.raises(ObjectReplaced if replaced else StoreError) as raised:
        verdict(store, BODY, etag=etag)
    assert raised.value.kind is (FailureKind.CHANGED if replaced else FailureKind.STORE)
