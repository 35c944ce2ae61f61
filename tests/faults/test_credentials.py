"""Credentials that are wrong, expire or lack a right, and clocks that differ. Rows 52-54."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import pytest

from commands import ROOT, Result, Run, as_anybody
from faults.accounting import check_all_done
from faults.trials import PutTrial
from stores.fault_actions import Action, Exchange, Response, Status, error
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Bucket, Store
from trees import read_tree

SIGNATURE = "SignatureDoesNotMatch"


def check_told_once(result: Result, code: str) -> None:
    """The last line says why the run ended; before it only objects that failed are named."""
    *before, last = result.err.splitlines()
    assert code in last
    assert all(line.startswith("s3pp: put ") for line in before), result.err


# Credentials refused from the start


@pytest.mark.swift
def test_a_wrong_secret_ends_the_run_with_the_stores_words(swift_trial: PutTrial) -> None:
    swift_trial.tree({f"f{n}": 10 for n in range(50)})
    wrong = {"AWS_SECRET_ACCESS_KEY": "not-the-secret-of-this-account"}
    result = swift_trial.start(env=wrong).wait(20)
    assert result.code == 3
    assert SIGNATURE in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert len(swift_trial.proxy.hits()) <= 3
    assert swift_trial.bucket.keys() == []


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("", "InvalidAccessKeyId"),
        ("", "ExpiredToken"),
        ("PUT", "InvalidAccessKeyId"),
        ("PUT", "InvalidToken"),
        ("PUT", SIGNATURE),
    ],
)
def test_refused_keys_end_the_run(moto_trial: PutTrial, method: str, code: str) -> None:
    moto_trial.tree({f"f{n:03d}": 10 for n in range(200)})
    moto_trial.inject(Rule(Status(403, code), method))
    result = moto_trial.start("--mode=stupid").wait(20)
    assert result.code == 3
    assert code in result.err
    check_told_once(result, code)
    assert len(moto_trial.proxy.hits()) <= 100
    assert moto_trial.bucket.keys() == []


# Rights that are lacking


def test_one_forbidden_key_fails_alone(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({f"f{n}": 10 for n in range(10)})
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "PUT", "/f3$"))
    end = moto_trial.run()
    assert (end.code, end.kinds) == (1, {"f3": "access"})
    assert "AccessDenied" in end.failed["f3"]["message"]
    assert moto_trial.puts("f3") == 1
    assert end.done.keys() == contents.keys() - {"f3"}


@pytest.mark.parametrize("mode", ["stupid", "update"])
def test_a_forbidden_bucket_ends_the_run_soon(moto_trial: PutTrial, mode: str) -> None:
    moto_trial.tree({f"f{n:03d}": 10 for n in range(300)})
    moto_trial.inject(Rule(Status(403, "AccessDenied")))
    result = moto_trial.start(f"--mode={mode}").wait(20)
    assert result.code == 3
    assert "AccessDenied" in result.err
    assert len(moto_trial.proxy.hits("PUT")) < 300
    assert moto_trial.bucket.keys() == []


@pytest.mark.parametrize("count", [30, 3])
def test_a_small_run_that_is_refused_whole_says_so_once(moto_trial: PutTrial, count: int) -> None:
    moto_trial.tree({f"f{n:03d}": 10 for n in range(count)})
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "PUT"))
    end = moto_trial.run()
    assert end.code == 3
    assert end.result.err.startswith("s3pp: the store refuses access: AccessDenied: ")
    assert end.result.err.count("\n") == 1
    assert (end.summary["failed"], len(end.failed)) == (count, count)


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
calls = pathlib.Path(sys.argv[1])
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
first = len(calls.read_text()) == 1
print(json.dumps({
    "Version": 1, "AccessKeyId": "key", "SecretAccessKey": "secret-of-the-process",
    "SessionToken": "first-token-given" if first else "second-token-given",
    "Expiration": "2126-01-01T00:00:00Z",
}))
"""


