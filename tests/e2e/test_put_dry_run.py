"""--dry-run: the real run's reads and decisions, and no write of any kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from stores.store import Bucket, Store

TABLES = {
    "update": {
        "etag differs": ["put", "1", "1", "1"],
        "new": ["put", "1", "1", "1"],
        "size differs": ["put", "1", "2", "1"],
        "same etag": ["skip", "1", "1", "-"],
    },
    "add": {"new": ["put", "1", "1", "1"], "exists": ["skip", "3", "4", "-"]},
    "stupid": {"always": ["put", "4", "5", "4"]},
}


@pytest.mark.parametrize("mode", ["update", "add", "stupid"])
def test_it_says_what_the_run_will_do_and_touches_nothing(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree, recorder: MakeRecorder, mode: str
) -> None:
    src = tree({"same": b"1", "size": b"22", "bytes": b"3", "d/new": b"4"})
    before = {"same": b"1", "size": b"2", "bytes": b"x"}
    for key, body in before.items():
        bucket.put(f"p/{key}", body)
    words = ["--mode", mode, src, f"{bucket.url}/p"]
    dry = recorder(store)
    would = s3pp("put", "--dry-run", *words, store=dry.store)
    assert (would.code, would.err) == (0, "")
    assert bucket.tree() == {f"p/{key}": body for key, body in before.items()}
    assert {r.method for r in dry.requests} <= {"GET", "HEAD"}
    quiet = s3pp("put", "-q", "-n", *words)
    assert quiet.lines == would.lines[len(would.decisions) :]
    real = recorder(store)
    did = s3pp("put", "-vv", *words, store=real.store)
    assert would.counts.verb == "would put"
    assert (would.counts.bytes, would.counts.done, would.counts.skipped) == (
        did.counts.bytes,
        did.counts.done,
        did.counts.skipped,
    )
    assert would.counts.requests == len(real.requests)
    told = [line for line in did.out.splitlines() + did.err.splitlines() if " (" in line]
    assert sorted(would.decisions) == sorted(line for line in told if " bytes in " not in line)
    place = f"s3://{bucket.name}/p"
    expected = {
        "update": [
            f"put {src}/bytes -> {place}/bytes (etag differs)",
            f"put {src}/d/new -> {place}/d/new (new)",
            f"put {src}/size -> {place}/size (size differs)",
            f"skip {src}/same -> {place}/same (same etag)",
        ],
        "add": [
            f"put {src}/d/new -> {place}/d/new (new)",
            f"skip {src}/bytes -> {place}/bytes (exists)",
            f"skip {src}/same -> {place}/same (exists)",
            f"skip {src}/size -> {place}/size (exists)",
        ],
        "stupid": [
            f"put {src}/{name} -> {place}/{name} (always)"
            for name in ("bytes", "d/new", "same", "size")
        ],
    }[mode]
    assert sorted(would.decisions) == expected
    assert would.table == TABLES[mode]
    assert would.lines[-2].endswith("to list and compare, made by the dry run too")
    assert " seconds" not in would.summary


def test_json_and_the_short_name(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    record = recorder(moto)
    src = tree({"a": b"1", "b": b"22"})
    result = s3pp("put", "-n", "--json", "--gzip", src, moto_bucket.url, store=record.store)
    assert result.code == 0
    assert {r.method for r in record.requests} <= {"GET", "HEAD"}
    assert {e["key"] for e in result.events if e["event"] == "done"} == {"a", "b"}
    summary = result.events[-1]
    assert (summary["done"], summary["requests"]) == (2, len(record.requests) + 2)
    new = {"action": "put", "reason": "new", "objects": 2, "bytes": 3, "requests": 2}
    assert summary["reasons"] == [new]
    assert summary["requests_by_operation"] == {"PutObject": 2}
    assert record.requests
    assert s3pp("put", "-qq", "-n", src, moto_bucket.url).out == ""
    assert moto_bucket.keys() == []


def test_what_would_fail_fails(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    from trees import Link

    src = tree({"f": b"1", "broken": Link("nowhere")})
    result = s3pp("put", "-n", src, moto_bucket.url)
    assert (result.code, result.counts.failed) == (1, 1)
    assert result.table["not-found"] == ["fail", "1", "-", "-"]
    assert "broken" in result.err


def test_the_exit_code_tells_whether_there_is_anything_to_do(
    s3pp: Run, bucket: Bucket, tree: Tree
) -> None:
    src = tree({"a": b"1"})
    asked = ("put", "-q", "--dry-run", "--exit-code", src, bucket.url)
    assert s3pp(*asked).code == 1
    bucket.put("a", b"1")
    assert s3pp(*asked).code == 0
    wrong = s3pp("put", "--exit-code", src, bucket.url)
    assert wrong.code == 2
    assert wrong.err == (
        "s3pp: --exit-code needs --dry-run, or --mode add:"
        " other runs exit 1 where something fails\n"
    )


def test_what_filters_leave_out_is_counted(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A directory that is not entered is one."""
    src = tree({"a": b"1", "b.tmp": b"2", "c": b"large", "out/d": b"3", "out/e": b"4"})
    filters = ["--exclude", "*.tmp", "--exclude", "out", "--max-size", "1"]
    moto_bucket.fill({"p/a": b"1", "p/b.tmp": b"2", "p/c": b"large"})
    row = {"action": "leave", "reason": "excluded"}
    for words, count in (
        (["put", src, f"{moto_bucket.url}/q"], 3),
        (["get", f"{moto_bucket.url}/p", tmp_path / "got"], 2),
        (["copy", f"{moto_bucket.url}/p", f"{moto_bucket.url}/q"], 2),
    ):
        planned = s3pp(*words, "-n", "--json", *filters)
        assert planned.events[-1]["reasons"][-1] == row | {"objects": count}
