"""Finding the buckets of a run, against a real server; refusals come from a relay before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.endpoint
import botocore.session
import pytest

from conftest import MakeRelay
from s3pp.access import Access
from s3pp.errors import FatalError, S3ppError, UsageError
from s3pp.places import parse_origin
from s3pp.s3.boto_session import BotoSession
from s3pp.s3.endpoint import Opened
from s3pp.s3.identity import own_settings, shown_profile
from s3pp.s3.plain_session import Options
from stores.ports import free_port
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store


@pytest.fixture(scope="module", autouse=True)
def _credentials(moto_server: Store) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, "/nowhere")
        for name, value in moto_server.environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def signed_in(_credentials: None) -> BotoSession:
    """A session to sign in like: boto3 takes its time over that."""
    return BotoSession(Access(), "another-bucket")


@pytest.fixture(scope="module")
def stocked(moto_server: Store) -> Bucket:
    """A bucket with all that an origin can mean in it."""
    bucket = moto_server.bucket()
    for key in ("single", "both", "both/a", "dir/a", "dir/b", "logs-1", "logs-2/a", "marker/"):
        bucket.put(key, b"x")
    return bucket


Open = Callable[..., Opened]


@pytest.fixture
def opened(signed_in: BotoSession) -> Open:
    """``opened(bucket, "/prefix", url=…, **access)``: as a session opens that source.

    ``url`` is used in place of the store's own.
    """

    def begin(bucket: Bucket, source: str, url: str | None = None, **access: Any) -> Opened:
        reached = Access(endpoint_url=url or bucket.store.url, max_attempts=1, **access)
        origin = parse_origin(f"{bucket.url}{source}")
        return BotoSession(reached, bucket.name, like=signed_in).open_source(origin)

    return begin


@pytest.fixture
def refused(opened: Open) -> Callable[..., S3ppError]:
    """Why ``opened`` refuses, in one line."""

    def begin(*arguments: Any) -> S3ppError:
        with pytest.raises(S3ppError) as caught:
            opened(*arguments)
        assert "\n" not in str(caught.value)
        return caught.value

    return begin


Refused = Callable[..., S3ppError]

# What an origin means


@pytest.mark.parametrize(
    ("source", "single"),
    [
        ("", False),
        ("/dir", False),
        ("/dir/", False),
        ("/single", True),
        ("/single/", True),
        ("/both", False),  # what lies below the prefix goes before the object of its name
        ("/marker", False),
        ("/dir/a", True),
        ("/logs*", False),
        ("/logs-1*", False),  # an object that begins so is one of those that do
        ("/dir/*", False),
    ],
)
def test_an_origin_is_what_lies_below_it_or_one_object(
    opened: Open, source: str, single: bool, stocked: Bucket
) -> None:
    found = opened(stocked, source)
    assert (found.single, found.listable) == (single, True)


def test_an_empty_bucket_holds_nothing_and_is_there(opened: Open, moto_bucket: Bucket) -> None:
    found = opened(moto_bucket, "")
    assert (found.single, found.listable) == (False, True)


@pytest.mark.parametrize("source", ["/nothing", "/singl", "/nothing*", "/single/*", "/dir/c"])
def test_an_origin_that_means_nothing_is_empty(opened: Open, source: str, stocked: Bucket) -> None:
    found = opened(stocked, source)
    assert (found.empty, found.single, found.listable) == (True, False, True)


def test_a_bucket_that_does_not_exist_is_a_mistake(refused: Refused, stocked: Bucket) -> None:
    error = refused(Bucket(stocked.store, "there-is-no-such"), "/single")
    assert isinstance(error, UsageError)
    assert "there-is-no-such" in str(error)


def test_the_endpoint_is_the_buckets(opened: Open, stocked: Bucket) -> None:
    found = opened(stocked, "/single", region="eu-west-1")
    assert f"{found.endpoint.scheme}://{found.endpoint.host}" == stocked.store.url
    assert (found.endpoint.base, found.endpoint.bucket) == (f"/{stocked.name}", stocked.name)
    assert found.endpoint.region == "eu-west-1"
    assert found.keys is not None
    assert found.keys.access_key == stocked.store.access_key


def test_an_anonymous_source_has_no_keys(opened: Open, stocked: Bucket) -> None:
    assert opened(stocked, "/dir", sign=False).keys is None


# Stores that do not let us list


Before = Callable[..., str]


@pytest.fixture
def before(relay: MakeRelay, stocked: Bucket) -> Before:
    """``before(listing, head=…)``: the URL of the store with these answers to either."""

    def begin(listing: Answer | None, head: Answer | None = None) -> str:
        def intercept(request: Request) -> Answer | None:
            return listing if request.of_bucket else head

        return relay(stocked.store, intercept=intercept).url

    return begin


DENIED = error(403, "AccessDenied", message="not for you")


def test_one_object_can_be_read_where_nobody_may_list(
    opened: Open, before: Before, stocked: Bucket
) -> None:
    found = opened(stocked, "/single", before(DENIED))
    assert (found.single, found.listable) == (True, False)


@pytest.mark.parametrize("source", ["", "/dir", "/dir*", "/nothing"])
@pytest.mark.parametrize("listing", [DENIED, error(501, "NotImplemented")], ids=["403", "501"])
def test_nothing_else_can(
    refused: Refused, listing: Answer, source: str, before: Before, stocked: Bucket
) -> None:
    refusal = refused(stocked, source, before(listing))
    assert isinstance(refusal, FatalError)
    place = str(parse_origin(f"{stocked.url}{source}"))
    denied = listing is DENIED
    began = f"access denied: ListBucket on {place}" if denied else f"cannot list {place}"
    assert str(refusal).startswith(f"{began}: ")


def test_an_object_that_is_refused_as_well_is_none(
    refused: Refused, before: Before, stocked: Bucket
) -> None:
    refusal = refused(stocked, "/single", before(DENIED, Answer(403)))
    assert isinstance(refusal, FatalError)
    assert str(refusal).startswith(f"access denied: HEAD {stocked.url}/single (403)")
    assert "not for you" in str(refusal), "the store's own words"


def test_an_object_that_is_only_listed_exists(
    opened: Open, refused: Refused, before: Before, stocked: Bucket
) -> None:
    url = before(None, Answer(403))
    found = opened(stocked, "/single", url)
    assert (found.single, found.listable) == (True, True)
    for absent in ("/singl", "/nothing"):
        assert opened(stocked, absent, url).empty


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(403, "InvalidAccessKeyId"), "credentials"),
        (error(403, "SignatureDoesNotMatch"), "credentials"),
        (error(400, "ExpiredToken"), "credentials"),
        (error(500, "InternalError"), "InternalError"),
        (Answer(500), "HTTP 500 Internal Server Error without an S3 error body"),
        (Answer(502, body=b"<html>Bad Gateway</html>"), "HTTP 502 Bad Gateway without an S3"),
    ],
    ids=["key", "signature", "token", "500", "bare", "proxy"],
)
def test_what_no_request_would_survive_ends_the_run(
    refused: Refused, answer: Answer, words: str, before: Before, stocked: Bucket
) -> None:
    refusal = refused(stocked, "/dir", before(answer))
    assert isinstance(refusal, FatalError)
    assert words in str(refusal)
    assert "None" not in str(refusal)
    assert " at http://127.0.0.1:" in str(refusal), "which store says so"


@pytest.mark.parametrize(
    ("headers", "tail"),
    [
        ((("x-amz-bucket-region", "eu-west-7"),), "use --region eu-west-7"),
        ((), "give the bucket's --region or --endpoint-url"),
    ],
)
def test_a_bucket_in_another_region_is_named_with_it(
    refused: Refused,
    headers: tuple[tuple[str, str], ...],
    tail: str,
    before: Before,
    stocked: Bucket,
) -> None:
    moved = error(301, "PermanentRedirect", *headers, message="ask there")
    refusal = refused(stocked, "/dir", before(moved))
    assert isinstance(refusal, UsageError)
    assert f"s3://{stocked.name}" in str(refusal)
    assert str(refusal).endswith(tail)


@pytest.mark.parametrize("source", ["", "/dir", "/single", "/nothing"])
def test_under_a_skewed_clock_the_walker_has_to_find_out(
    opened: Open, source: str, before: Before, stocked: Bucket
) -> None:
    """boto3 cannot take the store's time; our own requests can."""
    found = opened(stocked, source, before(error(403, "RequestTimeTooSkewed")))
    assert found.listable
    assert found.single is None


