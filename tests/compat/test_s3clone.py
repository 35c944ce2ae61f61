"""``s3clone``, as its manual and its users have it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from commands import Run
from conftest import MakeRecorder, Tree, WriteProfiles
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

NAME = "s3clone"


def test_the_example(
    front: Run, moto_bucket: Bucket, tmp_path: Path, moto: Store, profiles: WriteProfiles
) -> None:
    """What exists is never replaced; a prefix need not be a directory."""
    objects = {"logs/1": b"1", "logs/2 b": b"22", "logs/empty": b"", "logs2/x": b"x", "other": b"o"}
    moto_bucket.fill(objects)
    out = tmp_path / "out"
    command = [NAME, "--role", "work", "-n", "10", "-p", "logs", "-o", out, moto_bucket.name]
    env = profiles(work=moto)
    first = front(*command, store=None, env=env)
    assert (first.code, first.out, first.err) == (0, "Done!\n", "")
    del objects["other"]
    assert Tree.read(out) == objects
    second = front(*command, store=None, env=env)
    assert (second.code, second.out, second.err) == (0, "Done!\n", "")

    (out / "logs" / "2 b").write_bytes(b"longer")
    os.unlink(out / "logs2" / "x")
    third = front(*command, store=None, env=env)
    assert (third.code, third.out) == (1, "logs/2 b : Size mismatch 2 6\n")
    assert third.err == ""
    assert Tree.read(out) == objects | {"logs/2 b": b"longer"}


def test_gzip(front: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    moto_bucket.fill({"a/b": b"text", "c.gz": b"packed before", "d": b"12345"})
    command = [NAME, "--gzip", "--outputdir", tmp_path, moto_bucket.name]
    assert front(*command).out == "Done!\n"
    files = Tree.read(tmp_path)
    assert {name: gzip.decompress(files[name]) for name in files if "s3clonegz" in name} == {
        "a/b.s3clonegz.gz": b"text", "d.s3clonegz.gz": b"12345",
    }  # fmt: skip
    assert files["c.gz"] == b"packed before"
    # What was written by the old tool has another time; a part of a file was never repaired there.
    os.utime(tmp_path / "d.s3clonegz.gz", (1, 1))
    (tmp_path / "a" / "b.s3clonegz.gz").write_bytes(files["a/b.s3clonegz.gz"][:-6])
    again = front(*command)
    assert again.code == 1
    (line,) = again.lines
    assert line.startswith("a/b : Size mismatch 4 ")


def test_what_cannot_be_written_is_named(front: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    """Objects ``a`` and ``a/b``, names that lead elsewhere, markers; all others are written."""
    moto_bucket.fill(
        {"a": b"file", "a/b": b"below", "marker/": b"", "x/../../y": b"out", "z": b"z"}
    )
    out = tmp_path / "out"
    result = front(NAME, "-o", out, moto_bucket.name)
    assert result.code == 1
    assert sorted(result.lines) == ["Download of  a/b failed", "Download of  x/../../y failed"]
    why = sorted(result.err.splitlines())
    assert why[0].startswith(f"s3clone: get s3://{moto_bucket.name}/a/b -> ")
    assert "nothing can go below it" in why[0]
    assert "'..' segment" in why[1]
    assert Tree.read(out) == {"a": b"file", "z": b"z"}
    assert (out / "marker").is_dir()
    assert not (tmp_path / "y").exists()


def test_failures_empty_and_missing_buckets(
    front: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path, recorder: MakeRecorder
) -> None:
    empty = front(NAME, "-o", tmp_path / "e", moto_bucket.name)
    assert (empty.code, empty.out, empty.err) == (0, "Empty bucket\n", "")
    moto_bucket.fill({"empty": b""})
    assert front(NAME, "-o", tmp_path / "e", moto_bucket.name).out == "Done!\n"
    missing = front(NAME, "no-such-bucket-here")
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.startswith("s3clone: bucket not found: s3://no-such-bucket-here")
    nothing = front(NAME, "-p", "nothing", moto_bucket.name)
    assert (nothing.code, "no objects found" in nothing.err) == (2, True)

    moto_bucket.fill({"bad": b"1", "good": b"2"})

    def refuse(request: Request) -> Answer | None:
        return error(400, "InvalidRequest") if request.path.endswith("/bad") else None

    between = recorder(moto, intercept=refuse)
    failed = front(NAME, "-o", tmp_path / "f", moto_bucket.name, store=between.store)
    assert (failed.code, failed.out) == (1, "Download of  bad failed\n")
    assert "InvalidRequest" in failed.err
    assert (tmp_path / "f" / "good").read_bytes() == b"2"
