"""Copies: which objects a source means, and what each of them is called in the other bucket."""

from __future__ import annotations

import re

import pytest

from commands import Run
from conftest import MakeRecorder
from outcomes import failures, reasons
from stores.store import Bucket, Store
from trees import content

pytestmark = pytest.mark.timeout(90)

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
        [f"{url}/p/a", f"{url}/p"],
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


@pytest.mark.parametrize("elsewhere", [False, True])
def test_one_object_to_its_own_name_lies_below_it_and_that_is_told(
    s3pp: Run, moto: Store, moto_bucket: Bucket, elsewhere: bool
) -> None:
    moto_bucket.put("d/x", b"1")
    place = moto.bucket() if elsewhere else moto_bucket
    words = [f"{moto_bucket.url}/d/x", f"{place.url}/d/x"]
    for options in (["--dry-run"], []):
        result = s3pp("copy", *options, *words)
        assert (result.code, result.counts.done) == (0, 1)
        assert f"the destination is a directory: {words[0]} becomes {words[1]}/x" in result.err
        if options:
            assert f"copy {words[0]} -> {words[1]}/x (new)" in result.lines
    assert place.get("d/x/x") == b"1"
    beside = s3pp("copy", words[0], f"{place.url}/e")
    assert "is a directory" not in beside.err


@pytest.mark.parametrize(("verb", "source"), [("copy", "s3://somewhere/p"), ("put", ".")])
def test_a_star_at_the_end_of_a_destination_is_refused(s3pp: Run, verb: str, source: str) -> None:
    result = s3pp(verb, source, "s3://somewhere-else/q*")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "'s3://somewhere-else/q*' ends in *" in result.err
