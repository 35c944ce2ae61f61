"""Which objects belong to the job: patterns, ages, sizes, limits, lists of names; their order."""

from __future__ import annotations

import datetime
import time
from dataclasses import replace
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import failures, reasons
from stores.relay import Answer, Request
from stores.store import Bucket, Store

OBJECTS = {
    "p/.git/config": b"7777777",
    "p/a.txt": b"1",
    "p/b.log": b"22",
    "p/cache/f.txt": b"666666",
    "p/deep/c.txt": b"333",
    "p/deep/d.log": b"4444",
    "p/deep/er/e.txt": b"55555",
}
TXT = ["a.txt", "cache/f.txt", "deep/c.txt", "deep/er/e.txt"]


@pytest.fixture
def source(moto_bucket: Bucket) -> str:
    for key, body in OBJECTS.items():
        moto_bucket.put(key, body)
    return f"{moto_bucket.url}/p"


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("-*.log +d.log", [".git/config", "a.txt", "cache/f.txt", "deep/c.txt", "deep/d.log",
                           "deep/er/e.txt"]),
        ("-deep/** -.git", ["a.txt", "b.log", "cache/f.txt"]),
        ("+deep/*.*", ["deep/c.txt", "deep/d.log"]),
    ],
)  # fmt: skip
def test_the_last_pattern_that_matches_wins(
    s3pp: Run, source: str, tree: Tree, tmp_path: Path, rules: str, kept: list[str]
) -> None:
    """Patterns match the names that files get, not the keys."""
    words = []
    for rule in rules.split():
        words += ["--include" if rule[0] == "+" else "--exclude", rule[1:]]
    result = s3pp("get", *words, source, tmp_path / "out")
    assert (result.code, result.counts.done) == (0, len(kept))
    assert sorted(tree.read(tmp_path / "out")) == kept