def test_the_requester_pays_for_the_probes_as_well(
    opened: Open, relay: MakeRelay, stocked: Bucket
) -> None:
    between = relay(stocked.store)
    opened(stocked, "/single", between.url, request_payer=True)
    assert [each.method for each in between.requests] == ["GET", "HEAD"]
    assert {each.headers.get("x-amz-request-payer") for each in between.requests} == {"requester"}


# The destination


def test_a_destination_needs_nothing_in_it(relay: MakeRelay, moto_bucket: Bucket) -> None:
    between = relay(moto_bucket.store)
    session = BotoSession(Access(endpoint_url=between.url), moto_bucket.name)
    assert session.open("p/").listable
    (request,) = between.requests
    assert "prefix=p%2F" in request.target
    assert "max-keys=1" in request.target


def test_a_destination_may_be_written_and_not_listed(before: Before, stocked: Bucket) -> None:
    session = BotoSession(Access(endpoint_url=before(DENIED), max_attempts=1), stocked.name)
    assert not session.open("").listable


# Two sides


@pytest.fixture
def sign_ins(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The profiles signed in with."""
    found: list[str | None] = []
    real = botocore.session.Session

    def sign_in(profile: str | None = None) -> Any:
        found.append(profile)
        return real()

    monkeypatch.setattr("s3pp.s3.identity.botocore.session.Session", sign_in)
    return found


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        (Access(), Access(endpoint_url="http://127.0.0.1:9", region="eu-west-1"), 1),
        (Access(profile="a"), Access(profile="a"), 1),
        (Access(profile="a"), Access(profile="b"), 2),
        (Access(), Access(sign=False), 2),
    ],
)
def test_two_sides_of_one_profile_sign_in_once(
    first: Access, second: Access, count: int, sign_ins: list[str | None]
) -> None:
    one = BotoSession(first, "bucket")
    other = BotoSession(second, "other", like=one)
    assert len(sign_ins) == count
    assert (other.keys() is None) == (not second.sign)


@pytest.mark.parametrize(
    ("access", "options", "named"),
    [
        (Access(profile="nobody"), Options(), "--profile: "),
        (Access(profile="nobody"), Options("--source-profile"), "--source-profile: "),
    ],
)
def test_a_profile_is_blamed_on_the_option_that_gave_it(
    access: Access, options: Options, named: str
) -> None:
    with pytest.raises(UsageError, match=r"nobody.*list-profiles") as caught:
        BotoSession(access, "bucket", options=options)
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nobody", True),
        ("me@example.org", True),
        ("AdministratorAccess-123456789012", True),
        ("production_read.only 2", True),
        ("AKIAIOSFODNN7EXAMPLE", False),
        ("AKIAIOSFODNNSEXAMPLE", False),
        ("AK:SK", False),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", False),
        ("profile-wJalrXUtnFEMIaK7MDENGbbPxRfiCYEXAMPLEKEY", False),
        ("0123456789abcdef0123", False),
        ("x" * 65, False),
        ("", False),
    ],
)
def test_a_profile_that_may_be_a_key_is_not_shown(name: str, shown: bool) -> None:
    assert (name in shown_profile(name) and name != "") == shown


def test_a_key_in_place_of_a_profile_is_not_shown() -> None:
    with pytest.raises(
        UsageError, match=r"^--profile: the profile that is named \(it may"
    ) as caught:
        BotoSession(Access(profile="AKID:SeCrEt"), "bucket")
    assert "SeCrEt" not in str(caught.value)


def test_or_on_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UsageError, match=r"^AWS_PROFILE: "):
        BotoSession(Access(), "bucket")


def test_credentials_that_are_missing_are_mended_by_the_sides_own_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for options, named in ((Options(), " --profile"), (Options(prefix="--source-"), " --source-p")):
        with pytest.raises(UsageError, match=f"name a{named}"):
            BotoSession(Access(), "bucket", options=options)


@pytest.mark.parametrize("option", ["--endpoint-url", "--source-endpoint-url"])
def test_an_endpoint_where_nobody_answers_is_named_with_its_option(
    option: str, signed_in: BotoSession
) -> None:
    access = Access(endpoint_url=f"http://127.0.0.1:{free_port()}", max_attempts=1)
    session = BotoSession(access, "bucket", like=signed_in, options=Options(endpoint_url=option))
    with pytest.raises(FatalError) as caught:
        session.open("p/")
    told = f"{option} {access.endpoint_url} cannot be reached: connection refused"
    assert str(caught.value) == told


def test_a_wrong_address_ends_the_run_soon_however_many_attempts_are_allowed(
    signed_in: BotoSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(botocore.endpoint.time, "sleep", waits.append)
    access = Access(endpoint_url=f"http://127.0.0.1:{free_port()}", max_attempts=1000)
    with pytest.raises(FatalError, match="connection refused"):
        BotoSession(access, "bucket", like=signed_in).open("p/")
    assert len(waits) == 7
    assert sum(waits) < 120


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_a_host_that_is_not_found_is_the_one_that_was_asked_for(
    style: str, signed_in: BotoSession
) -> None:
    access = Access(endpoint_url="http://nowhere.invalid:9", addressing=style, max_attempts=1)
    with pytest.raises(FatalError) as caught:
        BotoSession(access, "bucket", like=signed_in).open("p/")
    told = str(caught.value)
    assert told.startswith(
        "--endpoint-url http://nowhere.invalid:9 cannot be reached: host not found"
    )
    assert ("bucket.nowhere.invalid:9; --addressing path" in told) == (style == "virtual")


# What a profile says for itself

SERVICES = {"s3": {"endpoint_url": "http://services"}}


@pytest.mark.parametrize(
    ("profile", "services", "ignored", "found"),
    [
        ({}, {}, "", {}),
        ({"region": "x"}, {}, "", {"region": "x"}),
        ({"endpoint_url": "http://p"}, {}, "", {"endpoint_url": "http://p"}),
        ({"endpoint_url": "http://p"}, SERVICES, "false", {"endpoint_url": "http://services"}),
        ({"region": "x", "endpoint_url": "http://p"}, SERVICES, "True", {"region": "x"}),
        ({"endpoint_url": "http://p"}, {"sts": {}}, "", {"endpoint_url": "http://p"}),
    ],
)
def test_own_settings(
    profile: dict[str, str], services: dict[str, Any], ignored: str, found: dict[str, str]
) -> None:
    assert own_settings(profile, services, ignored=ignored) == found


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Opened]:
    """``configured(text, bucket, **environ)``: where a bucket is under this configuration."""

    def begin(text: str, bucket: str = "bucket", **environ: str) -> Opened:
        (tmp_path / "config").write_text(f"[default]\n{text}")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return BotoSession(Access(), bucket).open_unverified()

    return begin


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("", "bucket.s3.amazonaws.com"),
        ("region = eu-west-1\n", "bucket.s3.eu-west-1.amazonaws.com"),
        ("s3 =\n  use_accelerate_endpoint = true\n", "bucket.s3-accelerate.amazonaws.com"),
        ("use_dualstack_endpoint = true\n", "bucket.s3.dualstack.us-east-1.amazonaws.com"),
        ("use_fips_endpoint = true\n", "bucket.s3-fips.us-east-1.amazonaws.com"),
        ("s3 =\n  use_dualstack_endpoint = true\n  addressing_style = path\n",
         "s3.dualstack.us-east-1.amazonaws.com"),
        ("s3 =\n  us_east_1_regional_endpoint = regional\nregion = us-east-1\n",
         "bucket.s3.us-east-1.amazonaws.com"),
        ("endpoint_url = http://here:1\nservices = mine\n[services mine]\n"
         "s3 =\n  endpoint_url = http://there:2\n", "there:2"),
        ("endpoint_url = http://here:1\nignore_configured_endpoint_urls = true\n",
         "bucket.s3.amazonaws.com"),
    ],
)  # fmt: skip
def test_the_profiles_settings_of_s3_are_obeyed(
    configured: Callable[..., Opened], text: str, host: str
) -> None:
    assert configured(text).endpoint.host.removeprefix("bucket.") == host.removeprefix("bucket.")


POINT = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"


@pytest.mark.parametrize(
    ("text", "bucket", "host", "service"),
    [
        ("", POINT, "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", "s3"),
        ("s3 =\n  addressing_style = path\n", POINT,
         "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", "s3"),
        ("endpoint_url = http://here:1\n", POINT, "mine-123456789012.here:1", "s3"),
        ("", "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-01/accesspoint/mine",
         "mine-123456789012.op-01.s3-outposts.eu-west-1.amazonaws.com", "s3-outposts"),
        ("", "arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint/mine",
         "mine-123456789012.s3-object-lambda.eu-west-1.amazonaws.com", "s3-object-lambda"),
    ],
)  # fmt: skip
def test_access_points_are_where_boto3_has_them(
    configured: Callable[..., Opened], text: str, bucket: str, host: str, service: str
) -> None:
    found = configured(text, bucket).endpoint
    assert (found.host, found.base) == (host, "")
    assert (found.region, found.signs_for, found.bucket) == ("eu-west-1", service, bucket)


def test_so_are_the_variables_of_the_region(configured: Callable[..., Opened]) -> None:
    found = configured("region = eu-west-1\n", AWS_REGION="eu-west-2")
    assert found.endpoint.region == "eu-west-2"


def test_an_endpoint_url_with_a_password_is_refused_unseen(
    configured: Callable[..., Opened],
) -> None:
    with pytest.raises(UsageError, match="must not contain credentials") as caught:
        configured("endpoint_url = http://me:hidden@here\n")
    assert "hidden" not in str(caught.value)
