"""Operations against a scripted wire: what is retried, how often, and what each attempt sends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from s3pp.access import Keys
from s3pp.errors import FailureKind, FatalError, ObjectError, RunEnding
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Fault, Request, Response, WireError
from s3pp.s3.recovery import Recovery
from s3pp.s3.retry import MOST_ASKED, Backoff, NetworkError, NotStored, Oversized, StoreError
from s3pp.s3.sigv4 import Signer

ENDPOINT = Endpoint("http", "127.0.0.1:9000", "/bucket", "us-east-1", "bucket")
OLD, NEW = Keys("AKIDOLD", "old"), Keys("AKIDNEW", "new", "token")
NOW = 1_795_000_000.0
TIMEOUT = Fault.SILENT

T = TypeVar("T")


def said(status: int, code: str = "", *headers: bytes, body: bytes = b"") -> Response:
    body = body or (f"<Error><Code>{code}</Code></Error>".encode() if code else b"")
    return Response(status, b"".join([b"HTTP/1.1 %d\r\n" % status, *headers, b"\r\n"]), body)


OK = said(200, "", b'ETag: "abc"\r\n', b"Content-Length: 0\r\n")


class Script:
    """A wire that answers from a script and keeps what was sent; a clock that sleeping moves."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.sent: list[Request] = []
        self.slept: list[float] = []
        self.renewals = 0
        self.keys: Keys | None = NEW
        self.now = NOW
        self._answers = list(answers)

    async def send(self, request: Request) -> Response:
        self.sent.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def renew(self) -> Keys | None:
        self.renewals += 1
        return self.keys

    def bucket(
        self,
        *,
        attempts: int = 4,
        limiter: Any = None,
        max_throttled: float = 600.0,
        **more: Any,
    ) -> Bucket:
        backoff = Backoff(attempts, max_throttled, base=1.0, draw=lambda low, high: high)
        return Bucket(
            ENDPOINT,
            Signer(OLD, "us-east-1", clock=lambda: self.now),
            self,
            recovery=Recovery(backoff, self.renew, self.sleep, limiter),
            **more,
        )

    def header(self, at: int, name: str) -> str | None:
        """The value of a header in the request number ``at``."""
        found = [
            line for line in self.sent[at].head.splitlines() if line.lower().startswith(f"{name}:")
        ]
        assert len(found) <= 1
        return found[0].partition(":")[2].strip() if found else None


def run(operation: Awaitable[T]) -> T:
    async def main() -> T:
        return await operation

    return asyncio.run(main())


def put(bucket: Bucket, body: Any = b"body") -> Any:
    return run(bucket.put("a/b", body, headers=[("content-md5", "x")], payload_hash="hash"))


@pytest.mark.parametrize(
    "passing",
    [
        said(500, "InternalError"),
        said(503, "SlowDown"),
        said(503),
        said(429),
        said(400, "RequestTimeout"),
        said(409, "ConditionalRequestConflict"),
        WireError(TIMEOUT, "timed out"),
    ],
    ids=["500", "503", "no body", "429", "RequestTimeout", "409", "wire"],
)
def test_what_passes_is_sent_again_after_a_growing_wait(passing: Response | Exception) -> None:
    script = Script(passing, passing, passing, OK)
    bucket = script.bucket()
    answer = put(bucket)
    assert (answer.etag, answer.attempts) == ("abc", 4)
    assert script.slept == [2.0, 4.0, 8.0]
    assert bucket.requests == len(script.sent) == 4


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said(400, "InvalidRequest"), FailureKind.REJECTED),
        (said(403, "AccessDenied"), FailureKind.ACCESS),
        (said(403), FailureKind.ACCESS),
        (said(404, "NoSuchBucket"), FailureKind.NOT_FOUND),
        (said(412, "PreconditionFailed"), FailureKind.REJECTED),
        (said(501, "NotImplemented"), FailureKind.STORE),
        (said(400, "BadDigest"), FailureKind.INTEGRITY),
        (said(301, "PermanentRedirect", b"Location: http://elsewhere/\r\n"), FailureKind.REJECTED),
    ],
    ids=["400", "403", "403 bare", "404", "412", "501", "BadDigest", "301"],
)
def test_a_refusal_is_not_sent_again(answer: Response, kind: FailureKind) -> None:
    script = Script(answer)
    with pytest.raises(StoreError) as caught:
        put(script.bucket())
    assert caught.value.kind is kind
    assert len(script.sent) == 1
    assert script.slept == []


