"""What goes along with a copy, what is given instead, and what is said to stay behind."""

from __future__ import annotations

from typing import Any

import pytest

from commands import Run
from conftest import MakeRelay
from outcomes import reasons
from stores.store import Bucket, Store
from trees import content

HEADERS = {
    "ContentType": "application/x-special; charset=utf-8",
    "CacheControl": "max-age=60, public",
    "ContentDisposition": 'attachment; filename="a b.txt"',
    "ContentEncoding": "gzip",
    "ContentLanguage": "de-CH",
    "Metadata": {"one": "1", "two-words": "with spaces, and more", "empty": ""},
}
LABELS = [*HEADERS, "ETag", "ContentLength"]


def described(bucket: Bucket, key: str) -> dict[str, Any]:
    """What a HEAD tells of an object, of the fields that a copy ought to carry."""
    head = bucket.head(key)
    return {name: head.get(name) for name in (*LABELS, "StorageClass", "Expires")}


def detour(relay: MakeRelay, bucket: Bucket) -> list[str]:
    """Options that make the store's own copy impossible: the source is another endpoint."""
    return ["--source-endpoint-url", relay(bucket.store).url]


@pytest.mark.parametrize("streamed", [False, True], ids=["by the store", "streamed"])
def test_everything_is_carried(
    s3pp: Run, store: Store, bucket: Bucket, relay: MakeRelay, streamed: bool
) -> None:
    bucket.put("full", b"1", Expires="Thu, 01 Dec 2033 16:00:00 GMT", **HEADERS)
    bucket.put("large", content(2 << 20), **HEADERS)
    bucket.put("plain", b"")
    if "tagging" in store.features:
        bucket.put("tagged", b"2", Tagging="a=1&b%20c=%2F%2B%3D")
        bucket.put("colder", b"3", StorageClass="STANDARD_IA")
    other = store.bucket()
    words = detour(relay, bucket) if streamed else []
    result = s3pp("copy", *words, bucket.url, other.url)
    keys = bucket.keys()
    assert (result.code, result.counts.done) == (0, len(keys))
    for key in keys:
        assert described(other, key) == described(bucket, key), key
    if "tagging" in store.features:
        assert other.tags("tagged") == {"a": "1", "b c": "/+="}
        assert other.head("colder")["StorageClass"] == "STANDARD_IA"
    said = [line for line in result.err.splitlines() if "--acl" in line]
    assert len(said) == 1  # once per run, and not once per object


@pytest.mark.parametrize("streamed", [False, True], ids=["by the store", "streamed"])
def test_everything_can_be_replaced(
    s3pp: Run, moto: Store, moto_bucket: Bucket, relay: MakeRelay, streamed: bool
) -> None:
    full = {"StorageClass": "STANDARD_IA", "Tagging": "a=1"} | HEADERS
    moto_bucket.put("page.html", b"1", **full)
    moto_bucket.put("other", b"2", **full)
    other = moto.bucket()
    result = s3pp(
        "copy", *(detour(relay, moto_bucket) if streamed else []),
        "--metadata-directive", "replace", "--header", "Cache-Control:no-store",
        "--metadata", "three=3", "--tag", "b=2", "--storage-class", "ONEZONE_IA",
        "--acl", "public-read", "--sse", "AES256",
        moto_bucket.url, other.url,
    )  # fmt: skip
    assert (result.code, result.counts.done) == (0, 2)
    for key, kind in (("page.html", "text/html"), ("other", "binary/octet-stream")):
        head = other.head(key)
        assert (head["ContentType"], head["CacheControl"]) == (kind, "no-store")
        assert (head["Metadata"], head["StorageClass"]) == ({"three": "3"}, "ONEZONE_IA")
        assert not {"ContentDisposition", "ContentEncoding", "ContentLanguage"} & set(head)
        assert head["ServerSideEncryption"] == "AES256"
        assert other.tags(key) == {"b": "2"}
        assert ("AllUsers", "READ") in other.acl(key)
    assert "--acl" not in result.err
    fixed = ["--metadata-directive=replace", "--content-type", "text/x-mine", "--mode", "stupid"]
    assert s3pp("copy", *fixed, moto_bucket.url, other.url).code == 0
    assert other.head("page.html")["ContentType"] == "text/x-mine"
    assert other.head("other")["Metadata"] == {}


def test_what_can_be_given_while_the_rest_is_kept(
    s3pp: Run, moto: Store, moto_bucket: Bucket
) -> None:
    moto_bucket.put("f", b"1", Tagging="a=1", StorageClass="STANDARD_IA", **HEADERS)
    other = moto.bucket()
    words = ["--acl", "public-read", "--storage-class", "GLACIER_IR", "--tag", "b=2"]
    assert s3pp("copy", *words, moto_bucket.url, other.url).code == 0
    found = described(other, "f")
    assert found == described(moto_bucket, "f") | {"StorageClass": "GLACIER_IR"}
    assert other.tags("f") == {"b": "2"}
    assert ("AllUsers", "READ") in other.acl("f")
    plain = s3pp("copy", "--json", moto_bucket.url, f"{other.url}/p")
    assert reasons(plain) == {"p/f": "new"}
    assert ("AllUsers", "READ") not in other.acl("p/f")
