"""``s3-parallel-put``, as its manual has it."""

from __future__ import annotations

import gzip
import os
import re
import tarfile
from pathlib import Path
from typing import Literal

import pytest

from commands import Result, Run, as_anybody
from conftest import MakeRecorder, Tree
from stores.store import Bucket, Store
from trees import Link

NAME = "s3-parallel-put"
LAST = r"put (\d+) bytes in (\d+) files in \d+\.\d seconds \(\d+ bytes/s, \d+\.\d files/s\)"


def said(result: Result) -> list[str]:
    """What was logged, without process numbers and the last line; stdout is empty."""
    assert result.out == ""
    *lines, last = result.err.splitlines()
    assert re.fullmatch(rf"INFO:s3-parallel-put\[statter-\d+\]:{LAST}", last)
    return [re.sub(r":s3-parallel-put\[([a-z-]+)-\d+\]", r":\1", line) for line in sorted(lines)]


def counts(result: Result) -> tuple[int, int]:
    """Files and bytes of the last line."""
    found = re.search(LAST, result.err.splitlines()[-1])
    assert found
    return int(found[2]), int(found[1])


def test_the_example(
    front: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """The source's name is no part of keys, nor is a slash; a second run sends nothing."""
    tree({"a b": b"1", "d/c.txt": b"22", "d/e": b"", "link": Link("a b"), "l": Link("d")})
    words = [NAME, f"--bucket={moto_bucket.name}", "--prefix=PREFIX/", "src"]
    first = front(*words)
    assert (first.code, counts(first)) == (0, (4, 4))
    assert moto_bucket.tree() == {
        "PREFIX/a b": b"1", "PREFIX/d/c.txt": b"22", "PREFIX/d/e": b"", "PREFIX/link": b"1",
    }  # fmt: skip
    assert said(first) == [
        "INFO:putter:skipping src/l -> PREFIX/l (link to a directory)",
        *(f"INFO:putter:src/{name} -> PREFIX/{name}" for name in ("a b", "d/c.txt", "d/e", "link")),
    ]
    assert moto_bucket.head("PREFIX/d/c.txt")["ContentType"] == "text/plain"
    seen = recorder(moto)
    again = front(*words, store=seen.store)
    assert (again.code, counts(again), seen.puts) == (0, (0, 0), 0)
    assert "INFO:putter:skipping src/a b -> PREFIX/a b" in said(again)
    assert front(*words, "-q").err == ""


def test_what_objects_are_given(front: Run, moto_bucket: Bucket, tree: Tree) -> None:
    text = b"body {} " * 200
    tree({"a.css": text, "b.js": text, "c.txt": text, "d.js.gz": gzip.compress(text)})
    words = [NAME, "--bucket", moto_bucket.name, "--gzip", "--grant", "public-read", "src"]
    headers = ["--header", "Cache-Control:max-age=60", "--header", "x-amz-meta-k:v"]
    first = front(*words, *headers, "--encrypt-key")
    assert first.code == 0
    assert [line for line in said(first) if "z>" in line] == [
        "INFO:putter:src/a.css z> a.css",
        "INFO:putter:src/b.js z> b.js",
    ]
    stored = moto_bucket.head("a.css")
    assert gzip.decompress(moto_bucket.get("a.css")) == text
    assert (stored["ContentEncoding"], stored["ContentType"]) == ("gzip", "text/css")
    assert (stored["CacheControl"], stored["Metadata"]) == ("max-age=60", {"k": "v"})
    assert stored["ServerSideEncryption"] == "AES256"
    assert any("AllUsers" in grantee for grantee, _ in moto_bucket.acl("a.css"))
    again = front(*words, *headers)
    assert counts(again) == (0, 0)  # compressed files are recognised


def test_modes_limits_and_dry_runs(front: Run, moto_bucket: Bucket, tree: Tree) -> None:
    tree({"a": b"new", "b": b"2"})
    moto_bucket.put("a", b"old")
    words = [NAME, "--bucket", moto_bucket.name]
    dry = front(*words, "--put=stupid", "--dry", "--lim=1", "src")
    assert (dry.code, said(dry), counts(dry)) == (0, ["INFO:dry-run:src/a -> a"], (1, 3))
    full = front(*words, "--limit=0", "--log-filename=/dev/full", "src")
    assert (full.code, counts(full)) == (0, (0, 0))
    assert "'/dev/full': writing failed: No space left on device" in full.err
    assert moto_bucket.tree() == {"a": b"old"}
    add = front(*words, "--put=add", "src")
    assert said(add) == ["INFO:putter:skipping src/a -> a", "INFO:putter:src/b -> b"]
    assert said(front(*words, "--put=stupid", "--proc=2", "src", "-q", "-v")) == [
        "INFO:putter:src/a -> a",
        "INFO:putter:src/b -> b",
    ]
    assert moto_bucket.tree() == {"a": b"new", "b": b"2"}


def test_filters(front: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    tree(
        {"a.tmp": b"1", "keep.tmp": b"2", ".git/HEAD": b"3", "d/x": b"4", "d/e/y": b"5", "old": b""}
    )
    os.utime(tmp_path / "src/old", (1e9, 1e9))
    words = ["--exclude=*.tmp", "--exclude=*/.git*", "--exclude=src/d", "--include=keep*"]
    words += ["--ignore-files-older-than-days=7"]
    result = front(NAME, "--bucket", moto_bucket.name, *words, "src")
    assert (result.code, moto_bucket.tree()) == (0, {"keep.tmp": b"2", "d/e/y": b"5"})


def test_single_files_absolute_and_above(
    front: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"d/f": b"1"})
    words = [NAME, "--bucket", moto_bucket.name, "--prefix", "p"]
    assert front(*words, "src/d/f").code == 0
    assert front(*words, "../src/d/f", cwd=src).code == 0
    assert front(*words, src / "d" / "f").code == 0
    assert moto_bucket.keys() == sorted({"p/src/d/f", f"p{src}/d/f"})
    gone = front(*words, "src", "nothing")
    assert (gone.code, gone.err.count("\n")) == (2, 1)
    assert gone.err == "s3-parallel-put: SOURCE 'nothing' does not exist\n"


def test_failures_are_named_and_fail_the_run(front: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"a": b"1", "b": b"2", "broken": Link("nowhere")})
    (src / "a").chmod(0)
    words = [NAME, "--bucket", moto_bucket.name, "src"]
    result = front(*words, preexec_fn=as_anybody)
    assert (result.code, moto_bucket.tree()) == (1, {"b": b"2"})
    assert said(result) == [
        "ERROR:putter:src/a -> a (src/a cannot be read: Permission denied)",
        "ERROR:putter:src/broken -> broken (broken symbolic link to 'nowhere')",
        "ERROR:statter:2 files not sent",
        "INFO:putter:src/b -> b",
    ]
    quiet = front(*words, "-qqq", preexec_fn=as_anybody)
    assert (quiet.code, quiet.out, quiet.err) == (1, "", "")
    missing = front(NAME, "--bucket", "no-such-bucket", "src")
    assert (missing.code, missing.err.count("\n")) == (2, 1)


