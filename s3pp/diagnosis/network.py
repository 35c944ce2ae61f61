"""The way to the store: its name, each of its addresses, its TLS, and the proxy."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate  # its own class before Python 3.11
from contextlib import closing, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from s3pp.access import Access
from s3pp.diagnosis.findings import Finding, failed, not_tried, ok, warning
from s3pp.errors import S3ppError, UsageError
from s3pp.pipeline.connect import start_thread
from s3pp.s3.endpoint import PORTS, Endpoint, Opened, is_loopback, proxy_for
from s3pp.s3.peers import connect_error, tls_context

MOST_ADDRESSES = 8  # S3 names as many in one answer
LOOKUP = 10.0  # seconds for the lookup of a name
ALL_CONNECTS = 15.0  # seconds for all addresses
SOON = 14  # days: a certificate that ends sooner
_DAY = 86400.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_BYPASS = "or name another --endpoint-url"


class Address(NamedTuple):
    """An address of the store, or of the proxy."""

    family: int
    sockaddr: Any

    def __str__(self) -> str:
        return str(self.sockaddr[0])


class NetworkChecks:
    """Findings about the way to ``opened``.

    ``seconds`` is what a new connection takes, TLS included; None: none could be made.
    """

    def __init__(self, opened: Opened, access: Access, environ: Mapping[str, str]) -> None:
        self._endpoint, self._access = opened.endpoint, access
        self._ca_bundle, self._proxy_url = opened.ca_bundle, opened.proxy
        self._environ = environ
        self.seconds: float | None = None

    def run(self) -> Iterator[Finding]:
        """Make each check in its turn; the first that fails is the last."""
        yield _describe(self._endpoint)
        yield _region(self._endpoint, self._access, self._environ)
        yield _encryption(self._endpoint)
        yield check_proxy(self._endpoint, self._environ)
        url = urlsplit(self._proxy_url or self._endpoint.origin)
        host, port = url.hostname or "", url.port or PORTS.get(url.scheme, 80)
        found = _look_up(host, port)
        yield check_name(host, found)
        if isinstance(found, list):
            yield from self._connect(found, f"{host}:{port}")

    def _connect(self, addresses: list[Address], where: str) -> Iterator[Finding]:
        tried = _try_addresses(addresses, self._access.connect_timeout)
        yield check_addresses(tried, where)
        good = {each: took for each, took in tried.items() if isinstance(took, float)}
        if not good:
            return
        fastest = min(good, key=lambda each: good[each])
        self.seconds = good[fastest]
        if self._proxy_url:
            yield not_tried("TLS", "the proxy is in between: see the first request")
        elif self._endpoint.scheme == "https":
            yield self._secure(fastest, where)

    def _secure(self, address: Address, where: str) -> Finding:
        """Shake hands with the store, as runs do."""
        name = where.rpartition(":")[0]
        try:
            context = tls_context(self._ca_bundle, verify=self._access.verify_ssl)
            started = time.monotonic()
            plain = _open(address, self._access.connect_timeout)
            with closing(plain), context.wrap_socket(plain, server_hostname=name) as sock:
                self.seconds = time.monotonic() - started
                return self._describe_tls(sock)
        except (OSError, S3ppError) as error:
            self.seconds = None
            return _tls_failure(error, where)

    def _describe_tls(self, sock: ssl.SSLSocket) -> Finding:
        cipher = sock.cipher()
        found = f"{sock.version()}, {cipher[0] if cipher else 'no cipher'}"
        if not self._access.verify_ssl:
            advice = "leave out --no-verify-ssl, and name the authority with --ca-bundle"
            return warning("TLS", f"{found}; the certificate is not verified", advice)
        return check_certificate(found, sock.getpeercert() or {}, now=time.time())


def _describe(endpoint: Endpoint) -> Finding:
    place = "path" if endpoint.in_path else "host name"
    return ok("endpoint", f"{endpoint.origin}, with the bucket in the {place}")


def _region(endpoint: Endpoint, access: Access, environ: Mapping[str, str]) -> Finding:
    variables = ("AWS_REGION", "AWS_DEFAULT_REGION")
    named = next((each for each in variables if environ.get(each)), "")
    source = "--region, or its default" if access.region else named or "the profile, or the default"
    return ok("region", f"{endpoint.region}, from {source}")


def _encryption(endpoint: Endpoint) -> Finding:
    if endpoint.scheme == "https":
        return ok("encryption", "https")
    if is_loopback(endpoint.host):
        return ok("encryption", "none, on this machine")
    found = "none: what is transferred can be read, and changed, on its way"
    return warning("encryption", found, "use an https endpoint")


def check_proxy(endpoint: Endpoint, environ: Mapping[str, str]) -> Finding:
    """Which proxy is used; without its user and password."""
    set_here = [name for name in _PROXIES if _is_set(name, environ)]
    try:
        proxy = proxy_for(endpoint.scheme, endpoint.host, environ)
    except UsageError as error:
        return failed("proxy", str(error), "correct it, or unset it")
    if proxy is not None:
        return ok("proxy", f"{proxy}, from {proxy.variable}")
    if not set_here:
        return ok("proxy", "none")
    return ok("proxy", f"none for {endpoint.host}; set are {', '.join(set_here)}")


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    return any(environ.get(each, "").strip() for each in (name, name.upper()))


def _look_up(host: str, port: int) -> list[Address] | str:
    """The addresses of a host, or why there are none."""
    future: Future[list[Address]] = Future()
    start_thread(_resolve, future, host, port)
    try:
        return future.result(LOOKUP)
    except TooLate:
        return f"no answer in {LOOKUP:g} s"
    except (OSError, UnicodeError) as error:
        return str(getattr(error, "strerror", None) or error)


def _resolve(future: Future[list[Address]], host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        future.set_result([Address(family, addr) for family, _, _, _, addr in found])
    except Exception as error:
        future.set_exception(error)


def check_name(host: str, found: list[Address] | str) -> Finding:
    """The addresses of ``host``."""
    if isinstance(found, str):
        advice = f"check the name, --region, and the resolver (/etc/resolv.conf), {_BYPASS}"
        return failed("name", f"{host}: host not found ({found})", advice)
    addresses = list(dict.fromkeys(map(str, found)))
    return ok("name", host if addresses == [host] else f"{host} is {', '.join(addresses)}")


def _try_addresses(addresses: list[Address], timeout: float) -> dict[Address, float | str]:
    """Connect to each; the seconds that it took, or why it failed."""
    tried: dict[Address, float | str] = {}
    ends = time.monotonic() + ALL_CONNECTS
    for address in addresses[:MOST_ADDRESSES]:
        started = time.monotonic()
        if started >= ends:
            break
        try:
            _open(address, min(timeout, ends - started)).close()
            tried[address] = time.monotonic() - started
        except OSError as error:
            tried[address] = _cause(error)
    return tried


def _cause(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return str(connect_error(error))


def _open(address: Address, timeout: float) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def check_addresses(tried: Mapping[Address, float | str], where: str) -> Finding:
    """Which of the store's addresses accept a connection."""
    good = [each for each in tried.values() if isinstance(each, float)]
    bad = [f"{address}: {why}" for address, why in tried.items() if isinstance(why, str)]
    if not good:
        advice = f"check host and port, the firewall, and whether the store runs, {_BYPASS}"
        return failed("connection", f"{where} cannot be reached ({'; '.join(bad)})", advice)
    if not bad:
        plural = "1 address" if len(good) == 1 else f"each of {len(good)} addresses"
        return ok("connection", f"{plural}, {_ms(min(good))}")
    found = f"{len(good)} of {len(tried)} addresses"
    return warning("connection", f"{found}; {'; '.join(bad)}", "have the others taken out of DNS")


def _tls_failure(error: Exception, where: str) -> Finding:
    if isinstance(error, ssl.SSLCertVerificationError):
        found = f"the certificate of {where} is not trusted: {error.verify_message}"
        return failed("TLS", found, "name the authority's file with --ca-bundle")
    cause = str(connect_error(error)) if isinstance(error, OSError) else str(error)
    found = f"{where} does not speak TLS as expected: {cause}"
    return failed("TLS", found, "check the port, or whether the store wants http")


def check_certificate(found: str, certificate: Mapping[str, Any], *, now: float) -> Finding:
    """The names and the end of a certificate that has been verified."""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind != "URI"]
    ends = certificate.get("notAfter")
    days = None
    with suppress(ValueError):
        days = None if ends is None else int((ssl.cert_time_to_seconds(ends) - now) // _DAY)
    until = "" if days is None else f", valid for {days} more days"
    text = f"{found}; certificate of {', '.join(names[:4]) or 'no name'}{until}"
    if days is None or days >= SOON:
        return ok("TLS", text)
    return warning("TLS", text, "have the certificate renewed")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
