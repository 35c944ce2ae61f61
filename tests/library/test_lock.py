"""A run of the library that finds the lock held by another."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

import s3pp
from conftest import Tree
from library.conftest import reached
from stores.store import Bucket


def test_another_run_holds_the_lock(moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    src, lock, at = tree({"a": b"1"}), tmp_path / "lock", reached(moto_bucket.store)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = s3pp.put(src, moto_bucket.url, lock=lock, lock_wait=0.1, **at)
        assert (result.status, result.done) == (s3pp.ExitStatus.LOCKED, 0)
        assert result.error is not None
        assert f"lock {str(lock)!r} is still held after 0.1 s by another process" in result.error
        with pytest.raises(s3pp.RunFailed, match=r"put: put .*: nothing was done"):
            result.check()
        with pytest.raises(s3pp.FatalError, match="wait for that run, or use lock_wait"):
            s3pp.put(src, moto_bucket.url, lock=lock, if_locked="fail", **at)
    assert s3pp.put(src, moto_bucket.url, lock=lock, **at).done == 1
