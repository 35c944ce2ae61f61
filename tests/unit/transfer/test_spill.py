"""The temporary file of a body that passes through: what came last, without a name, and closed."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FatalError, ObjectError
from s3pp.transfer.spill import Spill


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@given(st.lists(st.lists(st.binary(max_size=9), max_size=5), min_size=1, max_size=4))
def test_what_the_last_attempt_brought_is_what_came(attempts: list[list[bytes]]) -> None:
    spill = Spill("key")
    for pieces in attempts:
        spill.restart()
        for piece in pieces:
            spill.write(piece)
    body = spill.whole()
    try:
        assert body.size == sum(map(len, attempts[-1]))
        for _ in range(2):  # it can be sent more than once
            assert b"".join(body.pieces()) == b"".join(attempts[-1])
    finally:
        body.close()


def test_it_has_no_name_and_closing_it_gives_all_back(place: Path) -> None:
    before = descriptors()
    spill = Spill("key")
    spill.write(b"body")
    assert list(place.iterdir()) == []
    assert len(descriptors() - before) == 1
    spill.close()
    assert descriptors() == before


def test_closing_what_came_closes_all(place: Path) -> None:
    before = descriptors()
    spill = Spill("key")
    spill.write(b"body")
    spill.whole().close()
    assert descriptors() == before


def test_a_disk_that_takes_little_at_a_time(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, piece: write(fd, piece[:3]))
    spill = Spill("key")
    spill.write(b"a body longer than that")
    body = spill.whole()
    assert b"".join(body.pieces()) == b"a body longer than that"
    body.close()


@pytest.mark.parametrize("step", ["write", "ftruncate"])
def test_a_full_disk_ends_the_run_and_names_the_place(
    step: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    spill = Spill("key")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(FatalError, match=f"{place}.*No space left.*TMPDIR"):
        spill.write(b"x") if step == "write" else spill.restart()
    spill.close()


@pytest.mark.parametrize("limit", [5000, -1])
def test_what_may_not_be_so_large_names_the_limit_and_else_the_place(
    limit: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(*_: object) -> int:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(os, "write", large)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, -1))
    with closing(Spill("key")) as spill, pytest.raises((FatalError, ObjectError)) as raised:
        spill.write(b"x")
    words = "5000 bytes (ulimit -f)" if limit > 0 else f"{place} cannot hold"
    assert words in str(raised.value)
    assert ("TMPDIR" in str(raised.value)) == isinstance(raised.value, FatalError) == (limit < 0)


def test_a_place_that_is_not_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place / "gone"))
    with pytest.raises(FatalError, match="gone cannot hold"):
        Spill("key")
