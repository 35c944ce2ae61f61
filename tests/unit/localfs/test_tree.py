"""The tree: whatever stands or is put in the way, nothing is reached outside it."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import ROOT, as_anybody
from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.localfs.tree import OPEN_DIRECTORIES, TRUSTED, Descriptor, Tree


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """DIRECTORY, beside a directory with a secret in it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    made = tmp_path / "top"
    made.mkdir()
    return made


def failure(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return caught.value


def same(descriptor: int | None, path: Path) -> bool:
    assert descriptor is not None
    return os.path.samestat(os.fstat(descriptor), os.stat(path))


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def in_child(script: str, *arguments: str, **popen: Any) -> str:
    """What a script prints in a process of its own."""
    code = textwrap.dedent(script)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False, **popen
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


# What is there, and what is made


def test_directories_are_made_as_needed_and_only_then(tree: Tree, top: Path) -> None:
    assert tree.directory("a/b", make=False) is None
    assert os.listdir(top) == []
    assert same(tree.directory("a/b", make=True), top / "a/b")
    assert same(tree.directory("a", make=False), top / "a")
    assert same(tree.directory("", make=False), top)


def test_the_top_is_made_too(tmp_path: Path) -> None:
    tree = Tree(str(tmp_path / "x/y"))
    assert tree.directory("", make=False) is None
    assert tree.status("a") is None
    assert not (tmp_path / "x").exists()
    assert same(tree.directory("a", make=True), tmp_path / "x/y/a")


def test_the_top_may_be_a_link(tmp_path: Path, top: Path) -> None:
    (tmp_path / "link").symlink_to(top)
    assert same(Tree(str(tmp_path / "link")).directory("a", make=True), top / "a")


def test_the_top_may_be_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for make in (False, True):
        error = failure(Tree(str(tmp_path / "file")).directory, "a", make=make)
        assert error.kind is FailureKind.CONFLICT
        assert "is not a directory" in str(error)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_directories_have_the_permissions_umask_gives(tree: Tree, top: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        tree.directory("a/b", make=True)
    finally:
        os.umask(before)
    for path in ("a", "a/b"):
        assert stat.S_IMODE(os.stat(top / path).st_mode) == 0o777 & ~umask


def test_make_directory_says_whether_it_was_there(tree: Tree, top: Path) -> None:
    assert tree.make_directory("a/b/")
    assert not tree.make_directory("a/b/")
    assert not tree.make_directory("a")
    assert not tree.make_directory("")
    assert (top / "a/b").is_dir()


def test_status_is_of_the_link_not_of_where_it_leads(tree: Tree, top: Path) -> None:
    (top / "a").mkdir()
    (top / "a/file").write_text("four")
    (top / "a/link").symlink_to("file")
    found = tree.status("a/file")
    assert found is not None
    assert found.st_size == 4
    link = tree.status("a/link")
    assert link is not None
    assert stat.S_ISLNK(link.st_mode)
    assert tree.status("a/none") is None
    assert tree.status("none/none") is None
    assert tree.status("x" * 255) is None
    assert failure(tree.status, "x" * 256).kind is FailureKind.NAME


def test_regular_files_are_opened_to_be_read(tree: Tree, top: Path) -> None:
    (top / "file").write_text("four")
    fd = tree.open_read("file")
    assert os.read(fd, 10) == b"four"
    os.close(fd)
    for missing in ("none", "none/none"):
        assert failure(tree.open_read, missing).kind is FailureKind.NOT_FOUND


def test_nothing_but_regular_files_is_opened(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "link").symlink_to("../outside/secret")
    (top / "directory").mkdir()
    os.mkfifo(top / "fifo")
    monkeypatch.chdir(top)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    before = descriptors()
    for name in ("link", "directory", "fifo", "socket"):
        error = failure(tree.open_read, name)
        assert error.kind is FailureKind.CONFLICT
        assert f"'{name}' is not a regular file" in str(error)
    assert descriptors() <= before + 1  # the top


# Ways out


@pytest.mark.parametrize(
    "path", ["..", "../x", "a/..", "a/../../x", ".", "./a", "a/.", "/x", "a//b", "", "a/"]
)
def test_segments_that_lead_elsewhere_are_refused(tree: Tree, top: Path, path: str) -> None:
    tree.directory("a", make=True)
    for call in (tree.status, tree.open_read):
        assert failure(call, path).kind is FailureKind.NAME
    if path:
        for make in (False, True):
            assert failure(tree.directory, path, make=make).kind is FailureKind.NAME
    assert os.listdir(top) == ["a"]


@pytest.mark.parametrize("target", ["../outside", "/", ".", "inside", "nowhere", "link"])
def test_no_link_is_followed(tree: Tree, top: Path, target: str) -> None:
    (top / "inside").mkdir()
    (top / "link").symlink_to(target)
    for make in (False, True):
        error = failure(tree.directory, "link/a", make=make)
        assert error.kind is FailureKind.CONFLICT
        assert "'link' is a symbolic link" in str(error)
        assert "--follow-symlinks" in str(error)
    for call in (tree.status, tree.open_read):
        assert failure(call, "link/secret").kind is FailureKind.CONFLICT
    assert failure(tree.make_directory, "link/").kind is FailureKind.CONFLICT


def test_a_file_in_the_way_is_a_conflict(tree: Tree, top: Path) -> None:
    (top / "a").touch()
    for make in (False, True):
        error = failure(tree.directory, "a/b", make=make)
        assert error.kind is FailureKind.CONFLICT
        assert "'a' is a file here" in str(error)
    assert failure(tree.status, "a/b").kind is FailureKind.CONFLICT


def test_a_directory_swapped_for_a_link_is_noticed(top: Path, tmp_path: Path) -> None:
    clock = Clock()
    tree = Tree(str(top), clock=clock)
    tree.directory("a/b", make=True)
    (top / "a").rename(tmp_path / "moved")
    (top / "a").symlink_to(tmp_path / "outside")
    assert same(tree.directory("a/b", make=True), tmp_path / "moved/b")
    clock.now += TRUSTED
    assert failure(tree.directory, "a/b", make=True).kind is FailureKind.CONFLICT
    assert os.listdir(tmp_path / "outside") == ["secret"]


def test_what_was_removed_during_the_run_is_made_again(tree: Tree, top: Path) -> None:
    tree.directory("a/b", make=True)
    shutil.rmtree(top)
    assert same(tree.directory("a/b/c", make=True), top / "a/b/c")


# Links, followed inside


@pytest.fixture
def following(top: Path) -> Tree:
    (top / "real/deep").mkdir(parents=True)
    return Tree(str(top), follow=True)


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [("real", "real"), ("real/deep", "real/deep"), ("real/../real/deep/", "real/deep"), (".", "")],
)
def test_links_are_followed_inside(following: Tree, top: Path, target: str, leads_to: str) -> None:
    (top / "link").symlink_to(target)
    (top / "again").symlink_to(top / "link")
    for name in ("link", "again"):
        assert same(following.directory(name, make=False), top / leads_to)
        assert same(following.directory(f"{name}/new/x", make=True), top / leads_to / "new/x")


def test_a_link_to_what_is_not_there_yet(following: Tree, top: Path) -> None:
    (top / "link").symlink_to("real/later")
    assert following.directory("link", make=False) is None
    assert same(following.directory("link/a", make=True), top / "real/later/a")


@pytest.mark.parametrize("target", ["../outside", "/", "..", "../top2", "real/../../outside"])
def test_links_that_lead_out_are_refused(
    following: Tree, top: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "top2").mkdir()
    (top / "link").symlink_to(target)
    (top / "real/link").symlink_to(top / "link")
    for name in ("link", "link/a", "real/link/a"):
        error = failure(following.directory, name, make=True)
        assert error.kind is FailureKind.CONFLICT
        assert "leads out of" in str(error)
    assert os.listdir(tmp_path / "top2") == []
    assert os.listdir(tmp_path / "outside") == ["secret"]


@pytest.mark.parametrize("target", ["link", "link/a", "real/back"])
def test_a_link_that_leads_in_circles_is_refused(following: Tree, top: Path, target: str) -> None:
    (top / "link").symlink_to(target)
    (top / "real/back").symlink_to("../link")
    error = failure(following.directory, "link/a", make=True)
    assert error.kind is FailureKind.CONFLICT
    assert "'link/a' cannot be created: Too many levels" in str(error)


def test_a_link_to_a_file_is_refused(following: Tree, top: Path) -> None:
    (top / "file").touch()
    (top / "link").symlink_to("file")
    assert failure(following.directory, "link/a", make=True).kind is FailureKind.CONFLICT


NAME = st.sampled_from(["a", "b", "c"])
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)
TARGET = st.lists(st.sampled_from(["a", "b", "c", "..", "out"]), min_size=1, max_size=4)
MADE = st.one_of(
    st.tuples(st.just("directory"), PATH, st.none()),
    st.tuples(st.just("file"), PATH, st.none()),
    st.tuples(st.just("link"), PATH, TARGET.map("/".join)),
)


