"""The walk of a tree: order, names, links, special files, and what goes wrong."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.localfs.external_sort import SortMemory
from s3pp.places import Source
from s3pp.records import Entry, Failed
from s3pp.sources import entries, filesystem

from .trees import content, job, keys, outcomes, plant, walked

ROOT = os.geteuid() == 0


def test_contents_land_relative_to_the_source(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "A", "d/b.txt": "BB"})
    a, b = walked(tmp_path, prefix="p/q")
    status = (tmp_path / "a.txt").stat()
    assert a == Entry("p/q/a.txt", f"{tmp_path}/a.txt", 1, status.st_mtime_ns)
    assert isinstance(b, Entry)
    assert (b.key, b.path, content(b)) == ("p/q/d/b.txt", f"{tmp_path}/d/b.txt", b"BB")


def test_a_single_file_lands_under_its_base_name(tmp_path: Path) -> None:
    plant(tmp_path, {"d/a.txt": "A"})
    assert keys(tmp_path / "d/a.txt", prefix="p") == ["p/a.txt"]
    assert keys(tmp_path / "d/a.txt") == ["a.txt"]


def test_a_source_that_has_a_name_lands_under_it(tmp_path: Path) -> None:
    top = plant(tmp_path / "top", {"d/a.txt": "A", "d/b.txt": "B"})
    (entry,) = walked(Source(f"{top}/d/a.txt", "x/y"), prefix="p")
    assert isinstance(entry, Entry)
    assert (entry.key, entry.path) == ("p/x/y", f"{top}/d/a.txt")
    assert keys(Source(f"{top}/d/a.txt", "/y")) == ["/y"]
    assert keys(Source(str(top), "n"), Source(f"{top}/d", "n/d/e"), prefix="p") == [
        "p/n/d/a.txt",
        "p/n/d/b.txt",
        "p/n/d/e/a.txt",
        "p/n/d/e/b.txt",
    ]
    assert keys(Source(f"{top}/d/a.txt", "b"), rules=(("exclude", "b"),)) == ["b"]
    assert keys(Source(f"{top}/d/a.txt", "b"), rules=(("exclude", "a.txt"),)) == []
    conflict = walked(Source(f"{top}/d/a.txt", "b.txt"), top / "d")
    assert outcomes(conflict) == [("a.txt", "entry"), ("b.txt", "entry"), ("b.txt", "conflict")]


@pytest.mark.parametrize("source", [".", "./", "../top", "../top/", "d/..", "//{}", "{}/./d/.."])
def test_how_the_source_is_spelled_does_not_matter(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = plant(tmp_path / "top", {"a": "", "d/b": ""})
    monkeypatch.chdir(top)
    records = walked(source.format(top), prefix="p")
    assert [r.target for r in records] == ["p/a", "p/d/b"]
    assert all(isinstance(r, Entry) and os.path.isfile(r.path) for r in records)


def test_paths_below_the_working_directory_stay_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plant(tmp_path, {"d/b": ""}))
    (entry,) = walked(".")
    assert isinstance(entry, Entry)
    assert entry.path == "d/b"


def test_a_directory_sorts_with_its_slash(tmp_path: Path) -> None:
    plant(tmp_path, {"a/x": "", "a-b": "", "a.c": "", "a0": "", "B": "", "é": "", "z": ""})
    assert keys(tmp_path) == ["B", "a-b", "a.c", "a/x", "a0", "z", "é"]


NAMES = st.binary(min_size=1, max_size=3).filter(
    lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..")
)
PATHS = st.lists(NAMES | st.sampled_from([b"a", b"a-", b"a0", "é".encode()]), max_size=3)


@settings(max_examples=examples(60), deadline=None)
@given(st.sets(PATHS.filter(bool).map(b"/".join), max_size=12), st.booleans())
def test_any_tree_comes_in_byte_order_and_whole(paths: set[bytes], spilled: bool) -> None:
    files = sorted(p for p in paths if not any(q.startswith(p + b"/") for q in paths))
    with tempfile.TemporaryDirectory() as top, pytest.MonkeyPatch.context() as patch:
        if spilled:
            patch.setattr(filesystem, "SortMemory", lambda: SortMemory(1, 1))
        for path in files:
            plant(Path(top), {os.fsdecode(path): b""})
        records = walked(top)
    assert [os.fsencode(r.target) for r in records] == files
    assert [isinstance(r, Entry) for r in records] == [is_utf8(path) for path in files]


def is_utf8(name: bytes) -> bool:
    return name.decode("utf-8", "replace").encode() == name


def test_empty_directories_leave_no_trace(tmp_path: Path) -> None:
    (tmp_path / "empty/deeper").mkdir(parents=True)
    assert walked(tmp_path) == []


# Names that cannot be keys


def test_a_name_that_is_not_utf8_fails_readably(tmp_path: Path) -> None:
    plant(tmp_path, {"caf\udce9.txt": "", "ok": "", "d\udcff/x": "", "d\udcff/y/z": ""})
    records = walked(tmp_path, prefix="p")
    assert outcomes(records) == [
        ("p/caf\udce9.txt", "name"),
        ("p/d\udcff/x", "name"),
        ("p/d\udcff/y/z", "name"),
        ("p/ok", "entry"),
    ]
    failure = records[0]
    assert isinstance(failure, Failed)
    assert failure.source == f"{tmp_path}/caf\udce9.txt"
    assert failure.message == "the name is not UTF-8: rename it"


def test_a_source_that_is_not_utf8_is_walked_and_can_be_named(tmp_path: Path) -> None:
    plant(tmp_path, {"top\udcff/ok": "x"})
    (entry,) = walked(tmp_path / "top\udcff")
    assert isinstance(entry, Entry)
    assert (entry.key, content(entry)) == ("ok", b"x")
    assert entry.source == f"{tmp_path}/top\udcff/ok"


def test_odd_names_that_are_utf8_go_through(tmp_path: Path) -> None:
    names = ["\x01", "\n", " ", "a b", "a\\b", "e\u0301", "é", "\U0001f600"]
    plant(tmp_path, dict.fromkeys(names, ""))
    assert keys(tmp_path) == names


def test_a_key_of_1025_bytes_fails_and_of_1024_does_not(tmp_path: Path) -> None:
    plant(tmp_path, {"é" * 100: "", "é" * 100 + "x": ""})
    prefix = "p" * (1024 - 200 - 1)
    fits, long = walked(tmp_path, prefix=prefix)
    assert isinstance(fits, Entry)
    assert isinstance(long, Failed)
    assert long.kind.value == "name"
    assert "1025 bytes" in long.message


# Links


def test_links_are_followed(tmp_path: Path) -> None:
    plant(tmp_path, {"out/f": "far", "top/x": ""})
    top = tmp_path / "top"
    (top / "dir").symlink_to("../out")
    (top / "file").symlink_to("../out/f")
    records = walked(top)
    assert outcomes(records) == [("dir/f", "entry"), ("file", "entry"), ("x", "entry")]
    assert isinstance(records[1], Entry)
    assert (records[1].size, content(records[1])) == (3, b"far")


def test_links_to_directories_are_left_out_where_those_to_files_are_followed(
    tmp_path: Path,
) -> None:
    plant(tmp_path, {"out/f": "far", "top/x": ""})
    for name, target in {"dir": "../out", "file": "../out/f", "loop": ".", "gone": "no"}.items():
        (tmp_path / "top" / name).symlink_to(target)
    (tmp_path / "link").symlink_to("top")
    assert outcomes(walked(tmp_path / "link", linked_directories=False)) == [
        ("dir", "symbolic link"),
        ("file", "entry"),
        ("gone", "not-found"),
        ("loop", "symbolic link"),
        ("x", "entry"),
    ]


def test_a_link_to_a_directory_that_contains_it_is_a_loop(tmp_path: Path) -> None:
    plant(tmp_path, {"a/b/f": "", "c/f": ""})
    (tmp_path / "a/b/to-a").symlink_to("..")
    (tmp_path / "a/b/to-itself").symlink_to(".")
    (tmp_path / "a/b/to-top").symlink_to("../..")
    (tmp_path / "a/to-c").symlink_to("../c")
    (tmp_path / "c/to-a").symlink_to("../a")
    loop = "symbolic link loop"
    assert outcomes(walked(tmp_path)) == [
        ("a/b/f", "entry"),
        ("a/b/to-a", loop),
        ("a/b/to-itself", loop),
        ("a/b/to-top", loop),
        ("a/to-c/f", "entry"),
        ("a/to-c/to-a", loop),
        ("c/f", "entry"),
        ("c/to-a/b/f", "entry"),
        ("c/to-a/b/to-a", loop),
        ("c/to-a/b/to-itself", loop),
        ("c/to-a/b/to-top", loop),
        ("c/to-a/to-c", loop),
    ]


def test_the_same_directory_twice_is_no_loop(tmp_path: Path) -> None:
    plant(tmp_path, {"real/f": ""})
    (tmp_path / "again").symlink_to("real")
    assert keys(tmp_path) == ["again/f", "real/f"]


@pytest.mark.parametrize("target", ["gone", "broken", "file/below"])
def test_a_broken_link_fails_with_its_target(target: str, tmp_path: Path) -> None:
    plant(tmp_path, {"file": ""})
    (tmp_path / "broken").symlink_to(target)
    failure, entry = walked(tmp_path)
    assert isinstance(failure, Failed)
    assert (failure.target, failure.kind.value) == ("broken", "not-found")
    assert failure.message == f"broken symbolic link to {target!r}"
    assert isinstance(entry, Entry)
    assert entry.key == "file"


def test_no_follow_skips_links_but_not_the_source(tmp_path: Path) -> None:
    plant(tmp_path, {"top/f": "", "out/g": ""})
    for name, target in {"broken": "gone", "dir": "../out", "file": "f"}.items():
        (tmp_path / "top" / name).symlink_to(target)
    (tmp_path / "link").symlink_to("top")
    skipped = "symbolic link"
    assert outcomes(walked(tmp_path / "link", follow_symlinks=False)) == [
        ("broken", skipped),
        ("dir", skipped),
        ("f", "entry"),
        ("file", skipped),
    ]
    assert keys(tmp_path / "top/file", follow_symlinks=False) == ["file"]


# Special files


def test_special_files_are_skipped_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        records = walked(tmp_path)
    special = "not a regular file"
    assert outcomes(records) == [(n, special) for n in ("fifo", "link", "null", "socket")]


def test_excluded_oddities_are_not_mentioned(tmp_path: Path) -> None:
    plant(tmp_path, {"f": "", "d/g": ""})
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "broken").symlink_to("gone")
    (tmp_path / "d/up").symlink_to("..")
    (tmp_path / "bad\udcff").write_text("")
    rules = tuple(("exclude", glob) for glob in ("fifo", "broken", "up/", "bad*"))
    assert keys(tmp_path, rules=rules) == ["d/g", "f"]


def test_sizes_do_not_hide_oddities(tmp_path: Path) -> None:
    plant(tmp_path, {"small": "x", "large": "xxx"})
    os.mkfifo(tmp_path / "fifo")
    records = walked(tmp_path, min_size=2)
    assert outcomes(records) == [("fifo", "not a regular file"), ("large", "entry")]


def test_ages_choose(tmp_path: Path) -> None:
    plant(tmp_path, {"new": "", "old": ""})
    os.utime(tmp_path / "old", (100, 100))
    assert keys(tmp_path, older_than=101.0) == ["old"]
    assert keys(tmp_path, newer_than=100.0) == ["new"]


# What goes wrong on the way

Fail = Callable[[str, Path, int], None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Make ``os.<call>`` of one path raise that errno."""

    def install(call: str, broken: Path, number: int) -> None:
        real = getattr(os, call)

        def replaced(path: str) -> object:
            if os.path.normpath(path) == str(broken):
                raise OSError(number, os.strerror(number))
            return real(path)

        monkeypatch.setattr(os, call, replaced)

    return install


