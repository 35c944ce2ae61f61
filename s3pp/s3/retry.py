"""Retry rules: which errors are transient, and how long to wait before another attempt.

The table follows the S3 API reference, "Error responses", corrected by what stores actually send:
botocore retries neither ``BadDigest`` nor ``IncompleteBody`` nor 409
``ConditionalRequestConflict``, and each of them is transient.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from s3pp.errors import FailureKind, ObjectError, RunEnding
from s3pp.limits import DEFAULT_MAX_THROTTLED
from s3pp.s3.answers import no_store_message, xml_text
from s3pp.s3.exchange import MOST_HELD, Fault, Response, WireError

T = TypeVar("T")


class Remedy(Enum):
    """What to do before the same request is sent again."""

    WAIT = "send it again later"
    THROTTLE = "send it again later, and all others more slowly"
    REREAD = "read the source again: the store got other bytes than we hashed"
    CLOCK = "take the store's time"
    KEYS = "get new credentials"
    NONE = "nothing: report it"


_WAIT_STATUS = frozenset({500, 502, 504})
_THROTTLE_STATUS = frozenset({429, 503})
_WAIT_CODES = frozenset(
    {
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
    }
)
# Codes of stores and of proxies in front of them; from botocore's list for "legacy retry mode".
_THROTTLE_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
    }
)
_REMEDIES = {
    "BadDigest": Remedy.REREAD,
    "XAmzContentSHA256Mismatch": Remedy.REREAD,
    "XAmzContentChecksumMismatch": Remedy.REREAD,
    "ExpiredToken": Remedy.KEYS,
    "TokenRefreshRequired": Remedy.KEYS,
    "RequestTimeTooSkewed": Remedy.CLOCK,
}
# The credentials themselves are refused, so every other object would fail too.
_BAD_KEYS = frozenset(
    {"InvalidAccessKeyId", "InvalidToken", "InvalidSecurity", "AccountProblem", "NotSignedUp"}
)
_LATE = {
    "AccessDenied": 403,
    "BadDigest": 400,
    "ConditionalRequestConflict": 409,
    "EntityTooSmall": 400,
    "InvalidPart": 400,
    "InvalidPartOrder": 400,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "PreconditionFailed": 412,
}
# The end of a result without an ETag. For the copy of a part, the ETag is the whole result.
_MOST_END = 1024  # bytes
_RESULT = rb"(CopyObject|CompleteMultipartUpload|Delete)Result(\s[^<>]*)?/?>\s*\Z"
_KINDS = {
    401: FailureKind.ACCESS,
    403: FailureKind.ACCESS,
    404: FailureKind.NOT_FOUND,
    429: FailureKind.STORE,
}


MOST_CODE = 100  # characters of a store's error code
MOST_MESSAGE = 1000  # characters of its message


def shorten(text: str, most: int = MOST_MESSAGE) -> str:
    """Return what a store has sent for a message, cut off where it is too long."""
    return text if len(text) <= most else f"{text[:most]}…"


class StoreError(ObjectError):
    """The store answered with an error."""

    attempt = 1  # that got this answer: a later one may find what an earlier one has done

    def __init__(self, status: int, code: str, message: str, date: str | None = None) -> None:
        """``date``: the answer's ``Date`` header, unparsed."""
        code, message = code[:MOST_CODE], shorten(message)
        kind = FailureKind.STORE if status >= 500 else _KINDS.get(status, FailureKind.REJECTED)
        if _REMEDIES.get(code) is Remedy.REREAD:
            kind = FailureKind.INTEGRITY
        elif code in _WAIT_CODES or code in _THROTTLE_CODES:
            kind = FailureKind.STORE
        super().__init__(kind, _words(status, code, message))
        self.status = status
        self.code = code
        self.date = date
        self._text = message

    def after_waiting(self, seconds: float) -> StoreError:
        """Return this error, extended by the ``seconds`` for which every request was throttled."""
        why = f"throttled for {seconds:.0f} s in which no request succeeded: see --max-throttled"
        return StoreError(self.status, self.code, f"{self._text} ({why})" if self._text else why)

    @property
    def remedy(self) -> Remedy:
        """The remedy for this error; ``501 NotImplemented``, for example, has none."""
        if self.code in _REMEDIES:
            return _REMEDIES[self.code]
        if self.status in _THROTTLE_STATUS or self.code in _THROTTLE_CODES:
            return Remedy.THROTTLE
        wait = self.status in _WAIT_STATUS or self.code in _WAIT_CODES
        return Remedy.WAIT if wait else Remedy.NONE

    @property
    def label(self) -> str:
        """What displays call it: its status, or for one within a success its code."""
        if self.remedy is Remedy.KEYS:
            return "credentials expired"
        return str(self.status) if self.status >= 300 else self.code

    @property
    def keys_refused(self) -> bool:
        """Whether the store rejects these credentials, so that no request can succeed."""
        return self.code in _BAD_KEYS or self.remedy is Remedy.KEYS


