"""Arguments of ``clean`` become a job, or one line that names the fix."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Told
from s3pp.args.verbs import build_job
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.places import Origin


def job(*words: str) -> Job:
    return build_job("clean", [*words])


def test_defaults_are_the_jobs() -> None:
    made = job("s3://bucket/p")
    assert made == Job("clean", origins=(Origin("bucket", "p/", 2, "p"),))
    assert made.choosing.older_than is None
    assert not made.dry_run


def test_every_option_arrives() -> None:
    made = job(
        "--include", "*.x", "--exclude", "a/**", "--older-than", "2026-01-01T00:00:00Z",
        "--limit", "7", "--endpoint-url", "https://s3.example", "--region", "eu-west-1",
        "--request-payer", "--addressing", "path", "--max-attempts", "3", "--connect-timeout", "5",
        "--read-timeout", "6", "--json", "-q", "-n", "--journal", "j", "s3://bucket/logs-2026*",
    )  # fmt: skip
    assert made.origin == Origin("bucket", "logs-2026", 0)
    assert made.choosing.rules == (("include", "*.x"), ("exclude", "a/**"))
    assert (made.choosing.older_than, made.choosing.limit) == (1767225600, 7)
    assert made.dry_run
    assert (made.access.region, made.access.addressing) == ("eu-west-1", "path")
    assert made.access.request_payer
    assert (made.access.max_attempts, made.access.read_timeout) == (3, 6)
    called = made.output.invocation
    assert made.output == Output(verbosity=-1, json=True, journal="j", invocation=called)


def test_an_age_of_nothing_is_now() -> None:
    before = time.time()
    older_than = job("--older-than", "0s", "s3://bucket").choosing.older_than
    assert older_than is not None
    assert before <= older_than <= time.time()


BAD = {
    "nothing": ([], "s3://"),
    "two places": (["s3://one", "s3://two"], "one place"),
    "a directory": (["src"], "src"),
    "a bad bucket": (["s3://a b"], "a b"),
    "not UTF-8": (["s3://bucket/\udcff"], "UTF-8"),
    "unknown option": (["--frobnicate", "s3://bucket"], "--frobnicate"),
    "abbreviation": (["--dry", "s3://bucket"], "--dry"),
    "another verb's option": (["--mode", "add", "s3://bucket"], "--mode"),
    "newer": (["--newer-than", "1d", "s3://bucket"], "--newer-than"),
    "no age": (["--older-than", "0", "s3://bucket"], "--older-than"),
    "limit": (["--limit", "0", "s3://bucket"], "--limit"),
    "a glob that matches nothing": (["--include", "a/../b", "s3://bucket"], "a/../b"),
    "no such bundle": (["--ca-bundle", "nobundle", "s3://bucket"], "--ca-bundle"),
    "no journal": (["--journal", "no/where", "s3://bucket"], "--journal"),
    "sandbox and endpoint": (["--sandbox", "--endpoint-url", "http://x", "s3://b12"], "--sandbox"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(
    name: str, command: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, mention = BAD[name]
    monkeypatch.chdir(tmp_path)
    told = command("clean", *words)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(("s3pp: ", "s3pp clean: "))
    assert told.err.count("\n") == 1
    assert told.err[:-1].isprintable()
    assert mention in told.err


def test_help_names_every_option(command: Callable[..., Told]) -> None:
    told = command("clean", "--help")
    assert (told.code, told.err) == (0, "")
    for option in ("--include", "--older-than", "--dry-run", "--journal", "--json", "--profile"):
        assert option in told.out


def test_two_places_are_no_job() -> None:
    with pytest.raises(UsageError, match="one place"):
        job("s3://one", "s3://two")
