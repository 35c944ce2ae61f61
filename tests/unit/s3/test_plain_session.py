"""What is found without botocore, held against what botocore finds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import MakeRelay
from effort import examples
from s3pp.access import Access, Keys
from s3pp.errors import S3ppError, UsageError
from s3pp.places import parse_origin
from s3pp.s3.boto_session import BotoSession
from s3pp.s3.plain_session import plain_settings
from s3pp.s3.session import Session
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}
BUCKET = "bucket-1"

regions = st.sampled_from(["us-east-1", "eu-west-1", "ap-southeast-3", "us-gov-west-1", "garage"])
urls = st.sampled_from(
    [
        "http://127.0.0.1:9000",
        "https://minio.example.org/",
        "http://localhost:4566",
        "https://store.example.org:443",
        "https://s3.eu-west-1.amazonaws.com",
        "http://store.example.org/under/a/path",
        "HTTP://Store.example.org",
    ]
)
names = st.sampled_from(["default", "one", "two"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the files of one configuration at a time."""
    return tmp_path_factory.mktemp("aws")


@pytest.fixture(autouse=True)
def environment(home: Path) -> Iterator[None]:
    """An environment without AWS variables or files, put back afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", str(home / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
        for name in ("config", "credentials"):
            (home / name).unlink(missing_ok=True)
        yield


def section(name: str, values: dict[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in values.items()), ""])


profile_keys = st.fixed_dictionaries(
    {"aws_access_key_id": st.just("FILE"), "aws_secret_access_key": st.just("of a file")},
    optional={"aws_session_token": st.just("token"), "region": regions},
)
profile_settings = st.fixed_dictionaries(
    {},
    optional={
        "region": regions,
        "endpoint_url": urls,
        "output": st.just("json"),
        "retry_mode": st.just("adaptive"),
        "max_attempts": st.just("7"),
        "request_checksum_calculation": st.just("when_required"),
        "aws_access_key_id": st.just("CONFIG"),
        "aws_secret_access_key": st.just("of the configuration"),
        "use_fips_endpoint": st.just("true"),
        "s3": st.just("\n  addressing_style = virtual"),
        "role_arn": st.just("arn:aws:iam::123456789012:role/r"),
        "sso_session": st.just("one"),
        "credential_process": st.just("/bin/false"),
    },
)
variables = st.fixed_dictionaries(
    {},
    optional={
        "AWS_ACCESS_KEY_ID": st.sampled_from(["AKID", ""]),
        "AWS_SECRET_ACCESS_KEY": st.just("secret"),
        "AWS_SESSION_TOKEN": st.just("session"),
        "AWS_REGION": regions,
        "AWS_DEFAULT_REGION": regions,
        "AWS_ENDPOINT_URL": urls,
        "AWS_ENDPOINT_URL_S3": urls,
        "AWS_PROFILE": names,
        "AWS_CA_BUNDLE": st.just("/etc/ssl/certs/ca-certificates.crt"),
        "AWS_USE_DUALSTACK_ENDPOINT": st.just("true"),
        "AWS_RETRY_MODE": st.just("standard"),
        "AWS_MAX_ATTEMPTS": st.just("2"),
        "AWS_SDK_LOAD_CONFIG": st.just("1"),
        "AWS_EXECUTION_ENV": st.just("CloudShell"),
        "https_proxy": st.just("http://user:password@proxy.example.org:3128"),
        "no_proxy": st.sampled_from(["127.0.0.1", "example.org"]),
    },
)
accesses = st.builds(
    Access,
    endpoint_url=st.none() | urls,
    region=st.none() | regions,
    profile=st.none() | names,
    sign=st.booleans(),
    addressing=st.sampled_from([None, "auto", "path", "virtual"]),
    own_settings=st.booleans(),
    credentials=st.sampled_from(
        [None, None, Keys(" GIVEN", "by the job\n", "token"), Keys("G", "b")]
    ),
)


@settings(deadline=None, max_examples=examples(300))
@given(
    access=accesses,
    environ=variables,
    config=st.dictionaries(names, profile_settings, max_size=2),
    credentials=st.dictionaries(names, profile_keys, max_size=2),
    bucket=st.sampled_from([BUCKET, "with.dots", "b-s3alias", "express--use1-az4--x-s3"]),
)
def test_what_is_plain_is_what_botocore_finds(
    home: Path,
    access: Access,
    environ: dict[str, str],
    config: dict[str, dict[str, str]],
    credentials: dict[str, dict[str, str]],
    bucket: str,
) -> None:
    """Files, variables and options in any combination."""
    titles = {name: "default" if name == "default" else f"profile {name}" for name in config}
    sections = [section(titles[name], values) for name, values in config.items()]
    (home / "config").write_text("".join(sections))
    (home / "credentials").write_text("".join(section(*each) for each in credentials.items()))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        plain = plain_settings(access, bucket, os.environ)
        if plain is not None:
            found = BotoSession(access, bucket).open_unverified()
            assert (plain.opened, plain.keys) == (found, found.keys)


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "eu-central-1", "ap-south-1"])
def test_a_bucket_of_aws_with_keys_of_the_environment_is_plain(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule above would hold if nothing ever were plain."""
    for name, value in {**KEYS, "AWS_REGION": region}.items():
        monkeypatch.setenv(name, value)
    plain = plain_settings(Access(), BUCKET, os.environ)
    assert plain is not None
    assert plain.opened == BotoSession(Access(), BUCKET).open_unverified()