def test_an_unreadable_directory_fails_and_the_walk_goes_on(tmp_path: Path, fail: Fail) -> None:
    plant(tmp_path, {"a": "", "shut/x": "", "z": ""})
    fail("scandir", tmp_path / "shut", errno.EACCES)
    records = walked(tmp_path, prefix="p")
    assert [r.target for r in records] == ["p/a", "p/shut/", "p/z"]
    assert records[1] == Failed(
        f"{tmp_path}/shut",
        "p/shut/",
        records[1].kind,  # type: ignore[union-attr]
        "the directory cannot be listed: Permission denied",
    )
    assert records[1].kind.value == "unreadable"


@pytest.mark.skipif(ROOT, reason="root reads every directory")
def test_a_directory_without_permission_fails(tmp_path: Path) -> None:
    plant(tmp_path, {"a": "", "shut/x": ""})
    (tmp_path / "shut").chmod(0)
    try:
        assert outcomes(walked(tmp_path)) == [("a", "entry"), ("shut/", "unreadable")]
    finally:
        (tmp_path / "shut").chmod(0o700)


def test_a_directory_excluded_says_nothing_of_its_permissions(tmp_path: Path, fail: Fail) -> None:
    plant(tmp_path, {"a": "", "shut/x": ""})
    fail("scandir", tmp_path / "shut", errno.EACCES)
    assert keys(tmp_path, rules=(("exclude", "shut"),)) == ["a"]