@pytest.mark.parametrize("attempts", [1, 2, 5])
@pytest.mark.parametrize(
    ("passing", "error"),
    [
        (said(500, "InternalError"), StoreError),
        (said(400, "ExpiredToken"), FatalError),
        (WireError(TIMEOUT, "timed out"), NetworkError),
    ],
    ids=["500", "keys", "wire"],
)
def test_attempts_are_bounded(
    passing: Response | Exception, error: type[Exception], attempts: int
) -> None:
    script = Script(*[passing] * 50)
    with pytest.raises(error):
        put(script.bucket(attempts=attempts))
    assert len(script.sent) == attempts
    assert len(script.slept) < attempts


def test_a_network_error_tells_what_the_wire_said() -> None:
    script = Script(WireError(TIMEOUT, "Operation timed out"))
    told = "^no answer from http://127.0.0.1:9000: Operation timed out$"
    with pytest.raises(NetworkError, match=told) as caught:
        put(script.bucket(attempts=1))
    assert caught.value.kind is FailureKind.NETWORK


def test_an_untrusted_certificate_ends_the_run_at_once() -> None:
    script = Script(WireError(Fault.UNTRUSTED, "unable to get local issuer certificate"))
    with pytest.raises(FatalError, match="local issuer"):
        put(script.bucket())
    assert len(script.sent) == 1


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "InvalidToken"])
def test_keys_that_the_store_does_not_know_end_the_run_at_once(code: str) -> None:
    script = Script(said(403, code))
    with pytest.raises(FatalError, match=code):
        put(script.bucket())
    assert len(script.sent) == 1


def test_each_attempt_is_signed_anew() -> None:
    script = Script(said(503), WireError(TIMEOUT, ""), OK)
    put(script.bucket())
    dates = [script.header(at, "x-amz-date") for at in range(3)]
    signatures = [script.header(at, "authorization") for at in range(3)]
    assert len(set(dates)) == len(set(signatures)) == 3
    assert None not in signatures


def test_the_same_body_is_sent_again_whole() -> None:
    class Body:
        size = 4

        def read(self, count: int) -> bytes:
            raise AssertionError("only the wire reads")

        def rewind(self) -> None:
            raise AssertionError("only the wire rewinds")

    for body in (b"body", Body()):
        script = Script(said(500), said(503), OK)
        put(script.bucket(), body)
        assert [request.body for request in script.sent] == [body] * 3


def test_what_a_stream_raises_is_not_taken_for_the_wires() -> None:
    class Broken(ObjectError):
        pass

    script = Script(Broken(FailureKind.CHANGED, "changed"))
    with pytest.raises(Broken):
        put(script.bucket())
    assert len(script.sent) == 1


def test_a_skewed_clock_takes_the_stores_date() -> None:
    skewed = said(403, "RequestTimeTooSkewed", b"Date: Fri, 20 Nov 2026 23:37:00 GMT\r\n")
    script = Script(skewed, OK, OK)
    bucket = script.bucket()
    assert put(bucket).attempts == 2
    assert script.header(1, "x-amz-date") == "20261120T233700Z"
    assert script.slept == []
    put(bucket)
    assert script.header(2, "x-amz-date") == "20261120T233700Z"


def test_a_clock_that_stays_skewed_is_not_set_for_ever() -> None:
    skewed = said(403, "RequestTimeTooSkewed", b"Date: Fri, 20 Nov 2026 23:37:00 GMT\r\n")
    script = Script(*[skewed] * 50)
    with pytest.raises(StoreError, match="RequestTimeTooSkewed"):
        put(script.bucket())
    assert 2 <= len(script.sent) <= 4


def test_a_clock_found_skewed_at_a_later_attempt_is_set_too() -> None:
    skewed = said(403, "RequestTimeTooSkewed", b"Date: Fri, 20 Nov 2026 23:37:00 GMT\r\n")
    script = Script(said(503), skewed, OK)
    assert put(script.bucket()).attempts == 3
    assert script.header(2, "x-amz-date") == "20261120T233700Z"


