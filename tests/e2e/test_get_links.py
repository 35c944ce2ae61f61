"""Symbolic links in DIRECTORY, and at its place: nothing is written where they lead out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import failures, reasons
from stores.relay import Request
from stores.store import Bucket, Store
from trees import Content, Link

KEYS = {
    "abs/w": b"1",
    "chain/v": b"2",
    "circle/u": b"3",
    "dangling/t": b"4",
    "file": b"5",
    "in/y": b"6",
    "ok/z": b"7",
    "out/x": b"8",
    "real/a": b"9",
    "up/b": b"10",
}
LEADING_OUT = {"abs/w", "chain/v", "circle/u", "out/x", "up/b"}


@pytest.fixture
def place(moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> Path:
    """A directory full of links, a bucket of keys that pass through them."""
    outside = tree({"kept": b"mine"}, "outside")
    for key, body in KEYS.items():
        moto_bucket.put(key, body)
    links: dict[str, Content] = {
        "abs": Link(str(outside)),
        "chain": Link("middle"),
        "middle": Link("../outside"),
        "circle": Link("circle"),
        "dangling": Link("not-yet"),
        "file": Link("../outside/kept"),
        "in": Link("./real/../real"),
        "out": Link("../outside"),
        "real/old": b"old",
        "up": Link(".."),
    }
    return tree(links, "dest")


def test_links_are_not_written_through(
    s3pp: Run, moto_bucket: Bucket, place: Path, tree: Tree, tmp_path: Path
) -> None:
    before = sorted(os.listdir(tmp_path))
    result = s3pp("get", "--json", moto_bucket.url, place)
    refused = LEADING_OUT | {"dangling/t", "file", "in/y"}
    assert (result.code, failures(result)) == (1, dict.fromkeys(refused, "conflict"))
    assert set(reasons(result)) == {"ok/z", "real/a"}
    assert tree.read(tmp_path / "outside") == {"kept": b"mine"}
    assert sorted(os.listdir(tmp_path)) == before
    assert tree.read(place / "real") == {"a": b"9", "old": b"old"}
    assert (place / "file").is_symlink()
    assert (place / "in").is_symlink()
    for key in refused:
        assert any(f"/{key} -> " in line and "link" in line for line in result.err.splitlines())


def test_links_that_stay_inside_can_be_followed(
    s3pp: Run, moto_bucket: Bucket, place: Path, tree: Tree, tmp_path: Path
) -> None:
    before = sorted(os.listdir(tmp_path))
    result = s3pp("get", "--json", "--follow-symlinks", moto_bucket.url, place)
    assert result.code == 1
    assert failures(result) == dict.fromkeys(LEADING_OUT | {"file"}, "conflict")
    assert tree.read(tmp_path / "outside") == {"kept": b"mine"}
    assert sorted(os.listdir(tmp_path)) == before
    assert tree.read(place / "real") == {"a": b"9", "old": b"old", "y": b"6"}
    assert tree.read(place / "not-yet") == {"t": b"4"}
    again = s3pp("get", "--json", "--follow-symlinks", moto_bucket.url, place)
    assert set(reasons(again).values()) == {"same etag"}


def test_a_link_at_a_files_own_place_is_left_alone(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    for key in ("a", "dir", "gone"):
        moto_bucket.put(key, b"theirs")
    place = tree({"a": Link("b"), "b": b"mine", "dir": Link("."), "gone": Link("nowhere")}, "dest")
    for words in (["--mode", "stupid"], ["--follow-symlinks"], ["-n"]):
        result = s3pp("get", "--json", *words, moto_bucket.url, place)
        found = (result.code, failures(result))
        assert (words, *found) == (words, 1, dict.fromkeys(["a", "dir", "gone"], "conflict"))
    added = s3pp("get", "--json", "--mode", "add", moto_bucket.url, place)
    assert (added.code, set(reasons(added).values())) == (0, {"exists"})
    assert (place / "b").read_bytes() == b"mine"
    assert not (place / "nowhere").exists()


def test_directory_itself_may_be_a_link(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    moto_bucket.put("d/f", b"1")
    tree({"real/kept": b"2", "link": Link("real"), "file": b"3", "dangling": Link("nowhere")}, ".")
    assert s3pp("get", moto_bucket.url, tmp_path / "link").code == 0
    assert tree.read(tmp_path / "real") == {"d/f": b"1", "kept": b"2"}
    assert (tmp_path / "link").is_symlink()
    for wrong in ("file", "dangling", "file/below"):
        result = s3pp("get", moto_bucket.url, wrong)
        assert (wrong, result.code, result.out) == (wrong, 2, "")
        assert len(result.err.splitlines()) == 1
        assert wrong in result.err
    assert (tmp_path / "file").read_bytes() == b"3"
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_swapped_for_a_link_during_the_run_leads_nowhere(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """While the body is on its way another program replaces its directory by a link."""
    outside = tree({}, "outside")
    out = tree({"d": None}, "out")
    moto_bucket.put("d/f", b"1")

    def swap(request: Request) -> None:
        if request.path.endswith("/d/f") and not (out / "d").is_symlink():
            (out / "d").rename(out / "moved")
            (out / "d").symlink_to(outside)

    between = recorder(moto, intercept=swap)
    s3pp("get", moto_bucket.url, out, store=between.store)
    assert list(outside.iterdir()) == []
