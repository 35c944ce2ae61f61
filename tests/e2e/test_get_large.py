"""Large objects are fetched by ranges, by all getters, into one file; and known again."""

from __future__ import annotations

import gzip
import os
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest

from commands import Result, Run
from conftest import MakeRecorder, Recorder, Tree
from stores.relay import Answer, Request, Rewriter
from stores.store import Bucket, Store
from trees import content

MIB = 1 << 20
SIZE = 11 * MIB + 5
RANGES = ["--part-size=5M", "--multipart-threshold=5M"]  # three of them


def in_parts(body: bytes, each: int) -> list[bytes]:
    return [body[at : at + each] for at in range(0, len(body), each)]


def reasons(result: Result) -> dict[str, str]:
    """{key: reason} of what was done or skipped."""
    return {e["key"]: e["reason"] for e in result.events if e["event"] in ("done", "skipped")}


def ranges(record: Recorder) -> list[str]:
    """The ranges of objects that were asked for, in their order."""
    asked = (each.headers.get("range", "") for each in record.requests if each.method == "GET")
    return sorted((each for each in asked if each), key=lambda text: (len(text), text))


def with_checksum(body: bytes) -> Rewriter:
    """For a relay: HEADs are answered with the object's CRC, as S3 would."""
    value = b64encode(crc32(body).to_bytes(4, "big")).decode()
    told = [("x-amz-checksum-crc32", value), ("x-amz-checksum-type", "FULL_OBJECT")]

    def amend(request: Request, answer: Answer) -> Answer:
        if request.method != "HEAD" or "x-amz-checksum-mode" not in request.headers:
            return answer
        return replace(answer, headers=[*answer.headers, *told])

    return amend


