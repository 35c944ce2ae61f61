"""Which proxy leads to a store: the variables, and the stores that need none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import UsageError
from s3pp.s3.proxies import exempt, proxy_for

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
    assert exempt("http", host, rules) == without


@given(st.text(), st.text(min_size=1))
def test_whatever_the_rules_say_they_can_be_read(host: str, rules: str) -> None:
    assert exempt("https", host, rules) in (True, False)


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