@pytest.mark.parametrize("date", [[], [b"Date: \r\n"], [b"Date: yesterday\r\n"]])
def test_a_skewed_clock_without_a_date_is_an_error_of_the_store(date: list[bytes]) -> None:
    script = Script(said(403, "RequestTimeTooSkewed", *date), OK)
    with pytest.raises(StoreError, match="RequestTimeTooSkewed"):
        put(script.bucket())


def test_expired_keys_are_renewed_and_the_new_ones_used() -> None:
    script = Script(said(400, "ExpiredToken"), OK, OK)
    bucket = script.bucket()
    assert put(bucket).attempts == 2
    put(bucket)
    assert script.renewals == 1
    assert "AKIDOLD" in str(script.header(0, "authorization"))
    assert script.header(0, "x-amz-security-token") is None
    for at in (1, 2):
        assert "AKIDNEW" in str(script.header(at, "authorization"))
        assert script.header(at, "x-amz-security-token") == "token"


def test_expired_keys_that_nobody_can_renew_end_the_run() -> None:
    script = Script(said(400, "ExpiredToken"))
    script.keys = None
    with pytest.raises(FatalError, match="ExpiredToken"):
        put(script.bucket())
    assert len(script.sent) == 1


def test_a_put_says_what_it_is() -> None:
    script = Script(OK)
    bucket = script.bucket(always=(("x-amz-request-payer", "requester"),))
    run(bucket.put("a/../é", b"body", headers=[("content-md5", "x")], payload_hash="hash"))
    (request,) = script.sent
    assert request.method == "PUT"
    assert request.url == "http://127.0.0.1:9000/bucket/a/../%C3%A9"
    assert script.header(0, "content-md5") == "x"
    assert script.header(0, "x-amz-request-payer") == "requester"
    assert script.header(0, "x-amz-content-sha256") == "hash"


def test_a_given_type_is_sent() -> None:
    script = Script(OK)
    headers = [("content-type", "text/html")]
    run(script.bucket().put("k", b"", headers=headers, payload_hash="hash"))
    assert script.header(0, "content-type") == "text/html"


def test_head_gives_size_and_etag() -> None:
    script = Script(said(200, "", b"Content-Length: 42\r\n", b'ETag: "abc-2"\r\n'))
    assert run(script.bucket().head("k")) == Dest(42, "abc-2")
    assert script.sent[0].method == "HEAD"


def test_head_of_an_absent_key_is_none() -> None:
    assert run(Script(said(404)).bucket().head("k")) is None


@pytest.mark.parametrize("status", [403, 501])
def test_head_raises_what_is_no_absence(status: int) -> None:
    with pytest.raises(StoreError):
        run(Script(said(status), said(status)).bucket().head("k"))


FOUND = said(200, "", b"Content-Length: 42\r\n", b'ETag: "abc"\r\n')
EXPIRED = said(400, "ExpiredToken")


@pytest.mark.parametrize(
    ("answers", "dest"),
    [
        ([EXPIRED, said(206), FOUND], Dest(42, "abc")),
        ([EXPIRED, said(404, "NoSuchKey")], None),
        (
            [
                EXPIRED,
                said(416, "InvalidRange"),
                said(200, "", b'ETag: "e"\r\n', b"Content-Length: 0\r\n"),
            ],
            Dest(0, "e"),
        ),
    ],
    ids=["there", "absent", "empty object"],
)
def test_a_head_with_expired_keys_is_mended_like_any_request(
    answers: list[Response], dest: Dest | None
) -> None:
    """The answer to a HEAD has no body to say that the keys have expired: it is a bare 400."""
    script = Script(said(400), *answers, *[said(404)] * 3)
    assert run(script.bucket().head("k")) == dest
    assert script.renewals == 1


def test_a_head_that_stays_a_bare_400_is_an_error() -> None:
    script = Script(said(400), said(400, "InvalidRequest"), said(400))
    with pytest.raises(StoreError):
        run(script.bucket().head("k"))


def test_head_is_tried_again() -> None:
    assert run(Script(said(500), said(404)).bucket().head("k")) is None


def test_list_page_asks_for_encoded_keys() -> None:
    script = Script(said(200, body=b"<xml/>"))
    body = run(script.bucket().list_page({"prefix": "a b/", "continuation-token": "t+/="}))
    assert body == b"<xml/>"
    (request,) = script.sent
    assert request.body is None
    assert request.url == (
        "http://127.0.0.1:9000/bucket?continuation-token=t%2B%2F%3D"
        "&encoding-type=url&list-type=2&prefix=a%20b%2F"
    )


