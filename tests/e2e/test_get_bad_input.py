"""Bad input: one line that names the argument and the mend, exit code 2, and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from stores.ports import free_port
from stores.store import Bucket, Store

# Arguments, and what the line must name. SRC and OUT are filled in.
BAD = {
    "nothing": ([], "s3://"),
    "no directory": (["SRC"], "DIRECTORY"),
    "two directories": (["SRC", "OUT", "more"], "is not of the form s3://"),
    "directory first": (["OUT", "SRC"], "s3://"),
    "local source": (["elsewhere", "OUT"], "elsewhere"),
    "a bucket as directory": (["SRC", "s3://other"], "s3pp copy"),
    "empty directory": (["SRC", ""], "DIRECTORY"),
    "standard output of many": (["s3://bucket/p/", "-"], "does not name one object"),
    "filters of standard output": (["--limit", "1", "s3://bucket/p", "-"], "--limit"),
    "suffix of no gzip": (["--gzip-suffix", ".zip", "SRC", "OUT"], "'.zip' is not a suffix"),
    "packed and unpacked": (
        ["--gzip-suffix=.gz", "--gunzip", "SRC", "OUT"],
        "--gunzip contradicts",
    ),
    "packed standard output": (["--gzip-suffix=.gz", "s3://bucket/p", "-"], "--gzip-suffix is"),
    "flushed standard output": (["--fsync", "s3://bucket/p", "-"], "--fsync"),
    "no bucket": (["s3://", "OUT"], "s3://"),
    "only slashes": (["s3:///p", "OUT"], "s3:///p"),
    "a star in the bucket": (["s3://buck*", "OUT"], "buck*"),
    "mode": (["--mode", "smart", "SRC", "OUT"], "--mode"),
    "order": (["--order", "age", "SRC", "OUT"], "--order"),
    "listers": (["--listers", "0", "SRC", "OUT"], "--listers"),
    "an option of put": (["--acl", "private", "SRC", "OUT"], "--acl"),
    "another": (["--gzip", "SRC", "OUT"], "--gzip"),
    "sizes crossed": (["--min-size", "2", "--max-size", "1", "SRC", "OUT"], "--min-size"),
    "age": (["--newer-than", "yesterdayish", "SRC", "OUT"], "--newer-than"),
    "null without list": (["--null", "SRC", "OUT"], "--null"),
    "list that is not there": (["--files-from", "no-list", "SRC", "OUT"], "no-list"),
    "no bundle": (["--ca-bundle", "no-bundle", "SRC", "OUT"], "no-bundle"),
    "sandbox and endpoint": (["--sandbox", "SRC", "OUT"], "--sandbox"),
}


def test_every_bad_argument(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """One test for all: each start is cheap, and a list of what is wrong reads best whole."""
    moto_bucket.put("f", b"1")
    record, out = recorder(moto), tmp_path / "out"
    wrong = []
    for name, (words, mention) in BAD.items():
        fill = {"SRC": moto_bucket.url, "OUT": str(out)}
        result = s3pp("get", *(fill.get(word, word) for word in words), store=record.store)
        lines = result.err.strip().splitlines()
        if (result.code, len(lines), result.out) != (2, 1, "") or mention not in result.err:
            wrong.append(f"{name}: exit {result.code}, {result.out!r}, {result.err!r}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert (record.requests, list(tmp_path.iterdir())) == ([], [])


def test_what_credentials_and_addresses_can_be_wrong_in(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    gone = replace(moto, url=f"http://127.0.0.1:{free_port()}")
    no_host = replace(moto, url="http://no-such-host.invalid")
    cases: list[tuple[list[str], dict[str, Any], int, str]] = [
        ([], {"env": none}, 2, "credentials"),
        (["--profile", "nobody"], {}, 2, "nobody"),
        (["--max-attempts", "2"], {"store": gone}, 3, gone.url),
        (["--max-attempts", "2"], {"store": no_host}, 3, "no-such-host.invalid"),
    ]
    for words, settings, code, mention in cases:
        result = s3pp("get", *words, moto_bucket.url, tmp_path / "out", timeout=45, **settings)
        assert (mention, result.code, result.out) == (mention, code, "")
        assert mention in result.err
        assert len(result.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.swift
def test_refused_credentials_end_the_run_with_the_stores_own_words(
    s3pp: Run, swift_bucket: Bucket, tmp_path: Path
) -> None:
    swift_bucket.put("f", b"1")
    for change, code in (
        ({"AWS_SECRET_ACCESS_KEY": "not-the-right-secret"}, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "nobody:atall"}, ""),
    ):
        out = tmp_path / "out"
        result = s3pp("get", swift_bucket.url, out, store=swift_bucket.store, env=change)
        assert (result.code, len(result.err.splitlines())) == (3, 1)
        assert code in result.err
        assert "not-the-right-secret" not in result.err
        assert not out.exists()
