"""Locks that are no walls: who is kept out, who is not, and when they end."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import ROOT
from s3pp.localfs import locks
from s3pp.localfs.locks import lock, unlock

HOLDS = """
import sys, time
from s3pp.localfs import locks
locks.on_smb = lambda fd: sys.argv[2] == "smb"
file = open(sys.argv[1], "r+b")
locks.lock(file.fileno())
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture(params=["anywhere", "smb"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the file lies."""
    place = str(request.param)
    monkeypatch.setattr(locks, "on_smb", lambda fd: place == "smb")
    return place


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"content")
    return tmp_path / "file"


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR)


@pytest.mark.usefixtures("place")
def test_one_at_a_time(path: Path) -> None:
    first, second = opened(path), opened(path)
    lock(first)
    lock(first)
    for shared in (False, True):
        with pytest.raises(BlockingIOError):
            lock(second, shared=shared)
    unlock(first)
    lock(second)
    os.close(second)
    lock(first)
    os.close(first)


@pytest.mark.usefixtures("place")
def test_or_several_who_share(path: Path) -> None:
    first, second, third = (opened(path) for _ in range(3))
    lock(first, shared=True)
    lock(second, shared=True)
    with pytest.raises(BlockingIOError):
        lock(third)
    os.close(first)
    os.close(second)
    lock(third)
    os.close(third)


@pytest.mark.usefixtures("place")
def test_it_lasts_as_long_as_the_open_file(path: Path) -> None:
    first, other, second = opened(path), opened(path), opened(path)
    lock(first)
    again = os.dup(first)
    os.close(first)
    os.close(other)  # a lock that belongs to the process would end here
    with pytest.raises(BlockingIOError):
        lock(second)
    os.close(again)
    lock(second)
    os.close(second)


def test_it_ends_with_its_process(place: str, path: Path) -> None:
    fd = opened(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path), place],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError):
            lock(fd)
        holder.send_signal(signal.SIGKILL)
    lock(fd)
    os.close(fd)


def test_what_smb_answers_where_another_has_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux's client passes on EACCES there, where a disk of one's own has EAGAIN."""
    monkeypatch.setattr(locks, "on_smb", lambda fd: True)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    fd = opened(path)
    with pytest.raises(BlockingIOError):
        lock(fd)
    os.close(fd)


def test_the_type_of_a_file_system_is_what_the_system_says(path: Path) -> None:
    said = subprocess.run(["stat", "-f", "-c", "%t", path], capture_output=True, check=True)
    told, fd = locks._fstatfs(), opened(path)
    assert told is not None
    assert told(fd) == int(said.stdout, 16)
    assert not locks.on_smb(fd)
    os.close(fd)
    assert not locks.on_smb(fd)  # nothing is told of it
