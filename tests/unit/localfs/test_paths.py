"""Which keys can be files: told the same by the rules and by the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from s3pp.localfs.paths import (
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    TEMPORARY,
    is_marker,
    is_unfinished,
    path_fault,
    shown,
    temporary_name,
)

SEGMENTS = st.one_of(
    st.sampled_from(["", ".", "..", "...", "a", ".a", "a.", "é", "\0", "x" * 255, "é" * 128]),
    st.text(max_size=4),
    st.text(st.characters(), max_size=3),
)
NAMES = st.lists(SEGMENTS, max_size=5).map("/".join)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a/b/c",
        ".hidden",
        "a/.hidden/..b",
        "...",
        "a\nb",
        " ",
        "~",
        "C:\\a",
        "a*?",
        "x" * 255,
        "é" * 127,
        "/".join(["x" * 255] * 14),
        "a.s3pp-0123",
        "x.s3pp-0123456789abcdef/in-a-directory",
        "x.s3pp-0123456789ABCDEF",
        "x.s3pp-0123456789abcdef.parts",
    ],
)
def test_a_key_that_can_be_a_file(name: str) -> None:
    assert path_fault(name, 1, windows=False) is None
    assert path_fault(name, 0, windows=False) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/etc/passwd", "absolute"),
        ("/", "absolute"),
        ("//a", "absolute"),
        ("a//b", "empty segment"),
        ("a//", "empty segment"),
        ("..", "'..'"),
        ("../a", "'..'"),
        ("a/../../b", "'..'"),
        ("a/..", "'..'"),
        (".", "'.'"),
        ("./a", "'.'"),
        ("a/.", "'.'"),
        ("../", "'..'"),
        ("a\0b", "NUL"),
        ("x" * 256, "256 bytes"),
        ("a/" + "é" * 128 + "/b", "256 bytes"),
        ("/".join(["x" * 255] * 16), "3840 are possible"),
        ("a\udcffb", "not UTF-8"),
        ("\ud800", "not UTF-8"),
        ("a/x.s3pp-0123456789abcdef", "temporary"),
        ("a/x.s3pp-0123456789abcdef.part", "temporary"),
        ("a/x.s3pp-0123456789abcdef.ranges", "temporary"),
    ],
)
def test_a_key_that_cannot_says_why_and_how_to_mend_it(name: str, said: str) -> None:
    fault = path_fault(name, 0, windows=False)
    assert fault is not None
    assert said in fault
    assert "rename" in fault
    assert "\n" not in fault


def test_the_longest_path_is_possible() -> None:
    name = "/".join(["x" * 239] * 16)
    assert len(name) == MAX_PATH_BYTES - 1
    assert path_fault(f"{name}x", 1) is None
    assert path_fault(f"{name}xx", 1) is not None


@pytest.mark.parametrize("name", ["a/", "a/b/", "", ".a/"])
def test_a_marker_of_a_directory_holds_nothing(name: str) -> None:
    assert is_marker(name)
    assert path_fault(name, 0) is None
    assert "7 bytes" in (path_fault(name, 7) or "")


@pytest.mark.parametrize(
    "name",
    [
        "a\\b",
        "..\\..\\a",
        "C:",
        "c:a",
        "C:/a",
        "a:stream",
        "a/b?",
        "a\tb",
        "a.",
        "a /b",
        "con",
        "a/NUL.txt",
        "Com1",
        "lpt¹.x",
        "aux .c",
    ],
)
def test_what_only_windows_refuses(name: str) -> None:
    assert path_fault(name, 1, windows=False) is None
    fault = path_fault(name, 1, windows=True)
    assert fault is not None
    assert "Windows" in fault


@pytest.mark.parametrize("name", ["a/b", "console", "com", "com10", "a.b c", "é", ".a"])
def test_what_windows_has_as_well(name: str) -> None:
    assert path_fault(name, 1, windows=True) is None


def reference(name: str) -> bool:
    """Whether ``name`` is a path below a directory, said another way than by looking for faults."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    segments = name.removesuffix("/").split("/")
    return (
        os.path.normpath(f"top/{name}") == f"top/{name.removesuffix('/')}"
        and not name.startswith("/")
        and "\0" not in name
        and len(encoded) <= MAX_PATH_BYTES
        and all(len(segment.encode()) <= MAX_NAME_BYTES for segment in segments)
        and not TEMPORARY.search(name)
    )


@given(NAMES.filter(bool))
@example("../top")
@example(".")
@example("a/./b/")
def test_agrees_with_what_a_path_is(name: str) -> None:
    assert (path_fault(name, 0, windows=False) is None) == reference(name)


@given(NAMES.filter(lambda name: not is_marker(name)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_passes_can_be_made_below_a_directory(tmp_path: Path, name: str) -> None:
    if path_fault(name, 1) is not None:
        return
    top = tmp_path / "top"
    path = top / name
    if any(parent.is_file() for parent in path.parents) or path.is_dir():
        return  # of an example before
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"here")
    assert path.resolve().is_relative_to(top.resolve())
    assert sorted(os.listdir(tmp_path)) == ["top"]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1))
@example("x" * 255)
@example("é" * 127)
@example("a" + "𝄞" * 63)
def test_a_temporary_name_is_recognised_and_fits(name: str) -> None:
    made = temporary_name(name)
    assert TEMPORARY.search(made)
    assert len(made.encode()) <= MAX_NAME_BYTES
    stem = TEMPORARY.sub("", made)
    assert name.startswith(stem)
    assert stem == name or len(made.encode()) > MAX_NAME_BYTES - 4
    assert temporary_name(name) != made
    assert path_fault(f"a/{made}", 1) is not None


@given(st.binary().map(os.fsdecode))
def test_what_is_shown_can_be_printed(name: str) -> None:
    assert shown(name) == os.fsencode(name).decode("utf-8", "backslashreplace")
    shown(name).encode()


@pytest.mark.parametrize("end", ["", ".part", ".ranges"])
def test_unfinished_downloads(end: str) -> None:
    assert is_unfinished(f"a.s3pp-0123456789abcdef{end}")
    assert is_unfinished(f".s3pp-0123456789abcdef{end}")
    assert not is_unfinished(f"a.s3pp-0123456789abcde{end}")
    assert not is_unfinished(f"a.s3pp-0123456789abcdef{end}2")
