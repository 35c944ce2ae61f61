"""The requests that find a bucket, while the store throttles, or does not answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from s3pp.s3.probe import LATE, LateNotice, Throttled, ThrottledProbe
from s3pp.s3.retry import Backoff, StoreError, ThrottledWaits

SLOW_DOWN = StoreError(503, "SlowDown", "made up")
ENDPOINT = "http://127.0.0.1:9"


@dataclass
class Scene:
    """A store that throttles ``refusals`` requests, under a clock that only waits move."""

    refusals: int
    asked: float = 0.0  # seconds, as by Retry-After
    now: float = 50.0
    sent: int = 0
    waits: list[float] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def send(self, max_throttled: float = 600.0) -> str:
        backoff = Backoff(1, max_throttled, base=1.0, draw=lambda low, high: high)
        waits = ThrottledWaits(backoff, self.notices.append, clock=lambda: self.now)
        return ThrottledProbe(waits, self._sleep).send(self._request, ENDPOINT)

    def _request(self) -> str:
        self.sent += 1
        if self.sent <= self.refusals:
            raise Throttled(SLOW_DOWN, self.asked)
        return "answer"

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def test_attempts_do_not_bound_it() -> None:
    scene = Scene(refusals=30)
    assert scene.send() == "answer"
    assert scene.sent == 31
    assert scene.waits[:6] == [2.0, 4.0, 8.0, 16.0, 20.0, 20.0]


def test_time_does_and_the_last_attempt_is_made_when_it_is_up() -> None:
    scene = Scene(refusals=1000)
    with pytest.raises(StoreError, match=r"throttled for 5 s .* see --max-throttled") as caught:
        scene.send(5.0)
    assert caught.value.code == "SlowDown"
    assert scene.waits == [2.0, 3.0]
    assert scene.sent == 3


@pytest.mark.parametrize(("asked", "waits"), [(30.0, [30.0]), (0.5, [2.0])])
def test_retry_after_is_obeyed(asked: float, waits: list[float]) -> None:
    scene = Scene(refusals=1, asked=asked)
    assert (scene.send(), scene.waits) == ("answer", waits)


def test_the_user_is_told_once_and_only_of_a_wait_that_shows() -> None:
    quick = Scene(refusals=0)
    quick.send()
    assert quick.notices == []
    slow = Scene(refusals=9)
    slow.send()
    (notice,) = slow.notices
    assert notice.startswith(f"{ENDPOINT} throttles requests (SlowDown: made up): ")
    assert notice.endswith("for at most 600 s (--max-throttled)")


def test_the_user_is_told_once_why_the_first_request_takes_long() -> None:
    now, notices = [0.0], list[str]()
    late = LateNotice(notices.append, "the store", clock=lambda: now[0])
    failures: list[dict[str, Any]] = [
        {"caught_exception": ConnectTimeoutError(endpoint_url="http://here")},
        {"response": (SimpleNamespace(status_code=502), {})},
    ]
    for failure in failures:
        late.note(**failure)  # it may still be answered soon
    now[0] = LATE
    late.note(response=(SimpleNamespace(status_code=200), {}))
    assert notices == []
    late.note(**failures[1])
    late.note(**failures[0])
    assert notices == [
        "the store gives no usable answer (HTTP 502 Bad Gateway without an S3 error body):"
        " the request is sent again"
    ]
