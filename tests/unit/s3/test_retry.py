"""What an answer means: the remedy, the kind of failure, and how long to wait."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.s3.answers import parse_tags, xml_text
from s3pp.s3.exchange import Response
from s3pp.s3.retry import MOST_ASKED, Backoff, Remedy, StoreError, retry_after, store_error

WAIT, THROTTLE, REREAD, CLOCK, KEYS, NONE = (
    Remedy.WAIT,
    Remedy.THROTTLE,
    Remedy.REREAD,
    Remedy.CLOCK,
    Remedy.KEYS,
    Remedy.NONE,
)
STORE, ACCESS, REJECTED, INTEGRITY, NOT_FOUND = (
    FailureKind.STORE,
    FailureKind.ACCESS,
    FailureKind.REJECTED,
    FailureKind.INTEGRITY,
    FailureKind.NOT_FOUND,
)

TABLE = [
    (500, "InternalError", WAIT, STORE),
    (500, "HTTP500", WAIT, STORE),
    (502, "HTTP502", WAIT, STORE),
    (503, "SlowDown", THROTTLE, STORE),
    (503, "ServiceUnavailable", THROTTLE, STORE),
    (503, "HTTP503", THROTTLE, STORE),
    (504, "HTTP504", WAIT, STORE),
    (429, "TooManyRequests", THROTTLE, STORE),
    (429, "HTTP429", THROTTLE, STORE),
    (400, "RequestThrottled", THROTTLE, STORE),
    (500, "ThrottlingException", THROTTLE, STORE),
    (400, "RequestTimeout", WAIT, STORE),
    (400, "IncompleteBody", WAIT, STORE),
    (409, "ConditionalRequestConflict", WAIT, STORE),
    (409, "OperationAborted", WAIT, STORE),
    (400, "BadDigest", REREAD, INTEGRITY),
    (400, "XAmzContentSHA256Mismatch", REREAD, INTEGRITY),
    (400, "XAmzContentChecksumMismatch", REREAD, INTEGRITY),
    (403, "RequestTimeTooSkewed", CLOCK, ACCESS),
    (400, "ExpiredToken", KEYS, REJECTED),
    (400, "TokenRefreshRequired", KEYS, REJECTED),
    (400, "InvalidRequest", NONE, REJECTED),
    (400, "HTTP400", NONE, REJECTED),
    (401, "Unauthorized", NONE, ACCESS),
    (403, "AccessDenied", NONE, ACCESS),
    (403, "SignatureDoesNotMatch", NONE, ACCESS),
    (403, "InvalidAccessKeyId", NONE, ACCESS),
    (404, "NoSuchBucket", NONE, NOT_FOUND),
    (404, "NoSuchKey", NONE, NOT_FOUND),
    (409, "BucketAlreadyExists", NONE, REJECTED),
    (412, "PreconditionFailed", NONE, REJECTED),
    (413, "EntityTooLarge", NONE, REJECTED),
    (301, "PermanentRedirect", NONE, REJECTED),
    (307, "TemporaryRedirect", NONE, REJECTED),
    (501, "NotImplemented", NONE, STORE),
]


@pytest.mark.parametrize(("status", "code", "remedy", "kind"), TABLE)
def test_remedy_and_kind(status: int, code: str, remedy: Remedy, kind: FailureKind) -> None:
    error = StoreError(status, code, "why")
    assert error.remedy is remedy
    assert error.kind is kind
    bare = code == f"HTTP{status}"
    assert str(error).endswith("without an S3 error body: why" if bare else f"{code}: why")


@pytest.mark.parametrize(
    ("status", "code", "refused"),
    [
        (403, "InvalidAccessKeyId", True),
        (400, "InvalidToken", True),
        (400, "ExpiredToken", True),
        (403, "AccessDenied", False),
        (403, "RequestTimeTooSkewed", False),
        (503, "SlowDown", False),
    ],
)
def test_refused_keys_are_told_from_a_refused_object(status: int, code: str, refused: bool) -> None:
    assert StoreError(status, code, "").keys_refused is refused


def error_of(status: int, body: bytes) -> StoreError:
    return store_error(Response(status, b"", body), "http://store:9")


def test_the_stores_own_words_are_kept_in_one_line() -> None:
    body = (
        b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>'
        b"<Message>You &amp; I\n  may not</Message><Resource>/b/k</Resource></Error>"
    )
    error = error_of(403, body)
    assert (error.status, error.code) == (403, "AccessDenied")
    assert str(error) == "AccessDenied: You & I may not"


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b"\xff\xfe\x00", b"<Code>"])
def test_an_answer_that_is_no_s3_error_is_told_by_its_status(body: bytes) -> None:
    error = error_of(502, body)
    assert (error.code, error.remedy) == ("HTTP502", WAIT)
    assert str(error) == "HTTP 502 Bad Gateway without an S3 error body: from http://store:9"


@given(st.integers(1, 5000), st.floats(0.001, 10), st.floats(0.001, 100))
def test_a_wait_is_drawn_from_zero_to_a_bound_that_doubles(
    attempt: int, base: float, cap: float
) -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    backoff = Backoff(9, base=base, cap=cap, draw=draw)
    wait, following = backoff.wait(attempt), backoff.wait(attempt + 1)
    assert 0 < wait <= cap
    assert following == pytest.approx(min(cap, 2 * wait))
    assert [low for low, _ in drawn] == [0.0, 0.0]


@given(st.integers(1, 30))
def test_waits_are_spread_by_chance(attempt: int) -> None:
    backoff = Backoff(9)
    waits = {backoff.wait(attempt) for _ in range(20)}
    assert all(0 <= wait <= backoff.cap for wait in waits)
    assert len(waits) > 10


@given(st.integers(1, 5000))
def test_a_throttled_request_waits_a_second_at_most_where_the_rate_is_lowered(attempt: int) -> None:
    backoff = Backoff(9, draw=lambda low, high: high)
    assert backoff.throttled(attempt, 0.0) == backoff.wait(attempt)
    assert backoff.paced(attempt, 0.0) == min(1.0, backoff.wait(attempt))


@given(st.integers(1, 50), st.floats(0, 100), st.floats(0, MOST_ASKED))
def test_no_wait_for_a_store_that_throttles_goes_beyond_the_bound(
    attempt: int, stalled: float, asked: float
) -> None:
    backoff, left = Backoff(9, max_throttled=50.0), 50.0 - stalled
    wait, paced = backoff.throttled(attempt, stalled, asked=asked), backoff.paced(attempt, stalled)
    if wait is None:
        assert left <= 0
        assert 0 <= paced <= 1.0
    else:
        assert min(asked, left) <= wait <= left
        assert 0 <= paced <= min(1.0, left)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ([], 0.0),
        ([b"Retry-After: 0\r\n"], 0.0),
        ([b"Retry-After: 7\r\n"], 7.0),
        ([b"Retry-After: 86400\r\n"], MOST_ASKED),
        ([b"Retry-After: -1\r\n"], 0.0),
        ([b"Retry-After: Fri, 20 Nov 2026 23:37:00 GMT\r\n"], 0.0),
        ([b"Retry-After: \xc2\xb2\r\n"], 0.0),
    ],
    ids=["nothing", "0", "7", "a day", "negative", "a date", "no ASCII digit"],
)
def test_the_wait_that_a_store_asks_for(asked: list[bytes], seconds: float) -> None:
    answer = Response(503, b"".join([b"HTTP/1.1 503\r\n", *asked]), b"")
    assert retry_after(answer.header(b"retry-after")) == seconds


def test_an_error_after_long_throttling_names_the_option() -> None:
    error = StoreError(503, "SlowDown", "Please reduce your request rate.").after_waiting(601.4)
    assert (error.status, error.code, error.kind) == (503, "SlowDown", STORE)
    assert str(error) == (
        "SlowDown: Please reduce your request rate. (throttled for 601 s in which no request"
        " succeeded: see --max-throttled)"
    )
    assert "without an S3 error body: throttled for 1 s" in str(
        StoreError(503, "HTTP503", "").after_waiting(1)
    )


# Errors that come after a status of 200


@pytest.mark.parametrize(
    ("code", "status", "remedy", "kind"),
    [
        ("InternalError", 500, WAIT, STORE),
        ("SlowDown", 500, THROTTLE, STORE),
        ("SomethingNobodyKnows", 500, WAIT, STORE),
        ("AccessDenied", 403, NONE, ACCESS),
        ("NoSuchKey", 404, NONE, NOT_FOUND),
        ("NoSuchBucket", 404, NONE, NOT_FOUND),
        ("PreconditionFailed", 412, NONE, REJECTED),
        ("ExpiredToken", 500, KEYS, STORE),
    ],
)
def test_a_late_error_has_the_status_it_would_have_had(
    code: str, status: int, remedy: Remedy, kind: FailureKind
) -> None:
    body = f"<Error><Code>{code}</Code><Message>late</Message></Error>".encode()
    error = error_of(200, body)
    assert (error.status, error.remedy, error.kind) == (status, remedy, kind)
    assert str(error) == f"{code}: late"


@pytest.mark.parametrize("body", [b"", b"<CopyObjectResult><ETa", b"<html>"])
def test_an_answer_that_ends_in_the_middle_passes(body: bytes) -> None:
    error = error_of(200, body)
    assert (error.remedy, error.kind) == (WAIT, STORE)
    assert "truncated" in str(error)


# Reading XML


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<A><ETag>x</ETag></A>", "x"),
        (b"<A><ETag>&quot;x&quot;</ETag></A>", '"x"'),
        (b"<ETag>a</ETag><ETag>b</ETag>", "a"),
        (b"<ETag> a\n b </ETag>", "a b"),
        (b"<ETag></ETag>", ""),
        (b"<ETag/>", None),
        (b"<ETag>cut off", None),
        (b"<ETags>x</ETags>", None),
        (b"", None),
        (b"\xff<ETag>x</ETag>", "x"),
    ],
)
def test_the_first_element_of_a_name(body: bytes, text: str | None) -> None:
    assert xml_text(body, "ETag") == text


XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.text("a<>&\"' ")


@given(st.lists(st.tuples(XML_TEXT, XML_TEXT), max_size=10), st.sampled_from(["", "\n  "]))
def test_tags_come_back(pairs: list[tuple[str, str]], space: str) -> None:
    tags = "".join(
        f"<Tag>{space}<Key>{escape(key)}</Key>{space}<Value>{escape(value)}</Value>{space}</Tag>"
        for key, value in pairs
    )
    body = f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()
    assert parse_tags(body) == pairs


@pytest.mark.parametrize("body", [b"", b"<Tagging><TagSet/></Tagging>", b"<TagSet></TagSet>"])
def test_no_tags_are_none(body: bytes) -> None:
    assert parse_tags(body) == []
