"""Stores that allow so many requests a second, and answer 503 SlowDown to the rest."""

from __future__ import annotations

import threading
import time

from stores.relay import Answer, Request, error

RATE = 100  # requests per second that the store takes
OBJECTS = 500


class Throttle:
    """A token bucket in front of a store: refuses PUTs and GETs of objects beyond the rate."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, time.monotonic()
        self._lock = threading.Lock()  # the relay has a thread for each connection
        self.refused = self.taken = 0

    def __call__(self, request: Request) -> Answer | None:
        if request.of_bucket:
            return None
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + self._rate * (now - self._at))
            self._at = now
            if self._tokens < 1.0:
                self.refused += 1
                return error(503, "SlowDown")
            self._tokens -= 1.0
            self.taken += 1
            return None


def test_a_store_that_throttles_costs_no_object(s3pp, recorder, moto, moto_bucket, tree):
    """All arrives, little is refused, and the user is told why it takes so long."""
    files = {f"f{number:03}": f"body {number}".encode() for number in range(OBJECTS)}
    source = tree(files)
    throttle = Throttle(RATE, RATE / 10)
    through = recorder(moto, intercept=throttle)
    put = s3pp(
        *("put", "--mode", "stupid", "--progress", source, moto_bucket.url), store=through.store
    )
    assert put.code == 0
    assert put.counts.done == OBJECTS
    assert moto_bucket.tree() == files
    assert throttle.refused < 0.3 * OBJECTS  # every first moment counts in so short a run
    assert put.err.count("the store throttles requests") == 1
    assert "limited to" in put.err

    # The same rate again, for the other direction.
    throttle.refused = 0
    get = s3pp("get", moto_bucket.url, "got", store=through.store)
    assert get.code == 0
    assert tree.read(source.parent / "got") == files
    assert throttle.refused < 0.3 * OBJECTS


def test_a_store_that_throttles_for_ever_ends_the_object_in_bounded_time(
    s3pp, recorder, moto, moto_bucket, tree
):
    """Attempts do not bound it, time does; the message says which option."""
    source = tree({"a": b"a", "b": b"b"})
    throttle = Throttle(0.0, 0.0)
    through = recorder(moto, intercept=throttle)
    options = ("--mode", "stupid", "--max-attempts", "1", "--max-throttled", "2")
    result = s3pp("put", *options, source, moto_bucket.url, store=through.store)
    assert result.code == 1
    assert result.counts.failed == 2
    assert result.err.count("--max-throttled") == 2
    assert "SlowDown" in result.err
    assert throttle.refused > 2
    assert moto_bucket.tree() == {}