def test_the_log_and_resume(front: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    """A log of this program, one of the old one, and one of a dry run, which does not count."""
    names = {"a\tb": b"1", r"a\tb": b"6", "b c": b"2", "d/e.css": b"3", "f": b"4", "g": b"5"}
    src = tree(names)
    words = [NAME, "--bucket", moto_bucket.name, "--prefix=p", "src"]
    (tmp_path / "log").touch(0o644)
    logged = front(*words, "--limit", "1", "--log-filename=log")
    assert (logged.code, logged.out) == (0, "")
    assert logged.err.endswith(" 'log' was open to other users (mode 0644): restricted to 0600\n")
    assert logged.err.count("\n") == 1
    first, last = (tmp_path / "log").read_text().splitlines()
    sent = r"src/a\tb -> p/a\tb"
    assert re.sub(r"-\d+", "", first) == f"INFO:s3-parallel-put[escaped-putter]:{sent}"
    assert re.fullmatch(rf"INFO:s3-parallel-put\[statter-\d+\]:{LAST}", last)
    assert front(*words, "--dry-run", "--log-filename=dry").code == 0
    (tmp_path / "old").write_text(
        "INFO:s3-parallel-put[putter-7]:./src/b c -> p//b c\n"
        "INFO:s3-parallel-put[putter-8]:./src/d/e.css z> p//d/e.css\n"
        "INFO:s3-parallel-put[putter-8]:skipping ./src/f -> p//f\n"
        "ERROR:s3-parallel-put[putter-8]:./src/g -> p//g (timed out)\n"
        "INFO:s3-parallel-put[statter-6]:put 2 bytes in 2 files in 0.1 seconds (20 bytes/s, 20.0 fi"
    )
    logs = ["--resume=log", "--resume", "old", "--resume=dry"]
    resumed = front(*words, *logs)
    assert (resumed.code, said(resumed)) == (
        0,
        [
            r"INFO:escaped-putter:src/a\\tb -> p/a\\tb",
            "INFO:putter:src/f -> p/f",
            "INFO:putter:src/g -> p/g",
            "s3-parallel-put: --resume 'dry' has no file as sent: it leaves out none",
        ],
    )
    assert moto_bucket.tree() == {
        "p/a\tb": b"1", r"p/a\tb": b"6", "p/f": b"4", "p/g": b"5",
    }  # fmt: skip
    assert sorted(path.name for path in src.iterdir()) == ["a\tb", r"a\tb", "b c", "d", "f", "g"]
    nothing = front(*words, "--resume", "nothing")
    assert (nothing.code, nothing.err) == (
        2, "s3-parallel-put: --resume 'nothing' cannot be read: No such file or directory\n",
    )  # fmt: skip


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_archives(suffix: str, front: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    src = tree({"a": b"1", "empty": b"", "d/x.css": b"22"})
    mode: Literal["w:gz", "w"] = "w:gz" if suffix == "tar.gz" else "w"
    with tarfile.open(tmp_path / f"t.{suffix}", mode) as tar:
        tar.add(src / "a", "./a")
        tar.add(src / "d", "d")
        tar.add(src / "empty", "empty")
        escaping = tarfile.TarInfo("../out")
        tar.addfile(escaping)
    words = ["--walk=tar", "--prefix=p", "--exclude", "d/*"]
    result = front(NAME, "--bucket", moto_bucket.name, *words, f"t.{suffix}")
    assert (result.code, moto_bucket.tree()) == (1, {"p/a": b"1", "p/empty": b""})
    assert f"INFO:putter:t.{suffix}:./a -> p/a" in said(result)
    assert "(escapes the archive)" in result.err


def test_copies_of_buckets(front: Run, moto: Store, moto_bucket: Bucket) -> None:
    one, two = moto.bucket(), moto.bucket()
    one.put("a", b"1", CacheControl="max-age=60")
    one.put("x//y", b"2")
    two.put("b", b"3")
    words = [NAME, "--bucket", moto_bucket.name, "--walk=s3", "--put=copy", one.name, two.name]
    assert (front(*words, "--dry-run").code, moto_bucket.keys()) == (0, [])
    result = front(*words, "--exclude=b*")
    assert (result.code, moto_bucket.tree()) == (0, {"a": b"1", "x//y": b"2"})
    assert moto_bucket.head("a")["CacheControl"] == "max-age=60"
    assert f"{one.name}/a -> a\n" in result.err
    assert front(*words).code == 0
    assert moto_bucket.tree() == {"a": b"1", "b": b"3", "x//y": b"2"}


def test_the_host_and_the_older_token(
    front: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    tree({"a": b"1"})
    seen = recorder(moto)
    host = seen.store.url.removeprefix("http://")
    words = [NAME, "--bucket", moto_bucket.name, "--host", host, "--insecure", "src"]
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_SECURITY_TOKEN": "the-older-variable"}
    assert front(*words, env=env).code == 0
    put = next(each for each in seen.requests if each.method == "PUT")
    assert put.headers["x-amz-security-token"] == "the-older-variable"
    assert moto_bucket.tree() == {"a": b"1"}
