"""Sources opened and read, and what happens when they change under the reader."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.limits import PIECE, SMALL
from s3pp.records import Entry
from s3pp.transfer.bodies import Changed, Slice, SpooledBody, open_entry

CONTENT = bytes(range(251)) * (3 * PIECE // 251)  # no two pieces alike
Made = Callable[[bytes], Path]


def entry(path: Path, size: int | None = None, offset: int | None = None, **more: object) -> Entry:
    size = os.stat(path).st_size if size is None else size
    return Entry("key", str(path), size, 0, offset, **more)  # type: ignore[arg-type]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Writes a file that looks old, so that any later change shows in its times."""

    def make(content: bytes) -> Path:
        path = tmp_path / "source"
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))
        return path

    return make


def opened(source: Entry) -> Slice:
    found = open_entry(source)
    assert isinstance(found, Slice)
    return found


def read(body: bytes | Slice) -> bytes:
    if isinstance(body, bytes):
        return body
    with closing(body):
        return b"".join(body.pieces())


@pytest.mark.parametrize("offset", [None, 0, 7])
@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, PIECE, PIECE + 1])
def test_a_source_is_read_whole_small_or_large(size: int, offset: int | None, made: Made) -> None:
    expected = CONTENT[offset or 0 :][:size]
    path = made(expected if offset is None else CONTENT)
    body = open_entry(entry(path, size, offset))
    assert isinstance(body, bytes) == (size <= SMALL)
    assert (len(body) if isinstance(body, bytes) else body.size) == size
    assert read(body) == expected


def test_a_whole_file_is_what_it_is_now_not_what_the_walk_saw(made: Made) -> None:
    path = made(b"grown")
    assert open_entry(entry(path, size=2)) == b"grown"
    assert open_entry(entry(path, size=2**40)) == b"grown"


def test_a_stream_reads_any_counts_and_starts_again(made: Made) -> None:
    with closing(opened(entry(made(CONTENT), SMALL + 10, 5))) as stream:
        for _ in range(2):
            found = bytearray()
            while piece := stream.read(1000):
                assert len(piece) <= 1000
                found += piece
            assert found == CONTENT[5 : 5 + SMALL + 10]
            assert stream.read(1000) == b""
            stream.rewind()


def test_the_head_moves_nothing(made: Made) -> None:
    with closing(opened(entry(made(CONTENT), SMALL + 10, 5))) as stream:
        stream.read(100)
        assert stream.head(10) == CONTENT[5:15]
        assert stream.read(5) == CONTENT[105:110]


@given(data=st.data())
@settings(
    deadline=None,
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_slice_is_that_slice(data: st.DataObject, made: Made) -> None:
    path = made(CONTENT)
    start = data.draw(st.integers(0, len(CONTENT)))
    size = data.draw(st.integers(0, len(CONTENT) - start))
    assert read(open_entry(entry(path, size, start))) == CONTENT[start : start + size]


def rewritten(path: Path) -> None:
    """Other bytes, the same size."""
    with open(path, "r+b") as stream:
        stream.write(b"other bytes")


def appended(path: Path) -> None:
    with open(path, "ab") as stream:
        stream.write(b"more")


def cut(path: Path) -> None:
    os.truncate(path, 3)


CHANGES = pytest.mark.parametrize("change", [rewritten, appended, cut])


@CHANGES
def test_a_small_source_that_changes_while_it_is_read_is_not_trusted(
    change: Callable[[Path], None], made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(b"x" * 1000)
    real = os.pread

    def interfering(fd: int, count: int, at: int) -> bytes:
        change(path)
        return real(fd, count, at)

    monkeypatch.setattr(os, "pread", interfering)
    with pytest.raises(Changed) as caught:
        open_entry(entry(path))
    assert caught.value.kind is FailureKind.CHANGED
    assert str(path) in str(caught.value)


@CHANGES
def test_a_large_source_that_changes_is_found_out(
    change: Callable[[Path], None], made: Made
) -> None:
    path = made(CONTENT)
    with closing(opened(entry(path))) as stream:
        stream.check()
        stream.read(100)
        change(path)
        with pytest.raises(Changed):
            stream.check()


def test_a_stream_never_comes_out_short(made: Made) -> None:
    path = made(CONTENT)
    with closing(opened(entry(path))) as stream:
        stream.read(PIECE)
        os.truncate(path, PIECE + 10)
        assert len(stream.read(PIECE)) == 10
        with pytest.raises(Changed):
            stream.read(PIECE)


@pytest.mark.parametrize("size", [10, SMALL + 10])
def test_a_slice_beyond_the_end_of_its_archive_is_not_cut_short(size: int, made: Made) -> None:
    path = made(b"x" * 20)
    with pytest.raises(Changed):
        read(open_entry(entry(path, size, offset=15)))


def test_a_file_replaced_by_another_is_read_as_it_was(made: Made, tmp_path: Path) -> None:
    path = made(CONTENT)
    with closing(opened(entry(path))) as stream:
        (tmp_path / "new").write_bytes(b"new")
        os.replace(tmp_path / "new", path)
        assert b"".join(stream.pieces()) == CONTENT


def test_a_fifo_in_the_place_of_a_file_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ObjectError, match="no longer a regular file") as caught:
        open_entry(entry(tmp_path / "fifo", 100))
    assert caught.value.kind is FailureKind.UNREADABLE


def test_a_directory_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ObjectError) as caught:
        open_entry(entry(tmp_path, 100))
    assert caught.value.kind is FailureKind.UNREADABLE


