"""DIRECTORY before a run: what can be told without making anything, and what only making tells."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from s3pp.errors import UsageError
from s3pp.localfs.tree import check_directory, make_directory

Act = Callable[[str], None]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def barred(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Paths that the system lets nobody write to, not even root."""
    paths: set[str] = set()
    real = os.access

    def access(path: str, mode: int) -> bool:
        return path not in paths and real(path, mode)

    monkeypatch.setattr(os, "access", access)
    return paths


def refusal(act: Act, directory: str) -> str:
    with pytest.raises(UsageError) as caught:
        act(directory)
    message = str(caught.value)
    assert message.startswith(f"DIRECTORY '{directory}': ")
    assert message.endswith(": name another")
    return message


@pytest.mark.parametrize("directory", ["d", "d/", "new", "new/below/that", ".", "link", "link/new"])
def test_where_it_can_be_nothing_is_said_and_nothing_made(directory: str, here: Path) -> None:
    (here / "d").mkdir()
    (here / "link").symlink_to("d")
    before = sorted(here.rglob("*"))
    check_directory(directory)
    assert sorted(here.rglob("*")) == before
    make_directory(directory)
    assert (here / directory).is_dir()
    make_directory(directory)


@pytest.mark.parametrize("directory", ["file", "file/below", "file/far/below"])
def test_a_file_in_the_way(directory: str, here: Path) -> None:
    (here / "file").write_bytes(b"")
    assert f"'{here}/file' is not a directory" in refusal(check_directory, directory)
    assert "cannot be created" in refusal(make_directory, directory)


def test_a_link_that_leads_nowhere(here: Path) -> None:
    (here / "link").symlink_to("nowhere")
    assert "link' is not a directory" in refusal(check_directory, "link")


def test_a_name_that_no_file_system_takes(here: Path) -> None:
    assert "too long" in refusal(check_directory, "x" * 300)
    assert "too long" in refusal(make_directory, "x" * 300)


def test_it_has_to_be_entered_and_need_not_be_written(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "shut").mkdir()
    asked: list[int] = []

    def access(path: str, mode: int) -> bool:
        asked.append(mode)
        return not mode

    monkeypatch.setattr(os, "access", access)
    assert "it cannot be opened: Permission denied" in refusal(check_directory, "shut")
    assert asked == [os.R_OK | os.X_OK]


@pytest.mark.parametrize("directory", ["shut/new", "shut/new/below"])
def test_nothing_can_be_written_there(directory: str, here: Path, barred: set[str]) -> None:
    (here / "shut").mkdir()
    barred.add(f"{here}/shut")
    message = refusal(check_directory, directory)
    assert f"nothing can be written in '{here}/shut': Permission denied" in message


def test_what_lies_above_may_be_shut(here: Path, barred: set[str]) -> None:
    (here / "shut" / "open").mkdir(parents=True)
    barred.add(f"{here}/shut")
    check_directory("shut/open")
    check_directory("shut/open/new")


def test_a_read_only_file_system_is_called_so(
    here: Path, barred: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    barred.add(str(here))
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result([0] * 8 + [1, 0]))
    assert "Read-only file system" in refusal(check_directory, "new")
