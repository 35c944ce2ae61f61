"""Credentials: those that expire, on either side, and those that others ask for. Rows 52-56."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import MakeRelay
from faults.listing_pages import PAGES
from faults.trials import CopyTrial, GetTrial, Transfer
from stores.certificates import Authority
from stores.fault_actions import Action, Exchange, Reset, Response, Status, Truncate, error
from stores.fault_proxy import FaultProxy, Rule
from stores.relay import Answer, Request
from stores.store import Store

MANY = {f"f{n:02d}": 10 for n in range(60)}
BOTH_VERBS = pytest.mark.parametrize("kind", ["moto_get", "moto_copy"])

# Credentials that expire during the run


@dataclass(frozen=True)
class Expired(Action):
    """Refuse every request that carries ``token``; the others pass."""

    token: str

    def answer(self, exchange: Exchange) -> Response:
        if exchange.request.header("x-amz-security-token") == self.token:
            return error(400, "ExpiredToken")
        return exchange.forward()


TOKENS = """
import json, pathlib, sys
side, calls = sys.argv[1], pathlib.Path(sys.argv[2])
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
count = len(calls.read_text())
print(json.dumps({
    "Version": 1, "AccessKeyId": "key", "SecretAccessKey": f"secret-of-the-{side}",
    "SessionToken": f"{side}-token-{count}", "Expiration": "2126-01-01T00:00:00Z",
}))
"""


def token_processes(directory: Path) -> dict[str, str | None]:
    """An environment in which each profile gets other credentials whenever it asks."""
    program = directory / "tokens.py"
    program.write_text(TOKENS)
    lines = []
    for profile in ("default", "profile from"):
        side = profile.split()[-1]
        process = f"{sys.executable} {program} {side} {directory / side}"
        lines += [f"[{profile}]", f"credential_process = {process}"]
    (directory / "config").write_text("\n".join(lines))
    gone = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    return {**gone, "AWS_CONFIG_FILE": str(directory / "config")}


def tokens_used(proxy: FaultProxy, method: str) -> set[str]:
    return {hit.request.header("x-amz-security-token") for hit in proxy.hits(method, "/f")}


def test_a_get_renews_expired_credentials(moto_get: GetTrial, tmp_path: Path) -> None:
    contents = moto_get.fill({**MANY, "large": 1 << 20})
    expired = Expired("default-token-1")
    moto_get.inject(Rule(expired, "GET", "/(f|large)", skip=20), Rule(expired, "GET", PAGES))
    end = moto_get.run(env=token_processes(tmp_path))
    assert end.code == 0, end.result.err
    assert moto_get.files() == contents
    assert tokens_used(moto_get.proxy, "GET") >= {"default-token-2"}
    assert (tmp_path / "default").read_text() == "xx"


def test_both_sides_of_a_copy_renew_theirs(moto_through: CopyTrial, tmp_path: Path) -> None:
    contents = moto_through.fill(MANY)
    assert moto_through.source_proxy
    moto_through.source_proxy.inject(Rule(Expired("from-token-1"), "GET", "/f", skip=20))
    moto_through.inject(Rule(Expired("default-token-1"), "PUT", "/f", skip=30))
    end = moto_through.run("--source-profile=from", env=token_processes(tmp_path))
    assert end.code == 0, end.result.err
    assert moto_through.dest.tree() == contents
    assert tokens_used(moto_through.source_proxy, "GET") == {"from-token-1", "from-token-2"}
    assert tokens_used(moto_through.proxy, "PUT") == {"default-token-1", "default-token-2"}


def test_a_copy_by_the_store_renews_its_own(moto_copy: CopyTrial, tmp_path: Path) -> None:
    contents = moto_copy.fill(MANY)
    moto_copy.inject(Rule(Expired("default-token-1"), "PUT|GET", "/(f|.*list-type)", skip=20))
    end = moto_copy.run(env=token_processes(tmp_path))
    assert end.code == 0, end.result.err
    assert moto_copy.dest.tree() == contents


@BOTH_VERBS
def test_expired_credentials_without_others_end_the_run(
    request: pytest.FixtureRequest, kind: str
) -> None:
    trial: Transfer = request.getfixturevalue(kind)
    trial.fill(MANY)
    trial.inject(Rule(Status(400, "ExpiredToken"), "GET|PUT", "/f", skip=20))
    end = trial.run(env={"AWS_SESSION_TOKEN": "a-token-that-expires"})
    assert end.code == 3
    assert "ExpiredToken" in end.result.err.splitlines()[-1]
    assert len(end.done) <= 20
    assert len(trial.proxy.hits("GET|PUT", "/f")) <= 50


def test_expired_credentials_of_the_source_end_a_copy(moto_through: CopyTrial) -> None:
    moto_through.fill(MANY)
    assert moto_through.source_proxy
    moto_through.source_proxy.inject(Rule(Status(400, "ExpiredToken"), "GET", "/f", skip=20))
    end = moto_through.run(env={"AWS_SESSION_TOKEN": "a-token-that-expires"})
    assert end.code == 3
    assert "ExpiredToken" in end.result.err.splitlines()[-1]


# Rights that are lacking


@BOTH_VERBS
def test_one_forbidden_key_fails_alone(request: pytest.FixtureRequest, kind: str) -> None:
    trial: Transfer = request.getfixturevalue(kind)
    contents = trial.fill(MANY)
    trial.inject(Rule(Status(403, "AccessDenied"), "GET|PUT", "/f3[0-9]$"))
    end = trial.run()
    refused = {f"f3{n}" for n in range(10)}
    assert (end.code, end.kinds) == (1, dict.fromkeys(refused, "access"))
    assert end.done.keys() == contents.keys() - refused


# Others who ask for our credentials


@pytest.fixture
def elsewhere(make_proxy: Callable[[Store], FaultProxy], moto: Store) -> FaultProxy:
    """Another host, which would answer and so be believed; nothing may ever be sent there."""
    return make_proxy(moto)


def moved(status: int, elsewhere: FaultProxy, path: str = "/bucket/key") -> Action:
    """A redirect to another host, the way S3 words it."""
    return Status(status, "PermanentRedirect", (("Location", f"{elsewhere.url}{path}"),))


REDIRECTS = {"f01": 301, "f02": 302, "f03": 303, "f04": 307, "f05": 308}


@pytest.mark.parametrize("kind", ["moto_get", "moto_copy", "moto_through"])
def test_a_redirected_object_fails(
    request: pytest.FixtureRequest, kind: str, elsewhere: FaultProxy
) -> None:
    trial: Transfer = request.getfixturevalue(kind)
    contents = trial.fill({f"f{n:02d}": 1000 for n in range(8)})
    trial.inject(
        *(
            Rule(moved(status, elsewhere), "GET|PUT", f"/{key}$", header="authorization")
            for key, status in REDIRECTS.items()
        )
    )
    end = trial.run()
    assert (end.code, set(end.failed)) == (1, set(REDIRECTS))
    assert end.done.keys() == contents.keys() - REDIRECTS.keys()
    assert elsewhere.hits() == []


@pytest.mark.parametrize(
    ("kind", "status", "path"),
    [
        ("moto_get", 301, ""),
        ("moto_get", 307, PAGES),
        ("moto_copy", 307, ""),
        ("moto_copy", 301, PAGES),
    ],
    ids=["get", "get-page", "copy", "copy-page"],
)
def test_a_redirected_bucket_ends_the_run(
    request: pytest.FixtureRequest, kind: str, elsewhere: FaultProxy, status: int, path: str
) -> None:
    trial: Transfer = request.getfixturevalue(kind)
    trial.fill({"a": 10})
    trial.inject(Rule(moved(status, elsewhere, f"/{trial.bucket.name}"), path=path))
    result = trial.start().wait(60)
    assert result.code in (2, 3)
    assert "PermanentRedirect" in result.err or "301" in result.err or "307" in result.err
    assert elsewhere.hits() == []


def test_https_is_not_left_for_http(
    moto_get: GetTrial, relay: MakeRelay, elsewhere: FaultProxy, authority: Authority
) -> None:
    contents = moto_get.fill({"a": 10, "b": 10})

    def intercept(request: Request) -> Answer | None:
        if not request.path.endswith("/a"):
            return None
        return Answer(307, [("Location", f"{elsewhere.url}{request.target}")])

    secure = relay(moto_get.bucket.store, tls=authority.context, intercept=intercept)
    moto_get.proxy.url = secure.url
    end = moto_get.run(f"--ca-bundle={authority.ca_bundle}")
    assert (end.code, set(end.failed)) == (1, {"a"})
    assert moto_get.files() == {"b": contents["b"]}
    assert elsewhere.hits() == []


# Secrets stay secret

TOKEN = "FwoGZXIvYXdzEBYaDsession-token-that-must-not-be-seen"


@BOTH_VERBS
def test_secrets_appear_nowhere(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    trial: Transfer = request.getfixturevalue(kind)
    trial.fill({f"f{n}": 1000 for n in range(6)})
    trial.inject(
        Rule(Status(503, "SlowDown"), "GET|PUT", "/f0$", times=1),
        Rule(Status(403, "AccessDenied"), "GET|PUT", "/f1$"),
        Rule(Truncate(), "GET|PUT", "/f2$"),
        Rule(Reset(), "GET|PUT", "/f3$"),
    )
    log = tmp_path / "log"
    running = trial.start("-vv", f"--log-file={log}", env={"AWS_SESSION_TOKEN": TOKEN}, umask=0)
    result = running.wait(60)
    assert result.code == 1
    hits = trial.proxy.hits()
    assert hits[-1].request.header("x-amz-security-token") == TOKEN
    signed = " ".join(hit.request.header("authorization") for hit in hits)
    secrets = {TOKEN, trial.bucket.store.secret_key, *re.findall(r"Signature=(\w+)", signed)}
    told = (result.out, result.err, log.read_text(), trial.journal.read_text())
    assert not [secret for secret in secrets for text in told if secret in text]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (log, trial.journal)} == {0o600}
