"""The fault proxy itself: what it passes on, and what each action does to a boto3 client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from stores.fault_actions import (
    Call,
    Delay,
    Drip,
    FlipBit,
    Gate,
    Hang,
    LoseResponse,
    Reset,
    Response,
    Rewrite,
    Say,
    SetHeaders,
    Stall,
    Status,
    Truncate,
    chain,
)
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Bucket, Store

BOTH = pytest.mark.parametrize("store", ["moto", "swift"], indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Store:
    """moto, except where Swift's checks are the point."""
    found: Store = request.getfixturevalue(f"{getattr(request, 'param', 'moto')}_server")
    return found


@pytest.fixture
def proxy(store: Store) -> Iterator[FaultProxy]:
    with FaultProxy(store.url).serving() as serving:
        yield serving


@pytest.fixture
def client(store: Store, proxy: FaultProxy) -> Any:
    """A client that asks once and does not wait for long."""
    config = Config(
        retries={"total_max_attempts": 1},
        read_timeout=1,
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.Session(store.access_key, store.secret_key, region_name=store.region)
    made = session.client("s3", endpoint_url=proxy.url, config=config)
    yield made
    made.close()


@BOTH
def test_passes_requests_on_unchanged(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    # Swift refuses a signature over another Host, path or header.
    key = "a//b/../ü +%&=?.txt"
    client.put_object(Bucket=bucket.name, Key=key, Body=b"body", Metadata={"colour": "red"})
    client.put_object(Bucket=bucket.name, Key="empty", Body=b"")
    assert bucket.tree() == {key: b"body", "empty": b""}
    assert client.head_object(Bucket=bucket.name, Key=key)["ContentLength"] == 4
    assert client.get_object(Bucket=bucket.name, Key=key)["Metadata"] == {"colour": "red"}
    client.delete_object(Bucket=bucket.name, Key=key)
    assert [hit.request.method for hit in proxy.hits()] == ["PUT", "PUT", "HEAD", "GET", "DELETE"]
    assert proxy.hits()[0].request.header("x-amz-meta-colour") == "red"
    assert not proxy.hits(action=".")


def test_answers_expectations_at_once(bucket: Bucket, client: Any) -> None:
    # boto3 keeps a body back for a second when "100 Continue" does not come.
    took = []
    for _ in range(3):  # on a busy machine one may take as long for another reason
        began = time.monotonic()
        client.put_object(Bucket=bucket.name, Key="k", Body=b"x" * 100_000)
        took.append(time.monotonic() - began)
    assert min(took) < 0.9


@pytest.mark.parametrize("early", [False, True])
def test_status(bucket: Bucket, client: Any, proxy: FaultProxy, early: bool) -> None:
    extra = (("Retry-After", "7"),)
    proxy.inject(Rule(Status(503, "SlowDown", extra, early=early), method="PUT"))
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=bucket.name, Key="k", Body=b"x" * 10_000_000)
    assert caught.value.response["Error"]["Code"] == "SlowDown"
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "7"
    assert bucket.keys() == []


def test_counts_times_and_skips(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    proxy.inject(
        Rule(Status(500, "InternalError"), path="/b$", skip=1, times=1),
        Rule(Status(403, "AccessDenied"), method="PUT", path="/b$", skip=2, header="^host: "),
    )
    said = [_status_of_put(client, bucket, key) for key in "abbbb"]
    # A rule that lets a request pass leaves it to the next one.
    assert said == [200, 200, 500, 200, 403]


def _status_of_put(client: Any, bucket: Bucket, key: str) -> int:
    try:
        answer = client.put_object(Bucket=bucket.name, Key=key, Body=b"x")
    except ClientError as error:
        answer = error.response
    status: int = answer["ResponseMetadata"]["HTTPStatusCode"]
    return status


def test_reset_comes_before_the_store(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    proxy.inject(Rule(Reset(), method="PUT"))
    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket=bucket.name, Key="k", Body=b"x")
    assert bucket.keys() == []


def test_lost_response_comes_after(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    proxy.inject(Rule(LoseResponse(), method="PUT"))
    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket=bucket.name, Key="k", Body=b"x")
    assert bucket.tree() == {"k": b"x"}


def test_hang(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    proxy.inject(Rule(Hang(), method="PUT"))
    with pytest.raises(ReadTimeoutError):
        client.put_object(Bucket=bucket.name, Key="k", Body=b"x")
    assert bucket.keys() == []


def test_delay(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    proxy.inject(Rule(Delay(0.3), method="PUT"))
    began = time.monotonic()
    client.put_object(Bucket=bucket.name, Key="k", Body=b"x")
    assert time.monotonic() - began >= 0.3
    assert bucket.tree() == {"k": b"x"}


def test_drip_slows_the_response(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    bucket.put("k", b"x" * 20)
    proxy.inject(Rule(Drip(0.02), method="GET"))
    began = time.monotonic()
    assert client.get_object(Bucket=bucket.name, Key="k")["Body"].read() == b"x" * 20
    assert time.monotonic() - began >= 19 * 0.02


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_truncated_response_announces_it_whole(
    bucket: Bucket, client: Any, proxy: FaultProxy, size: int
) -> None:
    bucket.put("k", b"x" * size)
    proxy.inject(Rule(Truncate(), method="GET", times=1))
    answer = client.get_object(Bucket=bucket.name, Key="k")
    assert answer["ContentLength"] == size
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        answer["Body"].read()
    assert client.get_object(Bucket=bucket.name, Key="k")["Body"].read() == b"x" * size


def test_a_stall_comes_after_half_of_the_body(
    bucket: Bucket, client: Any, proxy: FaultProxy
) -> None:
    bucket.put("k", b"x" * 1000)
    proxy.inject(Rule(Stall(), method="GET"))
    body = client.get_object(Bucket=bucket.name, Key="k")["Body"]
    assert body.read(500) == b"x" * 500
    with pytest.raises(ReadTimeoutError):
        body.read(1)


def test_made_up_answers_do_not_reach_the_store(
    bucket: Bucket, client: Any, proxy: FaultProxy
) -> None:
    proxy.inject(Rule(Say(Response(200, (("ETag", '"made-up"'),))), method="PUT"))
    assert client.put_object(Bucket=bucket.name, Key="k", Body=b"x")["ETag"] == '"made-up"'
    assert bucket.keys() == []


def test_a_chain_of_actions(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    bucket.put("k", b"body")
    seen: list[str] = []
    called = Call(lambda request: seen.append(request.path))
    proxy.inject(Rule(chain(Rewrite(bytes.upper), called, SetHeaders((("ETag", '"e"'),)))))
    answer = client.get_object(Bucket=bucket.name, Key="k")
    assert (answer["Body"].read(), answer["ETag"]) == (b"BODY", '"e"')
    assert seen == [f"/{bucket.name}/k"]


@BOTH
def test_flipped_bit(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    proxy.inject(Rule(FlipBit(), method="PUT"))
    if not bucket.store.checks_signatures:
        client.put_object(Bucket=bucket.name, Key="k", Body=b"\0\0\0")
        assert bucket.tree() == {"k": b"\0\1\0"}
        return
    with pytest.raises(ClientError, match=r"BadDigest|XAmzContentSHA256Mismatch"):
        client.put_object(Bucket=bucket.name, Key="k", Body=b"\0\0\0")
    assert bucket.keys() == []


def test_changed_response(bucket: Bucket, client: Any, proxy: FaultProxy) -> None:
    proxy.inject(
        Rule(SetHeaders((("ETag", '"other"'),)), method="PUT"),
        Rule(Rewrite(bytes.upper), method="GET"),
    )
    assert client.put_object(Bucket=bucket.name, Key="k", Body=b"x")["ETag"] == '"other"'
    assert client.get_object(Bucket=bucket.name, Key="k")["Body"].read() == b"X"


def test_call_runs_while_the_body_is_on_its_way(
    bucket: Bucket, client: Any, proxy: FaultProxy
) -> None:
    seen = []
    proxy.inject(Rule(Call(lambda request: seen.append(request.path)), method="PUT"))
    client.put_object(Bucket=bucket.name, Key="k", Body=b"x")
    assert seen == [f"/{bucket.name}/k"]
    assert bucket.tree() == {"k": b"x"}


def test_gate_holds_hundreds_of_connections(moto_bucket: Bucket, moto: Store) -> None:
    gate = Gate()
    with FaultProxy(moto.url).serving() as proxy:
        proxy.inject(Rule(gate, method="PUT"))
        bucket = replace(moto_bucket, store=replace(moto, url=proxy.url))
        client = _wide_client(bucket.store, 200)
        threads = [threading.Thread(target=_put, args=(client, bucket, n)) for n in range(200)]
        for thread in threads:
            thread.start()
        proxy.wait_for(200)
        assert moto_bucket.keys() == []
        gate.open()
        for thread in threads:
            thread.join()
        client.close()
    assert len(moto_bucket.keys()) == 200


def _wide_client(store: Store, connections: int) -> Any:
    session = boto3.Session(store.access_key, store.secret_key, region_name=store.region)
    config = Config(max_pool_connections=connections, s3={"addressing_style": "path"})
    return session.client("s3", endpoint_url=store.url, config=config)


def _put(client: Any, bucket: Bucket, number: int) -> None:
    client.put_object(Bucket=bucket.name, Key=f"k{number}", Body=b"x")


def test_closes_what_hangs_when_it_stops(moto: Store, moto_bucket: Bucket) -> None:
    before = threading.active_count()
    with FaultProxy(moto.url).serving() as proxy:
        proxy.inject(Rule(Hang(), method="PUT"))
        client = _wide_client(replace(moto, url=proxy.url), 1)
        thread = threading.Thread(target=_fail_to_put, args=(client, moto_bucket))
        thread.start()
        proxy.wait_for(1)
    thread.join(20)
    assert not thread.is_alive()
    client.close()
    _wait_until(lambda: threading.active_count() <= before)


def _fail_to_put(client: Any, bucket: Bucket) -> None:
    with pytest.raises(Exception, match="onnect"):
        _put(client, bucket, 1)


def _wait_until(condition: Any, timeout: float = 5.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_waiting_for_what_does_not_come_is_an_error(proxy: FaultProxy) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 PUT"):
        proxy.wait_for(1, timeout=0.05)
