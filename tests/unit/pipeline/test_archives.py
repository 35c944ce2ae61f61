"""The room that copied members of archives may take."""

from __future__ import annotations

from pathlib import Path

from s3pp.pipeline.archives import SpoolRoom
from s3pp.sources.spooling import Spooled


class Sleeper:
    """Counts how often somebody waited, and deletes a file each time."""

    def __init__(self, *files: Path) -> None:
        self.files = list(files)
        self.waits = 0

    def __call__(self, _seconds: float) -> None:
        self.waits += 1
        self.files.pop(0).unlink()


def spooled(path: Path, size: int) -> Spooled:
    path.write_bytes(b"")
    return Spooled(str(path), [], size)


def test_below_the_limit_nobody_waits(tmp_path: Path) -> None:
    sleeper = Sleeper()
    room = SpoolRoom(100, sleeper)
    room.take(spooled(tmp_path / "a", 40))
    room.take(spooled(tmp_path / "b", 59))
    assert sleeper.waits == 0


def test_at_the_limit_files_have_to_go_first(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    sleeper = Sleeper(a, b, c)
    room = SpoolRoom(100, sleeper)
    for path in (a, b):
        room.take(spooled(path, 45))
    room.take(spooled(c, 60))  # 150 bytes: one gone is not enough, two are
    assert sleeper.waits == 2
    assert not a.exists()
    assert c.exists()


def test_a_member_above_the_limit_goes_alone(tmp_path: Path) -> None:
    sleeper = Sleeper(tmp_path / "big")
    room = SpoolRoom(100, sleeper)
    room.take(spooled(tmp_path / "big", 1000))
    assert sleeper.waits == 1