def make_any(top: str, kind: str, path: str, target: str | None) -> None:
    whole = os.path.join(top, path)
    try:
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        if kind == "directory":
            os.mkdir(whole)
        elif kind == "file":
            open(whole, "x").close()
        else:
            os.symlink(str(target), whole)
    except OSError:
        return  # something else has that name


def outcome(tree: Tree, path: str, *, make: bool) -> tuple[int, int] | FailureKind | None:
    try:
        found = tree.directory(path, make=make)
    except ObjectError as error:
        return error.kind
    if found is None:
        return None
    status = os.fstat(found)
    return status.st_dev, status.st_ino


def outside(place: str) -> list[str]:
    """Everything beside the directory; links that were made may have led there as well."""
    top = os.path.join(place, "top")
    return sorted(str(each) for each in os.walk(place) if not each[0].startswith(top))


def leads_in_circles(link: str) -> bool:
    try:
        os.stat(link)
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def expected(top: str, path: str, *, follow: bool) -> tuple[int, int] | FailureKind | None:
    """What the path-based functions of the system say, link by link."""
    at = top
    for name in path.split("/"):
        at = os.path.join(at, name)
        if os.path.islink(at):
            real = os.path.realpath(at)
            inside = os.path.commonpath([real, top]) == top
            if not follow or not inside or leads_in_circles(at):
                return FailureKind.CONFLICT
            at = real
        if not os.path.lexists(at):
            parts = at.removeprefix(top).strip("/").split("/")
            above = (os.path.join(top, *parts[:n]) for n in range(len(parts)))
            return FailureKind.CONFLICT if any(map(os.path.isfile, above)) else None
        if not os.path.isdir(at):
            return FailureKind.CONFLICT
    status = os.stat(at)
    return status.st_dev, status.st_ino


