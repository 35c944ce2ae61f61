"""Files on their way in: whole under their names or not there, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import ROOT, as_anybody
from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.localfs.paths import TEMPORARY
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile, Vanished, write_file
from s3pp.localfs.tree import TRUSTED, Tree

MTIME = 1_600_000_000_123_456_789


Write = Callable[[Tree, str, bytes, FileAttributes], bool]


def in_pieces(tree: Tree, path: str, body: bytes, manner: FileAttributes) -> bool:
    """As ``write_file`` does it, by a ``TemporaryFile``."""
    file = TemporaryFile(tree, path, mode=manner.mode)
    half = len(body) // 2
    file.write(body[:half])
    file.write(body[half:])
    return file.finish(manner)


both = pytest.mark.parametrize("write", [write_file, in_pieces])
every_manner = pytest.mark.parametrize(
    "manner",
    [
        FileAttributes(),
        FileAttributes(mode=0o644),
        FileAttributes(fresh=True),
        FileAttributes(MTIME, None, True),
    ],
)


def files(top: Path) -> dict[str, bytes]:
    """All that is there, temporary files included."""
    return {
        path.relative_to(top).as_posix(): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def temporaries(top: Path) -> list[Path]:
    return [path for path in top.rglob("*") if TEMPORARY.search(path.name)]


def failure(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return caught.value


def child(script: str, *arguments: str, **popen: Any) -> subprocess.Popen[str]:
    """A script that runs in a process of its own, with the names it needs imported."""
    head = """
    import os, resource, sys, time
    from s3pp.errors import FatalError, ObjectError
    from s3pp.localfs.temporary_file import TemporaryFile, FileAttributes, Vanished, write_file
    from s3pp.localfs.stale_files import sweep
    from s3pp.localfs.tree import Tree
    """
    code = textwrap.dedent(head) + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **popen,
    )


def printed(process: subprocess.Popen[str]) -> list[str]:
    """What a child printed, once it ended well."""
    try:
        said, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0
    return said.splitlines()


# What arrives


@both
@every_manner
@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 5000])
def test_a_file_is_written_whole(
    tree: Tree, top: Path, write: Write, manner: FileAttributes, body: bytes
) -> None:
    assert write(tree, "a/b/name", body, manner)
    assert files(top) == {"a/b/name": body}
    if manner.mtime_ns is not None:
        assert os.stat(top / "a/b/name").st_mtime_ns == manner.mtime_ns


@both
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_umask_gives(
    tree: Tree, top: Path, write: Write, umask: int
) -> None:
    before = os.umask(umask)
    try:
        write(tree, "name", b"", FileAttributes())
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(top / "name").st_mode) == 0o666 & ~umask


@both
@pytest.mark.parametrize(
    ("mode", "kept"), [(0o100600, 0o600), (0o100444, 0o444), (0o107755, 0o755), (0o100000, 0)]
)
def test_a_file_that_is_replaced_passes_its_permissions_on(
    tree: Tree, top: Path, write: Write, mode: int, kept: int
) -> None:
    (top / "name").write_bytes(b"old")
    write(tree, "name", b"new", FileAttributes(mode=mode))
    assert (top / "name").read_bytes() == b"new"
    assert stat.S_IMODE(os.stat(top / "name").st_mode) == kept


def test_while_it_arrives_the_old_file_stands_and_nobody_reads_the_new(
    tree: Tree, top: Path
) -> None:
    (top / "name").write_bytes(b"old")
    file = TemporaryFile(tree, "name", mode=0o644)
    file.write(b"new")
    [temporary] = temporaries(top)
    assert temporary.name.startswith("name.s3pp-")
    assert stat.S_IMODE(os.stat(temporary).st_mode) == 0o600
    assert (top / "name").read_bytes() == b"old"
    file.finish(FileAttributes())
    assert files(top) == {"name": b"new"}


@both
def test_links_under_the_name_are_replaced_and_not_followed(
    tree: Tree, top: Path, tmp_path: Path, write: Write
) -> None:
    (tmp_path / "outside").write_bytes(b"outside")
    (top / "symbolic").symlink_to("../outside")
    os.link(tmp_path / "outside", top / "hard")
    for name in ("symbolic", "hard"):
        assert write(tree, name, b"new", FileAttributes(mode=0o644))
        assert not (top / name).is_symlink()
    assert (tmp_path / "outside").read_bytes() == b"outside"
    assert files(top) == {"symbolic": b"new", "hard": b"new"}


@both
@pytest.mark.parametrize("name", ["x" * 255, "é" * 127 + "x", "𝄞" * 63, "\n", "x.s3pp-"])
def test_any_name_a_file_can_have(tree: Tree, top: Path, write: Write, name: str) -> None:
    assert write(tree, name, b"body", FileAttributes())
    assert files(top) == {name: b"body"}


@both
@pytest.mark.parametrize("name", ["..", ".", "", "a/..", "/x", "../x", "a//b"])
def test_a_name_that_leads_elsewhere_is_refused(
    tree: Tree, top: Path, write: Write, name: str
) -> None:
    assert failure(write, tree, name, b"body", FileAttributes()).kind is FailureKind.NAME
    assert not list(top.rglob("*.s3pp-*"))
    assert os.listdir(top.parent) == ["top"]


PIECES = st.lists(st.one_of(st.binary(max_size=9), st.none()), max_size=12)


@given(PIECES)
@settings(deadline=None)
def test_what_arrives_is_what_was_written_since_the_last_start(
    pieces: list[bytes | None],
) -> None:
    with tempfile.TemporaryDirectory() as top:
        file = TemporaryFile(Tree(top), "name")
        expected = b""
        for piece in pieces:
            if piece is None:
                file.restart()
                expected = b""
            else:
                file.write(piece)
                expected += piece
            assert file.size == len(expected)
            assert b"".join(file.pieces()) == expected
        file.finish(FileAttributes(MTIME))
        assert files(Path(top)) == {"name": expected}


@both
def test_short_writes_are_continued(
    tree: Tree, top: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, body: real(fd, bytes(body[:3])))
    write(tree, "name", b"a body longer than three", FileAttributes())
    assert files(top) == {"name": b"a body longer than three"}


@both
def test_the_disk_has_it_before_its_name_when_asked(
    tree: Tree, top: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        steps.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real_fsync(fd)

    def rename(*names: Any, **directories: Any) -> None:
        steps.append("rename")
        real_rename(*names, **directories)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    write(tree, "a", b"body", FileAttributes(MTIME))
    assert steps == ["rename"]
    write(tree, "b", b"body", FileAttributes(MTIME, fsync=True))
    assert steps[1:] == ["file", "rename", "directory"]


# What stands there already


@both
def test_what_appeared_meanwhile_is_not_overwritten(
    tree: Tree, top: Path, write: Write, tmp_path: Path
) -> None:
    (top / "file").write_bytes(b"another's")
    (top / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        assert write(tree, name, b"ours", FileAttributes(fresh=True)) is False
    assert files(top) == {"file": b"another's"}
    assert os.readlink(top / "link") == "nowhere"


@both
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EACCES])
def test_where_there_are_no_hard_links(
    tree: Tree, top: Path, write: Write, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def link(*_: str, **__: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    (top / "file").write_bytes(b"another's")
    (top / "directory").mkdir()
    assert write(tree, "file", b"ours", FileAttributes(fresh=True)) is False
    assert write(tree, "new", b"ours", FileAttributes(fresh=True)) is True
    error = failure(write, tree, "directory", b"ours", FileAttributes(fresh=True))
    assert error.kind is FailureKind.CONFLICT
    assert files(top) == {"file": b"another's", "new": b"ours"}


@both
@every_manner
def test_a_directory_in_the_way_is_a_conflict(
    tree: Tree, top: Path, write: Write, manner: FileAttributes
) -> None:
    for name in ("empty", "full/of"):
        (top / name).mkdir(parents=True)
    for name in ("empty", "full"):
        error = failure(write, tree, name, b"body", manner)
        assert error.kind is FailureKind.CONFLICT
        assert f"'{name}' is a directory here" in str(error)
    assert files(top) == {}
    assert (top / "full/of").is_dir()


@both
def test_a_file_or_link_above_is_a_conflict(
    tree: Tree, top: Path, tmp_path: Path, write: Write
) -> None:
    (tmp_path / "outside").mkdir()
    (top / "file").write_bytes(b"file")
    (top / "link").symlink_to("../outside")
    for path in ("file/a", "link/a"):
        assert failure(write, tree, path, b"body", FileAttributes()).kind is FailureKind.CONFLICT
    assert files(top) == {"file": b"file"}
    assert os.listdir(tmp_path / "outside") == []


# What is given up


def test_what_is_discarded_leaves_nothing(tree: Tree, top: Path) -> None:
    (top / "a").mkdir()
    (top / "a/name").write_bytes(b"old")
    file = TemporaryFile(tree, "a/name", mode=0o644)
    file.write(b"new")
    file.discard()
    file.discard()
    assert files(top) == {"a/name": b"old"}


def test_discarding_what_is_finished_takes_nothing_back(tree: Tree, top: Path) -> None:
    file = TemporaryFile(tree, "name")
    file.finish(FileAttributes())
    file.discard()
    assert files(top) == {"name": b""}


def test_discarding_never_raises(tree: Tree, top: Path) -> None:
    file = TemporaryFile(tree, "a/name")
    shutil.rmtree(top)
    top.write_bytes(b"a file by now")
    tree.forget()
    file.discard()
    assert top.read_bytes() == b"a file by now"


@pytest.mark.parametrize("write", [write_file, in_pieces])
@pytest.mark.parametrize("call", ["write", "utime", "fsync", "rename", "link", "close"])
def test_whatever_the_system_refuses_leaves_the_old_file_and_nothing_else(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch, write: Write, call: str
) -> None:
    (top / "name").write_bytes(b"old")
    tree.status("name")
    broken = OSError(errno.EIO, os.strerror(errno.EIO))
    real_close, left = os.close, [1]

    def refuse(*arguments: Any, **_: Any) -> None:
        if call == "close":
            ours = os.readlink(f"/proc/self/fd/{arguments[0]}").startswith(f"{top}/")
            real_close(arguments[0])  # as a network file system does: closed, and told
            if not (left and ours):  # something else may be closed as garbage meanwhile
                return
            left.clear()
        raise broken

    monkeypatch.setattr(os, call, refuse)
    manner = FileAttributes(MTIME, 0o644, fsync=True, fresh=call == "link")
    error = failure(write, tree, "name", b"new", manner)
    monkeypatch.undo()
    assert error.kind is FailureKind.UNREADABLE
    assert str(error) == "'name' cannot be written: Input/output error"
    assert files(top) == {"name": b"old"}


@both
@pytest.mark.parametrize("call", ["utime", "fchmod"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_times_or_permissions_still_gets_the_file(
    tree: Tree,
    top: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Write,
    call: str,
    number: int,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    assert write(tree, "name", b"body", FileAttributes(MTIME, 0o644))
    assert files(top) == {"name": b"body"}


@both
def test_a_name_the_file_system_does_not_know(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    tree.status("a:b")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "open", refuse)
    assert failure(write, tree, "a:b", b"body", FileAttributes()).kind is FailureKind.NAME


# Full disks and limits


@both
def test_a_full_disk_is_the_end_of_the_run(tiny: Path, write: Write) -> None:
    tree = Tree(str(tiny))
    assert write(tree, "old", b"x" * 20_000, FileAttributes())
    with pytest.raises(FatalError) as caught:
        write(tree, "old", b"y" * 100_000, FileAttributes())
    assert str(tiny) in str(caught.value)
    assert "No space left" in str(caught.value)
    assert files(tiny) == {"old": b"x" * 20_000}
    assert write(tree, "fits", b"z" * 20_000, FileAttributes())


def test_a_quota_likewise(tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(FatalError, match="quota"):
        write_file(tree, "name", b"body", FileAttributes())
    assert files(top) == {}


def test_a_file_beyond_the_limit_is_too_large(top: Path) -> None:
    script = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    tree = Tree(sys.argv[1])
    def whole():
        write_file(tree, "a", bytes(9000), FileAttributes())
    def pieces():
        file = TemporaryFile(tree, "b")
        for _ in range(9):
            file.write(bytes(1000))
    for call in (whole, pieces):
        try:
            call()
        except ObjectError as error:
            print(error.kind.value, error)
    write_file(tree, "c", bytes(5000), FileAttributes())
    """
    assert printed(child(script, str(top))) == [
        "too-large 'a' cannot be written: File too large for this file system, or for ulimit -f",
        "too-large 'b' cannot be written: File too large for this file system, or for ulimit -f",
    ]
    assert files(top) == {"c": bytes(5000)}


