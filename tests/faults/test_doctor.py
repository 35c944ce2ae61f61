"""``s3pp doctor`` where something is wrong: it ends soon, says what, and leaves nothing."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from time import monotonic, sleep, time

import pytest

from commands import Run, Start
from stores.fault_actions import Action, Exchange, Gate, Response, Say, Status
from stores.fault_proxy import FaultProxy, Rule
from stores.ports import free_port
from stores.store import Bucket, Store

DENIED = Status(403, "AccessDenied")
MakeProxy = Callable[[Store], FaultProxy]


class Behind(Action):
    """Answer with another time."""

    def answer(self, exchange: Exchange) -> Response:
        answer = exchange.forward()
        rest = tuple(each for each in answer.headers if each[0].lower() != "date")
        date = formatdate(time() - 1200, usegmt=True)
        return replace(answer, headers=(*rest, ("Date", date)))


@pytest.fixture
def proxy(make_proxy: MakeProxy, moto: Store) -> FaultProxy:
    return make_proxy(moto)


def test_a_listing_that_is_denied(s3pp: Run, moto_bucket: Bucket, proxy: FaultProxy) -> None:
    proxy.inject(Rule(DENIED, "GET", r"list-type=2|[?&]prefix="))
    result = s3pp(
        "doctor", "-q", f"{moto_bucket.url}/p", store=replace(moto_bucket.store, url=proxy.url)
    )
    assert result.code == 1
    assert "failed     list objects: access denied: AccessDenied: injected by a test" in result.out
    assert "region: " not in result.out, "no line without a problem"
    assert f"-> allow s3:ListBucket on {moto_bucket.url}/p/*: needed by get" in result.out
    assert "put object" not in result.out, "that is allowed"
    assert moto_bucket.keys() == []


def test_an_account_that_may_only_read(s3pp: Run, moto_bucket: Bucket, proxy: FaultProxy) -> None:
    moto_bucket.put("a", b"content")
    store = replace(moto_bucket.store, url=proxy.url)
    proxy.inject(Rule(DENIED, "PUT|POST|DELETE"))
    result = s3pp("doctor", moto_bucket.url, store=store)
    assert result.code == 1
    assert "  ok         get object: allowed\n" in result.out
    assert "  failed     upload in parts: access denied" in result.out
    assert "  failed     delete object: access denied" in result.out
    assert "  not tried  put object: it could not be deleted again" in result.out
    assert "  ok         probe objects: none were written\n" in result.out
    assert s3pp("doctor", "-q", "--read-only", moto_bucket.url, store=store).out == ""


def test_an_account_that_may_only_write(s3pp: Run, moto_bucket: Bucket, proxy: FaultProxy) -> None:
    proxy.inject(Rule(DENIED, "GET|DELETE", r"doctor|uploads|versions"))
    result = s3pp("doctor", moto_bucket.url, store=replace(moto_bucket.store, url=proxy.url))
    assert result.code == 1
    assert "  ok         upload in parts: allowed\n" in result.out
    assert "  failed     delete object: access denied" in result.out
    upload = "  warning    probe objects: an upload of .s3pp-doctor-"
    assert re.search(f"^{upload}[^ ]*/upload is left: AccessDenied", result.out, re.MULTILINE)
    assert moto_bucket.keys() == []


def test_what_cannot_be_deleted_is_named(s3pp: Run, moto_bucket: Bucket, proxy: FaultProxy) -> None:
    proxy.inject(Rule(DENIED, "DELETE", "doctor.*/object$", skip=1))
    store = replace(moto_bucket.store, url=proxy.url)
    result = s3pp("doctor", "-q", f"{moto_bucket.url}/p", store=store)
    assert result.code == 1
    (key,) = moto_bucket.keys()
    assert f"warning    probe objects: {key} is left: AccessDenied" in result.out
    assert f"-> s3pp remove '{moto_bucket.url}/{key.removesuffix('object')}*'" in result.out


def test_a_clock_that_is_wrong_and_a_region_that_is(
    s3pp: Run, moto_bucket: Bucket, proxy: FaultProxy
) -> None:
    store = replace(moto_bucket.store, url=proxy.url)
    proxy.inject(Rule(Behind()))
    result = s3pp("doctor", "-q", "--read-only", moto_bucket.url, store=store)
    assert result.code == 0
    assert "seconds ahead of the store's" in result.out
    assert "-> set the clock (NTP)" in result.out
    proxy.inject(Rule(Status(400, "AuthorizationHeaderMalformed")))
    result = s3pp("doctor", "-q", moto_bucket.url, store=store)
    assert result.code == 2
    assert "bucket is in another region" in result.out
    assert "give the bucket's --region" in result.out


@pytest.mark.parametrize(
    ("url", "code", "said", "advice"),
    [
        ("http://no-such-host.invalid", 3, "host not found", "check the name, --region"),
        ("http://127.0.0.1:{free}", 3, "connection refused", "check host and port, the firewall"),
        (None, 2, "no credentials found: set AWS_ACCESS_KEY_ID", "--no-sign-request"),
    ],
    ids=["name", "port", "credentials"],
)
def test_a_store_that_cannot_be_reached(
    s3pp: Run, moto: Store, url: str | None, code: int, said: str, advice: str
) -> None:
    env = {"AWS_EC2_METADATA_DISABLED": "true"}
    store = replace(moto, url=url.format(free=free_port())) if url else None
    result = s3pp("doctor", "-q", "s3://a-bucket/p", store=store, env=env)
    assert (result.code, result.err) == (code, "")
    assert said in result.out
    assert advice in result.out


def test_what_answers_without_a_bucket_is_a_store(
    s3pp: Run, moto: Store, proxy: FaultProxy
) -> None:
    store = replace(moto, url=proxy.url)
    proxy.inject(Rule(Say(Response(200, (("content-type", "text/html"),), b"<html>Hi!</html>"))))
    page = s3pp("doctor", "-q", store=store)
    assert (page.code, "with <html>: no S3 store answers there" in page.out) == (3, True), page.out
    assert "-> check the endpoint" in page.out
    proxy.inject(Rule(Status(500, "InternalError")))
    broken = s3pp("doctor", "-q", store=store)
    assert "-> repeat the checks when the store works again" in broken.out


@pytest.mark.swift
def test_a_secret_that_is_wrong(s3pp: Run, swift_bucket: Bucket) -> None:
    store = replace(swift_bucket.store, secret_key="not-the-right-secret")
    for words in ([swift_bucket.url], []):
        result = s3pp("doctor", "-q", *words, store=store)
        assert (result.code, result.err) == (3, "")
        assert "SignatureDoesNotMatch" in result.out


def test_a_signal_removes_what_was_written(
    s3pp_start: Start, moto_bucket: Bucket, proxy: FaultProxy
) -> None:
    gate = Gate()
    proxy.inject(Rule(gate, "GET", "tagging"))
    running = s3pp_start("doctor", moto_bucket.url, store=replace(moto_bucket.store, url=proxy.url))
    deadline = monotonic() + 60
    while not proxy.hits("GET", "tagging"):
        assert monotonic() < deadline, running.err()
        sleep(0.01)
    assert moto_bucket.keys() != []
    running.signal(signal.SIGTERM)
    gate.open()
    result = running.wait()
    assert result.code == 143
    assert moto_bucket.keys() == []
    assert "probe objects: removed" in result.out
