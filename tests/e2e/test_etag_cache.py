"""--etag-cache: unchanged files are not opened, changed ones are sent, faults only cost speed."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from commands import ROOT, Result, Run, Start, as_anybody
from conftest import MakeRecorder, Tree
from outcomes import reasons
from s3pp.localfs.file_state import SETTLED
from stores.store import Bucket, Store
from trees import make_tree

MIB = 1024 * 1024
FILES = {
    "settled-a": b"1234",
    "d/settled-b": b"",
    "d/settled-c.txt": b"12345" * 100,
    "settled-large": random.Random(1).randbytes(9 * MIB),
}
SMALL_ONES = ("put", "--json", "--exclude", "*large")
PARTS = ("--multipart-threshold", "6MiB", "--part-size", "5MiB")
SITE = """
import os, sys
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and "settled-" in arguments[0]:
        log = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(log, (os.path.basename(arguments[0]) + "\\n").encode())
        os.close(log)
sys.addaudithook(note)
"""


def settle(root: Path) -> None:
    """Wait until all files were modified long enough ago to be trusted."""
    files = [path for path in root.rglob("*") if path.is_file()]
    last = max(path.stat().st_ctime_ns for path in files)
    while time.time_ns() <= last + SETTLED:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that no test changes, of files that are trusted."""
    root = make_tree(tmp_path_factory.mktemp("settled") / "src", FILES)
    settle(root)
    return root


Opened = Callable[..., tuple[Result, list[str]]]


@pytest.fixture
def opened(s3pp: Run, tmp_path: Path) -> Opened:
    """Runs the command, and returns also the names of the files of a settled tree it has opened."""
    site, log = tmp_path / "site", tmp_path / "opened"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)

    def run(*words: object, **settings: object) -> tuple[Result, list[str]]:
        log.write_text("")
        env = {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "OPENED": str(log)}
        result = s3pp(*words, env=env, **settings)
        return result, sorted(log.read_text().split())

    return run


def rows(cache: Path) -> dict[tuple[int, str], str]:
    """Inode and kind, and the value."""
    with closing(sqlite3.connect(cache)) as database:
        found = database.execute("SELECT inode, kind, value FROM digests").fetchall()
    return {(inode, kind): value for inode, kind, value in found}


def kinds(cache: Path, path: Path) -> set[str]:
    inode = path.stat().st_ino
    return {kind for number, kind in rows(cache) if number == inode}


SAME = dict.fromkeys(FILES, "same etag")