class NetworkError(ObjectError):
    """No attempt got a complete answer."""

    def __init__(self, error: WireError, endpoint: str = "", attempt: int = 1) -> None:
        what = "unreadable answer" if error.fault is Fault.UNREADABLE else "no answer"
        where = f"{what} from {endpoint}: " if endpoint else ""
        super().__init__(FailureKind.NETWORK, f"{where}{error}")
        self.attempt = attempt


class NotStored(ObjectError):
    """An answer about an object that did not come from an S3 store."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(FailureKind.STORE, no_store_message(endpoint))


class Oversized(ObjectError):
    """An answer is too long to hold in memory: objects must be requested with a sink."""

    def __init__(self, endpoint: str = "") -> None:
        what = f"unreadable answer from {endpoint}: longer than {MOST_HELD} bytes"
        super().__init__(FailureKind.STORE, what)


def _words(status: int, code: str, message: str) -> str:
    """The store's error text, or the status for an answer that has none."""
    if code == f"HTTP{status}":
        return f"{describe_status(status)}: {message}" if message else describe_status(status)
    return f"{code}: {message}" if message else code


def _status_text(status: int) -> str:
    """Return a status with its name: ``HTTP 502 Bad Gateway``."""
    from http import HTTPStatus

    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def describe_status(status: int) -> str:
    """Describe an error known only by its status: from a proxy, or a server other than S3."""
    return f"{_status_text(status)} without an S3 error body"


@dataclass
class Trouble:
    """The failed attempts of a request so far."""

    failures: int = 0  # attempts that count
    throttled: int = 0  # throttled attempts, which do not count
    since: float | None = None  # when it was first throttled, in seconds of a monotonic clock
    tried: set[Remedy] = field(default_factory=set)
    cause: ObjectError | None = None  # of the last failure

    @property
    def attempts(self) -> int:
        """The number of failed attempts, throttled ones included."""
        return self.failures + self.throttled


async def until(waiting: Awaitable[T], trouble: Trouble | None) -> T:
    """Wait for the next attempt; return what ``waiting`` does.

    If the run ends first, raise the cause of the last failure, an ``ObjectError``, or
    ``RunEnding`` if no attempt has failed.
    """
    try:
        return await waiting
    except (RunEnding, ObjectError) as end:
        if trouble is None or trouble.cause is None:
            raise
        ending = isinstance(end, RunEnding)
        why = "not tried again: the run is ending" if ending else str(end)
        given_up = ObjectError(trouble.cause.kind, f"{trouble.cause} ({why})")
        given_up.code = trouble.cause.code
        raise given_up from None


def store_error(response: Response, endpoint: str = "") -> StoreError:
    """Parse the error of an answer; for a body that is not an S3 error, use the status.

    ``endpoint``: where the answer came from, for messages about such bodies.

    An error in a 200 occurred after the store had begun to answer: the status it would have had is
    derived from its code, and is 500 for all that may be transient.
    """
    code, message = xml_text(response.body, "Code"), xml_text(response.body, "Message") or ""
    if response.status < 300:
        code = code or "IncompleteAnswer"
        return StoreError(_LATE.get(code, 500), code, message or "the answer is truncated")
    date = response.header(b"date")
    if code:
        return StoreError(response.status, code, message, date)
    message = f"from {endpoint}" if endpoint else ""
    if response.status == 404:
        message = f"is {endpoint or 'it'} an S3 endpoint, and does it support such a name?"
    return StoreError(response.status, f"HTTP{response.status}", message, date)