def test_a_listing_that_breaks_off_keeps_what_it_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, {"d/a": "", "d/b": "", "z": ""})
    scandir = os.scandir

    class Breaking:
        def __init__(self, path: str) -> None:
            self.entries = scandir(path)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            yield_one = next(self.entries)
            return self.rest(yield_one)

        def rest(self, first: os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
            yield first
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def __exit__(self, *_: object) -> None:
            self.entries.close()

    monkeypatch.setattr(os, "scandir", lambda p: Breaking(p) if p.endswith("/d") else scandir(p))
    records = walked(tmp_path)
    assert outcomes(records)[0] == ("d/", "unreadable")
    assert [r.target for r in records[1:]] in (["d/a", "z"], ["d/b", "z"])


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, "not-found"),
        (errno.EACCES, "unreadable"),
        (errno.EIO, "unreadable"),
        (errno.ENAMETOOLONG, "name"),
    ],
)
@pytest.mark.parametrize("call", ["stat", "scandir"])
def test_what_breaks_under_the_walk_fails_by_name(
    call: str, number: int, kind: str, tmp_path: Path, fail: Fail
) -> None:
    plant(tmp_path, {"a": "", "m/x": "", "z": ""})
    victim = {"stat": "m/x", "scandir": "m"}[call]
    fail(call, tmp_path / victim, number)
    key = {"stat": "m/x", "scandir": "m/"}[call]
    assert outcomes(walked(tmp_path)) == [("a", "entry"), (key, kind), ("z", "entry")]


