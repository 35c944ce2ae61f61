"""Names: which objects a source means, and what each of them is called in DIRECTORY."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import failures, reasons
from stores.store import Bucket, Store
from trees import content


def test_a_tree_arrives_whole(s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    objects = {
        "a.txt": b"alpha",
        "empty": b"",
        "dir/b.bin": content(70_000),
        "dir/deeper/still/c": b"c" * 10,
        "dir-x": b"sorts before dir/",
        "ten megabytes": content(10 << 20),
    }
    for key, body in objects.items():
        bucket.put(key, body)
    out = tmp_path / "not" / "there" / "yet"
    result = s3pp("get", bucket.url, out)
    assert (result.code, result.err) == (0, "")
    assert tree.read(out) == objects
    assert len(result.lines) == 1
    assert re.fullmatch(
        r"get \d+ bytes in 6 files in \d+\.\d seconds \(\d+ bytes/s, \d+\.\d files/s\)",
        result.summary,
    )
    assert result.counts.bytes == sum(map(len, objects.values()))
    for key in objects:
        stored = bucket.head(key)["LastModified"].timestamp()
        assert int((out / key).stat().st_mtime) == int(stored), key
    again = s3pp("get", bucket.url, out)
    assert (again.code, again.err) == (0, "")
    assert (again.counts.done, again.counts.skipped) == (0, 6)


OBJECTS = {
    "p/a": b"1",
    "p/d/b": b"2",
    "p-not": b"3",
    "pq/x": b"4",
    "q": b"5",
    "r/s.txt": b"6",
    "both": b"7",
    "both/x": b"8",
    "ü &+%/logs-2026-01": b"9",
    "ü &+%/logs-2026/02": b"10",
    "ü &+%/logs-2025": b"11",
    "only/": b"",
}
MEANT = {
    "/p": {"a": b"1", "d/b": b"2"},
    "/p/": {"a": b"1", "d/b": b"2"},
    "/q/": {"q": b"5"},
    "/r/s.txt": {"s.txt": b"6"},
    "/both": {"x": b"8"},
    "/p*": {"p/a": b"1", "p/d/b": b"2", "p-not": b"3", "pq/x": b"4"},
    "/ü &+%/logs-2026*": {"logs-2026-01": b"9", "logs-2026/02": b"10"},
    "/ü &+%/*": {"logs-2025": b"11", "logs-2026-01": b"9", "logs-2026/02": b"10"},
    "/only": {},
}


def test_what_a_source_means(s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    """The keys below PREFIX/, or the one object of that name, or every key that begins so."""
    for key, body in OBJECTS.items():
        moto_bucket.put(key, body)
    for number, (source, expected) in enumerate(MEANT.items()):
        out = tmp_path / f"out{number}"
        result = s3pp("get", moto_bucket.url + source, f"{out}/")
        assert (source, result.code) == (source, 0)
        # One object has the name of a prefix that keys lie below, and is left out.
        assert (source, result.err.count("\n")) == (source, int(source.strip("/") == "both"))
        assert (source, tree.read(out)) == (source, expected)
        assert out.is_dir()


def test_keys_that_are_no_paths_are_addressed_as_they_are(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Where they are named themselves nothing of what makes them odd is left in their name."""
    objects = {"/abs": b"1", "a//b": b"2", "x/../y": b"3", "//": b""}
    for key, body in objects.items():
        bucket.put(key, body)
    for number, (source, expected) in enumerate(
        {
            "/a//": {"b": b"2"},
            "/x/..": {"y": b"3"},
        }.items()
    ):
        out = tmp_path / f"out{number}"
        result = s3pp("get", bucket.url + source, out)
        assert (source, result.code, result.err) == (source, 0, "")
        assert (source, tree.read(out)) == (source, expected)
    rooted = s3pp("get", "--json", f"{bucket.url}//", tmp_path / "rooted")
    assert tree.read(tmp_path / "rooted") == {"abs": b"1"}
    assert set(failures(rooted)) <= {"//"}


