"""The first request to a bucket, which shows whether it exists and can be listed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from s3pp.errors import FatalError, UsageError
from s3pp.places import Origin
from s3pp.s3.causes import bare
from s3pp.s3.identity import Options
from s3pp.s3.list_requests import lacks_second_version
from s3pp.s3.listing import AGAIN
from s3pp.s3.retry import Remedy, StoreError, ThrottledWaits, Trouble, retry_after

T = TypeVar("T")

_REFUSED_KEYS = (
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
)
_ROOT = re.compile(rb"<([A-Za-z][A-Za-z0-9:._-]{0,63})")  # after a declaration or a doctype


class NoListing(Exception):
    """The answer to a listing is something else: the server is not an S3 store."""


class Probe(NamedTuple):
    """The result of listing one key."""

    listable: bool
    keys: int | None  # number listed; None: unknown, due to clock skew or a miscount
    refusal: str = ""
    denied: bool = False  # for lack of permission


class Busy(Exception):
    """The store throttles a request sent by botocore, and asks to wait ``asked`` seconds."""

    def __init__(self, error: StoreError, asked: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.asked = asked


def end_if_busy(response: Any = None, **_: object) -> None:
    """Stop on a throttled answer, before botocore retries it and counts the attempt.

    For botocore's event ``needs-retry``. Raises ``Busy``.
    """
    if response is None:
        return
    http, parsed = response
    said, status = parsed.get("Error", {}), http.status_code
    code = str(said.get("Code") or "")
    if not code or code.isdigit():  # botocore's own, for an answer without an S3 error
        error = StoreError(status, f"HTTP{status}", "")
    else:
        error = StoreError(status, code, said.get("Message") or "")
    if error.remedy is Remedy.THROTTLE:
        raise Busy(error, retry_after(http.headers.get("retry-after")))


class ThrottledProbe:
    """Retries a botocore request while the store throttles it, limited by time, not attempts.

    A signal interrupts the wait as it does any other call.
    """

    def __init__(self, waits: ThrottledWaits, sleep: Callable[[float], None] = time.sleep) -> None:
        self._waits = waits
        self._sleep = sleep

    def send(self, request: Callable[[], T], endpoint: str) -> T:
        """Return the answer. Raises ``StoreError`` once ``max_throttled`` has passed."""
        trouble = Trouble()
        while True:
            try:
                return request()
            except Busy as busy:
                error, asked = busy.error, busy.asked
            trouble.throttled += 1
            self._sleep(self._waits.wait(trouble, error, endpoint, asked=asked))


def refuse_other(response_dict: dict[str, Any] | None = None, **_: object) -> None:
    """Raise ``NoListing`` for a successful answer to a listing that does not contain one.

    For boto3's event ``response-received``, the only one with the raw answer: boto3 treats any
    other XML as an empty listing, and anything else as a server failure.
    """
    if response_dict is None:  # no answer came
        return
    status, body = response_dict["status_code"], response_dict["body"]
    if status < 300 and b"ListBucketResult" not in body and b"<Error" not in body:
        root = _ROOT.search(body)
        came = f"<{root[1].decode()}>" if root else f"{len(body)} bytes that are no XML"
        raise NoListing(f"HTTP {status} with {came} in place of a listing")


def first_page(client: Any, asked: dict[str, Any]) -> Probe:
    """List with ListObjectsV2, or with ListObjects if the store does not support it.

    Raises ``ClientError``, and ``NoListing`` if the answer is still not a listing after ``AGAIN``
    retries.
    """
    try:
        page = _page(client.list_objects_v2, asked)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if not lacks_second_version(StoreError(status_of(error), code, "")):
            raise
        try:
            page = _page(client.list_objects, asked)
        except ClientError:
            raise error from None
    found = len(page.get("Contents", ()))
    # An empty page that is not the last proves nothing: the listing itself will show.
    return Probe(listable=True, keys=None if page.get("IsTruncated") and not found else found)


def _page(ask: Callable[..., dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    for _ in range(AGAIN):
        try:
            return ask(**asked)
        except NoListing:
            continue
    return ask(**asked)


def refused(error: ClientError, place: str, options: Options) -> Probe:
    """Interpret a refusal. Raises ``UsageError`` or ``FatalError`` where no run is possible."""
    if error.response["Error"].get("Code") == "RequestTimeTooSkewed":
        # botocore cannot adopt the store's time; our own requests can.
        return Probe(listable=True, keys=None)
    _check(error, place, options)
    return Probe(listable=False, keys=0, refusal=told(error), denied=status_of(error) == 403)


def told(error: ClientError) -> str:
    """The store's error text, on one line; the status where it has none."""
    said = error.response["Error"]
    code, message = str(said.get("Code") or ""), said.get("Message")
    if not code or code.isdigit():  # botocore's own, for an answer without an S3 error
        return bare(status_of(error))
    return f"{code}: {message}" if message else code


def unlisted(origin: Origin, probe: Probe) -> str:
    """The message for an origin that cannot be listed, with the permission needed."""
    what = f"access denied: ListBucket on {origin}" if probe.denied else f"cannot list {origin}"
    return f"{what}: {probe.refusal}"


def status_of(error: ClientError) -> int:
    """The HTTP status of a refusal; 0 if it has none."""
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def _check(error: ClientError, place: str, options: Options) -> None:
    """Raise the error that the refusal implies; return where writing may still be allowed."""
    code, status = error.response["Error"].get("Code", ""), status_of(error)
    if code == "NoSuchBucket" or (status == 404 and code in ("404", "NotFound")):
        raise UsageError(f"bucket not found: {place}: create it, or check the endpoint")
    if code in _REFUSED_KEYS or status == 401:
        raise FatalError(f"credentials refused: {place}: {told(error)}")
    if status in (301, 307) or code == "AuthorizationHeaderMalformed":
        raise UsageError(_elsewhere(error, place, options))
    if status >= 500 and status != 501:
        raise FatalError(f"cannot list {place}: {told(error)}")


def _elsewhere(error: ClientError, place: str, options: Options) -> str:
    """The message for a bucket in another region, or at another endpoint."""
    said, headers = error.response["Error"], error.response["ResponseMetadata"]["HTTPHeaders"]
    region = said.get("Region") or headers.get("x-amz-bucket-region")
    named = f"{options.mends}region {region}" if region else f"its {options.mends}region"
    endpoint = f" (the store names the endpoint {said['Endpoint']})" if "Endpoint" in said else ""
    return f"bucket is in another region: {place}: {told(error)}: use {named}{endpoint}"