def test_one_large_object_and_many_small_ones(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Whole, with the objects' times, and the next run finds nothing to do."""
    files = {f"d/small{n}": content(1000, n) for n in range(20)} | {"d/large": content(SIZE)}
    for key, body in files.items():
        bucket.put(key, body)
    result = s3pp("get", "--json", *RANGES, bucket.url, tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    assert tree.read(tmp_path / "out") == files
    summary = result.events[-1]
    assert (summary["done"], summary["bytes"]) == (21, sum(map(len, files.values())))
    modified = bucket.head("d/large")["LastModified"].timestamp()
    assert abs((tmp_path / "out/d/large").stat().st_mtime - modified) < 1.5
    again = s3pp("get", "--json", *RANGES, bucket.url, tmp_path / "out")
    assert (again.code, reasons(again)) == (0, dict.fromkeys(files, "same etag"))


@pytest.mark.parametrize("how", ["md5", "parts", "odd parts", "uneven parts", "crc"])
def test_however_it_is_proved(
    s3pp: Run,
    moto_bucket: Bucket,
    moto: Store,
    tree: Tree,
    tmp_path: Path,
    recorder: MakeRecorder,
    how: str,
) -> None:
    body = content(SIZE)
    asked = [(0, 5 * MIB), (5 * MIB, 10 * MIB), (10 * MIB, SIZE)]
    if how == "parts":
        moto_bucket.put_multipart("large", *in_parts(body, 6 * MIB))
        asked = [(0, 6 * MIB), (6 * MIB, SIZE)]
    elif how == "odd parts":
        moto_bucket.put_multipart("large", *in_parts(body, 5 * MIB + 77))
        asked = [(0, 5 * MIB + 77), (5 * MIB + 77, 10 * MIB + 154), (10 * MIB + 154, SIZE)]
    elif how == "uneven parts":
        moto_bucket.put_multipart(
            "large", body[: 6 * MIB], body[6 * MIB : 11 * MIB], body[11 * MIB :]
        )
    else:
        moto_bucket.put("large", body)
    record = recorder(moto, rewrite=with_checksum(body) if how == "crc" else None)
    result = s3pp("get", *RANGES, moto_bucket.url, tmp_path / "out", store=record.store)
    assert (result.code, result.err) == (0, "")
    assert tree.read(tmp_path / "out") == {"large": body}
    if how != "uneven parts":
        assert ranges(record) == [f"bytes={a}-{b - 1}" for a, b in asked]
    assert all(r.headers.get("if-match") for r in record.requests if "range" in r.headers)


def test_what_was_sent_in_parts_comes_as_such(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """On each store, whether it tells of parts or not; and is known again."""
    bucket.put_multipart("large", *in_parts(content(SIZE), 5 * MIB))
    result = s3pp("get", *RANGES, bucket.url, tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    assert tree.read(tmp_path / "out") == {"large": content(SIZE)}
    again = s3pp("get", "--json", *RANGES, bucket.url, tmp_path / "out")
    assert reasons(again) == {"large": "same etag"}


def test_options_and_what_is_replaced(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """--fsync; the permissions of the old file; mode add leaves what is there."""
    moto_bucket.put("large", content(SIZE))
    out = tree({"large": b"the old one"}, "out")
    (out / "large").chmod(0o640)
    kept = s3pp("get", "--json", "--mode=add", *RANGES, moto_bucket.url, out)
    assert reasons(kept) == {"large": "exists with another size"}
    result = s3pp("get", "--json", "--fsync", *RANGES, moto_bucket.url, out)
    assert (result.code, reasons(result)) == (0, {"large": "size differs"})
    assert tree.read(out) == {"large": content(SIZE)}
    assert (out / "large").stat().st_mode & 0o7777 == 0o640
    (out / "large").unlink()
    new = s3pp(
        "get", "--mode=add", *RANGES, moto_bucket.url, out, preexec_fn=lambda: os.umask(0o027)
    )
    assert (new.code, (out / "large").stat().st_mode & 0o7777) == (0, 0o640)
    assert tree.read(out) == {"large": content(SIZE)}


def test_gunzip(s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    body = content(SIZE)
    moto_bucket.put("large", gzip.compress(body, 0), ContentEncoding="gzip")
    result = s3pp("get", "--gunzip", *RANGES, moto_bucket.url, tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    assert tree.read(tmp_path / "out") == {"large": body}


def test_what_cannot_be_unpacked_stays_for_a_run_without_gunzip(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, tmp_path: Path, recorder: MakeRecorder
) -> None:
    """The failure says so; with --no-resume nothing stays, and nothing is said."""
    body, out = content(SIZE), tmp_path / "out"
    moto_bucket.put("large", body, ContentEncoding="gzip")
    plain = s3pp("get", "--gunzip", "--no-resume", *RANGES, moto_bucket.url, out)
    assert (plain.code, os.listdir(out)) == (1, [])
    assert "without --gunzip" in plain.err
    assert "partial file" not in plain.err
    record = recorder(moto)
    result = s3pp("get", "--gunzip", *RANGES, moto_bucket.url, out, store=record.store)
    assert (result.code, len(os.listdir(out)), len(ranges(record))) == (1, 2, 3)
    assert "without --gunzip; the partial file is kept; the next run resumes it" in result.err
    again = s3pp("get", *RANGES, moto_bucket.url, out, store=record.store)
    assert (again.code, tree.read(out)) == (0, {"large": body})
    assert len(ranges(record)) == 3


def test_a_dry_run_counts_and_writes_nothing(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    moto_bucket.put("large", content(SIZE))
    dry = s3pp("get", "--dry-run", *RANGES, moto_bucket.url, tmp_path / "out")
    assert (dry.code, dry.counts.done, dry.counts.bytes) == (0, 1, SIZE)
    assert not (tmp_path / "out").exists()
    one = s3pp("get", "--dry-run", moto_bucket.url, tmp_path / "out")
    assert dry.counts.requests == one.counts.requests + 3  # a HEAD, and three ranges for one


def test_no_resume_leaves_no_name_to_find(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    moto_bucket.put("large", content(SIZE))
    result = s3pp("get", "--no-resume", *RANGES, moto_bucket.url, tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    assert tree.read(tmp_path / "out") == {"large": content(SIZE)}


@pytest.mark.parametrize("each", [6 * MIB, 5 * MIB + 12_345])
def test_update_knows_what_was_sent_in_parts(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, each: int
) -> None:
    """By its bytes, whatever its time; likely part sizes cost no request, others two."""
    body = content(SIZE)
    moto_bucket.put_multipart("large", *in_parts(body, each))
    out = tree({"large": body}, "out")
    record = recorder(moto)
    result = s3pp("get", "--json", moto_bucket.url, out, store=record.store)
    assert (result.code, reasons(result)) == (0, {"large": "same etag"})
    assert (record.heads, record.count("GET", "/large")) == (0 if each == 6 * MIB else 2, 0)
    modified = os.stat(out / "large").st_mtime_ns
    other = bytes([body[0] ^ 1]) + body[1:]
    tree({"large": other}, "out")
    os.utime(out / "large", ns=(modified, modified))  # nothing but the bytes tells
    result = s3pp("get", "--json", *RANGES, moto_bucket.url, out)
    assert (result.code, reasons(result)) == (0, {"large": "etag differs"})
    assert tree.read(out) == {"large": body}


def test_what_is_unfinished_is_not_put(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    names = [f"large.s3pp-0123456789abcdef{end}" for end in ("", ".part", ".ranges")]
    src = tree(dict.fromkeys(names, b"1") | {"large": b"2"})
    result = s3pp("put", "--json", src, moto_bucket.url)
    assert result.code == 0
    assert reasons(result) == dict.fromkeys(names, "unfinished download") | {"large": "new"}
    assert moto_bucket.keys() == ["large"]


def test_keys_that_look_unfinished_are_not_got(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    names = [f"large.s3pp-0123456789abcdef{end}" for end in (".part", ".ranges")]
    for name in names:
        moto_bucket.put(name, b"1")
    result = s3pp("get", moto_bucket.url, tmp_path / "out")
    assert (result.code, result.counts.failed) == (1, 2)
    assert tree.read(tmp_path / "out") == {}
