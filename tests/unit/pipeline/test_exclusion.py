"""Which runs are of the same job, and what their options say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from s3pp.args.verbs import VERBS, build_job
from s3pp.errors import UsageError
from s3pp.library.keywords import build_job as build_call
from s3pp.library.keywords import with_names
from s3pp.locking import FOREVER, Locking
from s3pp.pipeline.exclusion import fingerprint
from s3pp.sources.checking import name_single

URL = "https://store:9000"
HERE = {"AWS_ENDPOINT_URL": "http://Store:9000/"}


def of(*words: str, environ: Mapping[str, str] = HERE) -> str:
    return fingerprint(build_job(words[0], words[1:]), environ)


def test_the_same_job_however_it_is_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("src")
    one = of("put", "src", "s3://bkt/p")
    for words in (
        ["put", "./src/", "s3://bkt/p/"],
        ["put", str(tmp_path / "src"), "s3://bkt/p"],
        ["put", "link", "s3://bkt/p"],
        ["put", "-c9", "--mode=stupid", "--exclude=*.tmp", "--journal=j", "src", "s3://bkt/p"],
        ["put", "--endpoint-url", URL, "--profile=any", "src", "s3://bkt/p"],
    ):
        assert of(*words) == one
    assert of("put", "a", "b", "s3://bkt") == of("put", "b", "a", "s3://bkt")
    assert of("get", "s3://bkt/p", "d", environ={"AWS_PROFILE": "p"}) == of(
        "get", "--profile=p", "s3://bkt/p", "./d", environ={}
    )


def test_other_jobs() -> None:
    jobs = [
        ["put", "src", "s3://bkt/p"],
        ["move", "src", "s3://bkt/p"],
        ["put", "src", "other", "s3://bkt/p"],
        ["put", "src", "s3://bkt/q"],
        ["put", "-", "s3://bkt/p"],
        ["get", "s3://bkt/p", "src"],
        ["get", "s3://bkt/p*", "src"],
        ["copy", "s3://bkt/p", "s3://bkt/q"],
        ["copy", "--source-endpoint-url", "http://other", "s3://bkt/p", "s3://bkt/q"],
        ["remove", "s3://bkt/p"],
        ["clean", "s3://bkt/p"],
        ["remove", "--endpoint-url", "http://other", "s3://bkt/p"],
        ["remove", "--sandbox", "s3://bkt/p"],
        ["verify", "run.jsonl"],
        ["verify", "other.jsonl"],
    ]
    assert len({of(*words) for words in jobs}) == len(jobs)
    assert of("remove", "s3://bkt/p", environ={}) != of("remove", "s3://bkt/p")


def test_a_verify_excludes_the_transfer_whose_ends_it_compares() -> None:
    ends = {
        "put": ["src", "s3://bkt/p"],
        "get": ["s3://bkt/p", "d"],
        "copy": ["s3://bkt/p", "s3://b-2"],
    }
    for verb, places in ends.items():
        assert of("verify", *places) == of(verb, *places)


def test_a_name_is_part_of_the_destination(tmp_path: Path) -> None:
    source = str(tmp_path / "file")
    Path(source).touch()
    made = build_job("put", [source, "s3://bkt/p/new"])
    assert fingerprint(name_single(made), {}) == fingerprint(made, {})  # as a plan has it
    several = build_call("put", ["a", "c", "s3://bkt"], {})
    named = {fingerprint(with_names(several, names), {}) for names in (["x", "y"], ["y", "x"])}
    assert len(named | {fingerprint(several, {})}) == 3


def test_shards_of_a_job_run_side_by_side() -> None:
    words = ["src", "s3://bkt/p"]
    shards = [["--shard=1/2"], ["--shard=2/2"], ["--shard=1/3"], []]
    assert len({of("put", *each, *words) for each in shards}) == len(shards)
    assert of("put", "--shard=1/2", *words) == of("put", "--shard=1/2", "--mode=add", *words)


def test_the_options() -> None:
    words = ["--lock=auto", "--lock-wait=90s", "--if-locked=fail", "s3://bkt"]
    assert build_job("clean", words).locking == Locking("auto", 90.0, "fail")
    assert (
        build_job("clean", ["--lock=f", "--lock-wait=forever", "s3://bkt"]).locking.wait == FOREVER
    )
    assert build_job("clean", ["--lock=f", "--lock-wait=0", "s3://bkt"]).locking.wait == 0
    for refused, why in (
        (["--lock-wait=1"], "--lock-wait needs --lock, which names the lock: add --lock auto"),
        (["--if-locked=fail"], "--if-locked needs --lock"),
        (["--lock=-"], "--lock '-' would be a standard stream"),
        (["--lock=f", "--lock-wait=ever"], "'ever' is not a length of time: .*, or forever"),
    ):
        with pytest.raises(UsageError, match=why):
            build_job("clean", [*refused, "s3://bkt"])
    assert {verb for verb in VERBS if "locking.lock" in str(VERBS[verb].groups)} == {*VERBS} - {
        "list",
        "du",
    }
