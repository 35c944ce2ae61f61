"""A session set up by botocore: credentials, region, endpoint, and a check that the bucket exists.

It is needed where ``plain_session`` does not suffice. botocore does the work, so that a user's
profiles, roles, SSO, environment and endpoint settings have their usual effect. The endpoint is
taken from a request for a probe key that is signed but not sent, which reveals scheme, host, path
style and region of any kind of endpoint through public API.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from botocore import UNSIGNED
from botocore import exceptions as boto_errors
from botocore.config import Config
from botocore.httpsession import get_cert_path

from s3pp.access import Access, Keys
from s3pp.errors import FatalError, UsageError
from s3pp.limits import MAX_ATTEMPTS_TO_OPEN
from s3pp.places import Origin
from s3pp.s3.answers import is_store, no_store_message
from s3pp.s3.endpoint import Endpoint, Opened, Proxy, proxy_for
from s3pp.s3.identity import Identity, shorten
from s3pp.s3.key_source import KeySource
from s3pp.s3.plain_session import OPTIONS, Options, discard
from s3pp.s3.probe import (
    LateNotice,
    NoListing,
    Probe,
    ThrottledProbe,
    connection_cause,
    endpoint_name,
    error_text,
    explain_errors,
    first_page,
    interpret_refusal,
    not_listable_message,
    origin_of,
    raise_if_no_listing,
    raise_if_throttled,
    status_of,
)
from s3pp.s3.retry import Backoff, StoreError, ThrottledWaits

T = TypeVar("T")

_PROBE_KEY = "probe"
_NOBODY = Keys("anonymous", "anonymous")  # keeps botocore from searching for unneeded keys


class BotoSession:
    """One side's credentials and endpoint."""

    def __init__(
        self,
        access: Access,
        bucket: str,
        *,
        like: BotoSession | None = None,
        options: Options = OPTIONS,
        notify: Callable[[str], None] = discard,
    ) -> None:
        """For the arguments see ``session.Session``."""
        self._access = access
        self._bucket = bucket
        self._options = options
        backoff = Backoff(access.max_attempts, access.max_throttled)
        self._throttled = ThrottledProbe(ThrottledWaits(backoff, notify))
        self._late = LateNotice(notify, endpoint_name(access, options))
        self._region: str | None = None  # of the bucket, if an answer named it
        self._proxy: Proxy | None = None
        self._identity: Identity
        if like and _identifies(like._access) == _identifies(access):
            self._identity = copy(like._identity)  # each is renewed separately
        else:
            self._identity = Identity(access, options)

    def open(self, prefix: str) -> Opened:
        """``Session.open``, whatever the configuration."""
        with self._explain_errors():
            client = self._watched_client()
            opened = self._describe(client, self._probe(client, prefix))
            client.close()
        return opened

    def open_unverified(self) -> Opened:
        """``Session.open_unverified``, whatever the configuration."""
        with self._explain_errors():
            client = self._client(self._access)
            opened = self._build_opened(client, listable=True)
            client.close()
        return opened

    def open_source(self, origin: Origin, *, by_name: bool = False) -> Opened:
        """``Session.open_source``, whatever the configuration."""
        with self._explain_errors():
            client = self._watched_client()
            probe = self._probe(client, origin.prefix)
            single = None if probe.keys is None else False
            if probe.keys == 0 and origin.prefix and (probe.listable or not by_name):
                single = self._has_single(client, origin)
                if probe.listable and not single:  # unless the store miscounts
                    probe = self._probe(client, origin.prefix, keys=None)
            opened = self._describe(client, probe)._replace(single=single)
            client.close()
        if by_name and not probe.listable:
            return opened
        if single is False and not probe.listable:
            raise FatalError(not_listable_message(origin, probe))
        is_empty = single is False and origin.prefix != "" and not probe.keys
        return opened._replace(empty=is_empty)

    def _describe(self, client: Any, probe: Probe) -> Opened:
        if self._region and self._region != client.meta.region_name:
            client = self._client(replace(self._access, region=self._region))
        return self._build_opened(client, listable=probe.listable)

    def _build_opened(self, client: Any, *, listable: bool) -> Opened:
        proxy = self._proxy.url if self._proxy else ""
        endpoint = self._endpoint(client)
        if self._proxy:
            endpoint = endpoint._replace(proxy=str(self._proxy))
        return Opened(endpoint, self.keys(), self._ca_bundle(), listable, proxy=proxy)

    def _has_single(self, client: Any, origin: Origin) -> bool:
        if origin.single is None:
            return False
        asked = {"Bucket": self._bucket, "Key": origin.single, **self._payer()}
        try:
            found = self._send(client, lambda: client.head_object(**asked), f"head {origin}")
        except boto_errors.ClientError as error:
            status = status_of(error)
            if status == 403:
                return self._is_listed(client, origin, origin.single)
            if status == 404:
                return False
            raise FatalError(f"head {origin}: {error_text(error)}") from None
        if not is_store(found["ResponseMetadata"]["HTTPHeaders"]):
            raise FatalError(f"head {origin}: {no_store_message(client.meta.endpoint_url)}")
        return True

    def _is_listed(self, client: Any, origin: Origin, key: str) -> bool:
        """Look up in the listing whether ``key``, the HEAD of which is refused, exists."""
        probe = self._probe(client, key, keys=None)  # a whole page: some stores miscount
        if not probe.listable:
            why = f"HEAD {origin} (403), and it cannot be listed: {probe.refusal}"
            raise FatalError(f"access denied: {why}")
        return probe.first == key

    def _payer(self) -> dict[str, str]:
        return {"RequestPayer": "requester"} if self._access.request_payer else {}

    def keys(self) -> Keys | None:
        """The credentials to use now; refreshes those about to expire."""
        return self._identity.keys()

    def key_source(self) -> KeySource:
        """Where the credentials come from."""
        return self._identity.key_source(self._access)

    def renew(self) -> Keys | None:
        """Load credentials again after the store said they expired; None if nothing changed."""
        return self._identity.renew()

    def _watched_client(self) -> Any:
        client = self._client(self._access)
        client.meta.events.register_first("needs-retry.s3", self._end_by_proxy)
        client.meta.events.register_first("needs-retry.s3", raise_if_throttled)
        client.meta.events.register("needs-retry.s3", self._note_region)
        client.meta.events.register("needs-retry.s3", self._late.note)
        for listing in ("ListObjectsV2", "ListObjects"):
            client.meta.events.register(f"response-received.s3.{listing}", raise_if_no_listing)
        return client

    def _client(self, access: Access) -> Any:
        """A client that uses the proxy chosen here, or none, instead of botocore's choice."""
        client = self._create_client(access, {})
        endpoint = self._endpoint(client)
        self._proxy = proxy_for(endpoint.scheme, endpoint.host, os.environ)
        if self._proxy is None:
            return client
        client.close()
        return self._create_client(access, {endpoint.scheme: self._proxy.url})

    def _create_client(self, access: Access, proxies: Mapping[str, str]) -> Any:
        own = self._identity.own_settings(os.environ) if access.own_settings else {}
        core = self._identity.core
        region = access.region or own.get("region") or os.environ.get("AWS_REGION")
        keys = self.keys() or _NOBODY
        attempts = min(access.max_attempts, MAX_ATTEMPTS_TO_OPEN)
        config = Config(
            signature_version="s3v4" if access.sign else UNSIGNED,
            connect_timeout=access.connect_timeout,
            read_timeout=access.read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            # Settings not named here come from the profile.
            s3={"addressing_style": access.addressing} if access.addressing else None,
            request_checksum_calculation="when_required",
            proxies=dict(proxies),
        )
        return core.create_client(
            "s3",
            region_name=region or core.get_config_variable("region") or "us-east-1",
            endpoint_url=access.endpoint_url or own.get("endpoint_url"),
            use_ssl=access.secure,
            verify=self._ca_bundle() if access.verify_ssl else False,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            config=config,
        )

    def _probe(self, client: Any, prefix: str, *, keys: int | None = 1) -> Probe:
        """List one key within ``prefix``, so that a policy for it suffices, to test access."""
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix, **self._payer()}
        if keys is not None:
            asked["MaxKeys"] = keys
        place = f"s3://{self._bucket} at {client.meta.endpoint_url}"
        if self._proxy:
            place = f"{place} through the proxy {self._proxy}"
        try:
            return self._send(client, lambda: first_page(client, asked), f"cannot list {place}")
        except boto_errors.ClientError as error:
            self._refuse_by_proxy(error)
            return interpret_refusal(error, place, self._options)
        except NoListing as came:
            advice = f"no S3 store answers there: check {self._named_endpoint}"
            raise FatalError(f"cannot list {place}: {came}: {advice}") from None

    @property
    def _named_endpoint(self) -> str:
        return self._options.endpoint_url if self._access.endpoint_url else "the endpoint URL"

    def _send(self, client: Any, request: Callable[[], T], what: str) -> T:
        """Return the answer. Raises ``FatalError`` if the store throttles for too long."""
        try:
            return self._throttled.send(request, origin_of(client.meta.endpoint_url))
        except StoreError as error:
            raise FatalError(f"{what}: {error}") from None

    def _note_region(self, response: Any = None, **_: object) -> None:
        """Record the region that an answer names; botocore follows redirects silently."""
        if response is None:
            return
        http, parsed = response
        named = parsed.get("Error", {}).get("Region") or http.headers.get("x-amz-bucket-region")
        self._region = named or self._region

    def _end_by_proxy(self, caught_exception: Exception | None = None, **_: object) -> None:
        """Raise ``FatalError`` if the proxy refuses to connect, which botocore would retry."""
        if not isinstance(caught_exception, boto_errors.ProxyConnectionError):
            return
        cause = getattr(caught_exception.kwargs.get("error"), "original_error", None)
        # The standard library's answer to a refused CONNECT; a network's errors have numbers.
        if type(cause) is OSError and cause.errno is None:
            raise FatalError(self._refused_by_proxy(shorten(cause)))

    def _refuse_by_proxy(self, error: boto_errors.ClientError) -> None:
        if error.response["ResponseMetadata"].get("HTTPStatusCode") == 407:
            raise FatalError(self._refused_by_proxy("407 Proxy Authentication Required"))

    def _refused_by_proxy(self, how: str) -> str:
        variable = self._proxy.variable if self._proxy else "http_proxy"
        advice = f"check {variable}, its user and password, or exempt the store by no_proxy"
        return f"the proxy {self._proxy} refuses to reach {self._name_endpoint()} ({how}): {advice}"

    def _name_endpoint(self) -> str:
        return self._access.endpoint_url or f"s3://{self._bucket}"

    def _endpoint(self, client: Any) -> Endpoint:
        request = _unsent(client, self._bucket)
        url = urlsplit(request.url)
        if "@" in url.netloc:  # not shown: it may hold a password
            raise UsageError(
                f"{self._named_endpoint} must not contain credentials; give them in the environment"
            )
        scope = _scope(request.headers.get("Authorization"))
        return Endpoint(
            scheme=url.scheme,
            host=url.netloc,
            base=url.path.removesuffix(f"/{_PROBE_KEY}"),
            region=scope[2] if len(scope) > 2 else client.meta.region_name,
            bucket=self._bucket,
            signs_for=scope[3] if len(scope) > 3 else "s3",
            signs_bodies=(client.meta.config.s3 or {}).get("payload_signing_enabled") is True,
        )

    def _ca_bundle(self) -> str:
        named = self._access.ca_bundle or self._identity.core.get_config_variable("ca_bundle")
        return str(named or get_cert_path(True))

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        with explain_errors(self._access, self._bucket, self._options):
            try:
                yield
            except boto_errors.ProxyConnectionError as error:
                named = f"the proxy {self._proxy} of {self._proxy and self._proxy.variable}"
                why = connection_cause(error)
                raise FatalError(f"{named} cannot be reached: {why}") from None


def _identifies(access: Access) -> tuple[object, ...]:
    """The settings that decide whose credentials are used."""
    return access.profile, access.sign, access.credentials


class _NotSent(Exception):
    """Raised to stop a request after it was signed, before it is sent."""


def _unsent(client: Any, bucket: str) -> Any:
    """Build the request that ``client`` would send for the probe key, without sending it.

    A presigned URL does not show this: botocore makes those for the global endpoint.
    """
    made: list[Any] = []

    def keep(request: Any, **_: object) -> None:
        made.append(request)
        raise _NotSent

    event = "before-send.s3.GetObject"
    client.meta.events.register_first(event, keep)
    try:
        client.get_object(Bucket=bucket, Key=_PROBE_KEY)
    except _NotSent:
        client.meta.events.unregister(event, keep)
    return made[0]


def _scope(authorization: bytes | str | None) -> list[str]:
    """The credential scope: key, day, region, service and terminator; ``[""]`` if unsigned."""
    text = authorization.decode("latin-1") if isinstance(authorization, bytes) else authorization
    return (text or "").partition("Credential=")[2].partition(",")[0].split("/")
