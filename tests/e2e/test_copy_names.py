"""Copies: which objects a source means, and what each of them is called in the other bucket."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder
from outcomes import failures, reasons
from stores.store import Bucket, Store
from trees import content

ODD = [
    "../up",
    "a/../../up",
    "..",
    "./dot",
    "a//b",
    "/abs",
    "//",
    "a",
    "a/",
    "a/b",
    "a-b",
    "x" * 400,
    "with space",
    " leading and trailing ",
    "percent%41%2F%2e",
    "plus+",
    "amp&lt;&amp;",
    "question?versionId=null",
    "question?a=b#frag;semi",
    "quote'\"",
    "comma,=@:!$*()[]{}|^`<>",
    "back\\slash",
    "tilde~",
    "umlaut-ä",
    "umlaut-a\u0308",
    "日本語/ファイル",
    "emoji-🎉",
    "\U0010ffff",
    "tab\there",
    "return\rhere",
    "control\x01\x1b[31m\x7f",
]


def test_a_tree_is_copied_whole(s3pp: Run, store: Store, bucket: Bucket) -> None:
    """Into another bucket, and there once more within the bucket."""
    objects = {
        "a.txt": b"alpha",
        "empty": b"",
        "dir/b.bin": content(70_000),
        "dir/": b"",
        "dir-x": b"sorts before dir/",
        "large": content(9 << 20),
    }
    for key, body in objects.items():
        bucket.put(f"p/{key}", body)
    other = store.bucket()
    result = s3pp("copy", f"{bucket.url}/p", f"{other.url}/q/r")
    assert (result.code, result.counts.failed) == (0, 0)
    assert len(result.lines) == 1
    assert re.fullmatch(
        r"copy \d+ bytes in 6 files in \d+\.\d seconds \(\d+ bytes/s, \d+\.\d files/s\)",
        result.summary,
    )
    assert result.counts.bytes == sum(map(len, objects.values()))
    within = s3pp("copy", f"{other.url}/q", other.url)
    assert (within.code, within.counts.done) == (0, 6)
    places = ("q/r", "r")
    copies = {f"{place}/{key}": body for place in places for key, body in objects.items()}
    assert other.tree() == copies
    again = s3pp("copy", f"{bucket.url}/p/", f"{other.url}/q/r/")
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, 6)


def test_odd_keys_are_copied_as_they_are_and_known_again(
    s3pp: Run, store: Store, bucket: Bucket
) -> None:
    for key in ODD:
        bucket.put(f"odd &+%/{key}", key.encode())
    other = store.bucket()
    result = s3pp("copy", "--json", f"{bucket.url}/odd &+%", f"{other.url}/ü")
    assert (result.code, failures(result)) == (0, {})
    assert other.tree() == {f"ü/{key}": key.encode() for key in ODD}
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f]", result.err) is None
    again = s3pp("copy", f"{bucket.url}/odd &+%", f"{other.url}/ü")
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, len(ODD))


OBJECTS = {
    "p/a": b"1",
    "p/d/b": b"2",
    "p-not": b"3",
    "q": b"4",
    "both": b"5",
    "both/x": b"6",
    "l/logs-2026-01": b"7",
    "l/logs-2026/02": b"8",
    "l/logs-2025": b"9",
    "/abs//x": b"10",
}
MEANT = {
    ("/p", ""): {"a": b"1", "d/b": b"2"},
    ("/p/d/b/", "/n/"): {"n/b": b"2"},
    ("/both", "/n"): {"n/x": b"6"},
    ("/p*", "/n"): {"n/p/a": b"1", "n/p/d/b": b"2", "n/p-not": b"3"},
    ("/l/logs-2026*", "/n"): {"n/logs-2026-01": b"7", "n/logs-2026/02": b"8"},
    ("//", "/n"): {"n/abs//x": b"10"},
}


@pytest.mark.thorough
def test_what_a_source_means(s3pp: Run, moto_bucket: Bucket, moto: Store) -> None:
    for key, body in OBJECTS.items():
        moto_bucket.put(key, body)
    for (source, dest), expected in MEANT.items():
        other = moto.bucket()
        result = s3pp("copy", moto_bucket.url + source, other.url + dest)
        assert (source, result.code) == (source, 0)
        assert (source, other.tree()) == (source, expected)


@pytest.mark.thorough
def test_what_is_not_there(s3pp: Run, moto: Store, moto_bucket: Bucket) -> None:
    other, none = moto.bucket(), "s3://there-is-no-such-bucket"
    empty = s3pp("copy", moto_bucket.url, other.url)
    assert (empty.code, empty.counts.done) == (0, 0)
    moto_bucket.put("p", b"1")
    for words, mention in [
        ((f"{moto_bucket.url}/p/x", other.url), "p/x"),
        ((none, other.url), none[5:]),
        ((moto_bucket.url, none), none[5:]),
    ]:
        result = s3pp("copy", *words)
        assert (words, result.code, result.out) == (words, 2, "")
        assert len(result.err.splitlines()) == 1
        assert mention in result.err
    assert other.keys() == []


def test_keys_that_cannot_be_fail_alone(s3pp: Run, moto_bucket: Bucket, moto: Store) -> None:
    """Too long for S3 under the new prefix, or without any name there."""
    long = "/".join(["d" * 200] * 5)
    for key in ("p/", f"p/{long}", "p/z"):
        moto_bucket.put(key, b"1")
    other = moto.bucket()
    result = s3pp("copy", "--json", f"{moto_bucket.url}/p", f"{other.url}/{'n' * 40}")
    assert (result.code, failures(result)) == (1, {f"{'n' * 40}/{long}": "name"})
    assert other.keys() == [f"{'n' * 40}/", f"{'n' * 40}/z"]
    nameless = s3pp("copy", "--limit", "1", f"{moto_bucket.url}/p", other.url)
    assert (nameless.code, nameless.counts.failed) == (1, 1)


def test_a_missing_name_is_reported_below_the_destination(
    s3pp: Run, moto_bucket: Bucket, moto: Store
) -> None:
    """As ``put`` and ``get`` name it; whether it is absent or cannot be a key."""
    moto_bucket.put("p/a", b"1")
    other, long = moto.bucket(), "n" * 1025
    words = ["copy", "--files-from", "-", f"{moto_bucket.url}/p", f"{other.url}/ff"]
    names = f"a\nnosuch\n{long}\n".encode()
    result = s3pp(*words, "--json", stdin=names)
    assert (result.code, other.keys()) == (1, ["ff/a"])
    assert failures(result) == {"ff/nosuch": "not-found", f"ff/{long}": "name"}
    assert f"{other.url}/ff/nosuch" in s3pp(*words, stdin=b"nosuch\n").err


@pytest.mark.thorough
def test_which_objects(s3pp: Run, moto_bucket: Bucket, moto: Store) -> None:
    """The same choice, by names relative to the source, as for the other verbs."""
    for key in ("p/a.txt", "p/b.log", "p/d/c.txt", "p/d/e.log", "p/z.txt"):
        moto_bucket.put(key, key.encode())
    listed = b"d/c.txt\nb.log\ngone\nb.log\n"
    for words, stdin, kept in [
        (["--include", "*.txt", "--exclude", "z*"], None, ["a.txt", "d/c.txt"]),
        (["--min-size", "9", "--newer-than", "1h", "--limit", "1"], None, ["d/c.txt"]),
        (["--files-from", "-"], listed, ["b.log", "d/c.txt"]),
    ]:
        other = moto.bucket()
        result = s3pp("copy", "--json", *words, f"{moto_bucket.url}/p", other.url, stdin=stdin)
        missing = {"gone": "not-found"} if stdin else {}
        assert (words, result.code, failures(result)) == (words, bool(missing), missing)
        assert (words, other.keys()) == (words, kept)
        assert set(reasons(result)) == set(kept)


def test_the_smallest_first(
    s3pp: Run, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    sizes = [500, 3, 40_000, 0, 77]
    for number, size in enumerate(sizes):
        moto_bucket.put(f"{number}", b"x" * size)
    record = recorder(moto)
    words = ["--order", "size", "-c", "1", moto_bucket.url, moto.bucket().url]
    assert s3pp("copy", *words, store=record.store).code == 0
    copied = [r.path.rpartition("/")[2] for r in record.requests if r.method == "PUT"]
    assert [sizes[int(name)] for name in copied] == sorted(sizes)


def test_source_and_destination_in_each_other(s3pp: Run, moto_bucket: Bucket) -> None:
    """The same place is refused; nested ones are made safe: nothing copied is copied again."""
    for key in ("p/a", "p/q/b", "p/q/q/c", "z"):
        moto_bucket.put(key, key.encode())
    before = moto_bucket.tree()
    url = moto_bucket.url
    for words in (
        [f"{url}/p", f"{url}/p/"],
        [f"{url}/p/a", f"{url}/p/"],
        [f"{url}/p*", url],
        ["--source-region", "eu-west-1", f"{url}/p", f"{url}/p"],
    ):
        result = s3pp("copy", *words)
        assert (words, result.code, result.out) == (words, 2, "")
        assert len(result.err.splitlines()) == 1
        assert "itself" in result.err
    assert moto_bucket.tree() == before
    inside = s3pp("copy", "--json", f"{url}/p", f"{url}/p/q/new")
    assert (inside.code, moto_bucket.url in inside.err) == (0, True)
    new = {"p/q/new/a": b"p/a", "p/q/new/q/b": b"p/q/b", "p/q/new/q/q/c": b"p/q/q/c"}
    assert moto_bucket.tree() == before | new
    again = s3pp("copy", "--json", f"{url}/p", f"{url}/p/q/new")
    assert (again.code, again.events[-1]["done"], again.events[-1]["skipped"]) == (0, 0, 3)
    above = s3pp("copy", "--json", f"{url}/p/q", f"{url}/p", "--exclude", "new")
    assert (above.code, failures(above)) == (1, {"p/q/c": "conflict"})
    assert moto_bucket.tree() == before | new | {"p/b": b"p/q/b"}


def test_a_destination_without_a_slash_at_its_end_is_the_key_of_a_single_object(
    s3pp: Run, moto_bucket: Bucket
) -> None:
    moto_bucket.put("d/x", b"1")
    moto_bucket.put("d/tree/y", b"2")
    url = moto_bucket.url
    dry = s3pp("copy", "-n", f"{url}/d/x", f"{url}/e/new")
    assert dry.lines[0] == f"copy {url}/d/x -> {url}/e/new (new)"
    done = s3pp("copy", "--json", f"{url}/d/x", f"{url}/e/new")
    assert (done.code, done.events[0]["key"]) == (0, "e/new")
    again = s3pp("copy", "--mode", "add", f"{url}/d/x", f"{url}/e/new")
    assert (again.counts.done, again.counts.skipped) == (0, 1)
    itself = s3pp("copy", f"{url}/d/x", f"{url}/d/x")
    assert (itself.code, itself.out) == (2, "")
    assert "would copy the object onto itself" in itself.err
    assert s3pp("copy", f"{url}/d/x", f"{url}/d/x/").code == 0
    assert s3pp("copy", f"{url}/d/tree", f"{url}/f").code == 0, "keys below it: a directory"
    assert moto_bucket.tree() == {
        "d/x": b"1",
        "d/tree/y": b"2",
        "e/new": b"1",
        "d/x/x": b"1",
        "f/y": b"2",
    }


def test_several_sources_of_several_buckets_go_side_by_side(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    other, dest = moto.bucket(), moto.bucket()
    for key in ("a/1", "a/3", "same"):
        moto_bucket.put(key, b"one" + key.encode())
    large = bytes(range(256)) * (6 << 12)  # two parts
    other.put("2", b"two")
    other.put("same", b"not the first")
    other.put("large", large)
    journal = tmp_path / "journal"
    sources = [f"{moto_bucket.url}/a", f"{moto_bucket.url}/same", other.url]
    parts = ["--part-size", "5M", "--multipart-threshold", "5M", "--metadata-directive", "replace"]
    words = ["--json", "--journal", journal, *sources, f"{dest.url}/p"]
    done = s3pp("copy", *parts, *words)
    assert (done.code, done.events[-1]["done"], done.events[-1]["failed"]) == (1, 5, 1)
    (failed,) = (each for each in done.events if each["event"] == "failed")
    assert (failed["source"], failed["kind"]) == (f"{other.url}/same", "conflict")
    assert f"'{moto_bucket.url}/same' already has this name" in failed["message"]
    names = {each["source"]: each["key"] for each in done.events if each["event"] == "done"}
    assert names == {
        f"{moto_bucket.url}/a/1": "p/1",
        f"{moto_bucket.url}/a/3": "p/3",
        f"{moto_bucket.url}/same": "p/same",
        f"{other.url}/2": "p/2",
        f"{other.url}/large": "p/large",
    }
    start = json.loads(journal.read_text().splitlines()[0])
    assert start["sources"] == [*sources[:2], f"{other.url}/"]
    tree = {"p/1": b"onea/1", "p/2": b"two", "p/3": b"onea/3", "p/same": b"onesame"}
    assert dest.tree() == {**tree, "p/large": large}
    limited = s3pp("copy", "-n", "--limit", "2", *sources, f"{dest.url}/q")
    assert {line.rpartition("/")[2] for line in limited.decisions} == {"1 (new)", "2 (new)"}
    missing = s3pp("copy", *sources, f"{other.url}/none/", f"{dest.url}/r")
    assert (missing.code, missing.counts.done) == (1, 5)  # two have the same name, as above
    assert f"s3pp: copy {other.url}/none: no objects found\n" in missing.err
    names_of = s3pp("copy", "--files-from", "-", *sources, dest.url, stdin=b"a")
    assert "--files-from needs exactly one source" in names_of.err


def test_what_one_source_writes_another_does_not_read(s3pp: Run, moto_bucket: Bucket) -> None:
    for key in ("p/a", "q/b", "p/q/c"):
        moto_bucket.put(key, key.encode())
    url = moto_bucket.url
    into = s3pp("copy", "--json", f"{url}/p", f"{url}/q", f"{url}/p/new")
    assert (into.code, "lies inside" in into.err) == (0, True)
    new = {"p/new/a": b"p/a", "p/new/b": b"q/b", "p/new/q/c": b"p/q/c"}
    assert {k: v for k, v in moto_bucket.tree().items() if k.startswith("p/new")} == new
    again = s3pp("copy", "--json", f"{url}/q", f"{url}/p", f"{url}/p/new")
    assert (again.events[-1]["done"], again.events[-1]["skipped"]) == (0, 3)
    above = s3pp("copy", "--json", "--mode", "stupid", f"{url}/p/q", f"{url}/q", f"{url}/p")
    assert (above.code, failures(above)) == (0, {})
    assert moto_bucket.get("p/c") == b"p/q/c"


@pytest.mark.parametrize(("verb", "source"), [("copy", "s3://somewhere/p"), ("put", ".")])
def test_a_star_at_the_end_of_a_destination_is_refused(s3pp: Run, verb: str, source: str) -> None:
    result = s3pp(verb, source, "s3://somewhere-else/q*")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "'s3://somewhere-else/q*' ends in *" in result.err
