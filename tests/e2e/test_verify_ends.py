"""``verify SOURCE DEST``: both ends are compared, and neither is changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import s3pp
from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import verdicts
from stores.store import Bucket, Store
from trees import Content, Link, read_tree

MIB = 1 << 20
FILES: dict[str, Content] = {"a": b"1", "b c/é": b"22", "empty": b"", "d/e": b"333", "l": 6 * MIB}
SMALL_PARTS = ("--part-size=5MiB", "--multipart-threshold=5MiB")


def test_what_was_put_is_there(s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    source, place = tree(FILES), f"{bucket.url}/p"
    assert s3pp("put", *SMALL_PARTS, source, place).code == 0
    before = read_tree(source), bucket.tree()
    for options in ((), ("--deep",)):
        result = s3pp("verify", "-v", *options, source, place)
        by = "bytes" if options else "size and etag"
        assert result.code == 0, result
        assert f"verify {source}/d/e -> {place}/d/e ({by})" in result.lines
        assert result.summary.startswith(f"verify {6 * MIB + 6} bytes in 5 files in ")
        assert result.summary.endswith(f", 5 by {by}")
        assert result.err == ""
    assert s3pp("get", place, tmp_path / "back").code == 0
    for options in ((), ("--deep",)):
        result = s3pp("verify", "-v", *options, place, tmp_path / "back")
        by = "bytes" if options else "size and etag"
        assert result.code == 0, result
        assert f"verify {place}/d/e -> {tmp_path}/back/d/e ({by})" in result.lines
        assert result.summary.endswith(f", 5 by {by}")
    assert (read_tree(source), bucket.tree()) == before


def test_copies(s3pp: Run, bucket: Bucket) -> None:
    bucket.fill({"p/a": b"1", "p/b": b"22", "p/empty": b""})
    other = bucket.store.bucket()
    assert s3pp("copy", f"{bucket.url}/p", f"{other.url}/q").code == 0
    for options in ((), ("--deep",)):
        result = s3pp("verify", *options, f"{bucket.url}/p", f"{other.url}/q")
        by = "bytes" if options else "size and etag"
        assert (result.code, result.summary.rpartition("), ")[2]) == (0, f"3 by {by}")
    other.put("q/b", b"2x")
    other.put("q/extra", b"")
    other.client.delete_object(Bucket=other.name, Key="q/a")
    for options in ((), ("--deep",)):
        result = s3pp("verify", "--json", *options, f"{bucket.url}/p", f"{other.url}/q")
        assert result.code == 1
        found = verdicts(result)
        assert found.pop("q/empty") in ("bytes", "size and etag")
        assert found == {"q/a": "missing", "q/b": "differs", "q/extra": "extra"}


@pytest.mark.parametrize("deep", [False, True])
def test_what_differs_is_named(s3pp: Run, bucket: Bucket, tree: Tree, deep: bool) -> None:
    source, place = tree(FILES), f"{bucket.url}/p"
    assert s3pp("put", *SMALL_PARTS, source, place).code == 0
    options = ("--deep",) if deep else ()
    (source / "a").write_bytes(b"2")
    (source / "b c/é").write_bytes(b"longer")
    (source / "new").write_bytes(b"new")
    (source / "empty").unlink()
    with (source / "l").open("r+b") as file:
        file.seek(3 * MIB)
        file.write(b"bit")
    result = s3pp("verify", "--json", *options, source, place)
    assert result.code == 1
    assert verdicts(result) == {
        "p/a": "differs",
        "p/b c/é": "differs",
        "p/new": "missing",
        "p/empty": "extra",
        "p/l": "differs",
        "p/d/e": "bytes" if deep else "size and etag",
    }
    end = result.events[-1]
    assert (end["missing"], end["extra"], end["failed"], end["done"]) == (1, 1, 5, 1)
    assert s3pp("verify", *options, "--one-way", "--include=d/**", source, place).code == 0
    text = s3pp("verify", *options, source, place)
    assert f"s3pp: verify {place}/empty: it exists at the destination only" in text.err
    assert f"s3pp: verify {source}/new -> {place}/new: it does not exist at the dest" in text.err
    assert ", 1 missing, " in text.summary
    assert text.summary.endswith(", 5 failed")


def test_a_directory_that_differs(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    moto_bucket.fill({"a": b"1", "b": b"22", "c/d": b"3", "e": b"4", "dir/": b""})
    here = tmp_path / "here"
    assert s3pp("get", moto_bucket.url, here).code == 0
    assert s3pp("verify", moto_bucket.url, here).code == 0
    (here / "a").write_bytes(b"2")
    (here / "b").unlink()
    (here / "e").unlink()
    (here / "e").symlink_to("a")
    (here / "extra").write_bytes(b"")
    before = read_tree(here)
    for options in ((), ("--deep",)):
        result = s3pp("verify", "--json", *options, moto_bucket.url, here)
        found = {os.path.relpath(name, here): what for name, what in verdicts(result).items()}
        assert result.code == 1
        assert found.pop("c/d") in ("bytes", "size and etag")
        assert found.pop("dir") in ("bytes", "size")
        assert found == {"a": "differs", "b": "missing", "e": "differs", "extra": "extra"}
    assert read_tree(here) == before
    assert "does not exist" in s3pp("verify", moto_bucket.url, tmp_path / "none").err
    assert not (tmp_path / "none").exists()


def test_single_ones(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    source = tree({"a": b"1", "b": b"2"})
    moto_bucket.fill({"x": b"1", "y": b"3"})
    assert s3pp("verify", source / "a", f"{moto_bucket.url}/x").code == 0
    assert s3pp("verify", f"{moto_bucket.url}/x", source / "a").code == 0
    assert s3pp("verify", f"{moto_bucket.url}/y", source / "b").code == 1
    assert s3pp("verify", f"{moto_bucket.url}/x", f"{moto_bucket.url}/y").code == 1


def test_what_is_compared(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    source = tree({"a": b"1", "b": b"22", "link": Link("a")})
    assert s3pp("put", source, moto_bucket.url).code == 0
    (source / "a").write_bytes(b"2")
    size = s3pp("verify", "-v", "--compare=size", source, moto_bucket.url)
    assert (size.code, size.summary.rpartition("), ")[2]) == (0, "3 by size")
    os.utime(source / "a", (4e9, 4e9))
    time = s3pp("verify", "--compare=mtime", source, moto_bucket.url)
    assert time.code == 1
    assert "the source is newer than the destination" in time.err
    left_out = s3pp("verify", "--no-follow-symlinks", "--exclude=a", source, moto_bucket.url)
    assert (left_out.code, left_out.counts.skipped, left_out.counts.done) == (0, 1, 1)


def test_etags_that_prove_nothing(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """Of SSE-KMS an ETag is no digest, so that another one says nothing; a checksum does."""
    source = tree({"a": b"1", "b": b"22"})
    kms: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "Bucket": moto_bucket.name}
    moto_bucket.client.put_object(Key="a", Body=b"1", ChecksumAlgorithm="SHA256", **kms)
    moto_bucket.client.put_object(Key="b", Body=b"2x", ChecksumAlgorithm="SHA256", **kms)
    found = verdicts(s3pp("verify", "--json", source, moto_bucket.url))
    assert found["b"] == "differs"


def test_a_thousand_objects_cost_a_listing(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    source = tree({f"{number:04}": b"%d" % number for number in range(1000)})
    assert s3pp("put", source, moto_bucket.url).code == 0
    seen = recorder(moto)
    result = s3pp("verify", source, moto_bucket.url, store=seen.store)
    assert (result.code, result.counts.done) == (0, 1000)
    assert len(seen.requests) <= 4


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "verify needs a JOURNAL, or a SOURCE and a DEST"),
        (["a", "b"], "verify needs a JOURNAL, or a SOURCE and a DEST"),
        (["s3://bucket"], "only one place is named"),
        (["-", "s3://bucket"], "verify has no use for '-'"),
        (["--deep", "--compare=size", ".", "s3://bucket"], "--deep contradicts --compare size"),
        (["--deep", "--gzip", ".", "s3://bucket"], "--deep contradicts --gzip"),
        (["--gunzip", ".", "s3://bucket"], "--gunzip has no effect on files that are compared"),
        (["--one-way", "journal"], "--one-way has no effect on a JOURNAL that is verified"),
    ],
)
def test_wrong_usage(s3pp: Run, arguments: list[str], why: str) -> None:
    result = s3pp("verify", *arguments)
    assert result.code == 2
    assert why in result.err
    assert len(result.err.splitlines()) == 1


def test_the_library(moto: Store, moto_bucket: Bucket, tree: Tree) -> None:
    source = tree({"a": b"1", "b": b"22"})
    at: dict[str, Any] = {
        "endpoint_url": moto.url,
        "credentials": s3pp.Keys(moto.access_key, moto.secret_key),
        "region": moto.region,
    }
    s3pp.put(source, moto_bucket.url, **at).check()
    result = s3pp.verify(source, moto_bucket.url, **at)
    assert (result.ok, result.verb, result.verified) == (True, "verify", {"size and etag": 2})
    (source / "b").unlink()
    other = s3pp.verify(source, moto_bucket.url, deep=True, **at)
    assert (other.ok, other.verified, other.extra, other.missing) == (False, {"bytes": 1}, 1, 0)
    assert [(each.key, each.kind.value) for each in other.failures] == [("b", "extra")]
