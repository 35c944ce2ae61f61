"""Moves between directories and buckets: all arrives, and nothing that was verified stays."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import s3pp
from commands import Result, Run
from conftest import Tree
from outcomes import says
from stores.store import Bucket, Store
from trees import Content, Link, read_tree

MIB = 1 << 20
SMALL_PARTS = ("--part-size=5MiB", "--multipart-threshold=5MiB")
FILES: dict[str, Content] = {
    "a": b"1",
    "b c/é": b"22",
    "empty": b"",
    "d/e/f": b"333",
    "large": 6 * MIB,
}


def deleted(result: Result) -> list[str]:
    """The names in the lines of ``-v`` of what was deleted."""
    lines = (line for line in result.lines if line.startswith("delete "))
    return sorted(line.removeprefix("delete ").removesuffix(" (moved)") for line in lines)


def test_files_to_a_bucket_and_back(s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    source = tree(FILES)
    contents = read_tree(source)
    there = s3pp("move", "-v", *SMALL_PARTS, source, f"{bucket.url}/p")
    assert (there.code, deleted(there)) == (0, sorted(f"{source}/{name}" for name in FILES))
    assert there.summary.startswith("move ")
    assert there.summary.endswith(", 5 deleted")
    assert bucket.tree() == {f"p/{name}": body for name, body in contents.items()}
    assert source.is_dir(), "SOURCE itself stays"
    assert list(source.iterdir()) == [], "the directories in it are gone"

    back = s3pp("move", "-v", *SMALL_PARTS, f"{bucket.url}/p", tmp_path / "back")
    assert (back.code, deleted(back)) == (0, sorted(f"{bucket.url}/p/{name}" for name in FILES))
    assert bucket.keys() == []
    assert read_tree(tmp_path / "back") == contents


def test_from_bucket_to_bucket(s3pp: Run, bucket: Bucket) -> None:
    contents = {f"p/{name}": b"x" * 7 * (name != "empty") for name in FILES}
    bucket.fill(contents)
    bucket.put("q", b"stays")
    other = bucket.store.bucket()
    result = s3pp("move", "-v", f"{bucket.url}/p", f"{other.url}/r")
    assert (result.code, deleted(result)) == (0, sorted(f"{bucket.url}/{key}" for key in contents))
    assert bucket.keys() == ["q"]
    assert other.tree() == {f"r/{key[2:]}": body for key, body in contents.items()}


def test_parts_move_from_bucket_to_bucket(s3pp: Run, moto_bucket: Bucket) -> None:
    body = os.urandom(6 * MIB)
    moto_bucket.put_multipart("p/large", body[: 5 * MIB], body[5 * MIB :])
    other = moto_bucket.store.bucket()
    result = s3pp("move", *SMALL_PARTS, f"{moto_bucket.url}/p", other.url)
    assert result.code == 0, result
    assert (moto_bucket.keys(), other.tree()) == ([], {"large": body})


def test_within_a_bucket(s3pp: Run, moto_bucket: Bucket) -> None:
    moto_bucket.fill({"p/a": b"1", "p/old/b": b"2"})
    assert s3pp("move", f"{moto_bucket.url}/p", f"{moto_bucket.url}/p/old").code == 0
    assert moto_bucket.tree() == {"p/old/a": b"1", "p/old/b": b"2"}
    assert s3pp("move", f"{moto_bucket.url}/p/old/a", f"{moto_bucket.url}/new").code == 0
    assert moto_bucket.tree() == {"new": b"1", "p/old/b": b"2"}


def test_what_the_destination_has_is_deleted_too(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    source = tree({"same": b"1", "empty": b"", "changed": b"22"})
    place = f"{moto_bucket.url}/p"
    assert s3pp("put", source, place).code == 0
    (source / "changed").write_bytes(b"33")
    result = s3pp("move", "-vv", source, place)
    assert (result.code, len(deleted(result))) == (0, 3)
    assert f"skip {source}/same -> {place}/same (same etag)" in result.lines
    assert read_tree(source) == {}

    assert s3pp("get", place, tmp_path / "here").code == 0
    other = moto_bucket.store.bucket()
    assert s3pp("copy", place, other.url).code == 0
    copied = s3pp("move", place, other.url)
    assert (copied.code, copied.counts.skipped, moto_bucket.keys()) == (0, 3, [])
    fetched = s3pp("move", other.url, tmp_path / "here")
    assert (fetched.code, fetched.counts.skipped, other.keys()) == (0, 3, [])
    assert read_tree(tmp_path / "here") == {"same": b"1", "empty": b"", "changed": b"33"}


def test_links_and_what_they_lead_to_stay(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    source = tree({"a": b"1", "dir/b": b"2", "to-file": Link("a"), "to-dir": Link("dir")})
    os.link(source / "a", source / "second name")
    outside = tree({"c": b"3"}, "outside")
    (source / "away").symlink_to(outside)
    result = s3pp("move", source, moto_bucket.url)
    assert result.code == 0, result
    assert moto_bucket.tree() == {"a": b"1", "dir/b": b"2", "second name": b"1"}
    assert {each.name for each in source.iterdir()} == {"to-file", "to-dir", "away"}
    assert read_tree(outside) == {"c": b"3"}


def test_several_sources_and_a_single_file(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    one, other = tree({"a": b"1", "both": b"x"}, "one"), tree({"b": b"2", "both": b"y"}, "other")
    result = s3pp("move", one, other, f"{moto_bucket.url}/p/")
    assert result.code == 1, "the second of two that give the same key fails, and stays"
    assert read_tree(one) == {}
    assert read_tree(other) == {"both": b"y"}
    assert s3pp("move", other / "both", f"{moto_bucket.url}/single").code == 0
    assert moto_bucket.tree() == {"p/a": b"1", "p/b": b"2", "p/both": b"x", "single": b"y"}
    assert other.is_dir()


def test_a_dry_run_moves_nothing(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    source = tree({"a": b"1", "b": b"22"})
    before = read_tree(source)
    result = s3pp("move", "-n", source, moto_bucket.url)
    assert result.code == 0
    assert f"move {source}/a -> {moto_bucket.url}/a (new)" in result.lines
    assert f"delete {source}/a (moved)" in result.lines
    assert result.table["moved"] == ["delete", "2", "3", "0"]
    assert (read_tree(source), moto_bucket.keys()) == (before, [])


def test_records(s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    source, journal = tree({"a": b"1"}), tmp_path / "journal"
    result = s3pp("move", "--json", "--journal", journal, source, moto_bucket.url)
    done, gone, end = result.events
    assert (done["event"], done["verb"], done["source"]) == ("done", "move", f"{source}/a")
    assert gone == {
        "event": "deleted",
        "verb": "move",
        "path": f"{source}/a",
        "size": 1,
        "reason": "moved",
        "attempts": 1,
    }
    assert (end["verb"], end["listed"], end["done"], end["deleted"]) == ("move", 2, 1, 1)
    start, *records = map(json.loads, journal.read_text().splitlines())
    assert start["verb"] == "move"
    assert says(records, result.events)


def test_the_library_moves(moto: Store, tree: Tree, tmp_path: Path) -> None:
    bucket, source = moto.bucket(), tree({"a": b"1"})
    at: dict[str, Any] = {
        "endpoint_url": moto.url,
        "credentials": s3pp.Keys(moto.access_key, moto.secret_key),
        "region": moto.region,
    }
    put = s3pp.move(source, f"{bucket.url}/p", **at)
    assert (put.ok, put.verb, put.done, put.deleted) == (True, "move", 1, 1)
    got = s3pp.move(f"{bucket.url}/p", tmp_path / "back", **at)
    assert (got.ok, got.deleted, read_tree(tmp_path / "back")) == (True, 1, {"a": b"1"})
    with pytest.raises(s3pp.UsageError, match="move needs a source and a destination"):
        s3pp.move("a", "b")
    with pytest.raises(
        s3pp.UsageError, match="gzip has no effect on objects that are moved to a d"
    ):
        s3pp.move("s3://bucket", "b", gzip=True)
