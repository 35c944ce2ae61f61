"""A tree goes to a bucket: the same bytes under the names the contract gives them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from stores.store import Bucket, Store
from trees import Content

TREE: dict[str, Content] = {
    "a.txt": b"alpha",
    "empty": b"",
    "dir/b.bin": 70_000,
    "dir/deeper/c": b"c" * 10,
    "dir-x": b"sorts before dir/",
    "nothing-here": None,
}


def test_a_tree_arrives_whole(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    src = tree(TREE)
    result = s3pp("put", src, bucket.url)
    assert (result.code, result.err) == (0, "")
    sent = tree.read(src)
    assert bucket.tree() == sent
    assert len(result.lines) == 1
    assert re.fullmatch(
        r"put \d+ bytes in 5 files in \d+\.\d seconds \(\d+ bytes/s, \d+\.\d files/s\)",
        result.summary,
    )
    assert result.counts.bytes == sum(map(len, sent.values()))
    etag = hashlib.md5(sent["dir/b.bin"]).hexdigest()
    assert bucket.head("dir/b.bin")["ETag"] == f'"{etag}"'


@pytest.mark.parametrize(
    ("destination", "prefix"),
    [("", ""), ("/", ""), ("/p", "p/"), ("/p/", "p/"), ("/p/q.d", "p/q.d/"), ("/ü +", "ü +/")],
)
def test_a_prefix_is_a_directory(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, destination: str, prefix: str
) -> None:
    src = tree({"f": b"1", "d/g": b"2"})
    assert s3pp("put", src, moto_bucket.url + destination).code == 0
    assert moto_bucket.tree() == {f"{prefix}f": b"1", f"{prefix}d/g": b"2"}


@pytest.mark.parametrize("source", ["src", "src/", "./src", "other/../src", "../work/src/.", "."])
def test_however_a_source_is_spelled_its_own_name_is_no_part_of_keys(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path, source: str
) -> None:
    tree({"work/src/f": b"1", "work/src/d/g": b"2", "work/other": None}, ".")
    cwd = tmp_path / "work" / ("src" if source == "." else "")
    assert s3pp("put", source, f"{moto_bucket.url}/p", cwd=cwd).code == 0
    assert moto_bucket.tree() == {"p/f": b"1", "p/d/g": b"2"}


def test_a_single_file_lands_under_its_base_name(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"d/one.txt": b"1"})
    assert s3pp("put", src / "d" / "one.txt", bucket.url).counts.done == 1
    assert s3pp("put", "src/d/one.txt", f"{bucket.url}/p/", cwd=tmp_path).counts.done == 1
    assert bucket.tree() == {"one.txt": b"1", "p/one.txt": b"1"}


def test_a_destination_without_a_slash_at_its_end_is_the_key_of_a_single_file(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    src, url, journal = tree({"one.txt": b"1", "two.txt": b"2"}), moto_bucket.url, tmp_path / "j"
    record = recorder(moto)
    words = ["--json", "--journal", journal, "src/one.txt", f"{url}/p/new"]
    first = s3pp("put", *words, store=record.store)
    assert (first.code, first.events[0]["key"]) == (0, "p/new")
    listings = [f"{r.target}&" for r in record.requests if r.method == "GET"]
    assert all("prefix=p%2Fnew&" in each for each in listings), "no more than is needed"
    start = json.loads(journal.read_text().splitlines()[0])
    assert (start["sources"], start["dest"]) == (["src/one.txt"], f"{url}/p/new")
    dry = s3pp("put", "-n", src / "two.txt", f"{url}/p/new")
    assert dry.lines[0] == f"put {src}/two.txt -> {url}/p/new (etag differs)"
    again = s3pp("put", "src/one.txt", f"{url}/p/new")
    assert (again.counts.done, again.counts.skipped) == (0, 1)
    add = s3pp("put", "--mode", "add", src / "two.txt", f"{url}/p/new")
    assert (add.code, add.counts.skipped) == (0, 1)
    assert s3pp("put", src / "two.txt", f"{url}//k").code == 0
    assert s3pp("put", src, f"{url}/d").code == 0
    assert moto_bucket.tree() == {
        "p/new": b"1",
        "/k": b"2",
        "d/one.txt": b"1",
        "d/two.txt": b"2",
    }


def test_several_sources_go_side_by_side(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    one, two = tree({"a": b"1", "z": b"2"}, "one"), tree({"m": b"3"}, "two")
    single = tree({"b.txt": b"4"}, "three") / "b.txt"
    result = s3pp("put", two, single, one, bucket.url)
    assert (result.code, result.counts.done) == (0, 4)
    assert bucket.tree() == {"a": b"1", "b.txt": b"4", "m": b"3", "z": b"2"}
    again = s3pp("put", two, single, one, bucket.url)
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, 4)


def test_one_key_from_two_sources_is_sent_once_and_the_other_reported(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    one, two = tree({"same": b"first", "a": b""}, "one"), tree({"same": b"second"}, "two")
    result = s3pp("put", one, two, moto_bucket.url)
    assert (result.code, result.counts.done, result.counts.failed) == (1, 2, 1)
    assert "same" in result.err
    assert moto_bucket.get("same") == b"first"


def test_an_empty_tree_is_no_error(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    result = s3pp("put", tree({"d/e": None}), moto_bucket.url)
    assert (result.code, result.counts.done) == (0, 0)
    assert moto_bucket.keys() == []


ODD_NAMES = [
    "with space",
    " leading and trailing ",
    "plus+",
    "percent%41%2F%",
    "tilde~",
    "quote'\"",
    "amp&lt;&amp;",
    "hash#frag",
    "question?a=b",
    "semi;colon",
    "comma,=@:!$*()[]{}|^`<>",
    "back\\slash",
    ".hidden",
    "..two",
    "...",
    "-n",
    "umlaut-ä-é-ß",
    "e\u0301 decomposed",
    "日本語/ファイル",
    "emoji-🎉",
    "private-\uf8ff-and-\U0010ffff",
    "right\u202eleft",
    "x" * 255,
    "é" * 127,
    "tab\there",
    "return\rhere",
    "delete\x7f",
    "control\x01\x1f",
    "a-b",
    "a.b",
    "a/b",
    "a0b",
    "ab",
    "A/B",
]


def test_odd_names_are_keys_as_they_are_and_found_again(
    s3pp: Run, bucket: Bucket, tree: Tree
) -> None:
    names = [*ODD_NAMES, "new\nline"] if bucket.store.name == "swift" else ODD_NAMES
    src = tree({name: name for name in names})
    result = s3pp("put", src, f"{bucket.url}/odd &+%")
    assert (result.code, result.err, result.counts.done) == (0, "", len(names))
    assert bucket.tree() == {f"odd &+%/{name}": name.encode() for name in names}
    again = s3pp("put", src, f"{bucket.url}/odd &+%")
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, len(names))


def test_names_survive_the_c_locale(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"ä/日": b"1"})
    result = s3pp("put", "-v", src, moto_bucket.url, env={"LANG": "C", "LC_ALL": "C"})
    assert (result.code, result.counts.done) == (0, 1)
    assert moto_bucket.keys() == ["ä/日"]


def test_names_that_are_not_utf8_fail_alone(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"good": b"1", "z": b"2"})
    for raw in (b"bad-\xff", b"dir-\xfe/inner"):
        path = os.path.join(os.fsencode(src), raw)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x")
    result = s3pp("put", "--json", src, moto_bucket.url)
    failed = [event for event in result.events if event["event"] == "failed"]
    assert result.code == 1
    assert {event["kind"] for event in failed} == {"name"}
    assert 1 <= len(failed) <= 2
    assert all("UTF-8" in event["message"] for event in failed)
    assert "UTF-8" in result.err
    assert moto_bucket.tree() == {"good": b"1", "z": b"2"}


def test_a_key_longer_than_s3_allows_fails_alone(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    long = "/".join(["d" * 200] * 5) + "/" + "f" * 18  # 1,023 bytes
    assert len(long) == 1023
    src = tree({long: b"long", long + "12": b"too long", "z": b"2"})
    result = s3pp("put", "--json", src, moto_bucket.url)
    failed = [event for event in result.events if event["event"] == "failed"]
    assert (result.code, [event["kind"] for event in failed]) == (1, ["name"])
    assert moto_bucket.keys() == [long, "z"]


def test_ten_megabytes_and_many_small_files_together(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    many = 300 if bucket.store.name == "moto" else 60
    src = tree({"big": 10 << 20} | {f"d{n % 7}/{n}": n for n in range(many)})
    result = s3pp("put", src, bucket.url)
    assert (result.code, result.counts.done) == (0, many + 1)
    assert bucket.tree() == tree.read(src)


def test_journal_and_json_name_every_object(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"a": b"1", "d/b": b"22"})
    journal = tmp_path / "journal"
    result = s3pp("put", "--json", "--journal", journal, src, f"{moto_bucket.url}/p")
    objects = [event for event in result.events if event["event"] == "done"]
    assert {(o["source"], o["key"], o["size"], o["reason"]) for o in objects} == {
        (str(src / "a"), "p/a", 1, "new"),
        (str(src / "d/b"), "p/d/b", 2, "new"),
    }
    assert {o["verb"] for o in objects} == {"put"}
    assert {o["bucket"] for o in objects} == {moto_bucket.name}
    assert {o["etag"] for o in objects} == {hashlib.md5(b).hexdigest() for b in (b"1", b"22")}
    summary = result.events[-1]
    assert summary.pop("seconds") > 0
    assert (
        summary.items()
        >= {
            "event": "summary",
            "verb": "put",
            "listed": 2,
            "done": 2,
            "skipped": 0,
            "failed": 0,
            "bytes": 3,
        }.items()
    )
    written = [json.loads(line) for line in journal.read_text().splitlines()]
    assert written[0]["event"] == "start"
    assert written[-1]["event"] == "summary"
    assert sorted(o["key"] for o in written[1:-1]) == ["p/a", "p/d/b"]
    assert {o["event"] for o in written[1:-1]} == {"done"}
