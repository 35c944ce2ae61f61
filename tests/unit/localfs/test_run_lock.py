"""The lock of a run: one holder at a time, whatever happens to the file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import UsageError
from s3pp.localfs.run_lock import MOST_SHOWN, Holder, RunLock
from s3pp.localfs.user_directory import user_directory

HOST = os.uname().nodename


def test_one_holds_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with RunLock(path, "--lock") as first:
        assert first.take()
        first.write_holder("put a s3://b/\n\x1b")
        second = RunLock(path, "--lock")
        assert not second.take()
        holder = second.holder()
        assert holder is not None
        assert (holder.pid, holder.command) == (os.getpid(), "put a s3://b/\\n\\x1b")
        assert str(holder).startswith(f"process {os.getpid()} (put a s3://b/")
    assert second.take()
    assert second.holder() is None
    second.close()


def test_a_file_that_is_replaced_is_locked_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waiting = RunLock(str(path), "--lock")
    path.unlink()
    with RunLock(str(path), "--lock") as other:
        assert other.take()
        assert not waiting.take()
    assert waiting.take()
    waiting.close()


def test_a_child_does_not_hold_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = RunLock(path, "--lock")
    assert lock.take()
    forked, looked = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.write(forked[1], b"1")
        os.close(looked[1])
        os.read(looked[0], 1)
        os._exit(0)
    os.read(forked[0], 1)
    lock.close()
    again = RunLock(path, "--lock")
    assert again.take()
    again.close()
    for fd in (*forked, looked[1]):
        os.close(fd)
    os.waitpid(pid, 0)
    os.close(looked[0])


def test_a_holder_that_has_ended_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    for host, named in ((HOST, False), ("another", True)):
        path.write_text(json.dumps(Holder(pid, "today", host, "put")._asdict()))
        lock = RunLock(str(path), "--lock")
        assert (lock.holder() is not None) is named
        lock.close()


@given(
    st.binary(max_size=5000)
    | st.builds(
        lambda each: json.dumps(each).encode(),
        st.recursive(
            st.none()
            | st.integers()
            | st.text()
            | st.just({"pid": -1, "since": "", "host": HOST, "command": "\x1b" * 9000}),
            lambda each: st.lists(each) | st.dictionaries(st.sampled_from(Holder._fields), each),
        ),
    )
)
def test_whatever_is_in_the_file_names_somebody_or_nobody(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with RunLock(str(path), "--lock") as lock:
        found = lock.holder()
        assert found is None or str(found).isprintable()
        assert len(str(found)) < 20 * MOST_SHOWN
        assert lock.take()
        lock.write_holder("put")
    assert path.read_bytes() in (b"", content)


def test_a_directory_of_one_user(tmp_path: Path) -> None:
    shared, closed = tmp_path / "shared", tmp_path / "file"
    shared.mkdir()
    closed.touch()
    shared.chmod(0o777)  # others could replace what is in it
    name = f"s3pp-{os.geteuid()}"
    with pytest.raises(UsageError, match=r"nothing can be written in .*: name a file"):
        user_directory("--lock auto", [str(shared), str(closed), str(tmp_path / "missing")])
    shared.chmod(0o1777)
    found = Path(user_directory("--lock auto", [str(closed), str(shared)]))
    assert found == shared / name
    assert found.stat().st_mode & 0o777 == 0o700
    found.chmod(0o755)
    assert user_directory("--lock auto", [str(shared)]) == str(found)
    assert found.stat().st_mode & 0o777 == 0o700
    found.rmdir()
    found.symlink_to(tmp_path)
    with pytest.raises(UsageError, match=r"is not a directory of this user: remove it, or name"):
        user_directory("--lock auto", [str(shared)])
