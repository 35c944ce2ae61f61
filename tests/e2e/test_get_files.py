"""How files are written: permissions, times, temporary names, what killed runs left, the disk."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from commands import Run, Start, as_anybody
from conftest import MakeRecorder, Tree
from outcomes import snapshot
from stores.fault_actions import Truncate
from stores.fault_proxy import FaultProxy, Rule
from stores.relay import Answer, Request
from stores.store import Bucket, Store
from trees import Content, content

LEFT = ".s3pp-0123456789abcdef"


def private_umask() -> None:
    os.umask(0o027)


def test_permissions(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """New files are as umask has them; a file that is replaced passes its permissions on."""
    modes = {"private": 0o600, "script": 0o755, "read-only": 0o444, "setuid": 0o6755}
    keys = [*modes, "new", "d/new", "large"]
    for key in keys:
        moto_bucket.put(key, content(3 << 20, key) if key == "large" else b"new")
    out = tree(dict.fromkeys(modes, b"old") | {"large": b"old"}, "out")
    for name, mode in (modes | {"large": 0o640}).items():
        (out / name).chmod(mode)
    os.link(out / "private", out / "also")
    result = s3pp("get", moto_bucket.url, out, preexec_fn=private_umask)
    assert (result.code, result.err, result.counts.done) == (0, "", len(keys))
    found = {name: (out / name).stat().st_mode & 0o7777 for name in [*keys, "d"]}
    assert found == modes | {
        "setuid": 0o755,
        "new": 0o640,
        "d/new": 0o640,
        "d": 0o750,
        "large": 0o640,
    }
    expected = dict.fromkeys(keys, b"new") | {"large": content(3 << 20, "large"), "also": b"old"}
    assert tree.read(out) == expected  # another name of a replaced file keeps what it had


def test_a_file_has_its_name_only_when_it_is_whole(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """Bodies break off half way; what stands there is seen when the object is asked for again."""
    objects = {"small": content(5000), "large": content(4 << 20), "old": content(9000)}
    for key, body in objects.items():
        moto_bucket.put(key, body)
    out = tree({"old": b"as it was"}, "out")
    asked, seen = set(), []

    def look(request: Request) -> None:
        if not request.of_bucket and request.path in asked:
            seen.append({path.name: path.stat().st_size for path in out.iterdir()})
        asked.add(request.path)

    cuts = [Rule(Truncate(), "GET", f"/{key}$", times=1) for key in objects]
    with FaultProxy(recorder(moto, intercept=look).url).serving() as proxy:
        proxy.inject(*cuts)
        result = s3pp("get", "-c", "1", moto_bucket.url, out, store=replace(moto, url=proxy.url))
    assert (result.code, result.err, result.counts.done) == (0, "", 3)
    assert tree.read(out) == objects
    assert len(seen) == 3
    final = {(name, len(body)) for name, body in objects.items()} | {("old", len(b"as it was"))}
    for name, size in (each for names in seen for each in names.items()):
        assert (name, size) in final or ".s3pp-" in name


def test_final_names_while_files_arrive(s3pp_start: Start, moto_bucket: Bucket, tree: Tree) -> None:
    """Watched from outside: whoever finds a final name finds all of its bytes."""
    objects = {f"{n}": content(2 << 20, n) for n in range(6)}
    for key, body in objects.items():
        moto_bucket.put(key, body)
    out = tree({}, "out")
    running = s3pp_start("get", moto_bucket.url, out)
    sizes = []
    while running.popen.poll() is None:
        for name in objects:
            with contextlib.suppress(FileNotFoundError):
                sizes.append((out / name).stat().st_size)
        time.sleep(0.001)
    assert running.wait().code == 0
    assert set(sizes) <= {2 << 20}
    assert tree.read(out) == objects


def test_what_a_killed_run_left_is_swept(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """Temporary files only, and only in directories that files are written to."""
    for key in ("a", "d/b", "d/e/c"):
        moto_bucket.put(key, b"1")
    left: dict[str, Content] = {
        f"a{LEFT}": b"half",
        f"d/b{LEFT}": b"half",
        f"d/e/other{LEFT}": 5000,
    }
    kept: dict[str, Content] = {
        "notes.s3pp-backup": b"2",
        "a.s3pp-0123": b"3",
        f"a{LEFT}.txt": b"4",
        f"elsewhere/f{LEFT}": b"5",
    }
    out = tree(left | kept, "out")
    dry = s3pp("get", "-n", moto_bucket.url, out)
    assert (dry.code, set(tree.read(out))) == (0, {*left, *kept})
    result = s3pp("get", moto_bucket.url, out)
    assert (result.code, result.err, result.counts.done) == (0, "", 3)
    assert tree.read(out) == kept | {"a": b"1", "d/b": b"1", "d/e/c": b"1"}


def half_of_large(request: Request, answer: Answer) -> Answer:
    """Half of a body comes, and then nothing."""
    if not request.path.endswith("/large"):
        return answer
    return Answer(answer.status, answer.headers, answer.body[: 2 << 20])


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_runs_that_are_ended_half_way(
    s3pp: Run,
    s3pp_start: Start,
    moto_bucket: Bucket,
    moto: Store,
    tree: Tree,
    recorder: MakeRecorder,
) -> None:
    """By Ctrl-C, twice, and by kill -9: what is left is no file, and the next run clears it."""
    moto_bucket.put("large", content(4 << 20))
    between, out = recorder(moto, rewrite=half_of_large), tree({}, "out")
    interrupted = s3pp_start("get", moto_bucket.url, out, store=between.store)
    wait_until(lambda: os.listdir(out))
    interrupted.signal_group(signal.SIGINT)
    wait_until(lambda: "again" in interrupted.err())
    interrupted.signal_group(signal.SIGINT)
    assert interrupted.wait(30).code == 130
    assert all(".s3pp-" in name for name in os.listdir(out))
    before = between.count("GET", "/large")
    killed = s3pp_start("get", moto_bucket.url, out, store=between.store)
    wait_until(lambda: between.count("GET", "/large") > before)
    wait_until(lambda: os.listdir(out))
    killed.kill()
    assert [".s3pp-" in name for name in os.listdir(out)] == [True]
    result = s3pp("get", moto_bucket.url, out)
    assert (result.code, result.counts.done) == (0, 1)
    assert tree.read(out) == {"large": content(4 << 20)}


def test_fsync_writes_the_same(s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    objects = {"a": b"1", "d/e/f": b"", "large": content(3 << 20)}
    for key, body in objects.items():
        bucket.put(key, body)
    result = s3pp("get", "--fsync", bucket.url, tmp_path / "out")
    assert (result.code, result.err, result.counts.done) == (0, "", 3)
    assert tree.read(tmp_path / "out") == objects
    stored = bucket.head("large")["LastModified"].timestamp()
    assert int((tmp_path / "out/large").stat().st_mtime) == int(stored)


def test_where_nothing_may_be_written(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """A directory that is closed fails its files by name; the others arrive."""
    for key in ("a", "shut/f", "z"):
        moto_bucket.put(key, b"1")
    out = tree({"shut": None}, "out")
    (out / "shut").chmod(0o555)
    result = s3pp("get", moto_bucket.url, out, preexec_fn=as_anybody)
    assert (result.code, result.counts.done, result.counts.failed) == (1, 2, 1)
    (line,) = result.err.splitlines()
    assert "shut/f" in line
    assert "ermission" in line
    assert tree.read(out) == {"a": b"1", "z": b"1"}


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["real", "dry"])
def test_a_directory_that_cannot_be_made(
    s3pp: Run,
    moto: Store,
    moto_bucket: Bucket,
    tree: Tree,
    recorder: MakeRecorder,
    dry_run: list[str],
) -> None:
    """It is told before anything is asked of the store, and nothing is made.

    One that is there need not be writable: directories in it may be.
    """
    moto_bucket.put("a", b"1")
    above, record = tree({"closed": None, "file": b""}, "above"), recorder(moto)
    (above / "closed").chmod(0o555)
    before = snapshot(above)
    for place, cause in [
        ("closed/out", "Permission denied"),
        ("closed/out/below", "Permission denied"),
        ("file", "not a directory"),
        ("file/out", "not a directory"),
        ("x" * 300, "File name too long"),
    ]:
        words = [*dry_run, moto_bucket.url, above / place]
        result = s3pp("get", *words, store=record.store, preexec_fn=as_anybody)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), place
        assert f"DIRECTORY '{above / place}'" in result.err
        assert cause in result.err
    assert (record.requests, snapshot(above)) == ([], before)


def test_what_only_making_it_tells_is_told_before_an_object_is_asked_for(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    moto_bucket.put("a", b"1")
    record = recorder(moto)
    result = s3pp("get", moto_bucket.url, "/proc/self/no-such-place", store=record.store)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "DIRECTORY '/proc/self/no-such-place'" in result.err
    assert all(r.of_bucket for r in record.requests)
