"""Addresses of buckets, and proxies."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import UsageError
from s3pp.s3.endpoint import (
    Endpoint,
    copy_source,
    is_exempt,
    is_loopback,
    proxy_for,
    query_string,
)

PATH_STYLE = Endpoint("http", "127.0.0.1:9000", "/bucket", "us-east-1", "bucket")
VIRTUAL = Endpoint("https", "bucket.s3.amazonaws.com", "", "us-east-1", "bucket")

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/%")


@given(KEYS)
def test_a_path_names_its_key(key: str) -> None:
    for endpoint in (PATH_STYLE, VIRTUAL):
        path = endpoint.path(key)
        assert unquote(path, errors="strict") == f"{endpoint.base}/{key}"
        assert path.count("/") == key.count("/") + 1 + endpoint.base.count("/")
        assert set(path) <= UNRESERVED


@given(KEYS, KEYS)
def test_different_keys_have_different_paths(one: str, other: str) -> None:
    assert (VIRTUAL.path(one) == VIRTUAL.path(other)) == (one == other)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a//b", "/bucket/a//b"),
        ("/a", "/bucket//a"),
        ("a/../b", "/bucket/a/../b"),
        ("..", "/bucket/.."),
        ("a b+c%d", "/bucket/a%20b%2Bc%25d"),
        ("é", "/bucket/%C3%A9"),
        ("a?b#c", "/bucket/a%3Fb%23c"),
        ("", "/bucket"),
    ],
)
def test_paths(key: str, path: str) -> None:
    assert PATH_STYLE.path(key) == path


def test_the_bucket_itself_under_virtual_addressing() -> None:
    assert VIRTUAL.path("") == "/"


@given(st.dictionaries(KEYS, KEYS))
def test_a_query_says_what_it_was_given(parameters: dict[str, str]) -> None:
    query = query_string(parameters)
    assert dict(parse_qsl(query, strict_parsing=bool(query), errors="strict")) == parameters
    assert "+" not in query


def test_a_query_is_sorted_by_its_encoded_names() -> None:
    assert query_string({"b": "1", "a": "2", "é": "3", "a-": "4 5"}) == "%C3%A9=3&a=2&a-=4%205&b=1"


def test_directory_buckets_have_etags_of_their_own() -> None:
    assert VIRTUAL._replace(bucket="b--use1-az4--x-s3").etags_are_random
    assert not VIRTUAL.etags_are_random


# Which store serves a bucket


def at(
    host: str, bucket: str = "bkt", region: str = "us-east-1", scheme: str = "https"
) -> Endpoint:
    return Endpoint(scheme, host, "", region, bucket)


VIRTUAL = at("bkt.s3.eu-west-1.amazonaws.com")


@pytest.mark.parametrize(
    "other",
    [
        at("s3.eu-west-1.amazonaws.com"),
        at("bkt.s3.amazonaws.com"),
        at("other.s3.us-west-2.amazonaws.com", "other", "us-west-2"),
        at("bkt.s3.dualstack.us-east-1.amazonaws.com"),
        VIRTUAL._replace(scheme="http"),
    ],
)
def test_one_store_serves_all_regions_of_a_cloud(other: Endpoint) -> None:
    assert VIRTUAL.service == other.service
    assert VIRTUAL.same_bucket(other) == (other.bucket == "bkt")


@pytest.mark.parametrize(
    "other",
    [
        at("bkt.s3.cn-north-1.amazonaws.com.cn"),
        at("bkt.s3.amazonaws.com.example"),
        at("bkt.s3-amazonaws.example"),
        at("localhost:9000"),
    ],
)
def test_others_are_other_stores(other: Endpoint) -> None:
    assert VIRTUAL.service != other.service
    assert not VIRTUAL.same_bucket(other)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (at("store:9000"), True),
        (at("bkt.store:9000"), True),  # virtual addressing
        (at("store:9000", region="eu-west-1"), True),
        (at("store:9000", scheme="http"), True),
        (at("store:9001"), False),
        (at("other:9000"), False),
        (at("store:9000", "bucket"), False),
    ],
)
def test_a_store_of_ones_own_is_its_host(other: Endpoint, same: bool) -> None:
    assert at("store:9000").same_bucket(other) == same
    assert other.same_bucket(at("store:9000")) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (at("localhost:9000"), at("127.0.0.1:9000")),
        (at("LocalHost:9000"), at("[::1]:9000")),
        (at("localhost.localdomain"), at("localhost")),
        (at("bkt.localhost:9000"), at("127.0.0.1:9000")),
        (at("localhost.:9000"), at("127.0.0.1:9000")),
        (at("store.example."), at("store.example")),
        (at("store.example.:9000"), at("Store.Example:9000")),
        (at("store.example:443"), at("store.example")),
        (at("store.example:80", scheme="http"), at("store.example", scheme="http")),
        (at("bkt.store.example.:443"), at("store.example")),
        (at("127.0.0.1:80", scheme="http"), at("localhost", scheme="http")),
        (at("bkt.s3.eu-west-1.amazonaws.com:443"), VIRTUAL),
        (at("bkt.s3.eu-west-1.amazonaws.com."), VIRTUAL),
    ],
)
def test_spellings_of_one_host(one: Endpoint, other: Endpoint) -> None:
    assert one.service == other.service
    assert one.same_bucket(other)
    assert other.same_bucket(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (at("localhost:9000"), at("127.0.0.1:9001")),
        (at("localhost:9000"), at("localhost")),
        (at("127.0.0.2:9000"), at("127.0.0.1:9000")),
        (at("localhost.example:9000"), at("127.0.0.1.example:9000")),
        (at("my-localhost"), at("my-127.0.0.1")),
        (at("store.example:80"), at("store.example")),  # of https
        (at("store.example:443", scheme="http"), at("store.example", scheme="http")),
        (at("store.example:4430"), at("store.example:443")),
    ],
)
def test_hosts_that_only_look_alike(one: Endpoint, other: Endpoint) -> None:
    assert not one.same_bucket(other)


ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"


@pytest.mark.parametrize(
    ("bucket", "key", "source"),
    [
        ("b", "a/ü b", "b/a/%C3%BC%20b"),
        ("mine-abc-s3alias", "k", "mine-abc-s3alias/k"),
        (ARN, "a/ü:b", f"{ARN.replace(':', '%3A')}/object/a/%C3%BC%3Ab"),
    ],
)
def test_the_source_of_a_copy(bucket: str, key: str, source: str) -> None:
    assert copy_source(bucket, key) == source


def test_an_access_point_belongs_to_its_store() -> None:
    point = Endpoint("http", "mine-123456789012.here:9", "", "eu-west-1", ARN)
    assert point.service == Endpoint("http", "here:9", "/b", "eu-west-1", "b").service
    aws = point._replace(scheme="https", host="mine-123456789012.s3-accesspoint.eu.amazonaws.com")
    assert aws.service == "amazonaws.com"


def test_two_stores_on_one_host_are_told_apart_by_their_paths() -> None:
    one = Endpoint("https", "host", "/storage/v1/s3/b", "r", "b")
    assert one.service == one._replace(base="/storage/v1/s3/c", bucket="c").service
    assert one.service != one._replace(base="/b").service


P, Q = "http://p:1", "http://q:2"


@pytest.mark.parametrize(
    ("environ", "scheme", "variable"),
    [
        ({}, "http", None),
        ({"http_proxy": P}, "http", "http_proxy"),
        ({"http_proxy": P}, "https", None),
        ({"HTTP_PROXY": P}, "http", "HTTP_PROXY"),
        ({"HTTPS_PROXY": P}, "https", "HTTPS_PROXY"),
        ({"https_proxy": P, "HTTPS_PROXY": Q}, "https", "https_proxy"),
        ({"https_proxy": "", "HTTPS_PROXY": Q}, "https", "HTTPS_PROXY"),
        ({"ALL_PROXY": P}, "http", "ALL_PROXY"),
        ({"all_proxy": P, "http_proxy": Q}, "http", "http_proxy"),
        ({"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, "http", None),  # a header anybody can send
        ({"http_proxy": P, "REQUEST_METHOD": "GET"}, "http", "http_proxy"),
        ({"http_proxy": P, "no_proxy": "*"}, "http", None),
        ({"http_proxy": P, "NO_PROXY": "store.example"}, "http", None),
        ({"http_proxy": P, "no_proxy": "", "NO_PROXY": "store.example"}, "http", None),
    ],
)
def test_the_variable(environ: dict[str, str], scheme: str, variable: str | None) -> None:
    found = proxy_for(scheme, "store.example", environ)
    assert (found.variable if found else None) == variable
    assert found is None or found.url == environ[found.variable]


@pytest.mark.parametrize(
    ("host", "rules", "without"),
    [
        ("store.example", "store.example", True),
        ("store.example", "STORE.example.", True),
        ("store.example.", "other, store.example", True),
        ("bucket.store.example", "store.example", True),
        ("bucket.store.example", ".store.example", True),
        ("bucket.store.example", "*.store.example", True),
        ("restore.example", "store.example", False),
        ("store.example", "bucket.store.example", False),
        ("store.example:9000", "store.example:9000", True),
        ("store.example:9000", "store.example", True),
        ("store.example:9000", "store.example:9001", False),
        ("store.example", "store.example:80", True),
        ("10.1.2.3:9000", "10.0.0.0/8", True),
        ("10.1.2.3:9000", "10.1.2.3:9000", True),
        ("10.1.2.3", "10.1.2.4 10.1.2.0/31", False),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("store.example", "10.0.0.0/8", False),
        ("10.1.2.3", "2.3", False),
        ("[fd00::1]:9000", "fd00::/8", True),
        ("[fd00::1]:9000", "[fd00::1]:9000", True),
        ("[fd00::1]:9000", "fd00:0::1", True),
        ("[fd00::1]:9000", "fe00::1", False),
        ("store.example", " , ", False),
        ("127.0.0.1:1", "*", True),
    ],
)
def test_stores_that_need_none(host: str, rules: str, without: bool) -> None:
    assert is_exempt("http", host, rules) == without


@given(st.text(), st.text(min_size=1))
def test_whatever_the_rules_say_they_can_be_read(host: str, rules: str) -> None:
    assert is_exempt("https", host, rules) in (True, False)


def test_no_password_is_printed() -> None:
    found = proxy_for("http", "x", {"http_proxy": "http://me:s%40cret@p:1/"})
    assert found is not None
    for text in (str(found), f"{found}", repr(found), f"{[found]}"):
        assert "s%40cret" not in text
    assert str(found) == "http://p:1"
    assert found.url == "http://me:s%40cret@p:1/"


def test_a_proxy_without_a_scheme_speaks_http() -> None:
    found = proxy_for("https", "x", {"https_proxy": "p:1"})
    assert found is not None
    assert found.url == "http://p:1"


@pytest.mark.parametrize(
    "value",
    [
        "socks5://me:hidden@p",
        "http://",
        "http://me:hidden@p:x",
        "http://me:hidden@p:99999",
        "http://m e:hidden@p",
        "http://me:hid@den@p",
        "http://me:hid\tden@p",
        "http://me:hidden@p q",
        "http://me:hidden@p\u00e9",
        "http://me:hidden@[p]",
    ],
)
def test_what_is_no_proxy_is_refused_by_its_variables_name(value: str) -> None:
    with pytest.raises(UsageError, match="ALL_PROXY") as caught:
        proxy_for("http", "x", {"ALL_PROXY": value})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://me:p%40ss!%20@p-1.x_y:80", "http://[::1]:3128/", "http://p/a"]
)
def test_what_can_be_a_proxy_is_taken_as_it_is(url: str) -> None:
    found = proxy_for("http", "x", {"http_proxy": url})
    assert found is not None
    assert found.url == url


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1:9000", True),
        ("127.1.2.3", True),
        ("[::1]:9000", True),
        ("localhost", True),
        ("bucket.localhost:80", True),
        ("127.example.org", False),
        ("notlocalhost", False),
        ("10.0.0.1:80", False),
        ("[::2]", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here
