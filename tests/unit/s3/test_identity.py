"""Credentials: what of them can be used, and what is said of those that cannot."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import CredentialRetrievalError
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Access, Keys
from s3pp.errors import FatalError, UsageError
from s3pp.job import Job
from s3pp.s3 import identity
from s3pp.s3.identity import (
    MOST_SAID,
    Identity,
    last_words,
    process_fault,
    process_of,
    program,
    shorten,
)
from s3pp.s3.plain_session import Options, Unfit, forget_empty, plain_settings, unfit_parts
from s3pp.s3.session import Session

SECRET = "do-not-show-this-value"
PROCESS = "custom-process"

# What can be used


@pytest.mark.parametrize(
    ("keys", "unfit"),
    [
        (Keys("AKID", "secret"), {}),
        (Keys("AKID", "secret", "token/+=="), {}),
        (Keys("AKID", "secret", ""), {}),
        (Keys("AKID", "gehäuse", None), {"secret_key": Unfit.TEXT}),
        (Keys._make([None, 5, {}]), {"access_key": Unfit.ABSENT, "secret_key": Unfit.OTHER,
                             "token": Unfit.OTHER}),  # as a program may print them
        (Keys("", "secret"), {"access_key": Unfit.EMPTY}),
        (Keys("AKID", ""), {"secret_key": Unfit.EMPTY}),
        (Keys("AK\nID", "secret"), {"access_key": Unfit.HEADER}),
        (Keys("AKID", "sec\nret"), {"secret_key": Unfit.TEXT}),
        (Keys("AKID", "sec\udce9ret"), {"secret_key": Unfit.TEXT}),
        (Keys("AKID", "secret", "to\r\nken"), {"token": Unfit.HEADER}),
        (Keys("AKID", "secret", "tokén"), {"token": Unfit.HEADER}),
        (Keys("AKID", "secret", "to\x7fken"), {"token": Unfit.HEADER}),
        (Keys("Ä", "\x00", "\t"), dict.fromkeys(("access_key", "token"), Unfit.HEADER)
         | {"secret_key": Unfit.TEXT}),
    ],
)  # fmt: skip
def test_unfit_parts(keys: Keys, unfit: dict[str, Unfit]) -> None:
    assert dict(unfit_parts(keys)) == unfit


@given(st.text(), st.text(), st.text())
def test_what_is_fit_can_be_sent(access: str, secret: str, token: str) -> None:
    keys = Keys(access, secret, token)
    unfit = dict(unfit_parts(keys))
    for part in ("access_key", "token"):
        if part not in unfit:
            assert all(" " <= each <= "~" for each in getattr(keys, part))
    if "secret_key" not in unfit:
        secret.encode()


def test_a_variable_that_is_empty_is_as_if_unset() -> None:
    environ = {
        "AWS_PROFILE": "",
        "AWS_SESSION_TOKEN": " ",
        "AWS_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": "",
        "OTHER": "",
    }
    forget_empty(environ)
    assert environ == {"AWS_REGION": "eu-west-1", "AWS_CONFIG_FILE": "", "OTHER": ""}


# Programs that give credentials


@pytest.mark.parametrize(
    ("name", "found"),
    [("own", "/a"), ("role", "/a"), ("chain", "/a"), ("loop", None), ("none", None), ("?", None)],
)
def test_the_program_of_a_profile_is_found_over_its_sources(name: str, found: str | None) -> None:
    profiles = {
        "own": {"credential_process": "/a"},
        "role": {"role_arn": "arn", "source_profile": "own"},
        "chain": {"role_arn": "arn", "source_profile": "role"},
        "loop": {"role_arn": "arn", "source_profile": "loop"},
        "none": {"region": "x"},
    }
    assert process_of(profiles, name) == found


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("/opt/keys", "'/opt/keys'"),
        (f"/opt/keys --password {SECRET}", "'/opt/keys' …"),
        (f'"/opt/my keys" {SECRET}', "'/opt/my keys' …"),
        (f"/opt/keys '{SECRET}", "'/opt/keys' …"),
        ("", "''"),
    ],
)
def test_of_a_command_the_program_is_named_and_no_argument(command: str, named: str) -> None:
    assert program(command) == named


@pytest.mark.parametrize(
    ("error", "said", "told"),
    [
        (FileNotFoundError(2, "No such file or directory"), "", "cannot be run: No such file"),
        (PermissionError(13, "Permission denied"), "", "cannot be run: Permission denied"),
        (json.JSONDecodeError("x", SECRET, 0), "", "did not print credentials as JSON"),
        (CredentialRetrievalError(provider=PROCESS, error_msg="x"), "log\nin", "failed: in"),
        (CredentialRetrievalError(provider=PROCESS, error_msg=""), " ", "failed without a message"),
        (AttributeError(SECRET), "", "did not print credentials as JSON"),
        (TypeError(SECRET), "", "printed an Expiration that is not a time"),
    ],
)
def test_what_is_said_of_a_program(error: Exception, said: str, told: str) -> None:
    fault = process_fault(error, said)
    assert fault.startswith(told)
    assert SECRET not in fault


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("starting\nplease log in\n\n", "please log in"),
        ("bad password hunter22\n", "bad password …"),
        ("+ curl -H X-Vault-Token:s.AbCdEf0123456789AbCd", "+ curl -H X-Vault-Token:s.…"),
        ("key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY refused", "key … refused"),
        ("/opt/vault/agent: no such file", "/opt/vault/agent: no such file"),
        ("", ""),
    ],
)
def test_of_what_a_program_wrote_the_last_line_is_shown(said: str, told: str) -> None:
    assert last_words(said, "/bin/give-keys --password hunter22 -x a") == told


def test_what_others_say_is_kept_short_and_on_one_line() -> None:
    assert shorten("a\n  b\t") == "a b"
    assert len(shorten("x" * 10_000)) == MOST_SAID + 1


# Whole identities, as a profile and the environment make them

Profile = Callable[..., None]


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Profile:
    """``profile(text)``: what the AWS configuration says; nothing in the environment does."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    def write(text: str) -> None:
        (tmp_path / "config").write_text(text)

    return write