def test_an_update_opens_no_file_that_is_unchanged(
    opened: Opened,
    settled: Path,
    moto: Store,
    moto_bucket: Bucket,
    recorder: MakeRecorder,
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    words = ("put", "--json", "--checksum", "md5", *PARTS, settled, moto_bucket.url)
    first, read = opened(*words, "--etag-cache", cache)
    assert (first.code, first.err, len(set(read))) == (0, "", 4)
    assert cache.stat().st_mode & 0o777 == 0o600
    assert kinds(cache, settled / "settled-large") == {"parts-2"}
    seen = recorder(moto)
    again, read = opened(*words, "--etag-cache", cache, store=seen.store)
    assert (again.code, again.err, reasons(again), read) == (0, "", SAME, [])
    assert (seen.heads, seen.puts, seen.count("GET")) == (0, 0, seen.lists)
    dry, read = opened(*words, "--dry-run", "--etag-cache", cache)
    assert (dry.code, reasons(dry), read) == (0, SAME, [])
    assert len(set(opened(*words)[1])) == 4  # without it all of them are read
    crc = ("put", "--checksum", "crc64nvme", *PARTS, "--include", "*large", settled)
    assert opened(*crc, moto.bucket().url, "--etag-cache", cache)[0].code == 0
    assert kinds(cache, settled / "settled-large") == {"parts-2", "crc64nvme"}


def test_a_file_that_was_changed_is_sent_though_its_time_and_size_are_the_same(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, cache = tree({"a": b"1234", "b": b"1234", "c": b"1"}), tmp_path / "cache"
    settle(src)
    words = ("put", "--json", "--etag-cache", cache, src, moto_bucket.url)
    assert s3pp(*words).code == 0
    assert len(rows(cache)) == 3
    for name in ("a", "b"):
        before = (src / name).stat()
        (src / name).write_bytes(b"4321")
        os.utime(src / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(src / "b", src / "moved")
    (src / "moved").rename(src / "b")
    again = s3pp(*words)
    assert reasons(again) == {"a": "etag differs", "b": "etag differs", "c": "same etag"}
    assert moto_bucket.tree() == {"a": b"4321", "b": b"4321", "c": b"1"}


def test_files_that_were_modified_just_now_are_not_trusted(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Another write could follow in the same tick of the clock, and not show."""
    src, out, cache = tree({"a": b"1234"}), tmp_path / "out", tmp_path / "cache"
    words = ("--json", "--etag-cache", cache)
    for _ in range(2):
        (src / "a").touch()
        assert s3pp("put", *words, src, moto_bucket.url).code == 0
    assert s3pp("get", *words, moto_bucket.url, out).code == 0
    assert rows(cache) == {}
    os.utime(out / "a", ns=(2**62, 2**62))  # in the future, while the next write would not be
    settle_times = (out / "a").stat().st_ctime_ns
    while time.time_ns() <= settle_times + SETTLED:
        time.sleep(0.05)
    assert s3pp("get", *words, moto_bucket.url, out).code == 0
    assert rows(cache) == {}


def test_a_get_opens_no_file_that_is_up_to_date(
    opened: Opened, settled: Path, moto_bucket: Bucket, tmp_path: Path
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    assert opened("put", "--checksum", "md5", *PARTS, settled, moto_bucket.url)[0].code == 0
    words = ("get", "--json", *PARTS, moto_bucket.url, out)
    assert set(reasons(opened(*words)[0]).values()) == {"new"}
    settle(out)
    first, read = opened(*words, "--etag-cache", cache)
    assert (reasons(first), len(set(read))) == (SAME, 4)
    again, read = opened(*words, "--etag-cache", cache)
    assert (again.code, again.err, reasons(again), read) == (0, "", SAME, [])
    (out / "settled-a").write_bytes(b"4321")
    assert reasons(opened(*words, "--etag-cache", cache)[0]) == {
        **SAME,
        "settled-a": "etag differs",
    }
    assert (out / "settled-a").read_bytes() == b"1234"


def test_compressed_bodies_are_known_by_their_settings(
    opened: Opened, settled: Path, moto_bucket: Bucket, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    words = ("put", "--json", "--etag-cache", cache, "--include", "*.txt", settled, moto_bucket.url)
    assert opened(*words)[0].code == 0
    plain, read = opened(*words)
    assert (list(reasons(plain).values()), read) == (["same etag"], [])
    packed, read = opened(*words, "--gzip")
    assert (list(reasons(packed).values()), len(read)) == (["size differs"], 1)
    again, read = opened(*words, "--gzip")
    assert (list(reasons(again).values()), read) == (["same etag"], [])
    # Its bytes are known without compression too, and are not what is stored now.
    assert list(reasons(opened(*words)[0]).values()) == ["size differs"]
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nmatch = "*.txt"\ngzip = true\n')
    ruled, _ = opened(*words, "--rules", rules)
    assert list(reasons(ruled).values()) == ["size differs"]
    again, read = opened(*words, "--rules", rules)
    assert (list(reasons(again).values()), read) == (["same etag"], [])


def random_bytes(cache: Path) -> None:
    cache.write_bytes(random.Random(2).randbytes(9000))


def truncated(cache: Path) -> None:
    os.truncate(cache, cache.stat().st_size // 2 + 11)


def spoilt_pages(cache: Path) -> None:
    """Its header is that of a cache, and nothing behind it is."""
    size = cache.stat().st_size
    cache.write_bytes(cache.read_bytes()[:100] + random.Random(3).randbytes(size - 100))


def spoilt_rows(cache: Path) -> None:
    """The page of the rows is spoilt: that shows when they are looked up."""
    content = bytearray(cache.read_bytes())
    content[4096:8192] = random.Random(4).randbytes(4096)
    cache.write_bytes(content)


def foreign(cache: Path) -> None:
    cache.unlink()
    with closing(sqlite3.connect(cache)) as database:
        database.execute("CREATE TABLE digests (mine TEXT)")
        database.execute("PRAGMA user_version = 1")
        database.commit()


def newer(cache: Path) -> None:
    with closing(sqlite3.connect(cache)) as database:
        database.execute("PRAGMA user_version = 1000")
        database.commit()


def directory(cache: Path) -> None:
    cache.unlink()
    cache.mkdir()


def fifo(cache: Path) -> None:
    cache.unlink()
    os.mkfifo(cache)


def changeable(cache: Path) -> None:
    cache.chmod(0o666)


# What is wrong with a cache, and what users are told.
FAULTS: Mapping[Callable[[Path], None], str] = {
    random_bytes: "it is damaged, or not an ETag cache: remove it, or name another file",
    truncated: "it is damaged, or not an ETag cache",
    spoilt_pages: "it is damaged, or not an ETag cache",
    spoilt_rows: "it is damaged, or not an ETag cache",
    foreign: "it is a database of another program: name another file",
    newer: "it is that of another version of s3pp: remove it, or name another file",
    directory: "it is not a regular file: name another",
    fifo: "it is not a regular file: name another",
    changeable: "other users can change it: restrict its mode to 0600",
}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_a_cache_that_cannot_be_used_costs_a_notice(
    spoil: Callable[[Path], None], s3pp: Run, settled: Path, moto_bucket: Bucket, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    words = (*SMALL_ONES, "--etag-cache", cache, settled, moto_bucket.url)
    assert s3pp(*words).code == 0
    spoil(cache)
    before = cache.read_bytes() if cache.is_file() else b""
    again = s3pp(*words, timeout=40)
    small = {name: "same etag" for name in FILES if "large" not in name}
    assert (again.code, reasons(again)) == (0, small)
    assert again.err.splitlines() == [again.err.strip()]
    assert again.err.startswith(f"s3pp: --etag-cache '{cache}': {FAULTS[spoil]}")
    assert not cache.is_file() or cache.read_bytes() == before


def test_a_cache_that_cannot_be_opened_or_written_costs_a_notice(
    s3pp: Run, settled: Path, moto_bucket: Bucket, tmp_path: Path
) -> None:
    words = (*SMALL_ONES, settled, moto_bucket.url, "--etag-cache")
    missing = s3pp(*words, tmp_path / "missing" / "cache")
    assert missing.code == 0
    assert ": No such file or directory; this run or the next one reads more" in missing.err
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    assert "other users can change its directory" in s3pp(*words, shared / "cache").err
    cache = tmp_path / "closed" / "cache"
    cache.parent.mkdir()
    assert s3pp("put", "-n", "--etag-cache", cache, settled, moto_bucket.url).code == 0
    assert not cache.exists()  # a dry run writes nothing
    full = s3pp(*words, cache, preexec_fn=partial(at_most, 6000))
    assert (full.code, full.err.count("\n")) == (0, 1)
    cache.unlink(missing_ok=True)
    assert s3pp(*words, cache, "--limit", "1").code == 0
    cache.parent.chmod(0o500)
    read_only = s3pp(*words, cache, preexec_fn=as_anybody)
    cache.parent.chmod(0o700)
    assert (read_only.code, read_only.err.count("\n")) == (0, 1)
    assert "attempt to write a readonly database" in read_only.err


def at_most(size: int) -> None:
    """No file may grow beyond ``size`` bytes: what a quota does, or a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_cache_that_another_program_has_locked_costs_a_notice(
    opened: Opened, s3pp: Run, settled: Path, moto_bucket: Bucket, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    words = (*SMALL_ONES, "--etag-cache", cache, settled, moto_bucket.url)
    assert s3pp(*words).code == 0
    with closing(sqlite3.connect(cache, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        locked = s3pp(*words)
        assert (locked.code, set(reasons(locked).values())) == (0, {"same etag"})
        assert ": database is locked by another program: end that one, or" in locked.err
        assert locked.err.count("\n") == 1
        database.execute("ROLLBACK")
        database.execute("BEGIN IMMEDIATE")  # others may read
        reading, read = opened(*words)
        assert (reading.err, read) == ("", [])


def test_two_runs_at_once_share_a_cache(
    s3pp_start: Start, opened: Opened, settled: Path, moto: Store, tmp_path: Path
) -> None:
    cache, buckets = tmp_path / "cache", [moto.bucket(), moto.bucket()]
    words = ("put", "--json", "--checksum", "md5", *PARTS, "--etag-cache", cache, settled)
    started = [s3pp_start(*words, bucket.url) for bucket in buckets]
    for run in started:
        ended = run.wait()
        assert (ended.code, ended.err) == (0, "")
    for bucket in buckets:
        again, read = opened(*words, bucket.url)
        assert (again.err, reasons(again), read) == ("", SAME, [])


@pytest.mark.parametrize("victim", ["s3pp: statter", "s3pp: walker", "the command"])
def test_a_killed_run_leaves_a_cache_that_is_whole(
    victim: str, s3pp_start: Start, s3pp: Run, settled: Path, moto_bucket: Bucket, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    words = ("put", "--mode=stupid", "--checksum", "md5", "--etag-cache", cache, settled)
    running = s3pp_start(*words, moto_bucket.url)
    running.wait_for_child("s3pp: putter 1")
    pid = running.pid if victim == "the command" else running.wait_for_child(victim)
    os.kill(pid, signal.SIGKILL)
    running.wait(check_processes=False)
    after = s3pp(*words, moto_bucket.url)
    assert (after.code, after.err) == (0, "")
    with closing(sqlite3.connect(cache)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_where_a_cache_must_not_be(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"a": b"1", "cache": b""})
    for words in (
        ("put", "--etag-cache", src / "new", src, moto_bucket.url),
        ("put", "--etag-cache", src / "cache", src / "cache", moto_bucket.url),
        ("get", "--etag-cache", src / "new", moto_bucket.url, src),
        ("put", "--etag-cache", tmp_path / "j", "--journal", tmp_path / "j", src, moto_bucket.url),
    ):
        refused = s3pp(*words)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "--etag-cache" in refused.err
    assert not (src / "new").exists()
    assert moto_bucket.keys() == []
