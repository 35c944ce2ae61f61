"""Multipart uploads against real stores, looked at through boto3."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from s3pp.access import Keys
from s3pp.s3.client import Bucket
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import WireSettings
from s3pp.s3.multipart import PartTarget, Uploads, is_upload_missing
from s3pp.s3.recovery import Recovery
from s3pp.s3.retry import Backoff, StoreError
from s3pp.s3.sigv4 import Signer
from s3pp.s3.wire import Wire
from stores import store as stores

LEAST = 5 << 20  # bytes of a part that is not the last
KEYS = ("a b+c%2B/é 漢.bin", "//x/../y", "p&<'")


def connected(bucket: stores.Bucket) -> Uploads:
    store = bucket.store
    host = urlsplit(store.url).netloc
    endpoint = Endpoint("http", host, f"/{bucket.name}", store.region, bucket.name)
    wire = Wire(WireSettings(connections=16, connect_timeout=5, read_timeout=30))
    signer = Signer(Keys(store.access_key, store.secret_key), store.region)

    async def none() -> None:
        return None

    return Uploads(Bucket(endpoint, signer, wire, recovery=Recovery(Backoff(3), none)))


def run(bucket: stores.Bucket, act: Callable[[Uploads], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await act(connected(bucket))

    return asyncio.run(main())


async def send(uploads: Uploads, slot: PartTarget, body: bytes) -> str:
    payload_hash = hashlib.sha256(body).hexdigest()
    answer = await uploads.send(slot, body=body, headers=[], payload_hash=payload_hash)
    return answer.etag


@pytest.mark.parametrize("key", KEYS)
def test_from_the_first_part_to_the_object(bucket: stores.Bucket, key: str) -> None:
    pieces = [b"a" * LEAST, b"b" * 17]
    bucket.put("source", pieces[0] + b"more")

    async def act(uploads: Uploads) -> Any:
        upload = (await uploads.create(key, headers=[("x-amz-meta-colour", "blue")])).id
        assert [each[:2] async for each in uploads.list_uploads(key[:2])] == [(key, upload)]
        assert [each async for each in uploads.list_parts(key, upload)] == []
        last = await send(uploads, PartTarget(key, upload, 7), pieces[1])
        part = ("x-amz-copy-source-range", f"bytes=0-{LEAST - 1}")
        source = (bucket.name, "source")
        first = await uploads.copy(PartTarget(key, upload, 2), source, headers=[part], size=LEAST)
        told = [each async for each in uploads.list_parts(key, upload)]
        assert [(each.number, each.size, each.etag) for each in told] == [
            (2, LEAST, first.etag), (7, 17, last)
        ]  # fmt: skip
        return await uploads.complete(key, upload, [(7, last), (2, first.etag)])

    done = run(bucket, act)
    assert bucket.get(key) == b"".join(pieces)
    head = bucket.head(key)
    assert head["ETag"].strip('"') == done.etag
    assert done.etag.endswith("-2")
    assert head["Metadata"] == {"colour": "blue"}


def test_what_is_aborted_is_gone(bucket: stores.Bucket) -> None:
    async def act(uploads: Uploads) -> None:
        upload = (await uploads.create("a")).id
        await send(uploads, PartTarget("a", upload, 1), b"x")
        assert await uploads.abort("a", upload)
        assert not await uploads.abort("a", upload)
        assert [each async for each in uploads.list_uploads()] == []
        with pytest.raises(StoreError) as caught:
            _ = [each async for each in uploads.list_parts("a", upload)]
        assert is_upload_missing(caught.value)
        assert caught.value.status == 404

    run(bucket, act)


def test_what_is_completed_cannot_be_aborted(bucket: stores.Bucket) -> None:

    async def act(uploads: Uploads) -> None:
        upload = (await uploads.create("a")).id
        etag = await send(uploads, PartTarget("a", upload, 1), b"x")
        await uploads.complete("a", upload, [(1, etag)])
        assert [each async for each in uploads.list_uploads()] == []
        assert not await uploads.abort("a", upload)

    run(bucket, act)
    assert bucket.get("a") == b"x"


@pytest.mark.thorough
def test_more_than_a_thousand_uploads(swift_bucket: stores.Bucket) -> None:
    """Swift alone: moto knows no pages of them."""
    count = 1003

    async def act(uploads: Uploads) -> None:
        names = [f"p/{at // 2:04} +%é" for at in range(count)]
        slots = asyncio.Semaphore(16)

        async def begin(name: str) -> tuple[str, str]:
            async with slots:
                return name, (await uploads.create(name)).id

        begun = await asyncio.gather(*map(begin, names))
        found = [each[:2] async for each in uploads.list_uploads("p/")]
        assert sorted(found) == sorted(begun)
        assert len(found) == count

    run(swift_bucket, act)


def test_more_than_a_thousand_parts(moto_bucket: stores.Bucket) -> None:
    count = 1203

    async def act(uploads: Uploads) -> None:
        upload = (await uploads.create("a")).id
        slots = asyncio.Semaphore(16)

        async def part(number: int) -> tuple[int, str]:
            async with slots:
                return number, await send(uploads, PartTarget("a", upload, number), b"%d" % number)

        sent = await asyncio.gather(*map(part, range(1, count + 1)))
        found = [each async for each in uploads.list_parts("a", upload)]
        assert [(each.number, each.etag) for each in found] == sent

    run(moto_bucket, act)
