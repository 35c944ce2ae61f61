"""A program of a user, never run: ``mypy --strict`` finds what is right in it, and what is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import s3pp


def calls(path: Path, other: os.PathLike[str]) -> Iterator[s3pp.RunResult]:
    yield s3pp.put("a", "s3://b")
    yield s3pp.put(
        [path, "a", other],
        "s3://b",
        retry_from=[path, "j"],
        mode="add",
        min_size="10k",
        max_size=1 << 30,
    )
    yield s3pp.put({"name": path}, "s3://b", newer_than=timedelta(7), older_than=date.today())
    yield s3pp.put(
        path, "s3://b", header={"A": "b"}, tag=[("k", "v")], metadata="k=v", resume=False
    )
    yield s3pp.get("s3://b", path, gunzip=True, read_timeout=2.5, connect_timeout="5m", listers=2)
    yield s3pp.copy(
        "s3://a", "s3://b", credentials=("a", "b"), source_credentials=s3pp.Keys("a", "b")
    )
    yield s3pp.get({"name": "s3://b/a"}, path, files_from=["a", "b"])
    yield s3pp.clean("s3://b", older_than=datetime.now(), on_event=print, dry_run=None)


def results(result: s3pp.RunResult) -> tuple[int, float, str | None, bool, s3pp.ExitStatus]:
    failures: list[tuple[str, s3pp.FailureKind]] = [
        (f.key, f.kind) for f in result.check().failures
    ]
    assert failures
    return result.done, result.seconds, result.error, result.ok, result.status


def objects(error: s3pp.RunFailed) -> dict[str, tuple[int, datetime | None]]:
    with s3pp.list("s3://b", limit=5) as listing:
        found = {each.key: (each.size, each.modified) for each in listing}
    ended: s3pp.RunResult | None = listing.result
    assert ended == error.result
    return found


def mistakes(event: dict[str, Any], text: str) -> None:
    """A comment that is not needed is an error to mypy: each of these is one."""
    s3pp.put("a", "s3://b", part_sise=5)  # type: ignore[call-arg]
    s3pp.put("a", "s3://b", mode=text)  # type: ignore[arg-type]
    s3pp.put("a", "s3://b", resume="no")  # type: ignore[arg-type]
    s3pp.put("a", "s3://b", gunzip=True)  # type: ignore[call-arg]
    s3pp.get("s3://b", path=text)  # type: ignore[call-arg]
    s3pp.put("a", "s3://b").done = 1  # type: ignore[misc]
    s3pp.list("s3://b", on_event=print)  # type: ignore[call-arg]
    s3pp.moved  # type: ignore[attr-defined]  # noqa: B018
