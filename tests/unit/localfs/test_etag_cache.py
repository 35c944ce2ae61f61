"""The file of the ETag cache: what is stored is found, and nothing else."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.localfs import etag_cache
from s3pp.localfs.etag_cache import (
    KEPT,
    REFRESHED,
    TOGETHER,
    DigestReader,
    DigestWriter,
    UnusableCacheError,
    prepare,
)
from s3pp.localfs.file_state import FileDigest, FileState

DAY = 86_400
NUMBERS = st.sampled_from([0, 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
TIMES = st.sampled_from([-1, 0, 1_700_000_000_123_456_789, 2**62])
STATES = st.builds(FileState, NUMBERS, NUMBERS, st.sampled_from([0, 1, 2**40]), TIMES, TIMES)
DIGESTS = st.builds(FileDigest, STATES, st.sampled_from(["md5", "parts-2"]), st.sampled_from("abc"))


def state(number: int) -> FileState:
    return FileState(7, number, 10, 20, 30)


@pytest.fixture
def cache(tmp_path: Path) -> str:
    path = str(tmp_path / "cache")
    assert prepare(path, write=True)
    return path


@given(st.lists(st.lists(DIGESTS, max_size=6), max_size=4), st.lists(STATES, max_size=8))
@settings(max_examples=examples(60), deadline=None)
def test_the_last_digest_of_a_kind_is_found_for_the_last_state_alone(
    batches: list[list[FileDigest]], asked: list[FileState]
) -> None:
    expected: dict[tuple[int, int], dict[str, tuple[FileState, str]]] = {}
    with TemporaryDirectory() as top:
        path = os.path.join(top, "cache")
        prepare(path, write=True)
        writer = DigestWriter(path)
        for batch in batches:
            writer.store(batch)
            for each in batch:
                kinds = expected.setdefault(each.state[:2], {})
                kinds[each.kind] = each.state, each.value
        writer.close()
        reader = DigestReader(path, read_only=True)
        asked += [each.state for batch in batches for each in batch]
        found = reader.look_up(asked)
        reader.close()
    for wanted, known in zip(asked, found, strict=True):
        kinds = expected.get(wanted[:2], {})
        held = {kind: value for kind, (of, value) in kinds.items() if of == wanted}
        assert known.items() <= held.items()  # of other states rows may be gone
        last = batches and all(of == wanted for of, _ in kinds.values())
        assert not last or known == held


def test_rows_are_refreshed_and_expire(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()

    def go(days: int) -> None:
        monkeypatch.setattr(time, "time", lambda: now + days * DAY)

    def known(number: int) -> dict[str, str]:
        with closing(DigestReader(cache, read_only=True)) as reader:
            return reader.look_up([state(number)])[0]

    def old() -> list[FileDigest]:
        with closing(DigestReader(cache, read_only=True)) as reader:
            reader.look_up([state(1)])
            return reader.old

    writer = DigestWriter(cache)
    writer.store([FileDigest(state(1), "md5", "x"), FileDigest(state(2), "md5", "y")])
    assert (known(1), old()) == ({"md5": "x"}, [])
    go(REFRESHED)
    assert old() == [FileDigest(state(1), "md5", "x")]
    writer.store([FileDigest(state(1), "md5", "x")])
    assert old() == []
    go(KEPT + 1)
    writer.expire()
    assert (known(1), known(2)) == ({"md5": "x"}, {})
    go(KEPT + REFRESHED + 1)
    writer.expire()
    assert known(1) == {}
    writer.close()


def test_a_hundred_thousand_files_cost_few_microseconds_each(cache: str) -> None:
    """Measured 3 to 5 on a busy machine; the bound is for a slow one."""
    count = 20_000
    writer = DigestWriter(cache)
    writer.store([FileDigest(state(number), "md5", f"{number:032x}") for number in range(count)])
    writer.close()
    reader = DigestReader(cache, read_only=True)
    started = time.process_time()
    for first in [*range(0, count, TOGETHER)] * 5:
        numbers = range(first, min(first + TOGETHER, count))
        found = reader.look_up(list(map(state, numbers)))
        assert found[0] == {"md5": f"{first:032x}"}
    assert (time.process_time() - started) / (5 * count) < 20e-6
    reader.close()


def test_a_name_of_any_bytes_is_that_of_the_file(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff ?mode=memory&x=%41#")
    assert prepare(str(tmp_path / name), write=True)
    assert os.listdir(tmp_path) == [name]


def test_nothing_is_created_for_reading(tmp_path: Path) -> None:
    assert not prepare(str(tmp_path / "cache"), write=False)
    (tmp_path / "empty").touch(0o600)
    assert not prepare(str(tmp_path / "empty"), write=False)
    assert (tmp_path / "empty").stat().st_size == 0
    assert prepare(str(tmp_path / "empty"), write=True)
    assert sorted(os.listdir(tmp_path)) == ["empty"]


def test_a_file_of_another_user_is_not_trusted(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.stat(cache).st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner:  # root's are
        with pytest.raises(UnusableCacheError, match="another user"):
            prepare(cache, write=True)
    os.chmod(cache, 0o620)
    with pytest.raises(UnusableCacheError, match="0600"):
        prepare(cache, write=True)


KILLED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
for number in range(5000):
    database.execute("UPDATE digests SET value = 'torn' WHERE inode = ?", (number,))
os.kill(os.getpid(), 9)
"""


def test_what_a_writer_that_was_killed_left_is_undone(cache: str) -> None:
    writer = DigestWriter(cache)
    digests = [FileDigest(state(number), "md5", "whole") for number in range(5000)]
    writer.store(digests)
    writer.close()
    ended = subprocess.run([sys.executable, "-c", KILLED, cache], check=False)
    assert (ended.returncode, os.path.exists(f"{cache}-journal")) == (-9, True)
    with pytest.raises(UnusableCacheError), closing(DigestReader(cache, read_only=True)) as reader:
        reader.look_up([state(1)])  # a dry run writes nothing, and does without
    with closing(DigestReader(cache, read_only=False)) as reader:
        found = reader.look_up([state(number) for number in range(TOGETHER)])
    assert {each["md5"] for each in found} == {"whole"}


def test_a_failed_transaction_stores_nothing(cache: str) -> None:
    writer = DigestWriter(cache)
    with closing(sqlite3.connect(cache)) as database:
        database.execute("PRAGMA max_page_count = 1")
    limited = writer._database  # a full disk, for this connection
    limited.execute("PRAGMA max_page_count = 6")
    many = [FileDigest(state(number), "md5", "x" * 32) for number in range(2000)]
    with pytest.raises(UnusableCacheError, match="full"):
        writer.store(many)
    writer.store(many[:10])  # it can go on
    writer.close()
    with closing(DigestReader(cache, read_only=True)) as reader:
        found = reader.look_up([each.state for each in many[:20]])
    assert [bool(each) for each in found] == [True] * 10 + [False] * 10


def locked(path: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield database


def test_a_locked_file_is_waited_for_briefly(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etag_cache, "_WAIT", 0.05)
    for _ in locked(cache):
        with pytest.raises(UnusableCacheError, match="locked"):
            prepare(cache, write=True)
        with pytest.raises(UnusableCacheError, match="locked"):
            DigestReader(cache, read_only=False).look_up([state(1)])
    assert prepare(cache, write=True)
