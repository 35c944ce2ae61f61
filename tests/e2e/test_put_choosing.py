"""Which files belong to the job: patterns, ages, sizes, limits and lists of names."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

import pytest

from commands import Run
from conftest import Tree
from stores.store import Bucket

FILES = {
    "a.txt": b"1",
    "b.log": b"22",
    "deep/c.txt": b"333",
    "deep/d.log": b"4444",
    "deep/er/e.txt": b"55555",
    "cache/f.txt": b"666666",
    ".git/config": b"7777777",
}
TXT = ["a.txt", "cache/f.txt", "deep/c.txt", "deep/er/e.txt"]


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("+*.txt", TXT),
        ("-*.log", [".git/config", *TXT]),
        ("-*.log +d.log", [".git/config", "a.txt", "cache/f.txt", "deep/c.txt", "deep/d.log",
                           "deep/er/e.txt"]),
        ("+*.txt -f.txt", ["a.txt", "deep/c.txt", "deep/er/e.txt"]),
        ("-deep/** -.git", ["a.txt", "b.log", "cache/f.txt"]),
        ("+deep/*.*", ["deep/c.txt", "deep/d.log"]),
        ("+deep/**", ["deep/c.txt", "deep/d.log", "deep/er/e.txt"]),
        ("+**/e.txt", ["deep/er/e.txt"]),
        ("-[ab].* -.git -cache -deep", []),
        ("+?.log -b.*", ["deep/d.log"]),
        ("+{a,c}.{txt,log} -{cache/,.git}", ["a.txt", "deep/c.txt"]),
    ],
)  # fmt: skip
def test_the_last_pattern_that_matches_wins(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, rules: str, kept: list[str]
) -> None:
    words = []
    for rule in rules.split():
        words += ["--include" if rule[0] == "+" else "--exclude", rule[1:]]
    result = s3pp("put", *words, tree(FILES), moto_bucket.url)
    assert (result.code, result.counts.done) == (0, len(kept))
    assert moto_bucket.keys() == kept


def test_a_pattern_that_matched_nothing_is_told_once(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    one, other = tree({"a.txt": b"1"}), tmp_path / "other"
    other.mkdir()
    (other / "b.log").touch()
    url, words = moto_bucket.url, ["--exclude", "*.log", "--exclude", "{x,y}.tmp"]
    told = "--exclude '{x,y}.tmp' matched nothing: check the pattern\n"
    run = s3pp("put", *words, one, other, f"{url}/p")  # the one matches in the second source
    assert (run.code, run.err) == (0, f"s3pp: put {one} {other}: {told}")
    moto_bucket.put("q/b.log", b"")
    several = [f"{url}/p", f"{url}/q"]
    for verb, sources, to in (
        ("get", several, [tmp_path / "out"]),
        ("copy", several, [f"{url}/r"]),
        ("list", [f"{url}/q"], []),
        ("list", [f"{url}/q/b.log"], []),
    ):
        run = s3pp(verb, *words, *sources, *to)
        notices = run.err.splitlines(keepends=True)  # there are others
        assert (run.code, notices.count(f"s3pp: {verb} {' '.join(sources)}: {told}")) == (0, 1)
        assert s3pp(verb, "-q", *words, *sources, *to).err == ""
    assert told not in s3pp("clean", *words[2:], url).err, "no name was there to match"
    moto_bucket.client.create_multipart_upload(Bucket=moto_bucket.name, Key="q/b.log")
    assert told in s3pp("clean", *words[2:], url).err
    assert s3pp("put", "--limit", "1", *words, one, other, f"{url}/p").err == ""
    with open(os.path.join(os.fsencode(other), b"bad-\xff"), "wb"):  # fails, and the walk goes on
        pass
    failed = s3pp("put", *words, one, other, f"{url}/p")
    assert (failed.code, told in failed.err) == (1, True)


def test_excluded_trees_are_not_entered(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """A directory that cannot be read, or holds a broken name, is no failure when excluded."""
    src = tree({"f": b"1", "out/x": b"2"})
    with open(os.path.join(os.fsencode(src), b"out", b"bad-\xff"), "wb"):
        pass
    result = s3pp("put", "--exclude", "out", src, moto_bucket.url)
    assert (result.code, result.err, result.counts.failed) == (0, "", 0)
    assert moto_bucket.keys() == ["f"]


def test_ages(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"old": b"1", "week": b"2", "fresh": b"3"})
    now = time.time()
    os.utime(src / "old", (now - 40 * 86400,) * 2)
    os.utime(src / "week", (now - 6 * 86400,) * 2)
    day = datetime.date.fromtimestamp(now - 20 * 86400).isoformat()
    for words, kept in [
        (["--newer-than", "7d"], ["fresh", "week"]),
        (["--newer-than", "2h"], ["fresh"]),
        (["--older-than", day], ["old"]),
        (["--older-than", "1d", "--newer-than", "2w"], ["week"]),
    ]:
        prefix = "".join(words).strip("-")
        assert s3pp("put", *words, src, f"{moto_bucket.url}/{prefix}").code == 0
        got = [k.rpartition("/")[2] for k in sorted(moto_bucket.keys()) if k.startswith(prefix)]
        assert (words, got) == (words, kept)


def test_sizes_are_inclusive(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"0": 0, "1k-": 1023, "1k": 1024, "1k+": 1025, "1m": 1 << 20})
    assert s3pp("put", "--min-size", "1K", "--max-size", "1025", src, moto_bucket.url).code == 0
    assert moto_bucket.keys() == ["1k", "1k+"]
    assert s3pp("put", "--min-size", "1M", src, f"{moto_bucket.url}/m").counts.done == 1
    assert s3pp("put", "--max-size", "0", src, f"{moto_bucket.url}/z").counts.done == 1


def test_limit_counts_after_every_other_rule(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree(FILES)
    result = s3pp("put", "--limit", "2", "--include", "*.txt", src, moto_bucket.url)
    assert (result.code, result.counts.done) == (0, 2)
    assert moto_bucket.keys() == ["a.txt", "cache/f.txt"]


@pytest.mark.parametrize(("end", "flags"), [("\n", []), ("\0", ["--null"])])
@pytest.mark.parametrize("stdin", [False, True])
def test_names_from_a_list(
    s3pp: Run,
    moto_bucket: Bucket,
    tree: Tree,
    tmp_path: Path,
    end: str,
    flags: list[str],
    stdin: bool,
) -> None:
    src = tree(FILES | {"näme with space": b"8"})
    names = ["deep/c.txt", "näme with space", "a.txt"]
    text = "".join(name + end for name in names)
    (tmp_path / "list").write_text(text)
    result = s3pp(
        "put", "--files-from", "-" if stdin else tmp_path / "list", *flags,
        src, f"{moto_bucket.url}/p",
        stdin=text.encode() if stdin else None,
    )  # fmt: skip
    assert (result.code, result.err, result.counts.done) == (0, "", 3)
    assert moto_bucket.keys() == ["p/a.txt", "p/deep/c.txt", "p/näme with space"]
    again = s3pp(
        "put", "--files-from", "-", *flags, src, f"{moto_bucket.url}/p", stdin=text.encode()
    )
    assert (again.counts.done, again.counts.skipped) == (0, 3)


def test_null_lists_may_hold_newlines(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    if bucket.store.name == "moto":
        pytest.skip("moto cannot keep a newline in a key")
    src = tree({"two\nlines": b"1", "x": b"2"})
    result = s3pp("put", "--files-from=-", "--null", src, bucket.url, stdin=b"two\nlines\0")
    assert (result.code, bucket.tree()) == (0, {"two\nlines": b"1"})


def test_missing_names_of_a_list_fail_each(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"here": b"1"})
    listed = b"gone-one\nhere\ngone-two\n"
    result = s3pp("put", "--json", "--files-from", "-", src, moto_bucket.url, stdin=listed)
    failed = {e["source"] for e in result.events if e["event"] == "failed"}
    assert result.code == 1
    assert {os.path.basename(source) for source in failed} == {"gone-one", "gone-two"}
    assert {e["kind"] for e in result.events if e["event"] == "failed"} == {"not-found"}
    for name in ("gone-one", "gone-two"):
        assert f"{name}: file not found\n" in result.err
    assert moto_bucket.tree() == {"here": b"1"}


def test_a_list_with_odd_lines(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    """Blank lines mean nothing, a name given twice is one object, nothing escapes the source."""
    src = tree({"inside/f": b"1", "outside": b"secret"}, "base") / "inside"
    listed = b"\nf\n\nf\n../outside\n"
    result = s3pp("put", "--json", "--files-from", "-", src, moto_bucket.url, stdin=listed)
    assert moto_bucket.keys() == ["f"]
    done = [e["key"] for e in result.events if e["event"] == "done"]
    assert done == ["f"]
    summary = result.events[-1]
    parts = summary["done"] + summary["skipped"] + summary["failed"]
    assert summary["listed"] == parts
