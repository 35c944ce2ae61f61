"""``s3concurrent_upload`` and ``s3concurrent_download``, as their manual has them."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from commands import Result, Run, Start, session_pids
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

KEY, SECRET = "AKIDONTHECOMMANDLINE", "on/the+command+line/that-must-not-be-seen"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
UPLOAD, DOWNLOAD = "s3concurrent_upload", "s3concurrent_download"
# Keys of the environment that must not be used.
OTHERS = {"AWS_ACCESS_KEY_ID": "AKIDNOTMEANT", "AWS_SESSION_TOKEN": "token-not-meant-at-all"}


def said(result: Result) -> list[str]:
    """The texts of the log on stdout, which has nothing else."""
    found = [re.fullmatch(rf"{TIME} - root - INFO - (.*)", line) for line in result.lines]
    assert all(found), result.out
    return [line[1] for line in found if line]


def check_said(result: Result, action: str, count: int) -> None:
    """A run in which everything arrived says so, and warns of keys on its command line."""
    lines = said(result)
    assert lines[-2:] == [
        f"{count} keys enqueued, and {count} keys {action}ed",
        f"All keys are {action}ed",
    ]
    assert re.fullmatch(rf"\d+ keys enqueued, and \d+ keys {action}ed", lines[0])
    assert f"Initial queuing has completed. {count} keys has been enqueued." in lines
    warning, *rest = result.err.splitlines()
    assert warning.startswith(f"s3concurrent_{action}: keys on the command line are not safe: ")
    assert rest == []
    check_hidden(result.out + result.err)


def check_hidden(text: str) -> None:
    assert KEY not in text
    assert SECRET not in text


def test_the_example_of_an_upload(
    front_start: Start, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    """Its keys are in no process's arguments while it runs; a second run sends nothing."""
    folder = tree({"a": b"1", "b/c d": b"22", "b/empty": b"", "b/ü": b"3"}, "my_local_mirror_dir")
    looked = threading.Event()

    def hold(request: Request) -> Answer | None:
        if request.method == "PUT":
            looked.wait(20)
        return None

    between = recorder(moto, intercept=hold)
    words = [KEY, SECRET, moto_bucket.name, "--local_folder", folder]
    words += ["--prefix", "mirror/pypi", "--thread_count", "20"]
    running = front_start(UPLOAD, *words, store=between.store, env=OTHERS, fresh=True)
    running.wait_for_child("s3pp: putter 1")
    while not between.puts:
        looked.wait(0.01)
    for pid in session_pids(running.pid):
        check_hidden(Path("/proc", str(pid), "cmdline").read_text())
        check_hidden(Path("/proc", str(pid), "environ").read_text())
    looked.set()
    result = running.wait()
    assert result.code == 0
    check_said(result, "upload", 4)
    assert moto_bucket.tree() == {f"mirror/pypi/{k}": body for k, body in tree.read(folder).items()}
    sent = {r.headers["authorization"].partition("Credential=")[2][:20] for r in between.requests}
    assert sent == {KEY}
    assert not any("x-amz-security-token" in r.headers for r in between.requests)
    between.clear()
    again = front_start(UPLOAD, *words, store=between.store, env=OTHERS).wait()
    check_said(again, "upload", 4)
    assert (again.code, between.puts, between.heads) == (0, 0, 0)


def test_the_example_of_a_download(
    front: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A prefix is a directory; what is there and the same stays, in parts or not."""
    files = {"a": b"1", "b/c": b"22", "b/empty": b"", "changed": b"new"}
    for key, body in files.items():
        moto_bucket.put(f"mirror/pypi/{key}", body)
    moto_bucket.put_multipart("mirror/pypi/parts", b"parts")
    moto_bucket.put("mirror/pypi2/x", b"other")
    folder = tree({"changed": b"old", "mine": b"kept"}, "my_local_mirror_dir")
    words = [KEY, SECRET, moto_bucket.name, "--local_folder", "my_local_mirror_dir"]
    words += ["--prefix", "mirror/pypi", "--thread_count", "20"]
    first = front(DOWNLOAD, *words)
    assert first.code == 0
    check_said(first, "download", 5)
    assert tree.read(folder) == {**files, "parts": b"parts", "mine": b"kept"}
    before = {path: path.stat().st_ino for path in folder.rglob("*")}
    again = front(DOWNLOAD, *words[:-3], "mirror/pypi/")  # the slash changes nothing
    check_said(again, "download", 5)
    assert {path: path.stat().st_ino for path in folder.rglob("*")} == before


def test_without_a_prefix_everything_goes_below_the_folder(
    front: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A download wrote to the root of the file system, and an upload waited for ever."""
    folder = tree({"a": b"1", "b/c": b"2"}, "here")
    os.mkfifo(folder / "pipe")
    up = front(UPLOAD, KEY, SECRET, moto_bucket.name, cwd=folder)
    assert said(up)[-1] == "3 keys enqueued, and 2 keys uploaded"
    assert ("All keys" in up.out, "not a regular file" in up.err) == (False, True)
    assert moto_bucket.tree() == {"a": b"1", "b/c": b"2"}
    (tmp_path / "there").mkdir()
    down = front(DOWNLOAD, KEY, SECRET, moto_bucket.name, cwd=tmp_path / "there")
    check_said(down, "download", 2)
    assert tree.read(tmp_path / "there") == {"a": b"1", "b/c": b"2"}


def test_a_key_that_leads_elsewhere_or_is_refused_is_not_all(
    front: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """Each is tried as often as --max_retry says, a key without bytes too."""
    for key in ("../out", "a", "empty", "x/y"):
        moto_bucket.put(key, b"" if key == "empty" else b"1")

    def refuse(request: Request) -> Answer | None:
        return error(500, "InternalError") if request.target.endswith("/empty") else None

    between = recorder(moto, intercept=refuse)
    words = [KEY, SECRET, moto_bucket.name, "--local", "down", "--max", "2", "--thread=3"]
    result = front(DOWNLOAD, *words, store=between.store)
    assert result.code == 1
    assert between.count("GET", "/empty") == 2
    assert said(result)[-1] == "4 keys enqueued, and 2 keys downloaded"
    assert "All keys" not in result.out
    assert result.err.count("s3concurrent_download: get ") == 2
    assert not (tmp_path / "out").exists()
    check_hidden(result.out + result.err)


def test_what_is_not_there(front: Run, moto_bucket: Bucket) -> None:
    gone = front(DOWNLOAD, KEY, SECRET, moto_bucket.name, "--prefix=none")
    assert (gone.code, "All keys" in gone.out) == (2, False)
    assert f"get s3://{moto_bucket.name}/none: no objects found: check the name" in gone.err
    missing = front(UPLOAD, KEY, SECRET, "no-such-bucket-here")
    assert missing.code == 2
    assert "bucket not found: s3://no-such-bucket-here" in missing.err
    check_hidden(gone.err + missing.err)
