"""Large objects go in parts: what arrives, under which ETag, with what, and by which requests."""

from __future__ import annotations

import gzip
import tarfile
from hashlib import md5
from pathlib import Path
from typing import Literal

import pytest

from commands import Result, Run
from conftest import MakeRecorder, Tree
from outcomes import failures, reasons
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store
from trees import content

MIB = 1 << 20
SMALL_PARTS = ["--part-size=5M", "--multipart-threshold=5M", "--processes=2"]
FILES = {"whole": 5 * MIB, "just over": 5 * MIB + 1, "two": 10 * MIB, "four": 16 * MIB}
LARGE = 11 * MIB + 3
UNTOLD = (
    "s3pp: the store returns no checksums, and may not verify them: "
    "the MD5 of each part is compared as well\n"
)


def compound(body: bytes, each: int = 5 * MIB) -> str:
    """The ETag of ``body`` sent in parts of ``each`` bytes."""
    digests = [md5(body[at : at + each]).digest() for at in range(0, len(body), each)]
    return f"{md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def unfinished(bucket: Bucket) -> list[str]:
    """The keys of uploads that were begun and not completed."""
    found = bucket.client.list_multipart_uploads(Bucket=bucket.name)
    return [upload["Key"] for upload in found.get("Uploads", [])]


def etags(result: Result) -> dict[str, str]:
    return {e["key"]: e["etag"] for e in result.events if e["event"] == "done"}


def test_parts_at_the_edges(
    s3pp: Run, bucket: Bucket, tree: Tree, store: Store, recorder: MakeRecorder
) -> None:
    """An object above the threshold has the ETag of its parts; a second run sends nothing."""
    src = tree(FILES)
    contents = tree.read(src)
    expected = {name: compound(body) for name, body in contents.items()}
    expected["whole"] = md5(contents["whole"]).hexdigest()
    record = recorder(store)
    result = s3pp("put", "--json", *SMALL_PARTS, src, bucket.url, store=record.store)
    assert (result.err, result.code) == ("", 0)
    assert bucket.tree() == contents
    assert etags(result) == expected
    assert {name: bucket.head(name)["ETag"].strip('"') for name in contents} == expected
    assert record.count("PUT", "partNumber=") == 2 + 2 + 4
    assert result.events[-1]["bytes"] == sum(FILES.values())
    assert unfinished(bucket) == []
    again = s3pp("put", "--json", *SMALL_PARTS, src, bucket.url)
    assert (again.code, set(reasons(again).values())) == (0, {"same etag"})


@pytest.mark.swift
def test_a_store_that_checks_takes_them(s3pp: Run, swift_bucket: Bucket, tree: Tree) -> None:
    src = tree({"large": LARGE})
    for checksum, told in (("md5", ""), ("crc32", UNTOLD)):
        words = [*SMALL_PARTS, "--mode=stupid", f"--checksum={checksum}"]
        result = s3pp("put", "--json", *words, src, swift_bucket.url)
        assert (result.err, result.code) == (told, 0)
        assert etags(result) == {"large": compound(content(LARGE, "large"))}
        assert swift_bucket.tree() == tree.read(src)


def test_a_tree_and_one_large_object(
    s3pp: Run, bucket: Bucket, tree: Tree, store: Store, recorder: MakeRecorder
) -> None:
    """Parts go side by side with small objects, through every process."""
    files = {f"d{n % 5}/f{n:03d}": 1000 + n for n in range(100)}
    src = tree(files | {"d2/large": LARGE})
    record = recorder(store)
    result = s3pp("put", "--json", *SMALL_PARTS, src, bucket.url, store=record.store)
    assert (result.err, result.code) == ("", 0)
    assert bucket.tree() == tree.read(src)
    assert record.count("PUT", "partNumber=") == 3


