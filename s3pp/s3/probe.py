"""The first request to a bucket, and the meaning of its failures.

It shows whether the bucket exists and can be listed. Exceptions of botocore and urllib3 become
one-line errors with the root cause and what to do.
"""

from __future__ import annotations

import os
import re
import socket
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from botocore import exceptions as boto_errors
from botocore.exceptions import ClientError
from urllib3.exceptions import InsecureRequestWarning

from s3pp.access import Access
from s3pp.errors import FatalError, S3ppError, UsageError
from s3pp.places import Origin
from s3pp.s3.list_requests import lacks_second_version
from s3pp.s3.listing import AGAIN
from s3pp.s3.plain_session import Options
from s3pp.s3.retry import (
    Remedy,
    StoreError,
    ThrottledWaits,
    Trouble,
    describe_status,
    retry_after,
)

T = TypeVar("T")

_REFUSED_KEYS = (
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
)
# Answers that any web server gives: S3 stores add an error document, or x-amz headers.
_WEB_STATUS = frozenset({301, 302, 303, 307, 308, 404})
LATE = 10.0  # seconds after which the user is told why the first request takes so long
_ROOT = re.compile(rb"<([A-Za-z][A-Za-z0-9:._-]{0,63})")  # after a declaration or a doctype


class NoListing(Exception):
    """The answer to a listing is something else: the server is not an S3 store."""

    def __init__(self, status: int, came: str) -> None:
        super().__init__(f"HTTP {status} with {came} in place of a listing")
        self.status = status


class Probe(NamedTuple):
    """The result of listing one key."""

    listable: bool
    keys: int | None  # number listed; None: unknown, due to clock skew or a miscount
    refusal: str = ""
    denied: bool = False  # for lack of permission
    first: str | None = None  # the first key


