"""``--walk tar``: what is read from an archive's headers."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.localfs.external_sort import SortMemory
from s3pp.records import Entry, Failed
from s3pp.sources import archive

from .trees import content, keys, member, outcomes, pack, plant, walked

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def test_members_are_read_in_place(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"z": b"last", "d/a": b"first", "./m": b""})
    records = walked(path, walk="tar", prefix="p")
    assert [r.target for r in records] == ["p/d/a", "p/m", "p/z"]
    assert [content(r) for r in records if isinstance(r, Entry)] == [b"first", b"", b"last"]
    first = records[0]
    assert isinstance(first, Entry)
    assert (first.path, first.size, first.mtime_ns) == (str(path), 5, 10**9)
    assert (first.name, first.source) == (f"{path}:d/a", f"{path}:d/a")


def test_files_of_the_real_tar(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"a": "1" * 1000, "d/b": "22", "d/é": "3", "long" * 40: "4"})
    for format_ in FORMATS[1:]:
        path = tmp_path / f"{format_}.tar"
        with tarfile.open(path, "w", format=format_) as packed:
            packed.add(tree, ".")
        found = {r.key: content(r) for r in walked(path, walk="tar") if isinstance(r, Entry)}
        assert found == {"a": b"1" * 1000, "d/b": b"22", "d/é": b"3", "long" * 40: b"4"}


@pytest.mark.parametrize("packing", PACKED)
def test_compressed_members_ask_to_be_spooled(packing: str, tmp_path: Path) -> None:
    plain = pack(tmp_path / "a.tar", {"b": b"2", "a": b"1"})
    packed = tmp_path / "packed"
    packed.write_bytes(PACKED[packing](plain.read_bytes()))
    in_place = walked(plain, walk="tar")
    spooled = walked(packed, walk="tar")
    assert [r.spool for r in in_place if isinstance(r, Entry)] == [False, False]
    assert spooled == [
        r._replace(
            path=str(packed),
            name=r.source.replace(str(plain), str(packed)),
            spool=True,
            pinned_ns=None,
        )
        for r in in_place
        if isinstance(r, Entry)
    ]


def test_a_gzip_file_in_several_pieces(tmp_path: Path) -> None:
    data = pack(tmp_path / "a.tar", {"a": b"1" * 2000, "b": b"2"}).read_bytes()
    packed = tmp_path / "a.tgz"
    packed.write_bytes(gzip.compress(data[:1000]) + gzip.compress(data[1000:]))
    assert keys(packed, walk="tar") == ["a", "b"]


def test_only_regular_members_are_entries(tmp_path: Path) -> None:
    others = [
        member("dir", tarfile.DIRTYPE),
        member("sym", tarfile.SYMTYPE, linkname="f"),
        member("hard", tarfile.LNKTYPE, linkname="f"),
        member("fifo", tarfile.FIFOTYPE),
        member("chr", tarfile.CHRTYPE),
        member("blk", tarfile.BLKTYPE),
        member("odd", b"Z"),
    ]
    path = pack(tmp_path / "a.tar", {"f": b""}, *others)
    special, link = "not a regular file", "link in archive"
    assert outcomes(walked(path, walk="tar")) == [
        ("blk", special),
        ("chr", special),
        ("f", "entry"),
        ("fifo", special),
        ("hard", link),
        ("odd", special),
        ("sym", link),
    ]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a/../b"])
def test_names_that_escape_fail(name: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {name: b"evil", "ok": b""})
    failure = next(r for r in walked(path, walk="tar", prefix="p") if isinstance(r, Failed))
    assert (failure.source, failure.target) == (f"{path}:{name}", f"p/{name}")
    assert (failure.kind.value, failure.message) == ("name", "escapes the archive")


def test_names_that_cannot_be_keys_fail(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"b\udcff": b"", "é" * 513: b"", ".": b""})
    records = walked(path, walk="tar")
    assert outcomes(records) == [("", "name"), ("b\udcff", "name"), ("é" * 513, "name")]
    assert "has no name" in records[0].message  # type: ignore[union-attr]


def test_an_archive_whose_own_name_is_not_utf8(tmp_path: Path) -> None:
    (entry,) = walked(pack(tmp_path / "a\udcff.tar", {"x": b"1"}), walk="tar")
    assert isinstance(entry, Entry)
    assert (content(entry), entry.source) == (b"1", f"{tmp_path}/a\udcff.tar:x")


def test_the_last_of_several_members_has_the_name(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        for name, data in [("a", b"1"), ("b", b"2"), ("./a", b"33"), ("a", b"444"), ("b", b"5")]:
            packed.addfile(member(name, size=len(data)), io.BytesIO(data))
        packed.addfile(member("b", tarfile.SYMTYPE, linkname="a"))
    entry, link = walked(tmp_path / "a.tar", walk="tar")
    assert isinstance(entry, Entry)
    assert (entry.key, content(entry)) == ("a", b"444")
    assert outcomes([link]) == [("b", "link in archive")]


def test_the_last_one_has_the_name_even_where_it_is_not_chosen(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        for data in (b"large", b""):
            packed.addfile(member("a", size=len(data)), io.BytesIO(data))
    assert walked(tmp_path / "a.tar", walk="tar", min_size=1) == []


def test_globs_sizes_ages_and_limit_choose(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"a": b"1", "b/x": b"22", "b/y": b"", "c": b"333"})
    assert keys(path, walk="tar", rules=(("exclude", "b"),)) == ["a", "c"]
    assert keys(path, walk="tar", min_size=1, max_size=2) == ["a", "b/x"]
    assert keys(path, walk="tar", newer_than=1.0) == []
    assert keys(path, walk="tar", limit=1) == ["a"]


def test_times_that_are_none_count_as_the_epoch(tmp_path: Path) -> None:
    odd = member("a", pax_headers={"mtime": "nan"})
    fine = member("b", pax_headers={"mtime": "1.5"})
    path = pack(tmp_path / "a.tar", {}, odd, fine)
    assert [r.mtime_ns for r in walked(path, walk="tar") if isinstance(r, Entry)] == [
        0,
        1_500_000_000,
    ]


def test_several_archives_are_merged(tmp_path: Path) -> None:
    one = pack(tmp_path / "1.tar", {"a": b"", "c": b""})
    two = pack(tmp_path / "2.tar", {"c": b"", "b": b""})
    assert outcomes(walked(one, two, walk="tar")) == [
        ("a", "entry"),
        ("b", "entry"),
        ("c", "entry"),
        ("c", "conflict"),
    ]


NAMES = st.text("ab-é\U0001f600", min_size=1, max_size=3)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(NAMES, st.binary(max_size=5)), max_size=12), st.booleans())
def test_any_archive_comes_in_key_order(
    tmp_path_factory: pytest.TempPathFactory, given: list[tuple[str, bytes]], spilled: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.tar"
    with tarfile.open(path, "w") as packed:
        for name, data in given:
            packed.addfile(member(name, size=len(data)), io.BytesIO(data))
    with pytest.MonkeyPatch.context() as patch:
        if spilled:
            patch.setattr(archive, "SortMemory", lambda _: SortMemory(2, 2))
        records = walked(path, walk="tar")
    found = [(r.key, content(r)) for r in records if isinstance(r, Entry)]
    assert found == sorted(dict(given).items(), key=lambda pair: pair[0].encode())
    assert len(found) == len(records)


# Damage


def three_members(path: Path) -> tuple[Path, list[int]]:
    """An archive of a, b and c with 700 bytes each, and where their headers begin."""
    pack(path, {name: name.encode() * 700 for name in "abc"})
    with tarfile.open(path) as packed:
        return path, [header.offset for header in packed]


def check_damage(path: Path, intact: str, message: str = "") -> None:
    """The members named in ``intact`` are there, and the archive failed once."""
    *records, failure = walked(path, walk="tar", prefix="p")
    assert [r.key for r in records if isinstance(r, Entry)] == [f"p/{name}" for name in intact]
    assert len(records) == len(intact)
    assert isinstance(failure, Failed)
    assert (failure.source, failure.target) == (str(path), "p/")
    assert failure.kind.value == "unreadable"
    assert message in failure.message
    assert "\n" not in failure.message


@pytest.mark.parametrize(
    ("beyond_c", "intact"),
    [(0, "ab"), (100, "ab"), (512, "ab"), (900, "ab"), (512 + 1024, "abc"), (-500, "a")],
)
def test_a_plain_archive_cut_off(beyond_c: int, intact: str, tmp_path: Path) -> None:
    path, offsets = three_members(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes()[: offsets[2] + beyond_c])
    check_damage(path, intact)


def test_a_damaged_header(tmp_path: Path) -> None:
    path, offsets = three_members(tmp_path / "a.tar")
    data = bytearray(path.read_bytes())
    data[offsets[1] + 10] ^= 1
    path.write_bytes(data)
    check_damage(path, "a", "bad checksum")


@pytest.mark.parametrize("packing", PACKED)
def test_a_compressed_archive_cut_off(packing: str, tmp_path: Path) -> None:
    path, _ = three_members(tmp_path / "a.tar")
    packed = PACKED[packing](path.read_bytes())
    path.write_bytes(packed[:-5])  # the data is there, the checksum is not
    check_damage(path, "abc")


def test_a_compressed_archive_cut_in_the_middle(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(50_000)
    path = pack(tmp_path / "a.tgz", {"a": noise, "b": noise, "c": noise}, mode="w:gz")
    path.write_bytes(path.read_bytes()[:-30_000])
    check_damage(path, "ab")


def test_a_wrong_checksum(tmp_path: Path) -> None:
    path, _ = three_members(tmp_path / "a.tar")
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[-6] ^= 1
    path.write_bytes(packed)
    check_damage(path, "abc")


@pytest.mark.parametrize("data", [b"", b"x", b"no archive " * 1000, b"\x1f\x8brubbish", b"BZh"])
def test_what_is_no_archive(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    packed = data[:2] in (b"\x1f\x8b", b"BZ")
    check_damage(path, "", "" if packed else "not a tar archive")


def test_an_archive_that_vanished(tmp_path: Path) -> None:
    check_damage(tmp_path / "gone.tar", "", "No such file")


def test_an_empty_archive_is_fine(tmp_path: Path) -> None:
    assert walked(pack(tmp_path / "a.tar", {}), walk="tar") == []


def test_a_bomb_of_an_extended_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_EXTENSION", 1000)
    path = pack(tmp_path / "a.tar", {"a": b"", "n" * 2000: b""})
    check_damage(path, "a", "claims")


def test_a_negative_size_does_not_loop(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(member("a", size=3), io.BytesIO(b"abc"))
        packed.addfile(member("b", pax_headers={"size": "-4096"}))
    check_damage(tmp_path / "a.tar", "a")


def test_headers_are_forgotten(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {str(n): b"" for n in range(100)})
    with archive.open_archive(str(path)) as opened:
        assert sum(1 for _ in opened.members()) == 100
        assert len(opened._tar.members) <= 1  # type: ignore[attr-defined]
