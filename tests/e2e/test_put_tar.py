"""--walk tar: the regular members of an archive, without unpacking it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import pytest

from commands import Run
from conftest import Tree
from stores.store import Bucket
from trees import content

MEMBERS = {
    "a.txt": b"alpha",
    "d/b.bin": content(100_000),
    "d/empty": b"",
    "ü/日.json": b"{}",
    "long/" + "x" * 200: b"long name",
}

Mode = Literal["w", "w:gz", "w:bz2", "w:xz"]


def archive(
    path: Path,
    members: Mapping[str, bytes] | list[tuple[str, bytes]] = MEMBERS,
    mode: Mode = "w",
    extras: Iterable[tarfile.TarInfo] = (),
) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, body in members if isinstance(members, list) else members.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
        for extra in extras:
            tar.addfile(extra)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_arrive_and_are_known_again(
    s3pp: Run, moto_bucket: Bucket, tmp_path: Path, mode: Mode
) -> None:
    path = archive(tmp_path / "some.archive", mode=mode)
    result = s3pp("put", "--walk", "tar", path, f"{moto_bucket.url}/p")
    assert (result.code, result.err) == (0, "")
    assert result.counts.done == len(MEMBERS)
    assert result.counts.bytes == sum(map(len, MEMBERS.values()))
    assert moto_bucket.tree() == {f"p/{name}": body for name, body in MEMBERS.items()}
    assert moto_bucket.head("p/ü/日.json")["ContentType"] == "application/json"
    again = s3pp("put", "--walk", "tar", path, f"{moto_bucket.url}/p")
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, len(MEMBERS))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_verifying_store_takes_them(
    s3pp: Run, bucket: Bucket, tmp_path: Path, mode: Mode
) -> None:
    path = archive(tmp_path / "a.tar", mode=mode)
    assert s3pp("put", "--walk", "tar", path, bucket.url).code == 0
    assert bucket.tree() == MEMBERS


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_links_are_skipped_and_the_last_of_a_name_wins(
    s3pp: Run, moto_bucket: Bucket, tmp_path: Path, mode: Mode
) -> None:
    members = [("twice", b"first"), ("b", b"2"), ("twice", b"last")]
    extras = [
        special("link", tarfile.SYMTYPE, "b"),
        special("hard", tarfile.LNKTYPE, "b"),
        special("pipe", tarfile.FIFOTYPE),
        special("dir", tarfile.DIRTYPE),
    ]
    path = archive(tmp_path / "a.tar", members, mode, extras)
    result = s3pp("put", "--json", "--walk", "tar", path, moto_bucket.url)
    assert result.code == 0
    assert moto_bucket.tree() == {"twice": b"last", "b": b"2"}
    skipped = {e["source"].rpartition(":")[2] for e in result.events if e["event"] == "skipped"}
    assert {"link", "hard", "pipe"} <= skipped
    assert "dir" not in skipped
    again = s3pp("put", "--walk", "tar", path, moto_bucket.url)
    assert (again.code, again.counts.done) == (0, 0)


def test_names_cannot_leave_the_prefix(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    members = {"./dot": b"1", "/absolute": b"2", "../up": b"3", "a/../../b": b"4", "fine": b"5"}
    path = archive(tmp_path / "a.tar", members)
    result = s3pp("put", "--walk", "tar", path, f"{moto_bucket.url}/p")
    keys = moto_bucket.keys()
    assert "p/fine" in keys
    assert "p/dot" in keys
    assert all(key.startswith("p/") and ".." not in key.split("/") for key in keys)
    assert result.counts.done == len(keys)
    assert result.counts.done + result.counts.failed + result.counts.skipped == len(members)


def test_options_apply_to_members(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    import gzip

    path = archive(tmp_path / "a.tar", {"a.txt": b"1" * 5000, "b.log": b"2", "c/d.txt": b"3"})
    words = ["--include", "*.txt", "--max-size", "10K", "--gzip", "--content-type", "guess"]
    assert s3pp("put", "--walk", "tar", *words, path, moto_bucket.url).code == 0
    assert moto_bucket.keys() == ["a.txt", "c/d.txt"]
    assert gzip.decompress(moto_bucket.get("a.txt")) == b"1" * 5000


def test_what_is_no_archive_is_said_so(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"not.tar": b"certainly not a tar " * 100})
    result = s3pp("put", "--walk", "tar", src / "not.tar", moto_bucket.url)
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert f"put {src}/not.tar -> " in line
    assert "not a tar archive (invalid header): --walk tar reads tar files" in line
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(archive(tmp_path / "whole.tar.gz", mode="w:gz").read_bytes()[:60_000])
    result = s3pp("put", "--walk", "tar", cut, f"{moto_bucket.url}/cut")
    assert result.code in (1, 3)
    assert "cut.tar.gz" in result.err
    for key, body in moto_bucket.tree().items():
        assert body == MEMBERS[key.removeprefix("cut/")]
