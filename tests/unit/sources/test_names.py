"""``--files-from``: names from a list."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FatalError, UsageError
from s3pp.localfs.external_sort import SortMemory, sort_records
from s3pp.records import Entry, Failed
from s3pp.sources import check, entries, names

from .trees import job, keys, outcomes, plant, walked


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return plant(tmp_path / "top", {"a": "1", "a-b": "", "d/x": "22", "d/y": "", "z": ""})


def from_list(top: Path, text: bytes, **choosing: Any) -> list[tuple[str, str]]:
    """The outcomes of a list given on stdin."""
    settings = job(top, files_from="-", **choosing)
    return outcomes(list(entries(settings, io.BytesIO(text))))


def test_names_come_in_key_order_once(top: Path) -> None:
    text = b"z\nd/x\na\n./a\nd//x\nd/./x\na-b"
    assert from_list(top, text) == [(k, "entry") for k in ("a", "a-b", "d/x", "z")]


def test_a_list_in_a_file(top: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("d/x\n")
    (entry,) = walked(top, prefix="p", files_from=str(tmp_path / "list"))
    assert isinstance(entry, Entry)
    assert (entry.key, entry.path, entry.size) == ("p/d/x", f"{top}/d/x", 2)


def test_a_list_relative_to_the_working_directory(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(top)
    (entry,) = entries(job(".", files_from="-"), io.BytesIO(b"d/x"))
    assert isinstance(entry, Entry)
    assert entry.path == "d/x"


def test_a_byte_order_mark_is_no_part_of_a_name(top: Path) -> None:
    assert from_list(top, b"\xef\xbb\xbfa\r\nz\r\n") == [("a", "entry"), ("z", "entry")]
    assert from_list(top, b"\xef\xbb\xbf") == []
    plant(top, {"\ufeffa": ""})
    assert from_list(top, b"\xef\xbb\xbfa\0", null=True) == [("\ufeffa", "entry")]


def test_a_list_in_memory_follows_the_same_rules(top: Path) -> None:
    found = outcomes(walked(top, names=("z", "", "./a", "gone", "\ufeffz", "../a"), prefix="p"))
    assert sorted(found) == [
        ("p/../a", "name"),
        ("p/a", "entry"),
        ("p/gone", "not-found"),
        ("p/z", "entry"),
        ("p/\ufeffz", "not-found"),
    ]
    assert walked(top, names=()) == [], "an empty list chooses nothing"
    with pytest.raises(UsageError, match="drop one"):
        check(job(top, names=("a",), files_from="-"))


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_refused(top: Path, coding: str) -> None:
    for text in ("\ufeffa\r\n", "a\r\n"):
        with pytest.raises(FatalError, match="looks like UTF-16: save it as UTF-8"):
            from_list(top, text.encode(coding))


def test_carriage_returns_empty_lines_and_hashes(top: Path) -> None:
    plant(top, {"#no comment": "", " padded ": ""})
    assert from_list(top, b"\r\n\na\r\n#no comment\n padded \n") == [
        (" padded ", "entry"),
        ("#no comment", "entry"),
        ("a", "entry"),
    ]


def test_null_keeps_newlines_and_returns(top: Path) -> None:
    plant(top, {"new\nline": "", "return\r": ""})
    assert from_list(top, b"new\nline\0\0return\r\0a", null=True) == [
        ("a", "entry"),
        ("new\nline", "entry"),
        ("return\r", "entry"),
    ]


def test_what_is_missing_fails_by_name(top: Path) -> None:
    assert from_list(top, b"a\ngone\nz/below\n") == [
        ("a", "entry"),
        ("gone", "not-found"),
        ("z/below", "not-found"),
    ]


@pytest.mark.parametrize("name", [b"d", b"d/", b".", b"./"])
def test_a_directory_fails_with_the_mend(top: Path, name: bytes) -> None:
    (failure,) = entries(job(top, files_from="-"), io.BytesIO(name))
    assert isinstance(failure, Failed)
    assert failure.kind.value == "unreadable"
    assert failure.message == "is a directory, not a file: name the files below it"


@pytest.mark.parametrize("name", [b"/etc/passwd", b"../top/a", b"d/../a", b".."])
def test_what_lies_outside_fails(top: Path, name: bytes) -> None:
    (failure,) = entries(job(top, files_from="-"), io.BytesIO(name))
    assert isinstance(failure, Failed)
    assert (failure.source, failure.kind.value) == (name.decode(), "name")
    assert failure.message == "outside the source"


def test_names_that_cannot_be_keys(top: Path) -> None:
    plant(top, {"b\udcff": ""})
    text = b"b\xff\n" + b"n" * 1025 + b"\n" + b"x" * 300_000 + b"\nz"
    bad, long, longer, good = entries(job(top, files_from="-"), io.BytesIO(text))
    assert outcomes([bad, long, good]) == [
        ("b\udcff", "name"),
        ("n" * 1025, "name"),
        ("z", "entry"),
    ]
    assert outcomes([longer])[0][1] == "name"
    assert len(longer.target) < 10_000


def test_a_null_list_without_null_says_so(top: Path) -> None:
    (failure,) = entries(job(top, files_from="-"), io.BytesIO(b"aa\0zz\0"))
    assert isinstance(failure, Failed)
    assert "--null" in failure.message


def test_globs_sizes_and_limit_choose_among_the_names(top: Path) -> None:
    text = b"a\nd/x\nd/y\nz\ngone"
    rules = (("exclude", "gone"), ("exclude", "a"))
    assert from_list(top, text, rules=rules, max_size=1) == [("d/y", "entry"), ("z", "entry")]
    assert from_list(top, text, rules=rules, limit=1) == [("d/x", "entry")]


def test_no_follow_skips_what_is_or_lies_behind_a_link(top: Path) -> None:
    (top / "link").symlink_to("a")
    (top / "into").symlink_to("d")
    os.mkfifo(top / "fifo")
    text = b"a\nlink\ninto/x\nd/x\nfifo"
    skipped = "symbolic link"
    assert from_list(top, text, follow_symlinks=False) == [
        ("a", "entry"),
        ("d/x", "entry"),
        ("fifo", "not a regular file"),
        ("into/x", skipped),
        ("link", skipped),
    ]
    assert [kind for _, kind in from_list(top, text)].count("entry") == 4
    to_files = from_list(top, text, linked_directories=False)
    assert [key for key, kind in to_files if kind == skipped] == ["into/x"]


def test_a_deep_name_without_following(top: Path) -> None:
    assert from_list(top, b"/".join([b"d"] * 500), follow_symlinks=False)[0][1] == "not-found"


def test_a_long_list_spills(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        names, "sort_records", lambda rows: sort_records(rows, memory=SortMemory(3, 3))
    )
    assert keys_of(top, b"z\na\nd/x\nz\na\nd/y\na-b\nz\na") == ["a", "a-b", "d/x", "d/y", "z"]


def keys_of(top: Path, text: bytes) -> list[str]:
    return [key for key, _ in from_list(top, text)]


def test_a_list_that_cannot_be_read_ends_the_run(top: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(FatalError, match="Input/output error"):
        list(entries(job(top, files_from="-"), Broken()))


def test_a_list_that_vanished_ends_the_run(top: Path) -> None:
    with pytest.raises(FatalError, match="gone"):
        keys(top, files_from=str(top / "gone"))


class Trickle(io.BytesIO):
    """Gives one to three bytes at a time, so that every border falls within a name."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1 + self.tell() % 3)


@given(st.lists(st.text("ab\r\n#", max_size=4).map(str.encode)), st.booleans())
def test_splitting_does_not_depend_on_the_pieces(given: list[bytes], null: bool) -> None:
    end = b"\0" if null else b"\n"
    text = end.join(given)
    expected = [name if null else name.removesuffix(b"\r") for name in text.split(end)]
    assert list(names.split(Trickle(text), null=null)) == [name for name in expected if name]


@given(st.integers(1, 40))
def test_long_names_keep_their_beginning_only(size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "LONGEST", 10)
        stream = Trickle(b"x" * size + b"\nnext")
        assert list(names.split(stream, null=False)) == [b"x" * min(size, 10), b"next"]