@pytest.mark.parametrize("name", ["gone", "file/below"])
def test_what_vanished_is_not_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ObjectError, match="vanished") as caught:
        open_entry(entry(tmp_path / name, 100))
    assert caught.value.kind is FailureKind.NOT_FOUND


def test_what_cannot_be_read_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ObjectError, match="cannot be read") as caught:
        open_entry(entry(tmp_path / "loop", 100))
    assert caught.value.kind is FailureKind.UNREADABLE


def test_a_name_for_people_is_the_one_told(tmp_path: Path) -> None:
    with pytest.raises(ObjectError, match=r"a\.tar:b/c vanished"):
        open_entry(entry(tmp_path / "gone", 100, 5, name="a.tar:b/c"))


def test_nothing_stays_open(made: Made, tmp_path: Path) -> None:
    path = made(CONTENT)
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/dev/fd"))
    read(open_entry(entry(path)))
    open_entry(entry(path, 10, 0))
    for bad in (entry(path, 10, len(CONTENT)), entry(tmp_path, 1), entry(tmp_path / "fifo", 1)):
        with pytest.raises(ObjectError):
            open_entry(bad)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="Linux has such files")
def test_a_file_that_hides_its_size_is_no_file_that_changed() -> None:
    entry = Entry("cpuinfo", "/proc/cpuinfo", 0, 0)
    with pytest.raises(ObjectError, match="has size 0, but contains data: copy it"):
        open_entry(entry)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@given(st.lists(st.lists(st.binary(max_size=9), max_size=5), min_size=1, max_size=4))
def test_what_the_last_attempt_brought_is_what_came(attempts: list[list[bytes]]) -> None:
    spill = SpooledBody("key")
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
    spill = SpooledBody("key")
    spill.write(b"body")
    assert list(place.iterdir()) == []
    assert len(descriptors() - before) == 1
    spill.close()
    assert descriptors() == before


def test_closing_what_came_closes_all(place: Path) -> None:
    before = descriptors()
    spill = SpooledBody("key")
    spill.write(b"body")
    spill.whole().close()
    assert descriptors() == before


def test_a_disk_that_takes_little_at_a_time(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, piece: write(fd, piece[:3]))
    spill = SpooledBody("key")
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

    spill = SpooledBody("key")
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
    with closing(SpooledBody("key")) as spill, pytest.raises((FatalError, ObjectError)) as raised:
        spill.write(b"x")
    words = "5000 bytes (ulimit -f)" if limit > 0 else f"{place} cannot hold"
    assert words in str(raised.value)
    assert ("TMPDIR" in str(raised.value)) == isinstance(raised.value, FatalError) == (limit < 0)


def test_a_place_that_is_not_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place / "gone"))
    with pytest.raises(FatalError, match="gone cannot hold"):
        SpooledBody("key")