def test_anonymous_access_signs_nothing() -> None:
    script = Script(OK)
    bucket = script.bucket()
    bucket.signer.keys = None
    put(bucket)
    names = {line.partition(":")[0].lower() for line in script.sent[0].head.splitlines()}
    assert "authorization" not in names
    assert not any(name.startswith("x-amz-") for name in names)


# Getting


def test_a_get_returns_the_body_and_what_is_said_of_it() -> None:
    lines = (b'ETag: "abc"\r\n', b"Content-Length: 4\r\n")
    script = Script(said(200, "", *lines, body=b"body"))
    answer = run(script.bucket().get("a b/c", headers=[("x-amz-checksum-mode", "ENABLED")]))
    assert (answer.response.body, answer.etag, answer.size) == (b"body", "abc", 4)
    (sent,) = script.sent
    assert (sent.method, sent.body, sent.sink) == ("GET", None, None)
    assert sent.url == "http://127.0.0.1:9000/bucket/a%20b/c"
    assert script.header(0, "x-amz-checksum-mode") == "ENABLED"


@pytest.mark.parametrize("line", [b"Content-Type: text/html\r\n", b"X-Amzn-Trace: 1\r\n"])
def test_what_is_looked_at_has_to_come_from_a_store(line: bytes) -> None:
    script = Script(said(200, "", b"Content-Length: 7\r\n", line))
    with pytest.raises(NotStored, match="check the endpoint URL") as caught:
        run(script.bucket().look("k"))
    assert caught.value.kind is FailureKind.STORE
    for header in (b"x-amz-request-id: 1\r\n", b'etag: "e"\r\n', b"X-AMZ-ID-2:\r\n"):
        assert run(Script(said(200, "", b"Content-Length: 7\r\n", header)).bucket().look("k"))


def test_what_an_answer_leaves_out_is_empty() -> None:
    answer = run(Script(said(200)).bucket().get("k"))
    assert (answer.etag, answer.size) == ("", 0)


def test_every_attempt_has_the_same_sink() -> None:
    class Sink:
        def restart(self) -> None:
            """Nothing is kept."""

        def write(self, piece: bytes | memoryview) -> None:
            """Likewise."""

    sink = Sink()
    script = Script(said(503, "SlowDown"), WireError(TIMEOUT, "timed out"), OK)
    assert run(script.bucket().get("k", sink=sink)).attempts == 3
    assert [request.sink for request in script.sent] == [sink] * 3


def test_an_answer_too_long_to_be_held_is_not_asked_for_again() -> None:
    script = Script(WireError(Fault.OVERSIZED, "Maximum file size exceeded"))
    with pytest.raises(Oversized):
        run(script.bucket().get("k"))
    assert len(script.sent) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said(404, "NoSuchKey"), FailureKind.NOT_FOUND),
        (said(403, "AccessDenied"), FailureKind.ACCESS),
        (said(403, "InvalidObjectState"), FailureKind.ACCESS),
        (said(412, "PreconditionFailed"), FailureKind.REJECTED),
    ],
)
def test_a_get_that_is_refused_is_not_sent_again(answer: Response, kind: FailureKind) -> None:
    script = Script(answer)
    with pytest.raises(StoreError) as caught:
        run(script.bucket().get("k"))
    assert caught.value.kind is kind
    assert len(script.sent) == 1


# Looking


STORED = (b'ETag: "e"\r\n', b"Content-Encoding: gzip\r\n")


def test_a_look_returns_all_that_is_said() -> None:
    script = Script(said(200, "", b"Content-Length: 7\r\n", *STORED))
    answer = run(script.bucket().look("k", headers=[("x-amz-checksum-mode", "ENABLED")]))
    assert answer is not None
    assert answer.size == 7
    assert answer.response.header(b"content-encoding") == "gzip"
    assert script.sent[0].method == "HEAD"
    assert script.header(0, "x-amz-checksum-mode") == "ENABLED"


def test_a_look_at_an_absent_key_is_none() -> None:
    assert run(Script(said(404)).bucket().look("k")) is None


