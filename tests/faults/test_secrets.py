"""Secrets stay secret. Row 56 of the catalogue."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from commands import Result, Run, clean_environment, session_pids
from faults.trials import CopyTrial, PutTrial, Transfer
from stores.fault_actions import Gate, LoseResponse, Reset, Status
from stores.fault_proxy import Rule
from stores.store import Store

TOKEN = "FwoGZXIvYXdzEBYaDsession-token-that-must-not-be-seen"
MISHAPS = [
    Rule(Status(503, "SlowDown"), "PUT", "/f0$", times=1),
    Rule(Status(403, "AccessDenied"), "PUT", "/f1$"),
    Rule(LoseResponse(), "PUT", "/f2$", times=1),
    Rule(Reset(), "PUT", "/f3$"),
    Rule(Status(400, "InvalidRequest"), "PUT", "/f4$"),
]


def signatures(trial: PutTrial) -> set[str]:
    """Every signature that went over the wire."""
    signed = [hit.request.header("authorization") for hit in trial.proxy.hits()]
    found = {match for line in signed for match in re.findall(r"Signature=(\w+)", line)}
    assert found
    return found


def check_absent(trial: PutTrial, texts: dict[str, str]) -> None:
    secrets = {TOKEN, trial.bucket.store.secret_key, *signatures(trial)}
    for place, text in texts.items():
        for secret in secrets:
            assert secret not in text, f"{secret} in {place}"


def texts(trial: PutTrial, result: Result, log: Path) -> dict[str, str]:
    journal = trial.journal.read_text()
    return {"stdout": result.out, "stderr": result.err, "log": log.read_text(), "journal": journal}


@pytest.mark.parametrize("mode", ["update", "add"])
def test_secrets_appear_nowhere(moto_trial: PutTrial, tmp_path: Path, mode: str) -> None:
    moto_trial.tree({f"f{n}": 100 for n in range(12)})
    gate, log = Gate(), tmp_path / "log"
    moto_trial.inject(*MISHAPS, Rule(gate, "PUT"))
    token = {"AWS_SESSION_TOKEN": TOKEN}
    words = ["-vv", f"--mode={mode}", f"--log-file={log}"]
    running = moto_trial.start(*words, env=token, umask=0, fresh=True)  # for its command line
    moto_trial.proxy.wait_for(6)
    lines = {f"cmdline of {pid}": _command_line(pid) for pid in session_pids(running.pid)}
    assert len(lines) >= 4
    gate.open()
    result = running.wait(30)
    assert result.code == 1
    assert moto_trial.proxy.hits()[-1].request.header("x-amz-security-token") == TOKEN
    check_absent(moto_trial, lines | texts(moto_trial, result, log))
    for path in (log, moto_trial.journal):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _command_line(pid: int) -> str:
    return Path("/proc", str(pid), "cmdline").read_text()


@pytest.mark.parametrize(
    ("method", "code"), [("GET", "SignatureDoesNotMatch"), ("PUT", "ExpiredToken")]
)
def test_secrets_are_not_in_fatal_errors(
    moto_trial: PutTrial, tmp_path: Path, method: str, code: str
) -> None:
    moto_trial.tree({"f0": 100})
    moto_trial.inject(Rule(Status(403, code), method))
    log = tmp_path / "log"
    token = {"AWS_SESSION_TOKEN": TOKEN}
    running = moto_trial.start("-vv", f"--log-file={log}", env=token)
    result = running.wait(20)
    assert result.code == 3
    journal = moto_trial.journal.read_text() if moto_trial.journal.exists() else ""
    logged = log.read_text() if log.exists() else ""
    told = {"stdout": result.out, "stderr": result.err, "log": logged, "journal": journal}
    check_absent(moto_trial, told)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_no_child_has_secrets_in_its_environment(moto_trial: PutTrial, method: str) -> None:
    """Children get keys by messages; an empty variable, which is removed, changes nothing."""
    moto_trial.tree({f"f{n}": 100 for n in range(12)})
    gate = Gate()
    moto_trial.inject(Rule(gate, "PUT"))
    env = {"AWS_SESSION_TOKEN": TOKEN, "AWS_PROFILE": ""}
    running = moto_trial.start(f"--start-method={method}", env=env, fresh=True)
    moto_trial.proxy.wait_for(6)
    secrets = (TOKEN.encode(), moto_trial.bucket.store.secret_key.encode())
    children = [pid for pid in session_pids(running.pid) if pid != running.pid]
    assert len(children) >= 3
    for pid in children:
        shown = Path("/proc", str(pid), "environ").read_bytes()
        assert not any(secret in shown for secret in secrets), _command_line(pid)
    gate.open()
    assert moto_trial.end(running).code == 0


def test_own_files_are_private_whatever_the_umask(moto_trial: PutTrial, tmp_path: Path) -> None:
    """The journal and the log are looked at above."""
    contents = moto_trial.tree({"a": 100})
    own = tmp_path / "own"
    own.mkdir()
    private = [f"--etag-cache={own / 'cache'}", f"--lock={own / 'lock'}"]
    moto_trial.start_plain(*private, f"--plan={own / 'plan'}", umask=0).wait(30)
    assert moto_trial.run(*private, umask=0).done.keys() == contents.keys()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in own.iterdir()}
    assert modes == {"cache": 0o600, "lock": 0o600, "plan": 0o600}


# Without TLS


def test_http_to_another_host_is_warned_of_once(s3pp: Run, moto: Store, tmp_path: Path) -> None:
    """All addresses of this machine answer; 0.0.0.0 is one that is not its loopback address."""
    source, dest = moto.bucket(), moto.bucket()
    source.fill({"a": b"x", "b": b"y"})
    away = replace(moto, url=moto.url.replace("127.0.0.1", "0.0.0.0"))
    assert away.url != moto.url
    warning = (
        f"s3pp: {away.url} is not encrypted: what is transferred can be read, and changed,"
        " on its way: use https\n"
    )
    for words in (
        ["copy", source.url, dest.url],
        ["get", source.url, tmp_path / "dest"],
        ["list", source.url],
        ["clean", source.url],
    ):
        assert s3pp(*words, store=away).err.count(warning) == 1, words
        assert "encrypted" not in s3pp(*words, store=moto).err
    assert s3pp("list", "-q", source.url, store=away).err == ""


# Keys that a job gives

KEY, SECRET = "AKIDGIVENBYTHEJOB", "given/secret+that-must-not-be-seen"
GIVEN = """
import os, sys
from dataclasses import replace
from s3pp import app
from s3pp.access import Keys
from s3pp.args import verbs
from s3pp.report.outlet import Streams
job = verbs.build_job(sys.argv[1], sys.argv[2:])
job = replace(job, access=replace(job.access, credentials=Keys(*sys.stdin.read().split(" "))))
print(repr(job), str(job), flush=True)
os._exit(app.run(job, Streams.of(sys.stdout, sys.stderr)).status)
"""


def start_given(trial: Transfer, log: Path, *options: str) -> subprocess.Popen[str]:
    """Run the trial's verb with keys that the job gives, against those of the environment."""
    store = replace(trial.bucket.store, url=trial.proxy.url)
    words = ["-vv", f"--log-file={log}", f"--journal={trial.journal}", *trial.fast, *options]
    running = subprocess.Popen(
        [sys.executable, "-c", GIVEN, trial.verb, "--endpoint-url", store.url, *words]
        + [str(place) for place in trial.places],
        env=clean_environment(store, {"AWS_ACCESS_KEY_ID": "AKIDNOTMEANT"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdin is not None
    running.stdin.write(f"{KEY} {SECRET} {TOKEN}")
    running.stdin.close()
    running.stdin = None
    return running


def check_given(trial: Transfer, texts: Mapping[str, str]) -> None:
    for place, text in texts.items():
        for secret in (SECRET, TOKEN, KEY):
            assert secret not in text, f"{secret} in {place}"
    sent = [hit.request for hit in trial.proxy.hits()]
    assert {each.header("x-amz-security-token") for each in sent} == {TOKEN}
    assert all(f"Credential={KEY}/" in each.header("authorization") for each in sent)


def files_of(trial: Transfer, log: Path) -> dict[str, str]:
    return {"log": log.read_text(), "journal": trial.journal.read_text()}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_given_keys_win_and_appear_nowhere(
    moto_trial: PutTrial, tmp_path: Path, method: str
) -> None:
    moto_trial.tree({f"f{n}": 100 for n in range(12)})
    gate, log = Gate(), tmp_path / "log"
    moto_trial.inject(*MISHAPS, Rule(gate, "PUT"))
    running = start_given(moto_trial, log, f"--start-method={method}")
    moto_trial.proxy.wait_for(6)
    seen = {
        f"{name} of {pid}": Path("/proc", str(pid), name).read_text("utf-8", "replace")
        for pid in session_pids(running.pid)
        for name in ("cmdline", "environ")
    }
    assert len(seen) >= 8
    gate.open()
    out, err = running.communicate(timeout=30)
    assert running.returncode == 1, err
    check_given(moto_trial, seen | files_of(moto_trial, log) | {"stdout": out, "stderr": err})
    assert out.count("Keys(…)") == 2


def test_given_keys_are_those_of_both_sides_of_a_copy(moto_copy: CopyTrial, tmp_path: Path) -> None:
    moto_copy.fill({f"f{n}": 100 for n in range(3)})
    out, err = start_given(moto_copy, tmp_path / "log").communicate(timeout=30)
    assert set(moto_copy.arrived()) == {"f0", "f1", "f2"}, err
    check_given(moto_copy, files_of(moto_copy, tmp_path / "log") | {"stdout": out, "stderr": err})


def test_given_keys_that_have_expired_have_no_others(moto_trial: PutTrial, tmp_path: Path) -> None:
    moto_trial.tree({"f0": 100})
    moto_trial.inject(Rule(Status(400, "ExpiredToken"), "PUT"))
    running = start_given(moto_trial, tmp_path / "log")
    out, err = running.communicate(timeout=30)
    assert running.returncode == 3
    assert "they were given as they are: run again with new ones" in err.splitlines()[-1]
    check_given(moto_trial, files_of(moto_trial, tmp_path / "log") | {"stdout": out, "stderr": err})


# Values that cannot be sent


UNFIT = "FwoGZXIvYXdz-unfit\nvalue-that-must-not-be-seen"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_SESSION_TOKEN", UNFIT),
        ("AWS_SESSION_TOKEN", UNFIT.replace("\n", "é")),
        ("AWS_ACCESS_KEY_ID", UNFIT.replace("\n", "\x1b")),
        ("AWS_SECRET_ACCESS_KEY", UNFIT),
    ],
    ids=["line end", "not ASCII", "control", "secret"],
)
def test_what_no_header_can_carry_is_named_and_not_shown(
    moto_trial: PutTrial, tmp_path: Path, variable: str, value: str
) -> None:
    moto_trial.tree({"f0": 100})
    log = tmp_path / "log"
    result = moto_trial.start("-qq", f"--log-file={log}", env={variable: value}).wait(20)
    assert variable in log.read_text()
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"s3pp: {variable} has ")
    assert result.err.count("\n") == 1
    said = result.err + log.read_text()
    for part in ("FwoGZXIvYXdz", "must-not-be-seen", "Signature", "Credential="):
        assert part not in said
    assert moto_trial.proxy.hits() == []


def test_white_space_around_a_token_is_none_of_it(moto_trial: PutTrial) -> None:
    """As ``export AWS_SESSION_TOKEN="$(cat token; echo)"`` of some shells brings it along."""
    moto_trial.tree({"f0": 100})
    end = moto_trial.run(env={"AWS_SESSION_TOKEN": f" {TOKEN}\r\n"})
    assert (end.code, set(end.done)) == (0, {"f0"})
    sent = {hit.request.header("x-amz-security-token") for hit in moto_trial.proxy.hits()}
    assert sent == {TOKEN}


def test_a_profile_with_an_unfit_token_is_named(moto_trial: PutTrial, tmp_path: Path) -> None:
    moto_trial.tree({"f0": 100})
    (tmp_path / "config").write_text(
        "[profile work]\naws_access_key_id = key\naws_secret_access_key = secret\n"
        f"aws_session_token = {UNFIT.replace(chr(10), 'ü')}\n"
    )
    env = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    result = moto_trial.start("--profile=work", env=env).wait(20)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("s3pp: aws_session_token of profile 'work' has ")
    assert "FwoGZXIvYXdz" not in result.err