def test_what_the_object_is_given(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"large.csv": LARGE})
    words = ["--metadata=colour=blue", "--header=Cache-Control: max-age=60", "--tag=a b=c+d"]
    words += ["--storage-class=STANDARD_IA", "--sse=AES256"]
    result = s3pp("put", *SMALL_PARTS, *words, src, moto_bucket.url)
    assert (result.err, result.code) == ("", 0)
    head = moto_bucket.head("large.csv")
    assert head["Metadata"] == {"colour": "blue"}
    assert (head["ContentType"], head["CacheControl"]) == ("text/csv", "max-age=60")
    assert (head["StorageClass"], head["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")
    assert moto_bucket.tags("large.csv") == {"a b": "c+d"}
    assert moto_bucket.get("large.csv") == content(LARGE, "large.csv")


@pytest.mark.thorough
def test_metadata_and_type_on_every_store(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    src = tree({"large.csv": LARGE})
    result = s3pp("put", *SMALL_PARTS, "--metadata=colour=blue", src, bucket.url)
    assert (result.err, result.code) == ("", 0)
    head = bucket.head("large.csv")
    assert (head["Metadata"], head["ContentType"]) == ({"colour": "blue"}, "text/csv")


def test_the_checksum_is_the_one_that_the_store_keeps(
    s3pp: Run, bucket: Bucket, tree: Tree, store: Store
) -> None:
    """Learned from the first object at the latest; ``update`` recognizes both by their ETags."""
    src = tree({"first": LARGE, "second": LARGE})
    words = [*SMALL_PARTS, "--processes=1", "--concurrency=1"]
    result = s3pp("put", "--json", *words, src, bucket.url)
    assert (result.err, result.code) == ("", 0)
    assert bucket.tree() == tree.read(src)
    used = {e["key"]: e["checksum_algorithm"] for e in result.events if e["event"] == "done"}
    assert used["second"] == ("crc64nvme" if "crc64nvme" in store.features else "md5")
    assert etags(result)["second"] == compound(content(LARGE, "second"))
    again = s3pp("put", "--json", *words, src, bucket.url)
    assert set(reasons(again).values()) == {"same etag"}


@pytest.mark.parametrize("checksum", ["crc64nvme", "crc32", "crc32c", "sha256"])
def test_checksums(
    s3pp: Run, bucket: Bucket, tree: Tree, store: Store, recorder: MakeRecorder, checksum: str
) -> None:
    """CRCs of the whole, hashes of the parts: S3 user guide, "Checking object integrity"."""
    if checksum.startswith("crc") and checksum != "crc32":
        pytest.importorskip("awscrt")
    src = tree({"large": LARGE})
    record = recorder(store)
    words = [*SMALL_PARTS, f"--checksum={checksum}"]
    result = s3pp("put", "--json", *words, src, bucket.url, store=record.store)
    assert (result.err, result.code) == (UNTOLD, 0)
    assert bucket.tree() == tree.read(src)
    begun, completed = [r for r in record.requests if r.method == "POST"]
    kind = "COMPOSITE" if checksum == "sha256" else "FULL_OBJECT"
    assert begun.headers["x-amz-checksum-algorithm"] == checksum.upper()
    assert begun.headers["x-amz-checksum-type"] == kind
    assert "x-amz-sdk-checksum-algorithm" not in begun.headers
    parts = [r for r in record.requests if r.method == "PUT"]
    assert all(f"x-amz-checksum-{checksum}" in r.headers for r in parts)
    whole = completed.headers.get(f"x-amz-checksum-{checksum}")
    assert (whole is None) == (checksum == "sha256")
    assert completed.headers["x-amz-mp-object-size"] == str(LARGE)
    for part in parts:
        told = part.headers[f"x-amz-checksum-{checksum}"]
        assert f"<Checksum{checksum.upper()}>{told}<".encode() in completed.body
    if whole:
        assert completed.headers["x-amz-checksum-type"] == "FULL_OBJECT"
        whole_put = tree({"small": content(LARGE, "large")}, "other")
        plain = [f"--checksum={checksum}", "--multipart-threshold=1G"]
        record.clear()
        assert s3pp("put", *plain, whole_put, bucket.url, store=record.store).code == 0
        (put,) = [r for r in record.requests if r.method == "PUT"]
        assert put.headers[f"x-amz-checksum-{checksum}"] == whole


def test_a_large_body_that_is_compressed(
    s3pp: Run, bucket: Bucket, tree: Tree, store: Store, recorder: MakeRecorder
) -> None:
    """Its file has no name, and yet every process sends of it."""
    text = content(6 * MIB).hex().encode()
    src = tree({"large.txt": text})
    record = recorder(store)
    words = [*SMALL_PARTS, "--gzip"]
    result = s3pp("put", "--json", *words, src, bucket.url, store=record.store)
    assert (result.err, result.code) == ("", 0)
    stored = bucket.client.get_object(Bucket=bucket.name, Key="large.txt")
    body = stored["Body"].read()
    assert (stored["ContentEncoding"], gzip.decompress(body)) == ("gzip", text)
    assert 5 * MIB < len(body) < len(text)
    assert etags(result) == {"large.txt": compound(body)}
    assert record.count("PUT", "partNumber=") == 2
    again = s3pp("put", "--json", *words, src, bucket.url)
    assert reasons(again) == {"large.txt": "same etag"}


@pytest.mark.parametrize("kind", ["w", "w:gz"])
def test_members_of_archives(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path, kind: Literal["w", "w:gz"]
) -> None:
    src = tree({"large": LARGE, "small": 1000, "other": 6 * MIB})
    with tarfile.open(tmp_path / "a.tar", kind) as archive:
        archive.add(src, "")
    words = [*SMALL_PARTS, "--walk=tar"]
    result = s3pp("put", "--json", *words, tmp_path / "a.tar", moto_bucket.url)
    assert (result.err, result.code) == ("", 0)
    assert moto_bucket.tree() == tree.read(src)
    assert etags(result)["large"] == compound(content(LARGE, "large"))


def test_mode_add_lets_the_store_decide(
    s3pp: Run, bucket: Bucket, tree: Tree, store: Store, recorder: MakeRecorder
) -> None:
    src = tree({"large": LARGE, "there": LARGE})
    bucket.put("there", b"mine")
    record = recorder(store)
    words = [*SMALL_PARTS, "--mode=add"]
    result = s3pp("put", "--json", *words, src, bucket.url, store=record.store)
    assert (result.code, reasons(result)) == (0, {"large": "new", "there": "exists"})
    (completed,) = [r for r in record.requests if r.method == "POST" and "uploadId" in r.target]
    assert completed.headers["if-none-match"] == "*"
    assert bucket.get("there") == b"mine"
    assert bucket.get("large") == content(LARGE, "large")


def test_what_another_writes_meanwhile_stays_in_mode_add(
    s3pp: Run, bucket: Bucket, tree: Tree, store: Store, recorder: MakeRecorder
) -> None:
    src = tree({"large": LARGE})

    def another(request: Request) -> None:
        if request.method == "PUT" and "partNumber=3" in request.target:
            bucket.put("large", b"theirs")

    record = recorder(store, intercept=another)
    words = [*SMALL_PARTS, "--mode=add"]
    result = s3pp("put", "--json", *words, src, bucket.url, store=record.store)
    assert (result.code, reasons(result)) == (0, {"large": "exists"})
    assert bucket.get("large") == b"theirs"
    assert unfinished(bucket) == [], "nobody will go on with it"


def test_a_dry_run_counts_and_sends_nothing(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    src = tree({"large": LARGE, "small": 100})
    record = recorder(moto)
    words = ["--json", "--dry-run", *SMALL_PARTS]
    result = s3pp("put", *words, src, moto_bucket.url, store=record.store)
    assert (result.code, reasons(result)) == (0, {"large": "new", "small": "new"})
    assert not [r for r in record.requests if r.method in ("PUT", "POST")]
    assert result.events[-1]["bytes"] == LARGE + 100
    record.clear()
    assert (
        s3pp("put", *SMALL_PARTS, "--no-resume", src, moto_bucket.url, store=record.store).code == 0
    )
    assert result.events[-1]["requests"] == len(record.requests)


@pytest.mark.thorough
def test_without_resuming_nobody_is_asked_what_is_unfinished(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    src = tree({"large": LARGE})
    theirs = moto_bucket.client.create_multipart_upload(Bucket=moto_bucket.name, Key="large")
    at = {"Bucket": moto_bucket.name, "Key": "large", "UploadId": theirs["UploadId"]}
    body = content(LARGE, "large")[: 5 * MIB]
    moto_bucket.client.upload_part(**at, PartNumber=1, Body=body)
    record = recorder(moto)
    words = ["--no-resume", *SMALL_PARTS]
    assert s3pp("put", *words, src, moto_bucket.url, store=record.store).code == 0
    assert record.count("PUT", "partNumber=") == 3
    assert record.count("GET", "uploads") == 0
    assert unfinished(moto_bucket) == ["large"], "the other is left alone"


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("--part-size=4M", "5"),
        ("--part-size=6G", "5"),
        ("--part-size=none", "size"),
        ("--multipart-threshold=6G", "5"),
        ("--multipart-threshold=-1", "size"),
    ],
)
def test_sizes_that_s3_does_not_know(s3pp: Run, tree: Tree, option: str, word: str) -> None:
    result = s3pp("put", option, tree({"a": 1}), "s3://bucket", store=None)
    assert (result.code, result.out) == (2, "")
    assert option.partition("=")[0] in result.err
    assert word in result.err


def test_a_sparse_file_larger_than_one_request_may_be(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    """5 GiB + 1: beyond what one PUT carries, and no failure any more."""
    src = tree({"huge": b""})
    with (src / "huge").open("r+b") as file:
        file.truncate((5 << 30) + 1)
    result = s3pp("put", "--json", "--dry-run", src, moto_bucket.url)
    assert (result.code, failures(result)) == (0, {})
    assert result.events[-1]["bytes"] == (5 << 30) + 1


NOT_KNOWN = error(501, "NotImplemented", message="A header you provided implies functionality")


@pytest.mark.parametrize("refusal", [NOT_KNOWN, Answer(405)], ids=["501", "405 bare"])
def test_a_store_without_parts_is_named_with_what_to_do(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder, refusal: Answer
) -> None:
    src = tree({"a": 6 * MIB, "b": 6 * MIB, "small": 1})
    between = recorder(moto, intercept=lambda r: refusal if "uploads" in r.target else None)
    words = ["-P1", "--sse=AES256", src, moto_bucket.url]
    result = s3pp("put", "--json", *SMALL_PARTS, *words, store=between.store)
    assert (result.code, moto_bucket.keys()) == (1, ["small"])
    told = {e["key"]: e["message"] for e in result.events if e["event"] == "failed"}
    code = "NotImplemented" if refusal.body else "HTTP405"
    for key in ("a", "b"):
        assert told[key].startswith(
            f"{between.url} does not support multipart uploads ({code}): raise "
        )
        assert "--multipart-threshold above the object's size" in told[key]
    assert (
        between.count("POST", "uploads") == 5
    )  # each with a checksum, and without; and one to find out  # one of them without headers
    again = s3pp("put", "--multipart-threshold=6M", *words, store=between.store)
    assert (again.code, again.counts.done) == (0, 2)


def test_nothing_of_the_kind_is_said_where_a_header_is_refused(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    refused = "x-amz-server-side-encryption"
    between = recorder(moto, intercept=lambda r: NOT_KNOWN if refused in r.headers else None)
    words = ["--json", *SMALL_PARTS, "-P1", "--sse=AES256", tree({"a": 6 * MIB, "b": 6 * MIB})]
    result = s3pp("put", *words, moto_bucket.url, store=between.store)
    assert (result.code, unfinished(moto_bucket)) == (1, [])
    told = {e["message"] for e in result.events if e["event"] == "failed"}
    assert told == {"NotImplemented: A header you provided implies functionality"}
    assert (
        between.count("POST", "uploads") == 5
    )  # each with a checksum, and without; and one to find out