def is_whole(body: bytes) -> bool:
    """Whether a 200 with a result as its body, as to a copy, has it whole, and no error."""
    # The end only: a search through a long body could take for ever.
    return b"</ETag>" in body or re.search(_RESULT, body[-_MOST_END:]) is not None


def refused_by_proxy(origin: str, how: str) -> str:
    """The message for a proxy that refuses to connect to ``origin``."""
    advice = "check http_proxy, https_proxy or all_proxy, with its user and password"
    return f"the proxy refuses to reach {origin} ({how}): {advice}"


def retry_after(header: str | None) -> float:
    """The seconds to wait according to ``Retry-After``, at most ``MOST_ASKED``; 0 if absent."""
    asked = header or ""
    return min(MOST_ASKED, float(asked)) if asked.isascii() and asked.isdigit() else 0.0


MOST_ASKED = 60.0  # seconds that a store may ask for with Retry-After (RFC 9110, 10.2.3)
_PACED_CAP = 1.0  # seconds; short, because the rate limit spaces requests out
_MOST_DOUBLINGS = 64  # beyond every cap, and within the range of a float


@dataclass(frozen=True)
class Backoff:
    """Full jitter: a uniform wait below a bound that doubles; times in seconds.

    Source of the rule: AWS Architecture Blog, "Exponential backoff and jitter".
    """

    attempts: int
    max_throttled: float = DEFAULT_MAX_THROTTLED  # seconds without any success
    base: float = 0.2
    cap: float = 20.0
    draw: Callable[[float, float], float] = random.uniform

    def wait(self, attempt: int) -> float:
        """Seconds to wait after attempt number ``attempt`` (from 1) failed."""
        return self.draw(0.0, min(self.cap, self.base * 2.0 ** min(attempt, _MOST_DOUBLINGS)))

    def throttled(self, attempt: int, stalled: float, *, asked: float = 0.0) -> float | None:
        """Seconds to wait after attempt ``attempt`` was throttled; None after ``max_throttled``.

        ``stalled``: seconds for which the store has accepted nothing; ``asked``: seconds that it
        asks to wait. The last attempt is made when the time is up.
        """
        left = self.max_throttled - stalled
        return min(left, max(asked, self.wait(attempt))) if left > 0.0 else None

    def paced(self, attempt: int, stalled: float, *, asked: float = 0.0) -> float:
        """Like ``throttled``, for a rate-limited run, where another process decides when to end."""
        wait = max(asked, min(self.wait(attempt), self.draw(0.0, _PACED_CAP)))
        left = self.max_throttled - stalled
        return min(left, wait) if left > 0.0 else wait


NOTICE_SECONDS = 1.5  # of throttling after which the user is told why nothing happens


class ThrottledWaits:
    """Waits of throttled requests that have no limiter; bounded by time.

    ``notify`` informs the user, once, why nothing happens. ``clock`` returns seconds.
    """

    def __init__(
        self,
        backoff: Backoff,
        notify: Callable[[str], None] | None,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._backoff = backoff
        self._notify = notify
        self._clock = clock or time.monotonic

    def wait(self, trouble: Trouble, error: StoreError, endpoint: str, *, asked: float) -> float:
        """Seconds until the next attempt of the throttled request, whose last error is ``error``.

        ``asked`` is the result of ``retry_after``. Raises ``StoreError`` when the time is up.
        """
        now = self._clock()
        trouble.since = now if trouble.since is None else trouble.since
        stalled = now - trouble.since
        wait = self._backoff.throttled(trouble.throttled, stalled, asked=asked)
        if wait is None:
            raise error.after_waiting(stalled)
        if self._notify is not None and stalled + wait > NOTICE_SECONDS:
            tried = "requests are sent again until it accepts one"
            bound = f"for at most {self._backoff.max_throttled:g} s (--max-throttled)"
            self._notify(f"{endpoint} throttles requests ({error}): {tried}, {bound}")
            self._notify = None
        return wait