def test_white_space_around_keys_is_none_of_theirs(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", " AKID\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret\r\n")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "\ttoken ")
    assert Identity(Access(), Options()).keys() == Keys("AKID", "secret", "token")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "\n")
    found = Identity(Access(), Options()).keys()
    assert found is not None
    assert not found.token


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_ACCESS_KEY_ID", "do-not-show\nthis-value"),
        ("AWS_SECRET_ACCESS_KEY", "do-not-show\x00this".replace("\x00", "\x01")),
        ("AWS_SESSION_TOKEN", "do-not-show-thís-value"),
        ("AWS_SECURITY_TOKEN", "do-not-show\rthis-value"),
        ("AWS_ACCESS_KEY_ID", " \t "),
    ],
)
def test_a_variable_is_named_and_its_value_is_not(
    profile: Profile, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(identity, "forget_empty", lambda environ: None)
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as caught:
        Identity(Access(), Options()).keys()
    assert str(caught.value).startswith(f"{variable} ")
    assert "do-not-show" not in str(caught.value)


def test_a_profiles_setting_is_named(profile: Profile) -> None:
    profile(
        "[profile work]\naws_access_key_id = AKID\naws_secret_access_key = secret\n"
        "aws_session_token = do-not-show-thís-value\n"
    )
    with pytest.raises(UsageError, match=r"^aws_session_token of profile 'work' ") as caught:
        Identity(Access(profile="work"), Options()).keys()
    assert "do-not-show" not in str(caught.value)


def test_a_service_that_refuses_to_give_keys_ends_the_run(profile: Profile) -> None:
    """A role's keys are fetched when they are first needed, by a client of its own."""
    profile(
        "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = own\n"
        "endpoint_url = http://127.0.0.1:9\nregion = us-east-1\nmax_attempts = 1\n"
        "[profile own]\naws_access_key_id = AKID\naws_secret_access_key = secret\n"
        "endpoint_url = http://127.0.0.1:9\n"
    )
    with pytest.raises(FatalError, match="no credentials for profile 'work'"):
        Identity(Access(profile="work"), Options()).keys()


# Keys that a job gives


def test_given_keys_win(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    profile("[profile work]\naws_access_key_id = FILE\naws_secret_access_key = of the file\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")  # half a pair, which would be an error
    access = Access(profile="work", credentials=Keys(" GIVEN", "secret\n", None))
    found = Identity(access, Options())
    assert found.keys() == Keys("GIVEN", "secret")
    assert Identity(replace(access, sign=False), Options()).keys() is None


@given(
    st.tuples(st.text(), st.text(), st.none() | st.text()).map(Keys._make),
    st.sampled_from(["{}", "{!r}", "{!s}"]),
)
def test_nothing_shows_keys(keys: Keys, form: str) -> None:
    job = Job("list", access=Access(credentials=keys))
    assert form.format(keys) == "Keys(…)"
    assert form.format(job) == form.format(replace(job, access=Access(credentials=Keys("", ""))))
    assert pickle.loads(pickle.dumps(job)) == job


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (Keys("do-not-show\nthis", "secret"), "the AccessKeyId given has a line end"),
        (Keys("AKID", "do-not-shöw"), "the SecretAccessKey given has a line end"),
        (Keys("AKID", "  "), "the SecretAccessKey given is empty"),
        (Keys("AKID", "secret", "do-not-show\x7f"), "the SessionToken given has a line end"),
        (Keys("AKID", None), "the SecretAccessKey given is missing"),  # type: ignore[arg-type]
    ],
)
def test_given_keys_that_are_unfit_are_named_and_not_shown(
    profile: Profile, keys: Keys, named: str
) -> None:
    assert plain_settings(Access(credentials=keys), "bucket", {}) is None
    with pytest.raises(UsageError) as caught:
        Identity(Access(credentials=keys), Options()).keys()
    assert str(caught.value).startswith(named)
    assert "do-not-sh" not in str(caught.value)


def test_given_keys_have_no_others(profile: Profile) -> None:
    session = Session(Access(credentials=Keys("AKID", "secret"), region="eu-west-1"), "bucket")
    assert session.keys() == Keys("AKID", "secret")
    with pytest.raises(UsageError, match="given as they are: run again with new ones, or name"):
        session.renew()