def test_a_written_profile_is_plain(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "credentials").write_text(
        section("default", {"aws_access_key_id": "FILE", "aws_secret_access_key": "of a file"})
    )
    (home / "config").write_text(section("default", {"region": "eu-west-1", "output": "json"}))
    plain = plain_settings(Access(), BUCKET, os.environ)
    assert plain is not None
    assert plain.keys == Keys("FILE", "of a file")
    assert plain.endpoint.region == "eu-west-1"
    (home / "config").write_text("[default\n")
    assert plain_settings(Access(), BUCKET, os.environ) is None


@pytest.mark.parametrize(
    "setting",
    [
        "role_arn = arn:aws:iam::123456789012:role/r",
        "source_profile = other",
        "credential_source = Environment",
        "web_identity_token_file = /token",
        "credential_process = /bin/false",
        "sso_session = company",
        "sso_start_url = https://company.awsapps.com/start",
        "login_session = arn:aws:iam::123456789012:user/u",
        "services = mine",
        "use_dualstack_endpoint = true",
        "use_fips_endpoint = true",
        "ca_bundle = /certificates",
        "s3 =\n  addressing_style = virtual",
    ],
)
def test_a_profile_with_anything_else_is_left_to_botocore(
    setting: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though keys and a region are written beside it."""
    usual = {**{name.lower(): value for name, value in KEYS.items()}, "region": "eu-west-1"}
    (home / "config").write_text(section("profile work", usual))
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert plain_settings(Access(), BUCKET, os.environ) is not None
    (home / "config").write_text(f"{section('profile work', usual)}{setting}\n")
    assert plain_settings(Access(), BUCKET, os.environ) is None


@pytest.mark.parametrize(
    "bucket",
    [
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/point",
        "arn:aws:s3::123456789012:accesspoint/point.mrap",
        "point-123456789012-s3alias",
        "express--use1-az4--x-s3",
        "with.dots",
        "Upper",
    ],
)
def test_an_unusual_bucket_is_left_to_botocore(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in KEYS.items():
        monkeypatch.setenv(*each)
    assert plain_settings(Access(), BUCKET, os.environ) is not None
    assert plain_settings(Access(), bucket, os.environ) is None


@pytest.mark.parametrize("addressing", [None, "auto", "path", "virtual"])
@pytest.mark.parametrize("url", [None, "https://store.example.org:9000", "http://localhost:9000"])
def test_each_way_to_name_a_bucket_is_plain(
    addressing: str | None, url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in KEYS.items():
        monkeypatch.setenv(*each)
    access = Access(addressing=addressing, endpoint_url=url)
    plain = plain_settings(access, BUCKET, os.environ)
    assert plain is not None
    assert plain.opened == BotoSession(access, BUCKET).open_unverified()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ("AWS_SECURITY_TOKEN", "token"),
        ("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "regional"),
        ("AWS_SECRET_ACCESS_KEY", "with\na line end"),
        ("AWS_REGION", "not a region"),
        ("AWS_PROFILE", "unknown"),
    ],
)
def test_what_is_unusual_or_wrong_is_left_to_botocore(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in [*KEYS.items(), (name, value)]:
        monkeypatch.setenv(*each)
    assert plain_settings(Access(), BUCKET, os.environ) is None


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("value", ["store.example.org", "localhost:9000", "ftp://store", "http:"])
def test_a_variable_that_names_no_endpoint_is_an_error(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in [*KEYS.items(), (name, value)]:
        monkeypatch.setenv(*each)
    with pytest.raises(UsageError, match=f"^{name} '{value}' is not of the form http"):
        plain_settings(Access(), BUCKET, os.environ)
    plain_settings(Access(endpoint_url="http://store"), BUCKET, os.environ)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    plain_settings(Access(), BUCKET, os.environ)


def test_a_proxy_that_cannot_be_used_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in [*KEYS.items(), ("https_proxy", "socks5://proxy.example.org")]:
        monkeypatch.setenv(*each)
    with pytest.raises(UsageError, match="https_proxy"):
        plain_settings(Access(), BUCKET, os.environ)


# With a store


@pytest.fixture
def account(moto_server: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the store, in the environment."""
    for name, value in moto_server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def stocked(moto_server: Store) -> Bucket:
    """A bucket with all that an origin can mean in it."""
    bucket = moto_server.bucket()
    for key in ("single", "both", "both/a", "dir/a", "dir/b"):
        bucket.put(key, b"x")
    return bucket


def outcome(session: Session | BotoSession, source: str) -> object:
    try:
        return session.open_source(parse_origin(source))
    except S3ppError as refusal:
        return str(refusal)


@pytest.mark.parametrize("source", ["", "/dir", "/single", "/both", "/nothing", "/dir/*"])
@pytest.mark.usefixtures("account")
def test_a_source_is_the_same_with_botocore_and_without(stocked: Bucket, source: str) -> None:
    access = Access(endpoint_url=stocked.store.url)
    asked = f"{stocked.url}{source}"
    quick, whole = Session(access, stocked.name), BotoSession(access, stocked.name)
    assert outcome(quick, asked) == outcome(whole, asked)


@pytest.mark.usefixtures("account")
def test_a_plain_bucket_costs_one_request(relay: MakeRelay, moto_bucket: Bucket) -> None:
    between = relay(moto_bucket.store)
    session = Session(Access(endpoint_url=between.url, request_payer=True), moto_bucket.name)
    assert session.open("a b/").listable
    (request,) = between.requests
    assert request.target.endswith("?list-type=2&max-keys=1&prefix=a%20b%2F")
    assert request.headers["x-amz-request-payer"] == "requester"
    assert "Authorization" in request.headers or "authorization" in request.headers


ELSEWHERE = [("x-amz-bucket-region", "eu-west-9")]
ODD = {
    "refused": error(403, "AccessDenied"),
    "no listing": Answer(200, [], b"<html>welcome</html>"),
    "elsewhere": Answer(200, ELSEWHERE, b"<ListBucketResult></ListBucketResult>"),
    "cut off": Answer(200, [], b"<ListBucketResult><IsTruncated>true</IsTruncated>"),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.usefixtures("account")
def test_any_other_first_answer_is_left_to_botocore(
    relay: MakeRelay, moto_bucket: Bucket, odd: str
) -> None:
    answers = [ODD[odd]]

    def first(_: Request) -> Answer | None:
        return answers.pop() if answers else None

    between = relay(moto_bucket.store, intercept=first)
    opened = Session(Access(endpoint_url=between.url), moto_bucket.name).open("")
    assert (opened.listable, len(between.requests)) == (True, 2)


@pytest.mark.parametrize("host", [f"{'a' * 64}.example.org", "127.0.0.1:99999", "nowhere.invalid"])
@pytest.mark.usefixtures("account")
def test_a_host_that_cannot_exist_is_explained_by_botocore(host: str) -> None:
    access = Access(endpoint_url=f"http://{host}", max_attempts=1)
    assert plain_settings(access, BUCKET, os.environ) is not None
    with pytest.raises(S3ppError):
        Session(access, BUCKET).open("")


def test_keys_that_changed_in_the_file_are_read_again(home: Path) -> None:
    def write(secret: str) -> None:
        values = {"aws_access_key_id": "FILE", "aws_secret_access_key": secret}
        (home / "credentials").write_text(section("default", values))

    (home / "config").write_text("")
    write("old")
    session = Session(Access(), BUCKET)
    assert session.renew() is None
    write("new")
    assert session.renew() == session.keys() == Keys("FILE", "new")
    (home / "config").write_text("[default]\ns3 =\n  addressing_style = path\n")
    write("newest")
    assert session.renew() == session.keys() == Keys("FILE", "newest")
