"""--dry-run: the real run's reads and decisions, and no write of any kind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import snapshot
from stores.store import Bucket, Store
from trees import Link


@pytest.mark.parametrize("mode", ["update", "add", "stupid"])
def test_it_says_what_the_run_will_do_and_touches_nothing(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, mode: str
) -> None:
    objects = {"same": b"1", "size": b"22", "bytes": b"3", "d/e/new": b"4", "m/": b""}
    for key, body in objects.items():
        moto_bucket.put(f"p/{key}", body)
    moto_bucket.put_multipart("p/parts", b"5")
    left = "same.s3pp-0123456789abcdef"
    files = {"same": b"1", "size": b"2", "bytes": b"x", "parts": b"6", left: b"half"}
    out = tree(files, "out")
    os.utime(out / "parts", (1e9, 1e9))
    before = snapshot(out)
    words = ["--mode", mode, f"{moto_bucket.url}/p", out]
    dry = recorder(moto)
    would = s3pp("get", "--dry-run", *words, store=dry.store)
    assert would.code == 0
    assert snapshot(out) == before
    assert {r.method for r in dry.requests} <= {"GET", "HEAD"}
    assert all(r.of_bucket or r.method == "HEAD" for r in dry.requests)
    real = recorder(moto)
    did = s3pp("get", "-vv", *words, store=real.store)
    assert would.counts.verb == "would get"
    assert (would.counts.bytes, would.counts.done, would.counts.skipped) == (
        did.counts.bytes,
        did.counts.done,
        did.counts.skipped,
    )
    assert would.counts.requests == len(real.requests)
    told = [line for line in did.lines if " (" in line and " bytes in " not in line]
    assert sorted(would.decisions) == sorted(told)
    place = f"s3://{moto_bucket.name}/p"
    expected = {
        "update": [
            f"get {place}/bytes -> {out}/bytes (etag differs)",
            f"get {place}/d/e/new -> {out}/d/e/new (new)",
            f"get {place}/m/ -> {out}/m/ (new)",
            f"get {place}/parts -> {out}/parts (etag differs)",
            f"get {place}/size -> {out}/size (size differs)",
            f"skip {place}/same -> {out}/same (same etag)",
        ],
        "add": [
            f"get {place}/d/e/new -> {out}/d/e/new (new)",
            f"get {place}/m/ -> {out}/m/ (new)",
            f"skip {place}/bytes -> {out}/bytes (exists)",
            f"skip {place}/parts -> {out}/parts (exists)",
            f"skip {place}/same -> {out}/same (exists)",
            f"skip {place}/size -> {out}/size (exists with another size)",
        ],
        "stupid": [
            f"get {place}/{name} -> {out}/{name} (always)"
            for name in ("bytes", "d/e/new", "parts", "same", "size")
        ]
        + [f"get {place}/m/ -> {out}/m/ (new)"],
    }[mode]
    assert sorted(would.decisions) == sorted(expected)
    if mode == "update":  # the marker of a directory takes no request
        assert would.table["new"] == ["get", "2", "1", "1"]


def test_what_would_fail_fails_and_no_directory_is_made(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    for key in ("a", "a/below", "../out", "link/f", "z"):
        moto_bucket.put(key, b"1")
    words = ["-n", "--json", moto_bucket.url]
    new = s3pp("get", *words, tmp_path / "not" / "there")
    assert (new.code, list(tmp_path.iterdir())) == (1, [])
    summary = new.events[-1]
    assert summary["dry_run"] is True
    assert (summary["done"], summary["failed"]) == (3, 2)
    assert {e["dry_run"] for e in new.events} == {True}
    out = tree({"link": Link(".."), "z": None}, "out")
    before = snapshot(tmp_path)
    result = s3pp("get", *words, out)
    failed = {e["key"]: e["kind"] for e in result.events if e["event"] == "failed"}
    kinds = dict.fromkeys(["a/below", "link/f", "z"], "conflict")
    assert (result.code, failed) == (1, {"../out": "name"} | kinds)
    assert snapshot(tmp_path) == before
