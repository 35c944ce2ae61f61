"""update knows objects again that other tools sent in parts, and says so where it cannot tell."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig

from commands import Result, Run
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request
from stores.store import Bucket, Store
from trees import content

MIB = 1 << 20
SIZE = 17 * MIB + 5
S5CMD = Path(sys.executable).with_name("s5cmd")


def reasons(result: Result) -> dict[str, str]:
    """{key: reason} of what was done or skipped."""
    return {e["key"]: e["reason"] for e in result.events if e["event"] in ("done", "skipped")}


def in_parts(body: bytes, each: int) -> list[bytes]:
    return [body[at : at + each] for at in range(0, len(body), each)]


def test_what_boto3_sent_in_parts_is_the_same(
    s3pp: Run, bucket: Bucket, tree: Tree, store: Store, recorder: MakeRecorder
) -> None:
    """It costs a listing and no request more."""
    body = content(SIZE)
    src = tree({"even": body[: 16 * MIB], "odd": body, "whole": body[:MIB]})
    for name in ("even", "odd", "whole"):
        bucket.client.upload_file(str(src / name), bucket.name, name)
        assert ("-" in bucket.head(name)["ETag"]) == (name != "whole")
    record = recorder(store)
    result = s3pp("put", "--json", "--mode", "update", src, bucket.url, store=record.store)
    assert (result.code, reasons(result)) == (0, dict.fromkeys(tree.read(src), "same etag"))
    assert (record.puts, record.heads) == (0, 0)


@pytest.mark.parametrize("mib", [5, 6, 9, 10, 15, 16, 20])
def test_part_sizes_of_other_tools_are_found(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, mib: int
) -> None:
    body = content(SIZE + 5 * MIB)
    src = tree({"large": body})
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=mib * MIB)
    moto_bucket.client.upload_file(str(src / "large"), moto_bucket.name, "large", Config=config)
    result = s3pp("put", "--json", src, moto_bucket.url)
    assert (result.code, reasons(result)) == (0, {"large": "same etag"})


@pytest.mark.parametrize("options", [[], ["--part-size", "7"]], ids=["default", "7 MiB"])
def test_what_s5cmd_sent_is_the_same(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, options: list[str]
) -> None:
    if not S5CMD.exists():
        pytest.skip("s5cmd is not installed")
    src = tree({"large": content(51 * MIB if not options else SIZE)})
    run: list[str | Path] = [
        S5CMD,
        "--endpoint-url",
        moto.url,
        "cp",
        *options,
        src / "large",
        moto_bucket.url + "/",
    ]
    subprocess.run(run, check=True, capture_output=True, env=os.environ | moto.environment)
    assert "-" in moto_bucket.head("large")["ETag"]
    result = s3pp("put", "--json", src, moto_bucket.url)
    assert (result.code, reasons(result)) == (0, {"large": "same etag"})


def test_a_part_size_that_nobody_would_guess_is_asked_for(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, moto: Store, recorder: MakeRecorder
) -> None:
    body = content(SIZE)
    src = tree({"large": body})
    moto_bucket.put_multipart("large", *in_parts(body, 6 * MIB + 12_345))
    record = recorder(moto)
    result = s3pp("put", "--json", src, moto_bucket.url, store=record.store)
    assert (result.code, reasons(result)) == (0, {"large": "same etag"})
    assert (record.puts, record.heads) == (0, 2)


def test_parts_of_different_sizes_are_not_known_again(
    s3pp: Run, bucket: Bucket, tree: Tree
) -> None:
    body = content(SIZE)
    src = tree({"large": body})
    bucket.put_multipart("large", body[: 5 * MIB], body[5 * MIB : 12 * MIB], body[12 * MIB :])
    result = s3pp("put", "--json", src, bucket.url)
    assert (result.code, reasons(result)) == (0, {"large": "etag unknown"})
    assert bucket.get("large") == body


def test_one_byte_is_another_object(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    body = content(SIZE)
    bucket.put_multipart("large", *in_parts(body, 8 * MIB))
    other = body[:-1] + bytes([body[-1] ^ 1])
    src = tree({"large": other})
    result = s3pp("put", "--json", src, bucket.url)
    assert (result.code, reasons(result)) == (0, {"large": "etag unknown"})
    assert bucket.get("large") == other
    again = s3pp("put", "--json", src, bucket.url)
    assert reasons(again) == {"large": "same etag"}


def test_a_checksum_of_the_whole_tells_what_the_etag_does_not(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, moto: Store, recorder: MakeRecorder
) -> None:
    """moto keeps none of the whole of parts: the answer to HEAD is given one, as S3 would."""
    body = content(SIZE)
    src = tree({"large": body, "other": body[::-1]})
    for name in ("large", "other"):
        moto_bucket.put_multipart(name, body[: 5 * MIB], body[5 * MIB :])
    checksums = pytest.importorskip("awscrt.checksums")
    value = b64encode(checksums.crc64nvme(body).to_bytes(8, "big")).decode()
    told = [("x-amz-checksum-crc64nvme", value), ("x-amz-checksum-type", "FULL_OBJECT")]

    def amend(request: Request, answer: Answer) -> Answer:
        if "x-amz-checksum-mode" not in request.headers:
            return answer
        return replace(answer, headers=[*answer.headers, *told])

    record = recorder(moto, rewrite=amend)
    result = s3pp("put", "--json", src, moto_bucket.url, store=record.store)
    assert (result.code, reasons(result)) == (
        0,
        {"large": "same checksum", "other": "checksum differs"},
    )
    assert (record.heads, record.puts) == (2, 1)


def test_a_dry_run_knows_it_too(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    body = content(SIZE)
    src = tree({"large": body, "new": b"1"})
    bucket.put_multipart("large", *in_parts(body, 16 * MIB))
    result = s3pp("put", "--json", "--dry-run", src, bucket.url)
    assert (result.code, reasons(result)) == (0, {"large": "same etag", "new": "new"})
    assert bucket.keys() == ["large"]


def test_what_was_compressed_is_known_again_in_parts(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    src = tree({"a.txt": b"words and words " * MIB})
    assert s3pp("put", "--gzip", src, bucket.url).code == 0
    assert bucket.head("a.txt")["ContentEncoding"] == "gzip"
    bucket.put_multipart("a.txt", bucket.get("a.txt"))
    result = s3pp("put", "--json", "--gzip", src, bucket.url)
    assert reasons(result) == {"a.txt": "same etag"}