def test_what_is_not_there(s3pp: Run, store: Store, bucket: Bucket, tmp_path: Path) -> None:
    empty = s3pp("get", bucket.url, tmp_path / "empty")
    assert (empty.code, "no objects found" in empty.err, empty.counts.done) == (0, True, 0)
    bucket.put("p", b"1")
    out = tmp_path / "out"
    for source, mention, code in [
        (f"{bucket.url}/p/x", "p/x", 2),
        (f"{bucket.url}/p/x/", "p/x", 0),
        ("s3://there-is-no-such-bucket", "there-is-no-such-bucket", 2),
    ]:
        result = s3pp("get", source, out)
        assert (source, result.code) == (source, code)
        assert len(result.err.splitlines()) == 1
        assert mention in result.err
        assert not out.exists()


def test_directory_markers(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    """Keys that end in a slash are directories where they have no bytes, and fail where they do."""
    objects = {
        "a/": b"",
        "a/b": b"1",
        "deep/er/": b"",
        "file": b"2",
        "file/": b"",
        "m/": b"bytes",
        "m/below": b"3",
        "taken/": b"",
        "z": b"4",
    }
    for key, body in objects.items():
        bucket.put(key, body)
    out = tree({"taken": b"a file"}, "out")
    result = s3pp("get", "--json", bucket.url, out)
    assert result.code == 1
    assert failures(result) == {"file/": "conflict", "m/": "name", "taken/": "conflict"}
    files = {"a/b": b"1", "file": b"2", "m/below": b"3", "taken": b"a file", "z": b"4"}
    assert tree.read(out) == files
    assert (out / "deep/er").is_dir()
    again = s3pp("get", "--json", bucket.url, out)
    assert reasons(again) == {
        "a/": "exists",
        "a/b": "same etag",
        "deep/er/": "exists",
        "file": "same etag",
        "m/below": "same etag",
        "z": "same etag",
    }


NO_NAMES = [
    "..",
    "../up",
    "a/../../up",
    "a/..",
    ".",
    "./dot",
    "a/./b",
    "a/b/../",
    "a//b",
    "/abs",
    "/../abs",
    "//",
    "x" * 256,
    "d/" + "é" * 128,
    "m" * 256 + "/",
    "looks-unfinished.s3pp-0123456789abcdef",
    "\x1b[31m/../red",
]
NAMES = [
    "with space",
    " leading and trailing ",
    " ",
    "percent%41%2F%2e%2e%2F",
    "plus+",
    "amp&lt;&amp;",
    "question?a=b#frag;semi",
    "back\\slash\\..\\..",
    "C:",
    "C:\\x",
    "con",
    "nul.txt",
    "~",
    "$HOME",
    "`id`",
    "-n",
    "...",
    "..two",
    ".hidden/.too",
    "umlaut-ä",
    "umlaut-a\u0308",
    "日本語/ファイル",
    "emoji-🎉",
    "\U0010ffff",
    "right\u202eleft",
    "n" * 255,
    "é" * 127 + "/" + "é" * 127,
    "/".join(["d" * 200] * 5),
    "tab\there",
    "return\rhere",
    "control\x01\x1b[31m\x7f",
    "case",
    "CASE",
    "a-b",
    "a.b",
    "a0b",
    "notes.s3pp-backup",
]


def possible(bucket: Bucket, key: str) -> bool:
    """Whether the store keeps such a key; moto, for one, cuts it at a newline."""
    try:
        bucket.put(key, key.encode())
    except bucket.client.exceptions.ClientError:
        return False
    return bucket.keys().count(key) == 1


def test_odd_keys_land_right_or_fail_by_name_and_nothing_leaves_the_directory(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    for key in NAMES:
        bucket.put(key, key.encode())
    for key in NO_NAMES:
        bucket.put(key, b"" if key.endswith("/") else b"evil")
    names, no_names = list(NAMES), list(NO_NAMES)
    if possible(bucket, "new\nline"):
        names.append("new\nline")
    if possible(bucket, "nul\0byte"):
        no_names.append("nul\0byte")
    out = tmp_path / "in" / "here"
    result = s3pp("get", "--json", bucket.url, out)
    assert result.code == 1
    assert failures(result) == dict.fromkeys(no_names, "name")
    assert set(reasons(result)) == set(names)
    assert tree.read(tmp_path / "in") == {f"here/{name}": name.encode() for name in names}
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert len(result.err.splitlines()) == len(no_names)
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f]", result.err) is None
    again = s3pp("get", "--json", bucket.url, out)
    assert set(reasons(again).values()) == {"same etag"}
    assert set(failures(again)) == set(no_names)


def test_names_that_cannot_stand_beside_each_other(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    objects = {
        "a": b"a file",
        "a-b": b"sorts between",
        "a/b": b"below a file",
        "a/c/d": b"further below",
        "d/e": b"fine",
        "d/e/f": b"below a file",
        "d/g": b"fine",
        "there": b"where a directory stands",
        "under/x": b"where a file stands",
    }
    for key, body in objects.items():
        moto_bucket.put(key, body)
    out = tree({"there/kept": b"1", "under": b"2"}, "out")
    result = s3pp("get", "--json", moto_bucket.url, out)
    clashes = {"a/b", "a/c/d", "d/e/f", "there", "under/x"}
    assert (result.code, failures(result)) == (1, dict.fromkeys(clashes, "conflict"))
    kept = {"there/kept": b"1", "under": b"2"}
    fine = {key: body for key, body in objects.items() if key not in clashes}
    assert tree.read(out) == fine | kept
    for key in clashes:
        assert f"s3://{moto_bucket.name}/{key} -> " in result.err


def test_however_directory_is_spelled_and_in_the_c_locale(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    moto_bucket.put("ä/日", b"1")
    (tmp_path / "work").mkdir()
    for cwd, directory in [(tmp_path, "work/../ö//"), (tmp_path / "work", "../-odd name")]:
        env = {"LANG": "C", "LC_ALL": "C"}
        result = s3pp("get", "-v", moto_bucket.url, directory, cwd=cwd, env=env)
        assert (directory, result.code, result.err) == (directory, 0, "")
        assert (directory, tree.read(cwd / directory)) == (directory, {"ä/日": b"1"})


@pytest.mark.parametrize("verb", ["get", "copy"])
def test_an_object_beside_what_lies_below_its_name_is_told_once(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, tmp_path: Path, verb: str
) -> None:
    for key in ("d/p", "d/p/a", "d/p/b", "d/p-q"):
        moto_bucket.put(key, b"1")
    to = tmp_path / "out" if verb == "get" else f"{moto.bucket().url}/out"
    record = recorder(moto)
    for source, told in [("/d/p", 1), ("/d/p/", 1), ("/d/p*", 0), ("/d/p/*", 0), ("/d", 0)]:
        record.clear()
        words = ["--dry-run", moto_bucket.url + source, to]
        result = s3pp(verb, *words, store=record.store)
        notes = [line for line in result.err.splitlines() if "left out" in line]
        assert (source, len(notes)) == (source, told)
        assert record.heads <= 1
    (note,) = (line for line in s3pp(verb, f"{moto_bucket.url}/d/p", to).err.splitlines()
               if "left out" in line)  # fmt: skip
    assert f"{moto_bucket.url}/d/p is an object too" in note
    alone = s3pp(verb, "-n", "--limit", "1", f"{moto_bucket.url}/d/p*", to)
    assert [line for line in alone.lines if " -> " in line] == [
        f"{verb} {moto_bucket.url}/d/p -> {to}/p (new)"
    ]


def test_a_destination_that_is_no_directory_is_the_file_of_a_single_object(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    moto_bucket.put("d/x", b"one")
    moto_bucket.put("d/empty", b"")
    large = content(12 << 20)
    moto_bucket.put("large", large)
    url, out = moto_bucket.url, tmp_path / "out"
    dry = s3pp("get", "-n", f"{url}/d/x", "out/new")
    assert (dry.lines[0], out.exists()) == (f"get {url}/d/x -> out/new (new)", False)
    journal = tmp_path / "journal"
    done = s3pp("get", "--json", "--journal", journal, f"{url}/d/x", "out/new")
    assert (done.code, done.events[0]["path"], done.err) == (0, "out/new", "")
    assert [json.loads(line).get("path") for line in journal.read_text().splitlines()[1:2]] == [
        "out/new"
    ]
    moto_bucket.put("d/x", b"two!")
    replaced = s3pp("get", "-v", f"{url}/d/x", out / "new")
    assert replaced.lines[0] == f"get {url}/d/x -> {out}/new (size differs)"
    parts = ["--part-size", "5M", "--multipart-threshold", "5M"]
    assert s3pp("get", *parts, f"{url}/large", "big").code == 0
    for source, directory in (("d/empty", "nothing"), ("d/x", "slash/"), ("d/x", "out/.")):
        assert s3pp("get", f"{url}/{source}", directory).code == 0
    assert s3pp("get", "--start-method", "spawn", f"{url}/d/x", "slash").code == 0
    assert s3pp("get", f"{url}/d", "all").code == 0
    assert tree.read(out) == {"new": b"two!", "x": b"two!"}
    assert tree.read(tmp_path / "all") == {"x": b"two!", "empty": b""}
    assert tree.read(tmp_path / "slash") == {"x": b"two!"}
    assert (tmp_path / "nothing").read_bytes() == b""
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    for name, mode, code, outcome in (
        ("link", "update", 1, "conflict"),
        ("link", "add", 0, "exists"),
        ("fifo", "update", 1, "conflict"),
    ):
        left = s3pp("get", "--json", "--mode", mode, f"{url}/d/x", name)
        found = left.events[0].get("kind") or left.events[0]["reason"]
        assert (left.code, found) == (code, outcome), left.err
    assert os.readlink(tmp_path / "link") == "nowhere"
    for source, name, words in (
        ("d", "fifo", "/fifo' is not a directory: name another"),
        ("d", "big", "/big' is not a directory: name another"),
        ("d/x", "a.s3pp-0123456789abcdef", "no downloaded file can have this name"),
    ):
        refused = s3pp("get", f"{url}/{source}", name)
        assert (refused.code, refused.out, words in refused.err) == (2, "", True), refused.err
    assert (tmp_path / "big").read_bytes() == large


def test_several_sources_land_in_one_directory(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    other, out = moto.bucket(), tmp_path / "out"
    bodies = {"a/1": b"one", "a/deep/2": b"two", "same": b"first"}
    for key, body in bodies.items():
        moto_bucket.put(key, body)
    large = content(12 << 20)
    other.put("same", b"second")
    other.put("large", large)
    sources = [f"{moto_bucket.url}/a", f"{moto_bucket.url}/same", other.url]
    parts = ["--part-size", "5M", "--multipart-threshold", "5M"]
    done = s3pp("get", "--json", *parts, *sources, "out")
    assert (done.code, done.events[-1]["done"], done.events[-1]["failed"]) == (1, 4, 1)
    (failed,) = (each for each in done.events if each["event"] == "failed")
    assert (failed["bucket"], failed["key"], failed["kind"]) == (other.name, "same", "conflict")
    assert f"'{moto_bucket.url}/same' already has this name" in failed["message"]
    assert f"get {other.url}/same -> out/same: " in s3pp("get", *sources, "out").err
    assert tree.read(out) == {"1": b"one", "deep/2": b"two", "same": b"first", "large": large}
    alone = s3pp("get", "-v", f"{moto_bucket.url}/a/1", f"{moto_bucket.url}/same", "two")
    assert sorted(line.partition(" -> ")[2] for line in alone.lines[:-1]) == [
        "two/1 (new)",
        "two/same (new)",
    ]
