"""Large copies go in parts, lie as their sources do, and are known again."""

from __future__ import annotations

from typing import Any

import pytest

from commands import Run
from conftest import MakeRecorder, MakeRelay
from outcomes import failures, reasons
from stores.store import Bucket, Store
from trees import content

MIB = 1 << 20
SIZE = 12 * MIB + 5
PARTS = ["--part-size", "5M", "--multipart-threshold", "5M"]
WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["by the store", "streamed"])
LABELS: dict[str, Any] = {
    "ContentType": "application/x-special; charset=utf-8",
    "CacheControl": "max-age=60, public",
    "ContentEncoding": "gzip",
    "ContentLanguage": "de-CH",
    "Metadata": {"one": "1", "two-words": "with spaces, and more"},
}


def in_parts(bucket: Bucket, key: str, body: bytes, each: int = 5 * MIB, **settings: Any) -> str:
    """Send an object in parts of ``each`` bytes; return its ETag."""
    client, at = bucket.client, {"Bucket": bucket.name, "Key": key}
    upload = {"UploadId": client.create_multipart_upload(**at, **settings)["UploadId"]}
    parts = []
    for number, start in enumerate(range(0, len(body), each), 1):
        one = {"PartNumber": number, "Body": body[start : start + each]}
        parts.append(
            {"PartNumber": number, "ETag": client.upload_part(**at, **upload, **one)["ETag"]}
        )
    client.complete_multipart_upload(**at, **upload, MultipartUpload={"Parts": parts})
    return etag(bucket, key)  # not every store answers it above


def unfinished(bucket: Bucket) -> list[dict[str, Any]]:
    found = bucket.client.list_multipart_uploads(Bucket=bucket.name)
    uploads: list[dict[str, Any]] = found.get("Uploads", [])
    return uploads


def options(streamed: bool, relay: MakeRelay, bucket: Bucket) -> list[str]:
    """Those that make the store's own copy impossible: the source is another endpoint."""
    return ["--source-endpoint-url", relay(bucket.store).url] if streamed else []


def etag(bucket: Bucket, key: str) -> str:
    return str(bucket.head(key)["ETag"]).strip('"')


@WAYS
def test_the_copy_lies_as_its_source_does(
    s3pp: Run,
    store: Store,
    bucket: Bucket,
    relay: MakeRelay,
    recorder: MakeRecorder,
    streamed: bool,
) -> None:
    body = content(SIZE)
    there = {"five": in_parts(bucket, "five", body), "six": in_parts(bucket, "six", body, 6 * MIB)}
    there["one"] = in_parts(bucket, "one", b"small")
    other, words = store.bucket(), options(streamed, relay, bucket)
    result = s3pp("copy", "--json", *PARTS, *words, bucket.url, other.url)
    assert (result.code, failures(result)) == (0, {}), result.err
    assert other.tree() == bucket.tree()
    assert {key: etag(other, key) for key in there} == there
    assert unfinished(other) == []
    record = recorder(store)
    again = s3pp("copy", "--json", *PARTS, *words, bucket.url, other.url, store=record.store)
    assert reasons(again) == dict.fromkeys(there, "same etag")
    assert (record.puts, record.heads) == (0, 0)


@WAYS
def test_what_was_sent_whole_stays_whole(
    s3pp: Run, store: Store, bucket: Bucket, relay: MakeRelay, streamed: bool
) -> None:
    body = content(SIZE)
    bucket.put("whole", body)
    other = store.bucket()
    words = [*PARTS, *options(streamed, relay, bucket), bucket.url, other.url]
    assert s3pp("copy", *words).code == 0
    assert (other.get("whole"), etag(other, "whole")) == (body, etag(bucket, "whole"))
    assert reasons(s3pp("copy", "--json", *words)) == {"whole": "same etag"}


@WAYS
def test_everything_is_carried(
    s3pp: Run, store: Store, bucket: Bucket, relay: MakeRelay, streamed: bool
) -> None:
    more: dict[str, Any] = {"Tagging": "a=1&b%20c=%2F", "StorageClass": "STANDARD_IA"}
    in_parts(
        bucket, "large", content(SIZE), **LABELS, **(more if "tagging" in store.features else {})
    )
    other = store.bucket()
    words = [*PARTS, *options(streamed, relay, bucket), bucket.url, other.url]
    result = s3pp("copy", *words)
    assert result.code == 0, result.err
    head = other.head("large")
    assert {name: head.get(name) for name in LABELS} == LABELS
    if "tagging" in store.features:
        assert other.tags("large") == {"a": "1", "b c": "/"}
        assert head["StorageClass"] == "STANDARD_IA"
    assert len([line for line in result.err.splitlines() if "--acl" in line]) == 1


