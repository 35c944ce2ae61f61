"""Room for files: taken where that is quick, refused where there is none, never emulated."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3pp.localfs import allocation

MIB = 1 << 20


class Calls:
    """Stands in for fallocate(2); every call takes ``seconds`` of ``clock``."""

    def __init__(self, seconds: float = 0.0, fault: int = 0) -> None:
        self.made: list[tuple[int, int]] = []
        self._seconds = seconds
        self._fault = fault

    def __call__(self, fd: int, offset: int, size: int) -> None:
        self.made.append((offset, size))
        if self._fault:
            raise OSError(self._fault, os.strerror(self._fault))

    def clock(self) -> float:
        return self._seconds * len(self.made)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def taking(monkeypatch: pytest.MonkeyPatch, calls: Calls | None) -> None:
    monkeypatch.setattr(allocation, "_fallocate", lambda: calls)


def test_all_the_room_is_taken_where_that_is_quick(
    monkeypatch: pytest.MonkeyPatch, fd: int
) -> None:
    calls, size = Calls(), (1 << 30) + 5
    taking(monkeypatch, calls)
    allocation.allocate(fd, size, clock=calls.clock)
    ends = [0, *(offset + length for offset, length in calls.made)]
    assert [offset for offset, _ in calls.made] == ends[:-1]
    assert ends[-1] == os.fstat(fd).st_size == size
    assert len(calls.made) < 8


def test_where_it_takes_long_the_rest_is_left_to_the_writing(
    monkeypatch: pytest.MonkeyPatch, fd: int
) -> None:
    calls = Calls(seconds=1.0)
    taking(monkeypatch, calls)
    allocation.allocate(fd, 1 << 30, clock=calls.clock)
    assert len(calls.made) == 1
    assert os.fstat(fd).st_size == 1 << 30


@pytest.mark.parametrize("fault", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM])
def test_a_file_system_that_has_no_such_thing_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, fd: int, fault: int
) -> None:
    calls = Calls(fault=fault)
    taking(monkeypatch, calls)
    allocation.allocate(fd, 1 << 30)
    assert len(calls.made) == 1
    assert os.fstat(fd).st_size == 1 << 30
    assert os.fstat(fd).st_blocks == 0  # nothing was written in its stead


def test_no_room_is_told(monkeypatch: pytest.MonkeyPatch, fd: int) -> None:
    taking(monkeypatch, Calls(fault=errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        allocation.allocate(fd, 1 << 30)


def test_a_system_without_it_gets_the_length_alone(
    monkeypatch: pytest.MonkeyPatch, fd: int
) -> None:
    taking(monkeypatch, None)
    allocation.allocate(fd, 1 << 30)
    assert os.fstat(fd).st_size == 1 << 30


@pytest.mark.skipif(sys.platform != "linux", reason="fallocate(2) is Linux's")
def test_the_real_one_gives_blocks(fd: int) -> None:
    allocate = allocation._fallocate()
    assert allocate is not None
    try:
        allocate(fd, MIB, 2 * MIB)
    except OSError as error:
        pytest.skip(f"not on this file system: {error}")
    assert os.fstat(fd).st_blocks * 512 >= 2 * MIB
    assert os.fstat(fd).st_size == 3 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="fallocate(2) is Linux's")
def test_the_real_one_says_what_is_wrong() -> None:
    allocate = allocation._fallocate()
    assert allocate is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        allocate(-1, 0, 1)


def test_a_limit_of_file_sizes_is_told(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from s3pp.localfs import allocation\n"
        "try:\n"
        "    allocation.allocate(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), 1 << 30)\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "limited")],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)),
    )
    assert done.stdout == "File too large\n"