def token_process(directory: Path) -> dict[str, str | None]:
    """An environment whose credentials come from a program that gives new ones each time."""
    (directory / "tokens.py").write_text(TOKENS)
    process = f"{sys.executable} {directory / 'tokens.py'} {directory / 'calls'}"
    (directory / "config").write_text(f"[default]\ncredential_process = {process}\n")
    gone = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    return {**gone, "AWS_CONFIG_FILE": str(directory / "config")}


def test_expired_credentials_are_renewed(moto_trial: PutTrial, tmp_path: Path) -> None:
    contents = moto_trial.tree({f"f{n:02d}": 10 for n in range(60)})
    moto_trial.inject(Rule(Expired("first-token-given"), "PUT", skip=20))
    end = moto_trial.run(env=token_process(tmp_path))
    check_all_done(end, moto_trial.bucket, contents)
    used = {hit.request.header("x-amz-security-token") for hit in moto_trial.proxy.hits("PUT")}
    assert used == {"first-token-given", "second-token-given"}
    assert (tmp_path / "calls").read_text() == "xx"


def test_credentials_that_expire_while_listing_are_renewed(
    moto_trial: PutTrial, tmp_path: Path
) -> None:
    contents = moto_trial.tree({f"f{n:02d}": 10 for n in range(5)})
    moto_trial.inject(Rule(Expired("first-token-given"), "GET", "list-type=2", skip=1))
    end = moto_trial.run("--mode=update", env=token_process(tmp_path))
    check_all_done(end, moto_trial.bucket, contents)


def test_expired_credentials_without_others_end_the_run(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({f"f{n:03d}": 10 for n in range(200)})
    moto_trial.inject(Rule(Status(400, "ExpiredToken"), "PUT", skip=20))
    running = moto_trial.start(env={"AWS_SESSION_TOKEN": "a-token-that-expires"})
    result = running.wait(20)
    assert result.code == 3
    check_told_once(result, "ExpiredToken")
    assert len(moto_trial.proxy.hits("PUT")) <= 60
    claimed = {
        record["key"]
        for record in map(json.loads, moto_trial.journal.read_text().splitlines())
        if record["event"] == "done"
    }
    assert moto_trial.bucket.tree().items() >= {(key, contents[key]) for key in claimed}


# Programs that give credentials


@dataclass(frozen=True)
class Program:
    """A ``credential_process``: what it does each time, as a script of the shell."""

    script: str
    mode: int = 0o755

    def environment(self, directory: Path) -> dict[str, str | None]:
        """Variables under which it is the source of all credentials."""
        path = directory / "give-keys"
        path.write_text(f"#!/bin/sh\n{self.script}\n")
        path.chmod(self.mode)
        line = f"credential_process = {path} --password hidden-argument"
        (directory / "config").write_text(f"[default]\n{line}\n")
        gone = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
        return {**gone, "AWS_CONFIG_FILE": str(directory / "config")}


HALF = '{"Version": 1, "AccessKeyId": "key-not-to-show", "SecretAccessKey": "do-not-show'
KEYS = '"AccessKeyId": "key-not-to-show", "SecretAccessKey": "do-not-show"'


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (Program("echo do-not-show >&2; echo please log in >&2; exit 1"), "failed: please log in"),
        (Program("echo '{\"Version\": 1, \"AccessKeyId\": null, \"SecretAccessKey\": 5}'"),
         "of profile 'default' printed is missing"),
        (Program(f"echo '{{\"Version\": 1, {KEYS}, \"SessionToken\": {{}}}}'"), "is not a string"),
        (Program(f"echo '{{\"Version\": 1, {KEYS}, \"Expiration\": \"2020-01-01T00:00:00Z\"}}'"),
         "printed credentials that have expired"),
        (Program(f"echo '{{\"Version\": 1, {KEYS}, \"Expiration\": \"2030-01-01\"}}'"),
         "Expiration"),
        (Program("exit 1"), "failed without a message"),
        (Program("printf '\\377' >&2; exit 1"), "did not print credentials as JSON"),
        (Program(f"echo '{HALF}'"), "did not print credentials as JSON"),
        (Program("echo '[]'"), "did not print credentials as JSON"),
        (Program(f"echo '{{{KEYS}}}'"), "Version"),
        (Program('echo \'{"Version": 1, "AccessKeyId": "do-not-show"}\''), "SecretAccessKey"),
        (Program(f"echo '{{\"Version\": 1, {KEYS}, \"SessionToken\": \"do-not-show\\u0000\"}}'"),
         "SessionToken"),
        (Program(f"echo '{{\"Version\": 1, {KEYS}, \"Expiration\": \"do-not-show\"}}'"),
         "Expiration"),
        (Program("exit 0", mode=0o644), "cannot be run: Permission denied"),
        (Program("yes long-words | head -c 100000 >&2; exit 1"), "failed: long-words"),
    ],
)  # fmt: skip
def test_a_program_that_gives_no_credentials_is_named(
    moto_trial: PutTrial, tmp_path: Path, program: Program, said: str
) -> None:
    moto_trial.tree({"f0": 10})
    result = moto_trial.start(env=program.environment(tmp_path)).wait(20)
    assert (result.code, result.out) == (2, "")
    assert f"credential_process '{tmp_path / 'give-keys'}' … " in result.err
    assert said in result.err
    assert result.err.count("\n") == 1
    assert len(result.err) < 600
    for hidden in ("do-not-show", "key-not-to-show", "hidden-argument"):
        assert hidden not in result.err
    assert moto_trial.proxy.hits() == []