class Throttled(Exception):
    """The store throttles a request sent by botocore, and requests a pause of ``asked`` seconds."""

    def __init__(self, error: StoreError, asked: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.asked = asked


def raise_if_throttled(response: Any = None, **_: object) -> None:
    """Stop on a throttled answer, before botocore retries it and counts the attempt.

    For botocore's event ``needs-retry``. Raises ``Throttled``.
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
        raise Throttled(error, retry_after(http.headers.get("retry-after")))


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
            except Throttled as busy:
                error, asked = busy.error, busy.asked
            trouble.throttled += 1
            self._sleep(self._waits.wait(trouble, error, endpoint, asked=asked))


class LateNotice:
    """Informs the user, once, why a request that botocore retries takes long."""

    def __init__(
        self,
        notify: Callable[[str], None],
        where: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``where`` names the endpoint; ``clock`` returns seconds."""
        self._notify = notify
        self._where = where
        self._clock = clock
        self._due = clock() + LATE
        self._said = False

    def note(self, response: Any = None, caught_exception: Any = None, **_: object) -> None:
        """Handle botocore's event ``needs-retry``."""
        if self._said or self._clock() < self._due:
            return
        status = 0 if response is None else response[0].status_code
        if caught_exception is None and status < 500:
            return
        self._said = True
        error = caught_exception
        cause = describe_status(status) if error is None else connection_cause(error)
        self._notify(f"{self._where} gives no usable answer ({cause}): the request is sent again")


def raise_if_no_listing(response_dict: dict[str, Any] | None = None, **_: object) -> None:
    """Raise ``NoListing`` for an answer to a listing that no S3 store gives.

    That is a success without a listing, and a redirect or a 404 without a sign of S3. For boto3's
    event ``response-received``, the only one with the raw answer: boto3 treats any other XML as an
    empty listing, anything else as a server failure, and asks the target of a redirect again.
    """
    if response_dict is None:  # no answer came
        return
    status, headers, body = (response_dict[each] for each in ("status_code", "headers", "body"))
    if b"ListBucketResult" in body or b"<Error" in body:
        return
    if status < 300 or (status in _WEB_STATUS and not _has_store_headers(headers)):
        came = _describe_page(headers.get("location") or "", body)
        raise NoListing(status, came)


def _has_store_headers(headers: Iterable[str]) -> bool:
    return any(name.lower().startswith("x-amz-") for name in headers)


def _describe_page(location: str, body: bytes) -> str:
    """Describe an answer by the server it redirects to, or by its root element."""
    if urlsplit(location).netloc:
        return f"a redirect to {origin_of(location)}"
    root = _ROOT.search(body)
    return f"<{root[1].decode()}>" if root else f"{len(body)} bytes that are not XML"


def first_page(client: Any, asked: dict[str, Any]) -> Probe:
    """List with ListObjectsV2, or with ListObjects if the store does not support it.

    Raises ``ClientError``, and ``NoListing`` if the answer is still not a listing after ``AGAIN``
    retries.
    """
    try:
        page = _page(client.list_objects_v2, asked)
    except NoListing as other:
        if other.status != 404:  # which may be about ``list-type``
            raise
        page = _page(client.list_objects, asked)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if not lacks_second_version(StoreError(status_of(error), code, "")):
            raise
        try:
            page = _page(client.list_objects, asked)
        except (ClientError, NoListing):
            raise error from None
    found = page.get("Contents", ())
    if not found:  # an empty page that is not the last proves nothing: the listing will show
        return Probe(listable=True, keys=None if page.get("IsTruncated") else 0)
    return Probe(listable=True, keys=len(found), first=found[0]["Key"])


def _page(ask: Callable[..., dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    for _ in range(AGAIN):
        try:
            return ask(**asked)
        except NoListing:
            continue
    return ask(**asked)


def interpret_refusal(error: ClientError, place: str, options: Options) -> Probe:
    """Interpret a refusal. Raises ``UsageError`` or ``FatalError`` where no run is possible."""
    if error.response["Error"].get("Code") == "RequestTimeTooSkewed":
        # botocore cannot adopt the store's time; our own requests can.
        return Probe(listable=True, keys=None)
    _check(error, place, options)
    return Probe(listable=False, keys=0, refusal=error_text(error), denied=status_of(error) == 403)


def error_text(error: ClientError) -> str:
    """The store's error text, on one line; the status where it has none."""
    said = error.response["Error"]
    code, message = str(said.get("Code") or ""), said.get("Message")
    if not code or code.isdigit():  # botocore's own, for an answer without an S3 error
        return describe_status(status_of(error))
    return f"{code}: {message}" if message else code


def not_listable_message(origin: Origin, probe: Probe) -> str:
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
        raise FatalError(f"credentials refused: {place}: {error_text(error)}")
    if status in (301, 307) or code == "AuthorizationHeaderMalformed":
        raise UsageError(_other_region_message(error, place, options))
    if status >= 500 and status != 501:
        raise FatalError(f"cannot list {place}: {error_text(error)}")


def _other_region_message(error: ClientError, place: str, options: Options) -> str:
    """The message for a bucket in another region, or at another endpoint."""
    said, headers = error.response["Error"], error.response["ResponseMetadata"]["HTTPHeaders"]
    region = said.get("Region") or headers.get("x-amz-bucket-region")
    option = f"{options.prefix}region"
    advice = f"use {option} {region}" if region else f"give the bucket's {option}"
    endpoint = f" (the store names the endpoint {said['Endpoint']})" if "Endpoint" in said else ""
    return f"bucket is in another region: {place}: {error_text(error)}: {advice}{endpoint}"


def _redirect_message(where: str, bucket: str, options: Options) -> str:
    """The message for botocore's endless recursion: a redirect that names no region."""
    problem = f"{where} redirects requests for s3://{bucket} and names no region"
    names = f"{options.prefix}region or {options.prefix}endpoint-url"
    return f"{problem} (PermanentRedirect): give the bucket's {names}"


def _unreachable_message(error: Exception, access: Access, options: Options) -> str:
    """The message for a connection that could not be made, with its cause."""
    url = str(getattr(error, "kwargs", {}).get("endpoint_url") or access.endpoint_url or "")
    where, hint = origin_of(url) if url else "the store", ""
    given = urlsplit(access.endpoint_url or "").netloc
    if given and where.endswith(given):
        host = urlsplit(where).netloc
        where = f"{options.endpoint_url} {access.endpoint_url}"
        if host != given:
            hint = f": the host asked for is {host}; --addressing path leaves the bucket out of it"
    if url.startswith("http:") and isinstance(error, boto_errors.ConnectionClosedError):
        hint = f"{hint}: https, or another port?"  # a server that expects TLS ends the connection
    return f"{where} cannot be reached: {connection_cause(error)}{hint}"


def endpoint_name(access: Access, options: Options) -> str:
    """How messages name the endpoint: by the option that gives it."""
    return f"{options.endpoint_url} {access.endpoint_url}" if access.endpoint_url else "the store"


@contextmanager
def explain_errors(access: Access, bucket: str, options: Options) -> Iterator[None]:
    """Turn botocore's exceptions into one line that names the cause and what to do."""
    where = endpoint_name(access, options)
    try:
        with warnings.catch_warnings():
            if not access.verify_ssl:  # the user asked for it, so no warning
                warnings.simplefilter("ignore", InsecureRequestWarning)
            yield
    except S3ppError:
        raise
    except boto_errors.SSLError as error:
        if "CERTIFICATE" not in str(error):
            raise FatalError(
                f"{where} does not speak TLS as expected ({_one_line(error)}): "
                "http, or another port?"
            ) from None
        raise FatalError(
            f"{where}: its certificate is not trusted ({_one_line(error)}): "
            "name the authority's file with --ca-bundle, or use --no-verify-ssl"
        ) from None
    except RecursionError:
        raise UsageError(_redirect_message(where, bucket, options)) from None
    except (boto_errors.ConnectionError, boto_errors.HTTPClientError) as error:
        if is_recursion(error):
            raise UsageError(_redirect_message(where, bucket, options)) from None
        raise FatalError(_unreachable_message(error, access, options)) from None
    except boto_errors.InvalidRegionError as error:
        region = error.kwargs["region_name"]
        named = "--region" if access.region else _region_variable(os.environ)
        raise UsageError(f"{named} {region!r} is not a region, such as eu-west-1") from None
    except boto_errors.ParamValidationError:
        raise UsageError(f"{bucket!r} is not a bucket name that S3 allows") from None
    except (boto_errors.BotoCoreError, ValueError) as error:
        raise UsageError(_one_line(error)) from None


def _region_variable(environ: Mapping[str, str]) -> str:
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    return next((name for name in names if environ.get(name)), "region of the profile:")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def connection_cause(error: BaseException) -> str:
    """Return why a connection failed or broke: ``connection refused``."""
    said = error
    for said in _chain(error):
        if isinstance(said, ConnectionRefusedError):
            return "connection refused"
        if isinstance(said, socket.gaierror):
            return f"host not found ({said.strerror})"
        if isinstance(said, OSError) and said.strerror:
            return said.strerror[:1].lower() + said.strerror[1:]
    return " ".join(str(said).split()) or type(said).__name__


def is_recursion(error: BaseException) -> bool:
    """Whether the root cause is infinite recursion, which libraries may have wrapped."""
    return any(isinstance(each, RecursionError) for each in _chain(error))


def origin_of(url: str) -> str:
    """Scheme, host and port of ``url``, without credentials: ``http://127.0.0.1:9000``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, outermost first."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__
