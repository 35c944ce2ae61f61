"""--gunzip: what is stored with Content-Encoding gzip becomes what it was before."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import failures, reasons
from stores.relay import Answer, Request
from stores.store import Bucket
from trees import content


def test_the_way_there_and_back(s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    files = {
        "page.html": b"<html>" + b"text " * 5000,
        "d/empty.txt": b"",
        "large.txt": content(1 << 20).hex().encode() * 2,
        "picture.png": content(5000),
    }
    src, out = tree(files), tmp_path / "out"
    assert s3pp("put", "--gzip", src, moto_bucket.url).code == 0
    assert moto_bucket.head("page.html")["ContentEncoding"] == "gzip"
    packed = s3pp("get", moto_bucket.url, tmp_path / "packed")
    assert packed.code == 0
    assert tree.read(tmp_path / "packed") == moto_bucket.tree()
    result = s3pp("get", "--gunzip", moto_bucket.url, out)
    assert (result.code, result.err, result.counts.done) == (0, "", len(files))
    assert tree.read(out) == files
    stored = moto_bucket.head("large.txt")["LastModified"].timestamp()
    assert int((out / "large.txt").stat().st_mtime) == int(stored)
    again = s3pp("get", "--gunzip", "--json", moto_bucket.url, out)
    assert (again.code, again.err) == (0, "")
    assert {e["event"] for e in again.events[:-1]} == {"skipped"}
    added = s3pp("get", "--gunzip", "--mode", "add", moto_bucket.url, out)
    assert (added.code, added.counts.skipped) == (0, len(files))
    assert added.err == ""  # files that are as meant differ from their objects in size
    (out / "page.html").write_bytes(b"changed")
    os.utime(out / "page.html", (1e9, 1e9))  # not in the very second the object is of
    mended = s3pp("get", "--gunzip", moto_bucket.url, out)
    assert (mended.counts.done, tree.read(out)) == (1, files)


def test_what_is_not_sound_fails_and_what_was_there_stays(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    whole = gzip.compress(content(3000))
    large = gzip.compress(content(3 << 20))
    stored = {
        "cut": whole[:-9],
        "cut-large": large[: len(large) // 2],
        "none": b"this is no gzip at all",
        "flipped": whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:],
        "trailing": whole + b"trailing rubbish",
        "padded": whole + bytes(700),
        "two": whole + gzip.compress(b" and more"),
        "nothing": b"",
        "large": large,
        "twice": gzip.compress(whole),
    }
    for key, body in stored.items():
        moto_bucket.put(key, body, ContentEncoding="gzip")
    moto_bucket.put("plain.gz", whole)
    out = tree({"cut": b"old", "none": b"old"}, "out")
    for name in ("cut", "none"):
        os.utime(out / name, (1e9, 1e9))
    result = s3pp("get", "--gunzip", "--json", moto_bucket.url, out)
    assert result.code == 1
    broken = {"cut", "cut-large", "none", "flipped", "trailing"}
    assert set(failures(result)) == broken
    assert tree.read(out) == {
        "cut": b"old",
        "none": b"old",
        "two": content(3000) + b" and more",
        "padded": content(3000),
        "nothing": b"",
        "large": content(3 << 20),
        "twice": whole,
        "plain.gz": whole,
    }
    for key in broken:
        assert any(f"/{key} ->" in line and "gzip" in line for line in result.err.splitlines())
    trailing = next(line for line in result.err.splitlines() if "/trailing ->" in line)
    assert "gzip, but other bytes follow the gzip data: get it without --gunzip" in trailing
    assert "Error -" not in result.err
    again = s3pp("get", "--gunzip", "--json", moto_bucket.url, out)
    assert {e["event"] for e in again.events[:-1] if e["key"] not in broken} == {"skipped"}
    plainly = s3pp("get", "--json", "--include", "c*", moto_bucket.url, out)
    assert reasons(plainly) == {"cut": "size differs", "cut-large": "new"}
    assert (out / "cut").read_bytes() == stored["cut"]


def test_over_the_packed_bytes_that_a_run_without_it_left(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    files = {"page.html": b"<html>" + b"text " * 5000, "large.txt": content(1 << 20).hex().encode()}
    out = tmp_path / "out"
    for name, text in files.items():
        moto_bucket.put(name, gzip.compress(text, mtime=0), ContentEncoding="gzip")
    moto_bucket.put("archive.gz", gzip.compress(b"to stay packed", mtime=0))
    assert s3pp("get", moto_bucket.url, out).code == 0
    stored = moto_bucket.tree()
    assert tree.read(out) == stored
    would = s3pp("get", "--gunzip", "--dry-run", moto_bucket.url, out)
    assert (would.code, would.counts.done, tree.read(out)) == (0, 2, stored)
    result = s3pp("get", "--gunzip", "--json", moto_bucket.url, out)
    assert (result.code, result.err) == (0, "")
    assert reasons(result) == {
        "archive.gz": "same etag",
        "large.txt": "size differs",
        "page.html": "size differs",
    }
    assert tree.read(out) == files | {"archive.gz": stored["archive.gz"]}
    again = s3pp("get", "--gunzip", moto_bucket.url, out)
    assert (again.counts.done, again.counts.skipped) == (0, 3)


def test_codings_are_a_list(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path, recorder: MakeRecorder
) -> None:
    """Any order, case and spacing, and several lines; aws-chunked means nothing."""
    text = b"text " * 1000
    once = gzip.compress(text, mtime=0)
    twice = gzip.compress(once, mtime=0)
    large = content(1 << 20).hex().encode()
    stored = {
        "behind": ("gzip,aws-chunked", once),
        "before": ("aws-chunked , GZIP", once),
        "empty": (",x-gzip,", once),
        "large": ("gzip, aws-chunked", gzip.compress(large, mtime=0)),
        "twice": ("gzip, gzip", twice),
        "chunked": ("aws-chunked", once),
        "other": ("br", once),
        "mixed": ("br, gzip", once),
    }
    for key, (_, body) in stored.items():
        moto_bucket.put(key, body)

    def encoded(request: Request, answer: Answer) -> Answer:
        key = request.target.rpartition("/")[2]
        if key in stored:
            lines = stored[key][0].split(" ", 1)  # in two lines, where there is a space
            answer.headers.extend(("Content-Encoding", line) for line in lines)
        return answer

    store = recorder(moto_bucket.store, rewrite=encoded).store
    out = tmp_path / "out"
    result = s3pp("get", "--gunzip", "--json", moto_bucket.url, out, store=store)
    assert result.code == 1
    assert set(failures(result)) == {"mixed"}
    assert "stored with Content-Encoding br, gzip" in result.err
    assert tree.read(out) == dict.fromkeys(("behind", "before", "empty", "twice"), text) | {
        "large": large,
        "chunked": once,
        "other": once,
    }
    again = s3pp("get", "--gunzip", "--json", moto_bucket.url, out, store=store)
    assert {e["event"] for e in again.events[:-1] if e["key"] != "mixed"} == {"skipped"}


def test_an_object_that_would_fill_the_disk_fails(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    zeros = bytes(24 << 20)
    once = gzip.compress(zeros)
    stored = {"once": once, "large": once * 60, "twice": gzip.compress(once)}
    for key, body in stored.items():
        times = 2 if key == "twice" else 1
        moto_bucket.put(key, body, ContentEncoding=", ".join(["gzip"] * times))
    moto_bucket.put("page", gzip.compress(b"<html>"), ContentEncoding="gzip")
    words = ["get", "--gunzip", "--json", "--exclude", "large", moto_bucket.url]
    result = s3pp(*words, tmp_path / "a")
    assert failures(result) == {"twice": "too-large"}
    assert tree.read(tmp_path / "a") == {"once": zeros, "page": b"<html>"}
    small = ["--max-ratio", "100", "--multipart-threshold", "5MiB"]
    result = s3pp("get", "--gunzip", "--json", *small, moto_bucket.url, tmp_path / "b")
    assert (result.code, set(failures(result))) == (1, {"once", "twice", "large"})
    assert "more than 1048576 bytes" in result.err
    assert "raise --max-ratio, or get it without --gunzip" in result.err
    assert tree.read(tmp_path / "b") == {"page": b"<html>"}
    stream = s3pp("get", "--gunzip", *small, f"{moto_bucket.url}/once", "-")
    assert (stream.code, len(stream.out) <= 1 << 20) == (1, True)
    refused = s3pp("get", *small, moto_bucket.url, tmp_path / "c")
    assert refused.err == "s3pp: --max-ratio needs --gunzip: without it nothing is unpacked\n"