def test_a_look_refused_without_a_word_asks_why_and_looks_again() -> None:
    script = Script(said(400), said(400, "ExpiredToken"), said(206), OK)
    answer = run(script.bucket().look("k", headers=[("x-a", "b")]))
    assert answer is not None
    assert [request.method for request in script.sent] == ["HEAD", "GET", "GET", "HEAD"]
    assert script.renewals == 1
    assert [script.header(at, "x-a") for at in range(4)] == ["b", None, None, "b"]


DATE = b"Date: Fri, 20 Nov 2026 23:37:00 GMT\r\n"


def test_a_head_under_a_wrong_clock_learns_the_stores_time_by_a_get() -> None:
    skewed = said(403, "RequestTimeTooSkewed", DATE)
    script = Script(said(403, "", DATE), skewed, said(206), OK, OK)
    bucket = script.bucket()
    assert run(bucket.look("k")) is not None
    assert run(bucket.look("l")) is not None
    assert [request.method for request in script.sent] == ["HEAD", "GET", "GET", "HEAD", "HEAD"]
    assert script.header(3, "x-amz-date") == "20261120T233700Z"


class Slow(Script):
    """Answers a round after it was asked: HEADs of many keys are in flight together."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        super().__init__()
        self._answer = answer

    async def send(self, request: Request) -> Response:
        self.sent.append(request)
        await asyncio.sleep(0.001)
        return self._answer(request)

    def looks(self) -> list[object]:
        """Look at eight keys at once; what each look returned or raised."""
        bucket = self.bucket()

        async def all_at_once() -> list[object]:
            looks = [bucket.look(f"k{n}") for n in range(8)]
            return await asyncio.gather(*looks, return_exceptions=True)

        return run(all_at_once())

    def count(self, method: str) -> int:
        return sum(request.method == method for request in self.sent)


def test_of_forbidden_keys_one_is_asked_about() -> None:
    """S3 answers 403 for each absent key where nobody may list."""
    script = Slow(lambda request: said(403, "AccessDenied" if request.method == "GET" else ""))
    found = script.looks()
    assert [each.status for each in found if isinstance(each, StoreError)] == [403] * 8
    assert (script.count("HEAD"), script.count("GET")) == (8, 1)


def test_heads_that_were_in_flight_are_sent_again_under_the_right_clock() -> None:
    def answer(request: Request) -> Response:
        if "x-amz-date: 20261120T233700Z" in request.head:
            return OK
        return said(403, "RequestTimeTooSkewed" if request.method == "GET" else "", DATE)

    script = Slow(answer)
    assert all(isinstance(each, Answer) for each in script.looks())
    assert (script.count("HEAD"), script.count("GET")) == (16, 2)


def test_a_store_that_sends_more_than_was_asked_for_has_not_refused() -> None:
    script = Script(said(403), WireError(Fault.OVERSIZED, "too large"), OK)
    assert run(script.bucket().look("k")) is not None


# Copying


def copied(etag: str = "abc") -> Response:
    body = (
        '<?xml version="1.0"?>\n<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<LastModified>2026-01-02T03:04:05Z</LastModified><ETag>&quot;{etag}&quot;</ETag>"
        "</CopyObjectResult>"
    )
    return said(200, body=body.encode())


NO_SUCCESS = [
    said(200, body=b"\n  <Error><Code>InternalError</Code><Message>oh</Message></Error>"),
    said(200, body=b'<?xml version="1.0"?>\n<CopyObjectResult><LastModified>2026'),
    said(200, body=b"<CopyObjectResult><ETag>&quot;0123"),
    said(200),
]
without_success = pytest.mark.parametrize(
    "bad", NO_SUCCESS, ids=["error", "half", "half an ETag", "nothing"]
)


def copy(bucket: Bucket, size: int = 1, source: tuple[str, str] = ("from", "a/b")) -> Any:
    headers = [("x-amz-metadata-directive", "COPY")]
    return run(bucket.copy("to/c", source, headers=headers, size=size))


def test_a_copy_says_where_from_and_returns_the_new_etag() -> None:
    script = Script(copied("new"))
    etag, answer = copy(script.bucket())
    assert (etag, answer.attempts) == ("new", 1)
    (sent,) = script.sent
    assert (sent.method, sent.url) == ("PUT", "http://127.0.0.1:9000/bucket/to/c")
    assert sent.body == b""
    assert script.header(0, "x-amz-copy-source") == "from/a/b"
    assert script.header(0, "x-amz-metadata-directive") == "COPY"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("é", "%C3%A9"),
        ("a?b#c%", "a%3Fb%23c%25"),
        ("~-_.", "~-_."),
    ],
)
def test_the_key_of_a_source_is_encoded(key: str, name: str) -> None:
    script = Script(copied())
    copy(script.bucket(), source=("from", f"d/{key}"))
    assert script.header(0, "x-amz-copy-source") == f"from/d/{name}"


@without_success
def test_a_200_that_holds_no_success_is_sent_again(bad: Response) -> None:
    script = Script(bad, bad, copied("new"))
    etag, answer = copy(script.bucket())
    assert (etag, answer.attempts) == ("new", 3)
    assert script.slept == [2.0, 4.0]


@without_success
def test_a_200_that_never_holds_one_is_an_error_of_the_store(bad: Response) -> None:
    script = Script(*[bad] * 4)
    with pytest.raises(StoreError) as caught:
        copy(script.bucket())
    assert (caught.value.kind, caught.value.status) == (FailureKind.STORE, 500)
    assert str(caught.value)
    assert len(script.sent) == 4


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDenied", 403, FailureKind.ACCESS),
        ("NoSuchKey", 404, FailureKind.NOT_FOUND),
        ("PreconditionFailed", 412, FailureKind.REJECTED),
    ],
)
def test_an_error_after_a_200_is_what_its_code_says(
    code: str, status: int, kind: FailureKind
) -> None:
    script = Script(said(200, code))
    with pytest.raises(StoreError) as caught:
        copy(script.bucket())
    assert (caught.value.status, caught.value.kind) == (status, kind)
    assert len(script.sent) == 1


def test_keys_that_expire_during_a_copy_are_renewed() -> None:
    script = Script(said(200, "ExpiredToken"), copied())
    copy(script.bucket())
    assert script.renewals == 1


def test_a_large_copy_is_waited_for_longer() -> None:
    script = Script(copied(), copied())
    bucket = script.bucket()
    copy(bucket, size=1)
    copy(bucket, size=5_000_000_000)
    assert [request.patience for request in script.sent] == [0, 500]


def test_other_requests_are_waited_for_as_usual() -> None:
    script = Script(OK, OK, OK)
    bucket = script.bucket()
    put(bucket)
    run(bucket.get("k"))
    run(bucket.look("k"))
    assert {request.patience for request in script.sent} == {0}


# Tags, and who pays


def test_tags_are_those_of_the_object_in_the_stores_order() -> None:
    body = (
        b"<Tagging><TagSet><Tag><Key>b</Key><Value>1 &amp; 2</Value></Tag>"
        b"<Tag><Key>a</Key><Value></Value></Tag></TagSet></Tagging>"
    )
    script = Script(said(200, body=body))
    assert run(script.bucket().tags("a b")) == [("b", "1 & 2"), ("a", "")]
    assert script.sent[0].method == "GET"
    assert script.sent[0].url == "http://127.0.0.1:9000/bucket/a%20b?tagging="


def test_the_requester_pays_for_every_request() -> None:
    script = Script(OK, OK, copied(), OK, OK)
    bucket = script.bucket(always=(("x-amz-request-payer", "requester"),))
    run(bucket.get("k"))
    run(bucket.look("k"))
    copy(bucket)
    run(bucket.tags("k"))
    run(bucket.list_page({}))
    payers = [script.header(at, "x-amz-request-payer") for at in range(5)]
    assert payers == ["requester"] * 5


# Throttling, and the limiter


class Ticket:
    """One request at a time, as ``Limiter`` has it; keeps what it is told."""

    def __init__(self) -> None:
        self.free = 1
        self.waited = 0
        self.epoch = 7
        self.lanes: None = None
        self.places: list[str] = []
        self.stalled = 0.0
        self.congested: list[tuple[str, int]] = []
        self.retries = 0
        self.ended = False

    def take_at_once(self) -> bool:
        if self.free < 1:
            return False
        self.free -= 1
        return True

    async def take(self) -> None:
        self.waited += 1
        while not self.take_at_once():
            if self.ended:
                raise RunEnding
            await asyncio.sleep(0)

    def give(self) -> None:
        self.free += 1

    def record_place(self, place: str) -> None:
        self.places.append(place)

    def record_refusal(self, epoch: int, code: str, text: str) -> None:
        assert text.startswith("http://") or text.startswith("https://"), "which store says so"
        self.congested.append(("refused", epoch))

    def record_silence(self, epoch: int) -> None:
        self.congested.append(("unanswered", epoch))

    async def retry(self) -> None:
        self.retries += 1
        if self.ended:
            raise RunEnding


THROTTLED = said(503, "SlowDown")


@pytest.mark.parametrize("refusal", [THROTTLED, said(429), said(400, "Throttling")])
@pytest.mark.parametrize("paced", [True, False])
def test_a_throttled_request_is_sent_again_beyond_the_attempts(
    refusal: Response, paced: bool
) -> None:
    script = Script(*[refusal] * 20, OK)
    answer = put(script.bucket(attempts=2, limiter=Ticket() if paced else None))
    assert answer.attempts == len(script.sent) == 21
    assert max(script.slept) == (1.0 if paced else 20.0)


def test_throttling_takes_no_attempts_from_other_errors() -> None:
    busy, lost = [THROTTLED] * 5, WireError(TIMEOUT, "timed out")
    script = Script(*busy, said(500), *busy, lost, *busy, OK)
    assert put(script.bucket(attempts=3)).attempts == 18
    script = Script(*busy, said(500), *busy, lost, *busy)
    with pytest.raises(NetworkError, match="timed out"):
        put(script.bucket(attempts=2))
    assert len(script.sent) == 12


def test_who_shares_a_limiter_goes_on_until_the_run_is_ended() -> None:
    """Others may be accepted: whether nothing is, the supervisor knows."""

    class Stalling(Ticket):
        def record_refusal(self, epoch: int, code: str, text: str) -> None:
            super().record_refusal(epoch, code, text)
            self.stalled += 0.25

    script = Script(*[THROTTLED] * 50, OK)
    assert put(script.bucket(max_throttled=1.5, limiter=Stalling())).attempts == 51
    # It is asked again when the bound is over, however long it asks to wait.
    script = Script(*[said(503, "SlowDown", b"Retry-After: 9\r\n")] * 7, OK)
    put(script.bucket(max_throttled=1.5, limiter=Stalling()))
    assert script.slept == [1.25, 1.0, 0.75, 0.5, 0.25, 9.0, 9.0]


def test_without_a_limiter_max_throttled_counts_from_the_first_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(said(500), *[THROTTLED] * 50)
    monkeypatch.setattr("s3pp.s3.retry.time.monotonic", lambda: script.now - NOW)
    with pytest.raises(StoreError, match="--max-throttled"):
        put(script.bucket(max_throttled=60.0))
    # 2 s after the error, then 60 in all: the last attempt is made when they are over.
    assert script.slept == [2.0, 2.0, 4.0, 8.0, 16.0, 20.0, 10.0]


@pytest.mark.parametrize(
    ("asked", "seconds"), [(b"0", 1.0), (b"7", 7.0), (b"3600", MOST_ASKED), (b"soon", 1.0)]
)
def test_the_wait_that_a_throttling_store_asks_for_is_obeyed(asked: bytes, seconds: float) -> None:
    script = Script(said(503, "SlowDown", b"Retry-After: %s\r\n" % asked), OK)
    put(script.bucket(limiter=Ticket()))
    assert script.slept == [seconds]


def test_what_is_congested_is_reported_with_the_epoch_of_its_sending() -> None:
    limiter = Ticket()

    class Later(Script):
        async def send(self, request: Request) -> Response:
            limiter.epoch += 1  # the limit changes while the request is in flight
            return await super().send(request)

    reset = WireError(Fault.CUT, "reset")
    put(Later(THROTTLED, reset, said(500), THROTTLED, OK).bucket(limiter=limiter))
    assert limiter.congested == [("refused", 7), ("unanswered", 8), ("refused", 10)]


def test_a_loss_that_no_rate_would_have_avoided_is_not_reported() -> None:
    limiter = Ticket()
    put(Script(WireError(Fault.UNRESOLVED, "no such host"), OK).bucket(limiter=limiter))
    assert limiter.congested == []


def test_the_retry_budget_is_asked_after_errors_and_not_after_throttling() -> None:
    limiter = Ticket()
    put(Script(THROTTLED, said(429), OK).bucket(limiter=limiter))
    assert limiter.retries == 0
    put(Script(said(500), WireError(TIMEOUT, "timed out"), OK).bucket(limiter=limiter))
    assert limiter.retries == 2


def test_a_first_attempt_that_still_waits_at_the_end_of_the_run_is_unfinished() -> None:
    limiter, script = Ticket(), Script()
    limiter.free, limiter.ended = 0, True
    with pytest.raises(RunEnding):
        put(script.bucket(limiter=limiter))
    assert (script.sent, limiter.free) == ([], 0)


@pytest.mark.parametrize(
    ("first", "kind", "cause"),
    [
        (THROTTLED, FailureKind.STORE, "SlowDown"),
        (said(500, "InternalError"), FailureKind.STORE, "InternalError"),
        (WireError(TIMEOUT, "timed out"), FailureKind.NETWORK, "timed out"),
    ],
    ids=["throttled", "500", "no answer"],
)
def test_a_later_attempt_that_still_waits_then_fails_by_what_was_wrong_before(
    first: Response | Exception, kind: FailureKind, cause: str
) -> None:
    limiter = Ticket()

    class Ending(Script):
        async def sleep(self, seconds: float) -> None:
            limiter.free = 0
            limiter.ended = True

    script = Ending(first)
    with pytest.raises(ObjectError, match=f"{cause}.*the run is ending") as caught:
        put(script.bucket(limiter=limiter))
    assert caught.value.kind is kind
    assert len(script.sent) == 1


def test_a_pause_that_the_end_of_the_run_cuts_short_fails_by_the_cause_too() -> None:
    class Ending(Script):
        async def sleep(self, seconds: float) -> None:
            raise ObjectError(FailureKind.STORE, "not tried again")

    for first, kind in (
        (THROTTLED, FailureKind.STORE),
        (WireError(Fault.SILENT, ""), FailureKind.NETWORK),
    ):
        with pytest.raises(ObjectError, match="not tried again") as caught:
            put(Ending(first).bucket())
        assert caught.value.kind is kind


@pytest.mark.parametrize(
    "answers",
    [
        [OK],
        [said(503, "SlowDown"), OK],
        [WireError(TIMEOUT, ""), OK],
        [said(403, "AccessDenied")],
        [WireError(Fault.UNTRUSTED, "")],
        [ValueError("a defect")],
    ],
    ids=["done", "again", "lost", "refused", "fatal", "defect"],
)
def test_the_limiter_is_given_back_to_however_a_request_ends(
    answers: list[Response | Exception],
) -> None:
    limiter = Ticket()
    with contextlib.suppress(ObjectError, FatalError, ValueError):
        run(Script(*answers).bucket(limiter=limiter).get("k"))
    assert limiter.free == 1


def test_no_request_counts_as_in_flight_while_it_waits_for_another_attempt() -> None:
    limiter = Ticket()

    class Watched(Script):
        async def sleep(self, seconds: float) -> None:
            assert limiter.free == 1

        async def send(self, request: Request) -> Response:
            assert limiter.free == 0
            return await super().send(request)

    run(Watched(said(503, "SlowDown"), OK).bucket(limiter=limiter).get("k"))


def test_requests_wait_while_the_limiter_holds_them() -> None:
    limiter = Ticket()
    bucket = Script(OK, OK, OK).bucket(limiter=limiter)

    async def all_at_once() -> None:
        await asyncio.gather(*(bucket.get("k") for _ in range(3)))

    limiter.free = 0
    asyncio.run(_given(limiter, all_at_once()))
    assert limiter.free == 1
    assert limiter.waited == 3


async def _given(limiter: Ticket, waiting: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0.01)
    assert not task.done()
    limiter.give()
    await asyncio.wait_for(task, 10)


def test_a_head_that_tells_no_size_is_asked_for_the_plain_body() -> None:
    """As of a body that a proxy packs, or unpacks, on the way."""
    script = Script(said(200, "", b'ETag: W/"e"\r\n'), said(200, "", b"Content-Length: 7\r\n"))
    found = run(script.bucket().look("k"))
    assert found is not None
    assert found.size == 7
    asked = [[line for line in each.head.splitlines() if "ncoding" in line] for each in script.sent]
    assert asked == [["Accept-Encoding: gzip"], ["Accept-Encoding: identity"]]
    signed = [
        line for each in script.sent for line in each.head.splitlines() if "SignedHeaders" in line
    ]
    assert not any("accept-encoding" in line for line in signed)
