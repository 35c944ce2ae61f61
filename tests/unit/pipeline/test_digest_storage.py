"""The thread that writes the ETag cache: whole at the end of a run, and never waited for."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from s3pp.localfs import etag_cache
from s3pp.localfs.etag_cache import DigestReader, prepare
from s3pp.localfs.file_state import FileDigest, FileState
from s3pp.pipeline import digest_storage
from s3pp.pipeline.digest_storage import WAITING, DigestStorage


def digests(first: int, count: int) -> list[FileDigest]:
    numbers = range(first, first + count)
    return [FileDigest(FileState(1, number, 2, 3, 4), "md5", "x") for number in numbers]


@pytest.fixture
def cache(tmp_path: Path) -> str:
    path = str(tmp_path / "cache")
    prepare(path, write=True)
    return path


def stored(cache: str, first: int, count: int) -> list[bool]:
    with closing(DigestReader(cache, read_only=True)) as reader:
        states = [each.state for each in digests(first, count)]
        return [bool(each) for each in reader.look_up(states)]


def test_all_is_stored_when_it_is_closed(cache: str) -> None:
    storage = DigestStorage(cache)
    for first in range(0, 2000, 100):
        storage.add(digests(first, 100))
    storage.close()
    assert storage.fault is None
    assert all(stored(cache, 0, 250) + stored(cache, 1750, 250))
    assert not any(stored(cache, 2000, 10))


def test_nothing_waits_for_a_file_that_is_locked(
    cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etag_cache, "_WRITER_WAIT", 0.5)
    with closing(sqlite3.connect(cache, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        storage = DigestStorage(cache)
        started = time.thread_time()
        for first in range(3 * WAITING):  # more than are kept
            storage.add(digests(first, 1))
        assert time.thread_time() - started < 1
        storage.close()
        assert storage.fault is not None
        assert "database is locked" in storage.fault
        storage.add(digests(0, 1))
    assert not any(stored(cache, 0, 10))


def test_a_run_ends_though_writing_does_not(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_storage, "LAST", 0.1)
    monkeypatch.setattr(etag_cache, "_WRITER_WAIT", 60.0)
    with closing(sqlite3.connect(cache, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        storage = DigestStorage(cache)
        storage.add(digests(0, 1))
        started = time.monotonic()
        storage.close()
        assert time.monotonic() - started < 30
        assert storage.fault is not None
        assert "takes too long" in storage.fault
        database.execute("ROLLBACK")  # for which the thread waits
        storage._thread.join()