@given(st.lists(MADE, max_size=8), st.lists(PATH, min_size=1, max_size=4), st.booleans())
@settings(deadline=None)
def test_any_tree_of_links(
    made: list[tuple[str, str, str | None]], paths: list[str], follow: bool
) -> None:
    with tempfile.TemporaryDirectory() as place:
        top = os.path.join(os.path.realpath(place), "top")
        out = os.path.join(place, "out")
        os.mkdir(top)
        os.makedirs(os.path.join(out, "a/b"))
        for each in made:
            make_any(top, *each)
        before = outside(place)
        tree = Tree(top, follow=follow)
        for path in paths:
            assert outcome(tree, path, make=False) == expected(top, path, follow=follow)
        for path in paths:
            found = outcome(tree, path, make=True)
            assert found == expected(top, path, follow=follow) is not None
        assert outside(place) == before


# Descriptors


def test_what_is_open_is_not_opened_again(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tree.directory("a/b", make=True)
    monkeypatch.setattr(os, "open", lambda *_, **__: pytest.fail("opened"))
    assert tree.directory("a/b", make=True) is first
    assert tree.directory("a/b", make=False) is first
    assert tree.status("a/b/c") is None


def test_few_are_open_and_none_after_it_is_closed(tree: Tree) -> None:
    before = descriptors()
    for number in range(2 * OPEN_DIRECTORIES):
        tree.directory(f"{number}/a", make=True)
    assert before + OPEN_DIRECTORIES <= descriptors() <= before + OPEN_DIRECTORIES + 2
    tree.close()
    assert descriptors() == before


def test_the_busy_ones_stay_open(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3 * OPEN_DIRECTORIES):
        tree.directory(f"leaf{number}", make=True)
        busy = tree.directory("busy", make=True)
    monkeypatch.setattr(os, "open", lambda *_, **__: pytest.fail("opened"))
    assert tree.directory("busy", make=True) is busy


def test_a_directory_stays_open_while_it_is_held(tree: Tree, top: Path) -> None:
    held = tree.directory("held", make=True)
    tree.forget()
    for number in range(2 * OPEN_DIRECTORIES):
        tree.directory(str(number), make=True)
    assert same(held, top / "held")
    number = int(held or 0)
    del held
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_threads_never_get_anothers_directory(top: Path) -> None:
    names = [str(number) for number in range(2 * OPEN_DIRECTORIES)]
    for name in names:
        (top / name).mkdir()
    inodes = {name: os.stat(top / name).st_ino for name in names}
    ticks = iter(range(1 << 30))
    tree = Tree(str(top), clock=lambda: next(ticks) / 50)  # walks anew every 50 calls
    right: list[bool] = []

    def look(offset: int) -> None:
        for name in (names[offset:] + names[:offset]) * 5:
            held = tree.directory(name, make=True)
            right.append(held is not None and os.fstat(held).st_ino == inodes[name])

    threads = [threading.Thread(target=look, args=(offset,)) for offset in (0, 7, 50, 90)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(right) == 4 * 5 * len(names)
    assert all(right)


def test_the_cache_may_be_changed_by_another_thread_while_it_is_cut(top: Path) -> None:
    class Changing(dict[str, Descriptor]):
        """A cache whose iteration is always disturbed, as another thread may disturb it."""

        def __iter__(self) -> Iterator[str]:
            raise RuntimeError("dictionary changed size during iteration")

    (top / "a").mkdir()
    tree = Tree(str(top), clock=lambda: 0.0)
    tree.directory("", make=False)
    tree._open = Changing(tree._open)
    tree._until = 1.0
    assert tree.directory("a", make=False) is not None


def test_out_of_descriptors_is_the_end_of_the_run(top: Path) -> None:
    said = in_child(
        """
        import os, resource, sys
        from s3pp.errors import FatalError
        from s3pp.localfs.tree import Tree
        tree = Tree(sys.argv[1])
        tree.directory("a", make=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        held = []
        while True:
            try:
                held.append(os.dup(0))
            except OSError:
                break
        for call in (lambda: tree.directory("b", make=True), lambda: tree.open_read("a")):
            try:
                call()
            except FatalError as error:
                print(error)
        """,
        str(top),
    )
    lines = said.splitlines()
    assert len(lines) == 2
    assert all("ulimit -n" in line for line in lines)


# What the system refuses


def test_what_may_not_be_entered_or_written(top: Path) -> None:
    (top / "closed").mkdir(mode=0)
    (top / "locked").mkdir(mode=0o500)
    (top / "file").touch(mode=0)
    said = in_child(
        """
        import sys
        from s3pp.errors import ObjectError
        from s3pp.localfs.tree import Tree
        tree = Tree(sys.argv[1])
        for call in (
            lambda: tree.directory("closed", make=False),
            lambda: tree.directory("locked/a", make=True),
            lambda: tree.status("closed/a"),
            lambda: tree.open_read("file"),
        ):
            try:
                print(call())
            except ObjectError as error:
                print(error.kind.value, error)
        print(tree.directory("locked/a", make=False))
        """,
        str(top),
        preexec_fn=as_anybody,
    )
    assert said.splitlines() == [
        "unreadable 'closed' cannot be opened: Permission denied",
        "unreadable 'locked/a' cannot be created: Permission denied",
        "unreadable 'closed' cannot be opened: Permission denied",
        "unreadable 'file' cannot be read: Permission denied",
        "None",
    ]


def test_no_room_for_directories_is_the_end_of_the_run(tiny: Path) -> None:
    tree = Tree(str(tiny))
    with pytest.raises(FatalError) as caught:
        tree.directory("1/2/3/4/5/6/7/8/9", make=True)
    assert str(tiny) in str(caught.value)
    assert "No space left" in str(caught.value)
    tree.close()


def test_directories_are_brought_to_the_disk_when_asked(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    Tree(str(top)).directory("x", make=True)
    assert synced == []
    Tree(str(top), fsync=True).directory("a/b", make=True)
    assert synced == [os.stat(top).st_ino, os.stat(top / "a").st_ino]
