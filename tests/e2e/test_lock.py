"""``--lock``: one run of a job at a time, and what another one does."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands import Run, Running, Start, as_anybody
from conftest import Tree
from stores.store import Bucket


def wait_until(condition: Callable[[], object], running: Running) -> None:
    """Wait for something that ``running`` does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, running.err()
        assert running.popen.poll() is None, running.err()
        time.sleep(0.01)


class Holder:
    """A run that holds a lock until its standard input ends."""

    def __init__(self, begin: Callable[[int], Running], lock: Path) -> None:
        read, self._write = os.pipe()
        self.running = begin(read)
        os.close(read)
        wait_until(lambda: lock.exists() and lock.read_text().endswith("\n"), self.running)

    def finish(self) -> int:
        """Let it end; returns its exit code."""
        self.close()
        return self.running.wait().code

    def close(self) -> None:
        write, self._write = self._write, -1
        if write >= 0:
            os.close(write)


Hold = Callable[..., Holder]


@pytest.fixture
def hold(s3pp_start: Start) -> Iterator[Hold]:
    """``hold(lock, "put", ...)``: a run that has taken ``lock``, and reads standard input."""
    holders: list[Holder] = []

    def begin(lock: Path, *words: object) -> Holder:
        holders.append(Holder(lambda stdin: s3pp_start(*words, stdin=stdin), lock))
        return holders[-1]

    yield begin
    for each in holders:
        each.close()


def test_a_second_run_is_skipped_or_fails_or_waits(
    hold: Hold, s3pp: Run, s3pp_start: Start, moto_bucket: Bucket, tmp_path: Path
) -> None:
    lock, log = tmp_path / "lock", tmp_path / "log"
    url = f"{moto_bucket.url}/k"
    words = ["put", "--lock", lock, "-", url]
    first = hold(lock, *words)
    held = (
        f"put - {url}: --lock '{lock}' is held by process {first.running.pid} (put - {url}) since"
    )
    result = s3pp(*words, "--log-file", log)
    assert (result.code, result.out) == (75, "")
    assert result.err.startswith(f"s3pp: {held} 20")
    assert result.err.endswith("Z: nothing was done: wait for that run, or use --lock-wait\n")
    assert held in log.read_text()
    silent = s3pp(*words, "-q", "--json")
    assert (silent.code, silent.out, silent.err) == (75, "", "")
    metrics = log.with_name("of-the-first.prom")
    metrics.write_text("# HELP s3pp_run_active is that of the run that has the lock\n")
    kept = metrics.read_text()
    wait = ("--lock-wait", "0.1", "-q", "--metrics", metrics)
    result = s3pp(*words, *wait, "--if-locked", "fail")
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert "is still held after 0.1 s by process" in result.err
    assert s3pp(*words, *wait).code == 75
    assert metrics.read_text() == kept
    # Another verb takes the same lock.
    assert s3pp("remove", "--lock", lock, f"{moto_bucket.url}/k").code == 75
    second = s3pp_start(*words, "--lock-wait", "forever", stdin=b"second")
    wait_until(lambda: f"(put - {url}) since" in second.err(), second)
    assert second.err().endswith("Z: waiting for it\n")
    assert moto_bucket.keys() == []
    assert first.finish() == 0
    assert second.wait().code == 0
    assert moto_bucket.get("k") == b"second"
    assert (lock.read_bytes(), oct(lock.stat().st_mode & 0o777)) == (b"", "0o600")
    assert s3pp(*words, stdin=b"third").code == 0


