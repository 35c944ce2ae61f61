"""Signature Version 4, held against botocore's own signer."""

from __future__ import annotations

from datetime import datetime, timezone
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.access import Keys
from s3pp.s3.endpoint import Endpoint, query_string
from s3pp.s3.sigv4 import EMPTY_SHA256, UNSIGNED, Signer

NOW = datetime(2026, 11, 20, 23, 59, 58, tzinfo=timezone.utc).timestamp()
KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
HASH = "ab" * 32


def their_lines(
    keys: Keys,
    region: str,
    now: float,
    call: tuple[str, tuple[str, str, str], list[tuple[str, str]], str],
    *,
    service: str = "s3",
) -> set[str]:
    """The header lines botocore would send, without the Host that the HTTP client adds."""
    method, (host, path, query), headers, payload = call
    url = f"http://{host}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url=url, headers=dict(headers))
    when = datetime.fromtimestamp(now, timezone.utc)
    with patch("botocore.auth.get_current_datetime", lambda: when):
        signer = S3SigV4Auth(Credentials(*keys), service, region)
        signer.payload = lambda _: payload  # its hash, which botocore would work out otherwise
        signer.add_auth(request)
    return {comparable(f"{name}: {value}") for name, value in request.headers.items()}


def comparable(line: str) -> str:
    """One form for a header line: how the name is written and what sets parts apart vary."""
    name, sign, value = line.partition(":")
    if not sign:  # libcurl's way to write a header without a value
        name, value = line.removesuffix(";"), ""
    name = name.lower()
    if name == "authorization":
        value = value.replace(", ", ",")
    return f"{name}: {value.strip()}"


ODD = st.text(
    st.sampled_from("aZ09-_.~ +%/?#&=;:@!$'()*,\\\"<>[]{}|^`\x7f\x01\nüé漢😀"), max_size=24
)
KEY = st.one_of(ODD, st.sampled_from(["a//b", "/a", "a/../b", "./a", "..", "a/./b/", "%2F", "a+b"]))
VALUE = st.text(st.sampled_from('ab,;="/é漢   '), max_size=20).map(str.strip)
NAMES = """
cache-control content-md5 content-type if-none-match x-amz-acl x-amz-checksum-crc32 x-amz-meta-a
x-amz-meta-a-b x-amz-request-payer x-amz-tagging zz
"""
NAME = st.sampled_from(NAMES.split())
QUERY = st.dictionaries(st.text("a-~ +&=é", min_size=1, max_size=6), ODD, max_size=4)


@given(
    st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]),
    KEY,
    QUERY,
    st.dictionaries(NAME, VALUE),
    st.sampled_from([UNSIGNED, HASH, EMPTY_SHA256]),
    st.sampled_from([None, "FwoGZXIvYXdzE//+abc=="]),
    st.sampled_from(["us-east-1", "eu-central-1"]),
)
@settings(deadline=None, max_examples=examples(300))
def test_signs_as_botocore_does(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    payload: str,
    token: str | None,
    region: str,
) -> None:
    endpoint = Endpoint("http", "127.0.0.1:9000", "/bucket", region, "bucket")
    keys = KEYS._replace(token=token)
    url = (endpoint.host, endpoint.path(key), query_string(query))
    call = (method, url, list(headers.items()), payload)
    ours = Signer(keys, region, clock=lambda: NOW).sign(*call).splitlines()
    assert {comparable(line) for line in ours} == their_lines(keys, region, NOW, call)
    assert len(ours) == len({line.partition(":")[0].lower() for line in ours})


PUT = ("PUT", ("b.example", "/k", ""), [("content-md5", "x")], HASH)


def test_without_keys_nothing_is_signed() -> None:
    headers = [("content-type", "a/b"), ("x-amz-acl", "private")]
    lines = Signer(None, "us-east-1").sign("PUT", ("h", "/k", ""), headers, HASH)
    assert lines == "content-type: a/b\r\nx-amz-acl: private\r\n"


def test_a_header_without_a_value_is_sent_empty_not_dropped() -> None:
    lines = Signer(KEYS, "us-east-1").sign("PUT", ("h", "/k", ""), [("x-amz-meta-a", "")], HASH)
    assert "x-amz-meta-a: " in lines.splitlines()


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -90000.0, 0.5])
def test_takes_the_stores_time(ahead: float) -> None:
    signer = Signer(KEYS, "us-east-1", clock=lambda: NOW)
    signer.sign(*PUT)
    signer.set_time(NOW + ahead)
    found = {comparable(line) for line in signer.sign(*PUT).splitlines()}
    assert found == their_lines(KEYS, "us-east-1", NOW + ahead, PUT)


def test_the_signing_key_is_renewed_with_the_day() -> None:
    now = NOW
    signer = Signer(KEYS, "us-east-1", clock=lambda: now)
    for step in (0.0, 1.0, 1.0, 86_400.0, -86_400.0):
        now += step
        found = {comparable(line) for line in signer.sign(*PUT).splitlines()}
        assert found == their_lines(KEYS, "us-east-1", now, PUT)


def test_the_signing_key_is_renewed_with_region_and_keys() -> None:
    signer = Signer(KEYS, "us-east-1", clock=lambda: NOW)
    other = Keys("AKIDOTHER", "other", "token")
    rotated = KEYS._replace(secret_key="rotated")  # the access key stays
    for keys, region in [(KEYS, "eu-west-1"), (other, "eu-west-1"), (rotated, "us-east-1")]:
        signer.sign(*PUT)
        signer.keys, signer.region = keys, region
        found = {comparable(line) for line in signer.sign(*PUT).splitlines()}
        assert found == their_lines(keys, region, NOW, PUT)


def test_another_service_has_signatures_of_its_own() -> None:
    signer = Signer(KEYS, "us-east-1", service="s3-outposts", clock=lambda: NOW)
    found = {comparable(line) for line in signer.sign(*PUT).splitlines()}
    assert found == their_lines(KEYS, "us-east-1", NOW, PUT, service="s3-outposts")


def test_every_second_has_its_own_date() -> None:
    now = NOW
    signer = Signer(KEYS, "us-east-1", clock=lambda: now)
    first = signer.sign(*PUT)
    now += 0.4
    assert signer.sign(*PUT) == first
    now += 1.0
    assert signer.sign(*PUT) != first


def test_keys_are_never_printed() -> None:
    keys = Keys("AKID", "secret", "token")
    for text in (repr(keys), str(keys), f"{keys}", f"{[keys]}", f"{keys!r}"):
        assert "secret" not in text
        assert "token" not in text
        assert "AKID" not in text
