"""Arguments of ``list`` become a job, or one line that names the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Told
from s3pp.args.verbs import build_job
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.places import Origin
from s3pp.speed import Speed


def job(*words: str) -> Job:
    return build_job("list", [*words])


def test_defaults_are_the_jobs() -> None:
    made = job("s3://bucket/p")
    assert made == Job("list", origins=(Origin("bucket", "p/", 2, "p"),), speed=Speed())
    assert made.reads == ("s3://bucket/p",)


def test_every_option_arrives() -> None:
    made = job(
        "--include", "*.x", "--exclude", "a/**", "--newer-than", "2026-01-01T00:00:00Z",
        "--min-size", "1k", "--max-size", "1M", "--limit", "7", "--files-from", "list", "--null",
        "--listers", "16", "--endpoint-url", "https://s3.example", "--region", "eu-west-1",
        "--request-payer", "--addressing", "path", "--max-attempts", "3", "--connect-timeout", "5",
        "--read-timeout", "6", "--json", "-q", "s3://bucket/logs-2026*",
    )  # fmt: skip
    assert made.origin == Origin("bucket", "logs-2026", 0)
    assert made.choosing.rules == (("include", "*.x"), ("exclude", "a/**"))
    assert (made.choosing.min_size, made.choosing.max_size) == (1024, 1024**2)
    assert (made.choosing.limit, made.choosing.files_from, made.choosing.null) == (7, "list", True)
    assert made.speed.listers == 16
    assert made.access.endpoint_url == "https://s3.example"
    assert (made.access.region, made.access.addressing) == ("eu-west-1", "path")
    assert made.access.request_payer
    assert made.access.max_attempts == 3
    assert (made.access.connect_timeout, made.access.read_timeout) == (5, 6)
    assert made.output == Output(verbosity=-1, json=True)


BAD = {
    "nothing": ([], "s3://"),
    "two sources": (["s3://one", "s3://two"], "one source"),
    "a directory": (["src"], "src"),
    "no bucket": (["s3://"], "s3://"),
    "a bad bucket": (["s3://a b"], "a b"),
    "not UTF-8": (["s3://bucket/\udcff"], "UTF-8"),
    "unknown option": (["--frobnicate", "s3://bucket"], "--frobnicate"),
    "abbreviation": (["--summar", "s3://bucket"], "--summar"),
    "buckets and a place": (["--buckets", "s3://bucket"], "leave s3://bucket/ out"),
    "buckets and filters": (["--buckets", "--include", "a"], "--limit and --fail-if-empty alone"),
    "buckets and a level": (["--buckets", "--delimiter", "/"], "--buckets lists no objects"),
    "buckets in memory": (["--buckets", "--sandbox"], "no use with --sandbox"),
    "a level of names": (["--delimiter=/", "--files-from", "f", "s3://bucket"], "--files-from"),
    "no delimiter": (["--delimiter=", "s3://bucket"], "'' ends no level"),
    "another verb's option": (["--mode", "add", "s3://bucket"], "--mode"),
    "dry run": (["--dry-run", "s3://bucket"], "--dry-run"),
    "journal": (["--journal", "j", "s3://bucket"], "--journal"),
    "no listers": (["--listers", "0", "s3://bucket"], "--listers"),
    "too many listers": (["--listers", "10000", "s3://bucket"], "--listers"),
    "limit": (["--limit", "many", "s3://bucket"], "--limit"),
    "empty glob": (["--include", "", "s3://bucket"], "--include"),
    "a glob that matches nothing": (["--include", "a/../b", "s3://bucket"], "a/../b"),
    "sizes that cross": (["--min-size", "2", "--max-size", "1", "s3://bucket"], "--min-size"),
    "null alone": (["--null", "s3://bucket"], "--files-from"),
    "no such list": (["--files-from", "nolist", "s3://bucket"], "--files-from"),
    "no such bundle": (["--ca-bundle", "nobundle", "s3://bucket"], "--ca-bundle"),
    "sandbox and endpoint": (["--sandbox", "--endpoint-url", "http://x", "s3://b12"], "--sandbox"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(
    name: str, command: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, mention = BAD[name]
    monkeypatch.chdir(tmp_path)
    told = command("list", *words)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(("s3pp: ", "s3pp list: "))
    assert told.err.count("\n") == 1
    assert told.err[:-1].isprintable()
    assert mention in told.err


def test_help_names_every_option(command: Callable[..., Told]) -> None:
    told = command("list", "--help")
    assert (told.code, told.err) == (0, "")
    for option in (
        "--include",
        "--listers",
        "--summarize",
        "--json",
        "--profile",
        "--read-timeout",
    ):
        assert option in told.out


def test_two_sources_are_no_job() -> None:
    with pytest.raises(UsageError, match="one source"):
        job("s3://one", "s3://two")
