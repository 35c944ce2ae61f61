"""What killed runs left is removed by the next, and nothing else ever is."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import ROOT, as_anybody
from s3pp.localfs import stale_files
from s3pp.localfs.paths import TEMPORARY, temporary_name
from s3pp.localfs.stale_files import SETTLED, SILENT, Sweeper, sweep
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile, write_file
from s3pp.localfs.tree import Tree


@pytest.fixture
def other(top: Path) -> Iterator[Tree]:
    """The tree of another run that is alive."""
    made = Tree(str(top))
    yield made
    made.close()


def leave_temporary(directory: Path, name: str = "name") -> Path:
    """What ``write_file`` leaves when it is killed."""
    path = directory / temporary_name(name)
    path.write_bytes(b"half")
    os.utime(path, ns=(1, 1))  # the object's: it tells nothing
    return path


def later(seconds: float) -> float:
    return time.time() + seconds


# What is removed


def test_what_a_killed_run_left_is_removed_at_once(tree: Tree, top: Path) -> None:
    for name in ("a", "b", "x" * 255, "é" * 127):
        leave_temporary(top, name)
    (top / "kept").touch()
    assert sweep(tree, "") == 4
    assert os.listdir(top) == ["kept"]
    assert sweep(tree, "") == 0


def test_only_in_the_directory_itself(tree: Tree, top: Path) -> None:
    (top / "a/b").mkdir(parents=True)
    kept = [leave_temporary(top), leave_temporary(top / "a/b")]
    leave_temporary(top / "a")
    assert sweep(tree, "a") == 1
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize(
    "name",
    [
        "name",
        "name.s3pp-",
        "name.s3pp-0123456789abcde",
        "name.s3pp-0123456789abcdef0",
        "name.s3pp-0123456789ABCDEF",
        "name.s3pp-0123456789abcdef\n",
        "name.s3pp-0123456789abcdef.txt",
        "name s3pp-0123456789abcdef",
    ],
)
def test_other_names_are_left_alone(tree: Tree, top: Path, name: str) -> None:
    (top / name).touch()
    assert sweep(tree, "", clock=lambda: later(2 * SILENT)) == 0
    assert os.listdir(top) == [name]


def test_only_regular_files_are_removed(tree: Tree, top: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    (top / temporary_name("directory")).mkdir()
    (top / temporary_name("link")).symlink_to("../outside")
    os.mkfifo(top / temporary_name("fifo"))
    before = sorted(os.listdir(top))
    assert sweep(tree, "", clock=lambda: later(2 * SILENT)) == 0
    assert sorted(os.listdir(top)) == before


def test_where_there_is_nothing_to_sweep(tree: Tree, top: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    left = leave_temporary(tmp_path / "outside")
    (top / "link").symlink_to("../outside")
    (top / "file").touch()
    for directory in ("none", "none/none", "link", "file", "file/none", ".."):
        assert sweep(tree, directory) == 0
    assert sweep(Tree(str(tmp_path / "none")), "") == 0
    assert left.exists()
    assert sorted(os.listdir(top)) == ["file", "link"]


def test_what_may_not_be_removed_stays(top: Path) -> None:
    (top / "closed").mkdir()
    (top / "locked").mkdir()
    left = [leave_temporary(top / "closed"), leave_temporary(top / "locked")]
    (top / "closed").chmod(0)
    (top / "locked").chmod(0o500)
    script = """
    import sys
    from s3pp.localfs.stale_files import sweep
    from s3pp.localfs.tree import Tree
    print([sweep(Tree(sys.argv[1]), name) for name in ("closed", "locked")])
    """
    assert in_child(script, str(top), preexec_fn=as_anybody) == "[0, 0]"
    assert all(path.exists() for path in left)


def test_of_what_cannot_be_opened_only_the_age_can_tell(top: Path) -> None:
    (top / "d").mkdir()
    left = leave_temporary(top / "d")
    left.chmod(0o400)  # as another's would be
    script = """
    import sys, time
    from s3pp.localfs.stale_files import SILENT, sweep
    from s3pp.localfs.tree import Tree
    tree, now = Tree(sys.argv[1]), time.time()
    print([sweep(tree, "d", clock=lambda: now + SILENT + more) for more in (-60, 60)])
    """
    assert in_child(script, str(top), preexec_fn=as_anybody) == "[0, 1]"
    assert not left.exists()


# What is not


def test_a_file_that_another_run_writes_is_left_to_it(tree: Tree, other: Tree, top: Path) -> None:
    file = TemporaryFile(other, "a/name")
    file.write(b"half")
    other.forget()  # nor does it need the directory's lock
    for seconds in (0.0, 2 * SETTLED, 2 * SILENT):
        assert sweep(tree, "a", clock=[later(seconds)].pop) == 0
    file.finish(FileAttributes())
    assert (top / "a/name").read_bytes() == b"half"


def test_where_another_run_lands_small_files_the_young_are_left(
    tree: Tree, other: Tree, top: Path
) -> None:
    write_file(other, "a/name", b"body", FileAttributes())
    leave_temporary(top / "a")
    assert sweep(tree, "a") == 0
    assert sweep(tree, "a", clock=lambda: later(SETTLED - 1)) == 0
    assert sweep(tree, "a", clock=lambda: later(SETTLED + 1)) == 1
    assert os.listdir(top / "a") == ["name"]


def test_when_the_other_run_is_gone_they_are_not(tree: Tree, top: Path) -> None:
    other = Tree(str(top))
    write_file(other, "a/name", b"body", FileAttributes())
    leave_temporary(top / "a")
    assert sweep(tree, "a") == 0
    other.close()
    assert sweep(tree, "a") == 1


def test_a_run_that_only_looks_holds_nothing_back(tree: Tree, other: Tree, top: Path) -> None:
    (top / "a").mkdir()
    leave_temporary(top / "a")
    assert other.status("a/name") is None
    assert tree.status("a/name") is None
    assert sweep(tree, "a") == 1


def test_nor_does_the_run_that_sweeps_hold_itself_back(tree: Tree, other: Tree, top: Path) -> None:
    tree.make("")
    leave_temporary(top)
    assert sweep(tree, "") == 1
    write_file(
        tree, "name", b"body", FileAttributes()
    )  # and once it lands there, others know again
    leave_temporary(top)
    assert sweep(other, "") == 0


def test_one_that_looked_first_and_lands_then_does(tree: Tree, other: Tree, top: Path) -> None:
    (top / "a").mkdir()
    other.status("a/name")
    write_file(other, "a/name", b"body", FileAttributes())
    leave_temporary(top / "a")
    assert sweep(tree, "a") == 0


def test_whoever_comes_while_it_is_swept_is_told_of_later(
    tree: Tree, other: Tree, top: Path
) -> None:
    fd = os.open(top, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert write_file(other, "a", b"body", FileAttributes())
    os.close(fd)
    leave_temporary(top)
    assert write_file(other, "b", b"body", FileAttributes())
    assert sweep(tree, "") == 0


def test_without_locks_only_silence_counts(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    write_file(tree, "name", b"body", FileAttributes())
    file = TemporaryFile(tree, "large")
    leave_temporary(top)
    assert sweep(tree, "", clock=lambda: later(SILENT - 60)) == 0
    assert sweep(tree, "", clock=lambda: later(SILENT + 60)) == 2
    assert os.listdir(top) == ["name"]
    file.discard()


def test_a_new_file_whose_lock_a_sweeper_has_is_made_again(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the sweeper holds its lock, then it has removed it before we could lock it."""
    real = fcntl.flock
    seen: list[Path] = []

    def flock(fd: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            seen.extend(path for path in top.iterdir() if path not in seen)
            if len(seen) == 1:
                raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
            if len(seen) == 2:
                seen[-1].unlink()
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    file = TemporaryFile(tree, "name")
    assert len(seen) == 3
    assert [path.name for path in top.iterdir()] == [seen[-1].name]
    file.write(b"body")
    assert file.finish(FileAttributes())
    assert os.listdir(top) == ["name"]


# Real deaths


def in_child(script: str, *arguments: str, **popen: object) -> str:
    code = textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        **popen,  # type: ignore[call-overload]
    )
    return str(done.stdout).strip()