@WAYS
def test_everything_can_be_replaced(
    s3pp: Run, moto: Store, moto_bucket: Bucket, relay: MakeRelay, streamed: bool
) -> None:
    in_parts(moto_bucket, "page.html", content(SIZE), **LABELS, Tagging="a=1")
    other = moto.bucket()
    given = ["--metadata-directive", "replace", "--metadata", "new=2", "--tag", "b=2"]
    words = [*PARTS, *given, *options(streamed, relay, moto_bucket), moto_bucket.url, other.url]
    assert s3pp("copy", *words).code == 0
    head = other.head("page.html")
    assert (head["ContentType"], head["Metadata"]) == ("text/html", {"new": "2"})
    assert "CacheControl" not in head
    assert other.tags("page.html") == {"b": "2"}


@WAYS
@pytest.mark.parametrize("checksum", ["crc32", "sha256"])
def test_checksums_go_along(
    s3pp: Run, store: Store, bucket: Bucket, relay: MakeRelay, streamed: bool, checksum: str
) -> None:
    there = in_parts(bucket, "large", content(SIZE))
    other = store.bucket()
    words = [*PARTS, "--checksum", checksum, *options(streamed, relay, bucket)]
    result = s3pp("copy", *words, bucket.url, other.url)
    assert result.code == 0, result.err
    assert etag(other, "large") == there


@WAYS
def test_mode_add_overwrites_nothing(
    s3pp: Run, store: Store, bucket: Bucket, relay: MakeRelay, streamed: bool
) -> None:
    body = content(SIZE)
    for key in ("new", "taken"):
        in_parts(bucket, key, body)
    other = store.bucket()
    other.put("taken", b"before")
    words = ["--mode", "add", *PARTS, *options(streamed, relay, bucket), bucket.url, other.url]
    result = s3pp("copy", "--json", *words)
    assert (result.code, reasons(result)) == (
        0,
        {"new": "new", "taken": "exists with another size"},
    )
    assert (other.get("new"), other.get("taken")) == (body, b"before")


@WAYS
def test_a_dry_run_counts_the_requests(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, streamed: bool
) -> None:
    in_parts(moto_bucket, "large", content(SIZE))
    other, into, source = moto.bucket(), recorder(moto), recorder(moto)
    words = ["--source-endpoint-url", source.url] if streamed else []
    words = [*PARTS, *words, moto_bucket.url, other.url]
    dry = s3pp("copy", "--dry-run", *words, store=into.store)
    asked = into.requests + source.requests
    assert {request.method for request in asked} == {"GET", "HEAD"}
    into.clear()
    source.clear()
    assert s3pp("copy", *words, store=into.store).code == 0
    assert dry.counts.requests == len(into.requests + source.requests)
    assert (dry.counts.done, etag(other, "large")) == (1, etag(moto_bucket, "large"))


@WAYS
def test_parts_of_different_sizes_are_kept(
    s3pp: Run,
    moto: Store,
    moto_bucket: Bucket,
    recorder: MakeRecorder,
    relay: MakeRelay,
    streamed: bool,
) -> None:
    """Of 13 MiB: two of 6 and 7 MiB, where the first does not tell; three of 6, 5 and 2, where it
    seems to.
    """
    body, other, source = content(13 * MIB), moto.bucket(), recorder(moto)
    moto_bucket.put_multipart("two", body[: 6 * MIB], body[6 * MIB :])
    moto_bucket.put_multipart("three", body[: 6 * MIB], body[6 * MIB : 11 * MIB], body[11 * MIB :])
    words = ["--source-endpoint-url", source.url] if streamed else []
    words = ["copy", "--json", *PARTS, *words, moto_bucket.url, other.url]
    into = source if not streamed else recorder(moto)
    result = s3pp(*words, store=into.store)
    assert (result.code, other.tree()) == (0, dict.fromkeys(("two", "three"), body)), result.err
    assert {key: etag(other, key) for key in ("two", "three")} == {
        key: etag(moto_bucket, key) for key in ("two", "three")
    }
    assert unfinished(other) == []
    asked = [r.target for r in source.requests if r.method == "HEAD" and "partNumber=" in r.target]
    assert len(asked) == 2 + 3
    into.clear()
    again = s3pp(*words, store=into.store)
    assert reasons(again) == dict.fromkeys(("two", "three"), "same etag")
    assert into.puts == 0
