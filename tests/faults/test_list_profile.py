"""Credentials that only list the destination, and others that only write there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conftest import WriteProfiles
from faults.test_credentials import token_process
from faults.trials import CopyTrial, PutTrial, Transfer
from stores.fault_actions import Status
from stores.fault_proxy import Rule
from stores.store import Store

WRITER, LISTER = "Credential=AKIDTHATWRITES/", "Credential=AKIDTHATLISTS/"
OPTIONS = ("--profile=writer", "--list-profile=lister")
FILES = {f"f{n}": 10 for n in range(5)}
DENIED = Status(403, "AccessDenied")

Variables = dict[str, str | None]


@pytest.fixture
def env(moto: Store, profiles: WriteProfiles) -> Variables:
    """Two profiles, and no keys in the environment."""
    writer, lister = (each.removeprefix("Credential=")[:-1] for each in (WRITER, LISTER))
    found = profiles(
        writer=replace(moto, access_key=writer), lister=replace(moto, access_key=lister)
    )
    return {**found, "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


def run_twice(trial: Transfer, bucket: str, env: Variables) -> None:
    """Each may do its own part alone at the destination, ``bucket``."""
    trial.inject(
        Rule(DENIED, "GET", rf"/{bucket}\?.*list-type", header=WRITER),
        Rule(DENIED, "PUT|HEAD", header=LISTER),
    )
    first = trial.run(*OPTIONS, env=env)
    assert (first.code, set(first.done)) == (0, set(FILES))
    again = trial.run(*OPTIONS, env=env)
    assert (again.code, set(again.skipped)) == (0, set(FILES))
    assert "HEAD" not in first.result.err + again.result.err
    assert trial.count("HEAD") == 0


def test_one_lists_and_the_other_uploads(moto_trial: PutTrial, env: Variables) -> None:
    moto_trial.tree(FILES)
    run_twice(moto_trial, moto_trial.bucket.name, env)
    alone = moto_trial.run("--profile=writer", env=env)
    assert "each key is checked with HEAD instead" in alone.result.err
    assert moto_trial.count("HEAD") == len(FILES)


def test_one_lists_and_the_other_copies(moto_copy: CopyTrial, env: Variables) -> None:
    moto_copy.fill(FILES)
    run_twice(moto_copy, moto_copy.dest.name, env)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (Status(403, "InvalidAccessKeyId"), 3, "credentials refused"),
        (Status(404, "NoSuchBucket"), 2, "bucket not found"),
    ],
)
def test_a_lister_that_is_refused_ends_the_run_before_anything_is_sent(
    moto_trial: PutTrial, env: Variables, status: Status, code: int, words: str
) -> None:
    moto_trial.tree(FILES)
    moto_trial.inject(Rule(status, header=LISTER))
    result = moto_trial.start(*OPTIONS, env=env).wait(20)
    assert result.code == code
    assert result.err.startswith(f"s3pp: {words}")
    assert result.err.count("\n") == 1
    assert moto_trial.bucket.keys() == []


def test_its_keys_are_renewed_by_themselves(
    moto_trial: PutTrial, tmp_path: Path, env: Variables
) -> None:
    """They have expired when the walker lists."""
    moto_trial.tree(FILES)
    process = token_process(tmp_path)
    with open(str(process["AWS_CONFIG_FILE"]), "a") as config:
        config.write(Path(str(env["AWS_CONFIG_FILE"])).read_text())
    expired = Rule(Status(400, "ExpiredToken"), "GET", header="first-token-given", skip=1)
    moto_trial.inject(expired)
    end = moto_trial.run("--profile=writer", "--list-profile=default", env=process)
    assert (end.code, set(end.done), end.result.err) == (0, set(FILES), "")
    assert len(moto_trial.proxy.hits("GET", action="Status")) == 1
    tokens = [hit.request.header("x-amz-security-token") for hit in moto_trial.proxy.hits("GET")]
    assert tokens[-1] == "second-token-given"