LANDS = """
import itertools, sys
from s3pp.localfs import stale_files
from s3pp.localfs.temporary_file import TemporaryFile, FileAttributes, write_file
from s3pp.localfs.tree import Tree
tree = Tree(sys.argv[1])
body = bytes(200_000)
print("ready", flush=True)
for number in itertools.count():
    write_file(tree, f"a/small{number}", body, FileAttributes(1))
    file = TemporaryFile(tree, f"a/large{number}")
    for _ in range(3):
        file.write(body)
    file.finish(FileAttributes(1))
"""


def test_after_kill_9_nothing_unfinished_stands_and_the_next_run_finds_a_clean_place(
    tree: Tree, top: Path
) -> None:
    swept = 0
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", LANDS, str(top)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        ) as run:
            assert run.stdout is not None
            assert run.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0.005, 0.02))
            run.kill()
        swept += sweep(tree, "a")
        for path in (top / "a").iterdir() if (top / "a").exists() else ():
            assert not TEMPORARY.search(path.name)
            assert os.stat(path).st_size == (200_000 if "small" in path.name else 600_000)
            path.unlink()
    assert swept > 0


# A walk


SEGMENT = st.sampled_from(["a", "a-", "b", "a.b"])
PATHS = st.lists(st.lists(SEGMENT, min_size=1, max_size=5).map("/".join), max_size=30)


@given(PATHS)
def test_every_directory_is_swept_once_and_before_anything_lands_in_it(paths: list[str]) -> None:
    swept: list[str] = []

    def record(_: Tree, directory: str) -> int:
        swept.append(directory)
        return 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stale_files, "sweep", record)
        sweeper = Sweeper(Tree("/nonexistent"))
        for path in sorted(paths, key=str.encode):
            sweeper.enter(path)
            assert path.rpartition("/")[0] in swept
            assert len(sweeper._swept) <= path.count("/") + 1
    assert sorted(swept) == sorted({path.rpartition("/")[0] for path in paths})
    assert sweeper.removed == 2 * len(swept)


def test_a_walk_over_a_real_tree(tree: Tree, top: Path) -> None:
    (top / "a/b").mkdir(parents=True)
    for place in (top, top / "a", top / "a/b"):
        leave_temporary(place)
    sweeper = Sweeper(tree)
    for path in ("a/b/", "a/b/x", "a/c", "missing/x", "z"):
        sweeper.enter(path)
    assert sweeper.removed == 3
    assert [path for path in top.rglob("*") if path.is_file()] == []