def test_a_file_that_vanishes_before_its_turn(tmp_path: Path) -> None:
    plant(tmp_path, {"a": "", "b": "", "c": ""})
    walk = entries(job(tmp_path))
    next(walk)
    (tmp_path / "b").unlink()
    assert outcomes(list(walk)) == [("b", "not-found"), ("c", "entry")]


def test_a_file_that_becomes_a_directory(tmp_path: Path) -> None:
    plant(tmp_path, {"a": "", "b": ""})
    walk = entries(job(tmp_path))
    next(walk)
    (tmp_path / "b").unlink()
    (tmp_path / "b").mkdir()
    assert outcomes(list(walk)) == [("b", "unreadable")]


def test_a_directory_that_vanishes_before_its_turn(tmp_path: Path) -> None:
    plant(tmp_path, {"a": "", "b/x": "", "c": ""})
    walk = entries(job(tmp_path))
    next(walk)
    (tmp_path / "b/x").unlink()
    (tmp_path / "b").rmdir()
    assert outcomes(list(walk)) == [("b/", "not-found"), ("c", "entry")]


def test_a_source_that_vanished_after_the_check(tmp_path: Path) -> None:
    records = walked(tmp_path / "gone")
    assert outcomes(records) == [("", "not-found")]  # it may have been a directory
    assert isinstance(records[0], Failed)
    assert records[0].message == "file not found"


def test_links_that_meet_again_end_where_the_kernel_ends(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    for n in range(45):
        (tmp_path / str(n + 1)).mkdir()
        (tmp_path / str(n) / "l").symlink_to(f"../{n + 1}")
    records = walked(tmp_path / "0")
    assert [type(r) for r in records] == [Failed]
    assert records[0].target == "/".join("l" * 41)
    assert "broken symbolic link" in records[0].message  # type: ignore[union-attr]


def test_deep_trees_do_not_recurse(tmp_path: Path) -> None:
    deep = tmp_path / "/".join("d" * 400)
    deep.mkdir(parents=True)
    (deep / "f").touch()
    assert keys(tmp_path) == ["d/" * 400 + "f"]


def test_one_stat_a_file_and_no_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, {f"d/{n}": "" for n in range(50)})
    keys(tmp_path)  # what a process reads once is read
    calls: list[str] = []
    stat = os.stat

    def noted(path: str, **options: Any) -> os.stat_result:
        calls.append(path)
        return stat(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", noted)
        patched.setattr("builtins.open", lambda *_: pytest.fail("opened"))
        found = keys(tmp_path)
    assert len(found) == 50
    below = [path for path in calls if path != str(tmp_path)]
    assert len(below) == 50


def test_a_source_that_has_gone_names_no_key_that_nobody_asked_for(tmp_path: Path) -> None:
    """It may have been a directory, whose name is in no key."""
    for prefix, target in (("", ""), ("p/q", "p/q")):  # which is the destination
        (failed,) = walked(tmp_path / "gone", prefix=prefix)
        assert isinstance(failed, Failed)
        assert (failed.source, failed.target) == (str(tmp_path / "gone"), target)
    (tmp_path / "link").symlink_to("nowhere")
    named = [Source(str(tmp_path / "gone"), "n"), Source(str(tmp_path / "link"))]
    assert [key for key, _ in outcomes(walked(*named, prefix="p"))] == ["p/link", "p/n"]