def test_a_killed_run_leaves_no_lock_even_where_its_children_stay(
    hold: Hold, s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, lock = tree({"a": b"1"}), tmp_path / "lock"
    words = ["put", "-P1", "--lock", lock, src, moto_bucket.url]
    first = hold(lock, *words, "--files-from", "-").running
    walker = first.wait_for_child("s3pp: walker")
    os.kill(walker, signal.SIGSTOP)
    assert s3pp(*words).code == 75
    os.kill(first.pid, signal.SIGKILL)
    first.popen.wait()
    result = s3pp(*words)
    assert (result.code, result.err) == (0, "")
    assert walker in first.pids()
    assert moto_bucket.keys() == ["a"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_wait(
    s3pp_start: Start, moto_bucket: Bucket, tmp_path: Path, number: int, code: int
) -> None:
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as flock(1)
        words = ["clean", "--lock", "lock", "--lock-wait", "1h", "--metrics", "m", moto_bucket.url]
        running = s3pp_start(*words)
        wait_until(lambda: "\n" in running.err(), running)
        running.signal(number)
        result = running.wait(20)
    assert (result.code, result.out) == (code, "")
    assert result.err == (
        "s3pp: --lock 'lock' is held by another process: waiting for it, up to 3600 s\n"
        "s3pp: stopped before anything was done\n"
    )
    assert not (tmp_path / "m").exists()  # it would be that of the run that has the lock


def test_what_cannot_be_a_lock_is_refused(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, closed = tree({"a": b"1"}), tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    (tmp_path / "link").symlink_to(tmp_path / "led to")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "journal").touch(0o600)
    faults = {
        src / "lock": f"lies in SOURCE '{src}': put it elsewhere",
        closed: "is a directory: name a file",
        closed / "lock": "cannot be opened: Permission denied; name another file",
        tmp_path / "missing" / "lock": "cannot be opened: No such file or directory; name another",
        tmp_path / "link": "is a symbolic link, which others may have put there: name the file",
        tmp_path / "fifo": "is not a regular file: name another",
    }
    for path, fault in faults.items():
        result = s3pp("put", "--lock", path, src, moto_bucket.url, preexec_fn=as_anybody)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert result.err.startswith(f"s3pp: --lock '{path}' {fault}")
    same = ["--journal", "journal", "--lock", tmp_path / "journal"]
    result = s3pp("put", *same, src, moto_bucket.url)
    assert result.err == "s3pp: --lock and --journal are the same file; name another for one\n"
    assert not (tmp_path / "led to").exists()
    assert (moto_bucket.keys(), os.listdir(src)) == ([], ["a"])


def test_what_is_in_the_file_is_kept_and_trusted_in_nothing(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, lock = tree({"a": b"1"}), tmp_path / "lock"
    lock.write_text("of another program\n")
    assert s3pp("put", "--lock", lock, src, moto_bucket.url).code == 0
    assert lock.read_text() == "of another program\n"
    lie = {"pid": 1, "since": "\x1b[2J", "host": "there", "command": "a\nb\u202e"}
    lock.write_text(json.dumps(lie, ensure_ascii=False))
    with subprocess.Popen(["flock", str(lock), "cat"], stdin=subprocess.PIPE) as other:
        wait = ["flock", "-n", "-E", "75", str(lock), "true"]
        while subprocess.run(wait, check=False).returncode != 75:
            time.sleep(0.01)
        result = s3pp("put", "--lock", lock, src, moto_bucket.url)
        assert other.stdin is not None
        other.stdin.close()
    assert result.code == 75
    assert r"process 1 on there (a\nb\u202e) since \x1b[2J: nothing was done" in result.err


def test_auto_is_a_lock_for_each_job(
    hold: Hold, s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    tree({"a": b"1"})
    words = ["put", "--lock", "auto"]
    assert s3pp(*words, "src", moto_bucket.url).code == 0
    base = Path("/run/lock" if os.access("/run/lock", os.W_OK) else "/tmp", f"s3pp-{os.geteuid()}")
    assert oct(base.stat().st_mode & 0o777) == "0o700"
    newest = max(base.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    first = hold(newest, *words, "--files-from", "-", "src", moto_bucket.url)
    same = s3pp("put", "--lock=auto", "-c1", tmp_path / "src" / ".", f"{moto_bucket.url}/")
    assert same.code == 75
    named = re.search(r"--lock auto \((\S+)\) is held by process (\d+) \(put src s3://", same.err)
    assert named
    assert (named[1], int(named[2])) == (str(newest), first.running.pid)
    other = s3pp("put", "--lock=auto", "src", f"{moto_bucket.url}/other")
    assert other.code == 0
    assert first.finish() == 0
    newest.unlink()