def test_what_is_excluded_is_no_failure(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    for key in ("a/../x", "f", "f/below", "z/"):
        moto_bucket.put(key, b"1")
    words = ["--exclude", "a", "--exclude", "f/**", "--exclude", "z"]
    result = s3pp("get", *words, moto_bucket.url, tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    assert tree.read(tmp_path / "out") == {"f": b"1"}


@pytest.mark.thorough
def test_sizes_and_limits(s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    """Sizes are inclusive, and the limit counts after every other rule, in key order."""
    for size in (0, 1023, 1024, 1025, 4096):
        moto_bucket.put(f"{size:04}", b"x" * size)
    for number, (words, kept) in enumerate(
        [
            ("--min-size 1K --max-size 1025", {"1024", "1025"}),
            ("--max-size 1024 --limit 2", {"0000", "1023"}),
        ]
    ):
        out = tmp_path / f"out{number}"
        result = s3pp("get", *words.split(), moto_bucket.url, out)
        assert (words, result.code, result.counts.done) == (words, 0, len(kept))
        assert (words, set(tree.read(out))) == (words, kept)


@pytest.mark.thorough
def test_ages(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """The times are the store's."""
    days = {"old": 40, "week": 6, "fresh": 0}

    def written(name: str) -> str:
        then = time.gmtime(time.time() - days[name] * 86400)
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", then)

    def listing(request: Request, answer: Answer) -> Answer:
        if "list-type=2" not in request.target:
            return answer
        rows = "".join(
            f"<Contents><Key>{name}</Key><LastModified>{written(name)}</LastModified>"
            f"<ETag>&quot;c4ca4238a0b923820dcc509a6f75849b&quot;</ETag><Size>1</Size></Contents>"
            for name in sorted(days)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        headers = [h for h in answer.headers if h[0].lower() != "content-length"]
        return replace(answer, headers=headers, body=body.encode())

    for name in days:
        moto_bucket.put(name, b"1")
    between = recorder(moto, rewrite=listing)
    day = datetime.date.fromtimestamp(time.time() - 20 * 86400).isoformat()
    for number, (words, kept) in enumerate(
        [
            (["--older-than", day], {"old"}),
            (["--older-than", "1d", "--newer-than", "2w"], {"week"}),
        ]
    ):
        out = tmp_path / f"out{number}"
        result = s3pp("get", *words, moto_bucket.url, out, store=between.store)
        assert (words, result.code, set(tree.read(out))) == (words, 0, kept)
    assert (tmp_path / "out1/week").stat().st_mtime < time.time() - 5 * 86400


@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
def test_names_from_a_list(
    s3pp: Run, moto_bucket: Bucket, source: str, tree: Tree, tmp_path: Path, stdin: bool
) -> None:
    """They are relative to the prefix; blank lines mean nothing, and a name given twice is one."""
    moto_bucket.put("p/näme with space", b"8")
    text = "deep/c.txt\n\nnäme with space\r\na.txt\na.txt\ngone\n../p/a.txt\n".encode()
    (tmp_path / "list").write_bytes(text)
    result = s3pp(
        "get", "--json", "--files-from", "-" if stdin else tmp_path / "list",
        source, tmp_path / "out",
        stdin=text if stdin else None,
    )  # fmt: skip
    missing = {"p/gone", "p/../p/a.txt"}
    assert (result.code, failures(result)) == (1, dict.fromkeys(missing, "not-found"))
    assert set(reasons(result)) == {"p/a.txt", "p/deep/c.txt", "p/näme with space"}
    names = tree.read(tmp_path / "out")
    assert names == {"a.txt": b"1", "deep/c.txt": b"333", "näme with space": b"8"}
    assert len(result.err.splitlines()) == 2
    assert "gone" in result.err


@pytest.mark.swift
def test_null_lists_may_hold_newlines(
    s3pp: Run, swift_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    for key in ("two\nlines", "x", "y"):
        swift_bucket.put(key, b"1")
    listed = b"two\nlines\0y\0"
    words = ["--files-from=-", "--null", "--exclude", "y"]
    result = s3pp(
        "get", *words, swift_bucket.url, tmp_path / "out", store=swift_bucket.store, stdin=listed
    )
    assert (result.code, tree.read(tmp_path / "out")) == (0, {"two\nlines": b"1"})


def test_a_short_list_in_a_huge_bucket_costs_few_requests(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    moto_bucket.fill({f"k{n:05}": b"1" for n in range(12_000)})
    record = recorder(moto)
    result = s3pp(
        "get", "--files-from", "-", moto_bucket.url, tmp_path / "out",
        store=record.store, stdin=b"k11999\nk00000\nk06000\n",
    )  # fmt: skip
    assert (result.code, result.counts.done) == (0, 3)
    assert len(record.requests) <= 3 + 3 + 3
    assert sorted(tree.read(tmp_path / "out")) == ["k00000", "k06000", "k11999"]


def test_the_smallest_first(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    sizes = [500, 3, 40_000, 0, 77, 2_000_000, 4096]
    for number, size in enumerate(sizes):
        moto_bucket.put(f"{number}", b"x" * size)
    record = recorder(moto)
    words = ["--order", "size", "-c", "1", moto_bucket.url, tmp_path / "out"]
    result = s3pp("get", *words, store=record.store)
    assert (result.code, result.counts.done) == (0, len(sizes))
    fetched = [r.path.rpartition("/")[2] for r in record.requests if not r.of_bucket]
    assert [sizes[int(name)] for name in fetched] == sorted(sizes)
    limited = s3pp("get", "--order=size", "--limit=2", moto_bucket.url, tmp_path / "two")
    assert (limited.code, sorted(tree.read(tmp_path / "two"))) == (0, ["0", "1"])


def test_the_choice_holds_for_a_single_object_too(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """As it does for a single file of put."""
    moto_bucket.put("d/one.log", b"12345")
    source, out = f"{moto_bucket.url}/d/one.log", tmp_path / "out"
    for words in (["--exclude", "*.log"], ["--min-size", "6"]):
        result = s3pp("get", *words, source, out)
        assert (words, result.code, tree.read(out)) == (words, 0, {})