def test_a_program_that_is_not_there_is_named(moto_trial: PutTrial, tmp_path: Path) -> None:
    moto_trial.tree({"f0": 10})
    env = Program("exit 0").environment(tmp_path)
    (tmp_path / "give-keys").unlink()
    result = moto_trial.start(env=env).wait(20)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "give-keys' … of profile 'default' cannot be run: No such file" in result.err


# What is set, and which words of the message name it.
SETTINGS: dict[str, tuple[dict[str, str | None], str]] = {
    "half of a pair": ({"AWS_SECRET_ACCESS_KEY": None}, "AWS_SECRET_ACCESS_KEY is not set"),
    "a region": ({"AWS_REGION": "eu west"}, "AWS_REGION 'eu west' is not a region"),
    "a directory": ({"AWS_CONFIG_FILE": "/"}, "AWS_CONFIG_FILE '/' is a directory"),
    "a secret": ({"AWS_SECRET_ACCESS_KEY": "do-not-show-é"}, "AWS_SECRET_ACCESS_KEY has a"),
}


def test_a_setting_that_cannot_be_used_is_named(
    s3pp: Callable[..., Result], moto: Store, tmp_path: Path
) -> None:
    def refused(env: dict[str, str | None], told: str, *options: str) -> None:
        words = ("list", *options, "s3://bucket")
        result = s3pp(*words, store=moto, env=env, preexec_fn=as_anybody)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), result.err
        assert told in result.err
        assert "do-not-show" not in result.err

    for env, told in SETTINGS.values():
        refused(env, told)
    config = tmp_path / "config"
    gone = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    for command, told in {
        "": "credential_process '' of profile 'p' is empty",
        "/bin/give 'do-not-show": "'/bin/give' … of profile 'p' has a quote that is not closed",
    }.items():
        config.write_text(f"[profile p]\ncredential_process = {command}\n")
        refused({**gone, "AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "p"}, told)
    config.write_text("[profile p]\nregion = us-east-1\n")
    told = "no credentials found in profile 'p': set aws_access_key_id and"
    refused({**gone, "AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "p"}, told)
    refused({"AWS_CONFIG_FILE": str(config)}, told, "--profile=p")
    config.chmod(0)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        refused({name: str(config)}, f"{name} '{config}' cannot be read: Permission denied")


def test_nobody_who_signs_nothing_needs_a_program(moto_trial: PutTrial, tmp_path: Path) -> None:
    moto_trial.tree({"f0": 10})
    end = moto_trial.run("--no-sign-request", env=Program("exit 1").environment(tmp_path))
    assert (end.code, set(end.done)) == (0, {"f0"})


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("echo the vault is sealed >&2; exit 1", "failed: the vault is sealed"),
        (f"echo '{{\"Version\": 1, {KEYS}, \"SessionToken\": \"do-not-show-\u00e9\"}}'",
         "SessionToken"),
    ],
)  # fmt: skip
def test_a_program_that_breaks_in_the_middle_ends_the_run(
    moto_trial: PutTrial, tmp_path: Path, then: str, said: str
) -> None:
    """The store calls the first keys expired, and the program has no others."""
    moto_trial.tree({f"f{n:03d}": 10 for n in range(200)})
    moto_trial.inject(Rule(Status(400, "ExpiredToken"), "PUT", skip=20))
    first = f"echo '{{\"Version\": 1, {KEYS}}}'"
    script = f'once="{tmp_path}/once"; if [ -e "$once" ]; then {then}; else : >"$once"; {first}; fi'
    result = moto_trial.start(env=Program(script).environment(tmp_path)).wait(30)
    assert result.code == 3
    last = result.err.splitlines()[-1]
    assert "credential_process" in last
    assert said in last
    assert "do-not-show" not in result.err
    assert len(moto_trial.proxy.hits("PUT")) <= 60


# Clocks


@dataclass(frozen=True)
class Clock(Action):
    """A store whose clock is ``ahead`` of ours, and which bears 15 minutes of difference."""

    ahead: timedelta

    def answer(self, exchange: Exchange) -> Response:
        now = datetime.now(timezone.utc) + self.ahead
        said = exchange.request.header("x-amz-date")
        signed = datetime.strptime(said, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        if abs(now - signed) < timedelta(minutes=15):
            return exchange.forward()
        date = (("Date", format_datetime(now, usegmt=True)),)
        return replace(error(403, "RequestTimeTooSkewed"), headers=date)


@pytest.mark.parametrize(
    ("method", "ahead"), [("", timedelta(hours=1)), ("PUT", timedelta(days=-2))]
)
def test_the_stores_time_is_taken(moto_trial: PutTrial, method: str, ahead: timedelta) -> None:
    contents = moto_trial.tree({f"f{n:02d}": 10 for n in range(40)})
    moto_trial.inject(Rule(Clock(ahead), method))
    check_all_done(moto_trial.run(), moto_trial.bucket, contents)
    # Each of the two putters learns it once, at most from everything it had in flight.
    assert moto_trial.puts() <= 40 + 2 * 4


def test_a_clock_that_cannot_be_followed_ends_the_run(moto_trial: PutTrial) -> None:
    moto_trial.tree({f"f{n}": 10 for n in range(10)})
    moto_trial.inject(Rule(Status(403, "RequestTimeTooSkewed")))
    result = moto_trial.start().wait(20)
    assert result.code == 3
    assert "RequestTimeTooSkewed" in result.err
    assert len(moto_trial.proxy.hits()) <= 10


LARGE = ("--multipart-threshold=5M", "--part-size=5M")
BODIES = {"small": b"s" * 100, "large": bytes(range(256)) * 4096 * 11}  # 11 MiB: three parts


def check_every_verb(
    command: Run, source: Bucket, dest: Bucket, store: Store, *through: str
) -> None:
    """Each verb, over objects sent whole and in parts, ends as if both clocks were right."""

    def run(*arguments: str | Path) -> Result:
        verb, *rest = arguments
        more = through if verb == "copy" else ()
        result = command(verb, *LARGE, *more, *rest, store=store, timeout=90)
        assert result.code == 0, result.err
        return result

    with tempfile.TemporaryDirectory() as parent:
        here, there = Path(parent, "here"), Path(parent, "there")
        here.mkdir()
        for name, body in BODIES.items():
            Path(here, name).write_bytes(body)
        run("put", here, dest.url)
        run("put", here, dest.url)  # by the listing
        run("get", dest.url, there)
        assert read_tree(there) == BODIES == dest.tree()
        Path(here, "names").write_text("small\nlarge\n")
        run("get", "--files-from", here / "names", dest.url, here)
        run("get", f"{dest.url}/small", there / "exact")
        assert (there / "exact").read_bytes() == BODIES["small"], "found out by our own listing"
        run("copy", source.url, f"{dest.url}/copied")
        assert dest.tree() == BODIES | {f"copied/{key}": body for key, body in BODIES.items()}
        assert "large" in command("list", f"{dest.url}/large", store=store).out
        upload = {"Bucket": dest.name, "Key": "unfinished"}
        dest.client.create_multipart_upload(**upload)
        told = command("clean", "--older-than=2100-01-01", dest.url, store=store)
        assert (told.code, told.out.partition(" (")[0]) == (0, "clean 1 upload"), told


@pytest.mark.parametrize("both", [True, False], ids=["between two", "by the store"])
def test_a_wrong_clock_stops_no_verb(
    s3pp: Run, make_proxy: Callable[[Store], FaultProxy], moto: Store, both: bool
) -> None:
    """A HEAD is refused without a word; a GET says why. Of two stores each has its own time."""
    proxy, source_proxy = make_proxy(moto), make_proxy(moto)
    proxy.inject(Rule(Clock(timedelta(hours=1))))
    source_proxy.inject(Rule(Clock(timedelta(hours=-2))))
    source, dest = moto.bucket(), moto.bucket()
    source.put("small", BODIES["small"])
    source.put_multipart("large", BODIES["large"][: 5 << 20], BODIES["large"][5 << 20 :])
    through = (f"--source-endpoint-url={source_proxy.url}",) if both else ()
    check_every_verb(s3pp, source, dest, replace(moto, url=proxy.url), *through)


SHIFTED = """
import datetime, time
SHIFT = {seconds}
_time, _Datetime = time.time, datetime.datetime
time.time = lambda: _time() + SHIFT

class _Kind(type):
    def __instancecheck__(cls, thing):
        return isinstance(thing, _Datetime)

class Shifted(_Datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz=None):
        return _Datetime.now(tz) + datetime.timedelta(seconds=SHIFT)

    @classmethod
    def utcnow(cls):
        return _Datetime.utcnow() + datetime.timedelta(seconds=SHIFT)

datetime.datetime = Shifted
"""


@pytest.mark.swift
@pytest.mark.thorough
@pytest.mark.parametrize("hours", [-3, 5])
def test_a_store_that_checks_is_signed_for_by_its_own_clock(
    s3pp: Run, swift: Store, tmp_path: Path, hours: int
) -> None:
    """The clock of the whole command is wrong, and no signature of it is good at first."""
    (tmp_path / "sitecustomize.py").write_text(SHIFTED.format(seconds=hours * 3600))
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    source, dest = swift.bucket(), swift.bucket()
    for key, body in BODIES.items():
        source.put(key, body)
    check_every_verb(partial(s3pp, env=env), source, dest, swift)


def test_forbidden_keys_do_not_cost_a_get_each(moto_trial: PutTrial) -> None:
    """Where nobody may list or read, each HEAD is refused; one worker asks once why."""
    contents = moto_trial.tree({f"f{n:02d}": 10 for n in range(40)})
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "GET|HEAD"))
    check_all_done(moto_trial.run("--mode=update"), moto_trial.bucket, contents)
    assert moto_trial.count("HEAD") == 40
    assert len(moto_trial.proxy.hits("GET", "/f")) <= 2