def test_what_may_not_be_written(top: Path) -> None:
    (top / "locked").mkdir(mode=0o500)
    script = """
    tree = Tree(sys.argv[1])
    for call in (
        lambda: write_file(tree, "locked/a", b"body", FileAttributes()),
        lambda: TemporaryFile(tree, "locked/a"),
    ):
        try:
            call()
        except ObjectError as error:
            print(error.kind.value, error)
    """
    said = printed(child(script, str(top), preexec_fn=as_anybody))
    assert said == ["unreadable 'locked/a' cannot be written: Permission denied"] * 2


# Others at work in the same place


def take(top: Path, times: int) -> Callable[..., None]:
    """An ``os.utime`` under which the temporary file vanishes, so many times."""
    left, real = [None] * times, os.utime

    def utime(fd: int, *, ns: tuple[int, int]) -> None:
        real(fd, ns=ns)
        if left:
            left.pop()
            for path in temporaries(top):
                path.unlink()

    return utime


def test_a_small_file_whose_temporary_was_swept_is_written_again(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fresh in (False, True):
        monkeypatch.setattr(os, "utime", take(top, 2))
        assert write_file(tree, f"{fresh}", b"body", FileAttributes(MTIME, fresh=fresh))
    assert files(top) == {"False": b"body", "True": b"body"}


def test_but_not_for_ever(tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "utime", take(top, 1000))
    error = failure(write_file, tree, "name", b"body", FileAttributes(MTIME))
    assert isinstance(error, Vanished)
    assert "'name' vanished" in str(error)
    assert files(top) == {}


@pytest.mark.parametrize("fresh", [False, True])
def test_a_large_one_says_that_it_vanished(tree: Tree, top: Path, fresh: bool) -> None:
    (top / "a").mkdir()
    file = TemporaryFile(tree, "a/name")
    file.write(b"body")
    for path in temporaries(top):
        path.unlink()
    assert isinstance(failure(file.finish, FileAttributes(fresh=fresh)), Vanished)
    assert files(top) == {}


def test_a_directory_that_was_moved_away_meanwhile(tree: Tree, top: Path, tmp_path: Path) -> None:
    file = TemporaryFile(tree, "a/name")
    (top / "a").rename(tmp_path / "elsewhere")
    tree.forget()
    assert isinstance(failure(file.finish, FileAttributes()), Vanished)
    assert "name" not in os.listdir(tmp_path / "elsewhere")
    assert write_file(tree, "a/name", b"again", FileAttributes())
    assert files(top) == {"a/name": b"again"}


def test_a_directory_that_became_a_link_meanwhile(top: Path, tmp_path: Path) -> None:
    now = [0.0]
    tree = Tree(str(top), clock=lambda: now[0])
    (tmp_path / "outside").mkdir()
    file = TemporaryFile(tree, "a/name")
    (top / "a").rename(top / "b")
    (top / "a").symlink_to("../outside")
    now[0] += TRUSTED
    assert failure(file.finish, FileAttributes()).kind is FailureKind.CONFLICT
    assert failure(write_file, tree, "a/name", b"", FileAttributes()).kind is FailureKind.CONFLICT
    assert os.listdir(tmp_path / "outside") == []


def test_a_directory_that_is_removed_again_and_again(tree: Tree, top: Path) -> None:
    for number in range(5):
        assert write_file(tree, "a/b/name", b"%d" % number, FileAttributes())
        assert files(top) == {"a/b/name": b"%d" % number}
        shutil.rmtree(top / "a")
    file = TemporaryFile(tree, "a/b/name")
    file.write(b"large")
    file.finish(FileAttributes())
    assert files(top) == {"a/b/name": b"large"}


RACE = """
    tree, who, fresh = Tree(sys.argv[1]), sys.argv[2], sys.argv[3] == "fresh"
    wins = 0
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(300):
        body = who.encode() * 3000
        if number % 2:
            wins += write_file(tree, f"a/{number}", body, FileAttributes(fresh=fresh))
        else:
            file = TemporaryFile(tree, f"a/{number}")
            file.write(body)
            wins += file.finish(FileAttributes(fresh=fresh))
    print(wins)
"""


@pytest.mark.parametrize("fresh", ["fresh", "any"])
def test_two_writers_of_one_name(top: Path, fresh: str) -> None:
    racers = [child(RACE, str(top), who, fresh) for who in "AB"]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    wins = [int(printed(racer)[0]) for racer in racers]
    assert sum(wins) == 300 if fresh == "fresh" else wins == [300, 300]
    found = files(top)
    assert sorted(found) == sorted(f"a/{number}" for number in range(300))
    assert set(found.values()) <= {b"A" * 3000, b"B" * 3000}
    if fresh == "fresh":
        bodies = list(found.values())
        assert [bodies.count(who.encode() * 3000) for who in "AB"] == wins


@pytest.mark.parametrize("locks", ["locks", "none"])
def test_a_run_that_sweeps_beside_one_that_lands(top: Path, locks: str) -> None:
    """Even where nobody can lock anything, and every file in sight counts as left over."""
    sweeper = child(
        """
        import s3pp.localfs.stale_files as stale_files
        if sys.argv[2] == "none":
            stale_files.SETTLED = -1.0
        swept = 0
        print("ready", flush=True)
        tree = Tree(sys.argv[1])
        end = time.monotonic() + 20
        while not os.path.exists(sys.argv[1] + "/end") and time.monotonic() < end:
            swept += sweep(tree, "a")
            if swept:
                open(sys.argv[1] + ".swept", "w").close()
            time.sleep(0.0005)
        print(swept)
        """,
        str(top),
        locks,
    )
    assert sweeper.stdout is not None
    assert sweeper.stdout.readline() == "ready\n"
    tree = Tree(str(top))
    vanished = number = 0
    met = Path(f"{top}.swept")  # they have met, which on a busy machine takes a while
    end = time.monotonic() + 15
    while number < 1500 or (locks == "none" and not met.exists() and time.monotonic() < end):
        while not (top / f"a/{number}").exists():
            try:
                assert write_file(
                    tree, f"a/{number}", b"body", FileAttributes(MTIME, fresh=bool(number % 2))
                )
                assert (top / f"a/{number}").read_bytes() == b"body"
            except Vanished:
                vanished += 1
        number += 1
    (top / "end").touch()
    swept = int(printed(sweeper)[0])
    assert len(files(top)) == number + 1
    assert temporaries(top) == []
    if locks == "locks":
        assert vanished == 0
        assert swept < 5  # the sweeper may have been first in the directory
    else:
        assert swept > 0
