"""The address of a bucket: the URL before the key, the encoding of keys, and the proxy to use.

The proxy is chosen from the usual environment variables. botocore and libcurl interpret them
differently: botocore supports neither ``ALL_PROXY`` nor networks in ``NO_PROXY``, libcurl neither
``HTTP_PROXY`` in capitals nor ports. So it is chosen once, here, and passed to both::

    http_proxy, https_proxy   by the scheme of the store's URL
    all_proxy                 where that is not set
    no_proxy                  stores that are reached without: names with all below them, addresses,
                              networks (10.0.0.0/8), each with or without a port, or * for all

Names may be in lower case or in capitals; lower case takes precedence. An empty variable counts as
unset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from s3pp.access import Keys
from s3pp.errors import UsageError
from s3pp.places import access_point

_SAFE = "/~"  # besides the RFC 3986 unreserved characters; S3 keys keep their slashes

_AWS = re.compile(r"(?<=\.)amazonaws\.com(\.cn)?\Z")

# Names of the local machine, and the default ports, which URLs omit.
_LOOPBACK = re.compile(r"\A(?:localhost|localhost\.localdomain|127\.0\.0\.1|\[::1\])(?=:|\Z)")
PORTS = {"http": 80, "https": 443}

_PLAIN = re.compile("[A-Za-z0-9_.~/-]+").fullmatch


class Endpoint(NamedTuple):
    """One bucket's address. Producer: ``session``; consumers: everything that sends."""

    scheme: str  # "http" or "https"
    host: str  # with the port unless it is the scheme's default: the Host header
    base: str  # encoded path before "/key": "" for virtual addressing, "/bucket" for path style
    region: str
    bucket: str
    signs_for: str = "s3"  # the service named in signatures
    signs_bodies: bool = False  # over TLS too: a bucket policy may require it
    proxy: str = ""  # the proxy used, as shown in messages: without user and password

    def path(self, key: str) -> str:
        """The encoded path of ``key``; of the bucket itself where ``key`` is empty."""
        if _PLAIN(key):  # most need no encoding; the check costs a third of encoding
            return f"{self.base}/{key}"
        return f"{self.base}/{quote(key, _SAFE)}" if key else self.base or "/"

    def place(self, path: str) -> str:
        """The bucket and key of a path, as ``prefixes`` has them; empty: it names no key."""
        key = path[len(self.base) + 1 :]
        return f"{self.bucket}/{unquote(key, errors='surrogateescape')}" if key else ""

    @property
    def origin(self) -> str:
        """The destination of requests, for messages: ``http://127.0.0.1:9000``."""
        return f"{self.scheme}://{self.host}"

    @property
    def of_store(self) -> Endpoint:
        """The address of the store itself, without the bucket."""
        host = self.host if self.in_path else self.host.removeprefix(f"{self.bucket}.")
        base = self.base.removesuffix(f"/{self.bucket}")
        return self._replace(host=host, base=base, bucket="")

    @property
    def store_url(self) -> str:
        """The URL of the store, without the bucket."""
        store = self.of_store
        return f"{store.scheme}://{store.host}{store.base}"

    @property
    def in_path(self) -> bool:
        """Whether the bucket's name is in the path."""
        return self.base.endswith(f"/{self.bucket}")

    @property
    def is_aws(self) -> bool:
        """Whether the store is AWS."""
        return self.service.startswith("amazonaws.com")

    @property
    def where(self) -> str:
        """The possible sources of an answer, for messages: the store, or the proxy before it."""
        return f"{self.origin} through the proxy {self.proxy}" if self.proxy else self.origin

    @property
    def unsigned_bodies(self) -> bool:
        """Whether bodies can be sent without a signed hash, because TLS protects them."""
        return self.scheme == "https" and not self.signs_bodies

    @property
    def service(self) -> str:
        """An identifier shared by all buckets of one store; AWS counts as one over its regions.

        No name is looked up: only spellings that must mean the same host compare equal.
        """
        named = (access_point(self.bucket) or self.bucket).lower()
        host = _normalize_host(self.host, self.scheme).removeprefix(f"{named}.")
        return _service(host, self.base.removesuffix(f"/{self.bucket}"))

    def same_bucket(self, other: Endpoint) -> bool:
        """Whether both are the same bucket, whatever region or scheme each was given."""
        return (self.service, self.bucket) == (other.service, other.bucket)

    @property
    def etags_are_random(self) -> bool:
        """Whether ETags only look like MD5s, as in directory buckets."""
        return self.bucket.endswith("--x-s3")


def service_of(url: str) -> str:
    """Return ``Endpoint.service`` of the buckets behind an ``--endpoint-url`` without a bucket."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return _service(_normalize_host(host, scheme), f"{slash}{path}".rstrip("/"))


def _service(host: str, base: str) -> str:
    aws = _AWS.search(host)
    # One host may hold several stores, each under a path.
    return aws[0] if aws else _LOOPBACK.sub("localhost", host, count=1) + base


def _normalize_host(host: str, scheme: str) -> str:
    """Return ``host`` in lower case, without the scheme's default port and a trailing dot."""
    name, colon, port = host.lower().removesuffix(f":{PORTS.get(scheme)}").partition(":")
    return f"{name.removesuffix('.')}{colon}{port}"


class Opened(NamedTuple):
    """All a process needs to reach the bucket. Producer: supervisor; consumers: all children."""

    endpoint: Endpoint
    keys: Keys | None  # None: anonymous
    ca_bundle: str | None
    listable: bool  # whether the store allows ListBucket
    # Of a source: whether it is the single object named by the origin; None: unknown.
    single: bool | None = False
    empty: bool = False  # of a source: whether it is known that no object is found there
    proxy: str = ""  # the URL of the proxy to use, including its password; empty: none

    @property
    def account(self) -> str:
        """What tells accounts of the store apart, each with buckets of its own; it is no secret.

        A digest of the id of the access key. Empty for AWS, where a name means one bucket whoever
        asks, and for requests that are not signed.
        """
        if self.keys is None or self.endpoint.is_aws:
            return ""
        text = f"{self.endpoint.service} {self.keys.access_key}"
        return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def copy_source(bucket: str, key: str) -> str:
    """The ``x-amz-copy-source`` of an object; behind an access point it has an ARN of its own."""
    return _source_of(bucket) + encode_key(key)


@lru_cache
def _source_of(bucket: str) -> str:
    return quote(f"{bucket}/object/", _SAFE) if access_point(bucket) else f"{bucket}/"


def encode_key(key: str) -> str:
    """Encode ``key`` for a URL."""
    return key if _PLAIN(key) else quote(key, _SAFE)


def query_string(parameters: dict[str, str]) -> str:
    """Encode and sort as Signature Version 4 requires; a space becomes ``%20``, never ``+``."""
    pairs = sorted((quote(k, "~"), quote(v, "~")) for k, v in parameters.items())
    return "&".join(f"{k}={v}" for k, v in pairs)


_SCHEMES = ("http", "https")
_PORT = re.compile(r"(?P<host>\[.*\]|[^:]*)(?::(?P<port>\d{1,5}))?\Z")

# What urllib3 and libcurl both accept: their errors would show the rest, including the password.
_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_USABLE = rf"[A-Za-z]+://(?:[!-?A-~]*@)?{_HOST}(?::[0-9]+)?(?:[/?#][!-~]*)?\Z"


class Proxy(NamedTuple):
    """A proxy. ``url`` may contain a password: show ``str()`` of the proxy instead."""

    variable: str  # the environment variable that named it
    url: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def __repr__(self) -> str:
        return f"Proxy({str(self)!r})"


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for the store at ``host``, which may include a port; None: no proxy.

    Raises ``UsageError`` for a variable that does not name a usable proxy.
    """
    variable = _set(environ, f"{scheme}_proxy") or _set(environ, "all_proxy")
    if variable is None:
        return None
    rules = _set(environ, "no_proxy")
    if rules is not None and is_exempt(scheme, host, environ[rules]):
        return None
    return Proxy(variable, _check_url(variable, environ[variable]))


def is_exempt(scheme: str, host: str, rules: str) -> bool:
    """Whether ``rules``, a value of ``no_proxy``, match the store at ``host``."""
    name, port = _split(host)
    for rule in re.split(r"[,\s]+", rules.strip()):
        theirs, their_port = _split(rule)
        same_port = their_port is None or their_port == (port or PORTS[scheme])
        if theirs and same_port and _matches(name, theirs):
            return True
    return False


def _matches(name: str, rule: str) -> bool:
    if rule == "*":
        return True
    if (address := _address(name)) is not None:
        try:
            return address in ip_network(rule, strict=False)
        except ValueError:
            return False
    above = rule.removeprefix("*").removeprefix(".")
    return name == above or name.endswith(f".{above}")


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _split(host: str) -> tuple[str, int | None]:
    """Split into the host, in lower case without brackets and trailing dot, and the port."""
    found = _PORT.match(host)
    if found is None:  # an IPv6 address without brackets, as in no_proxy
        return host.lower(), None
    name = found["host"].lower().strip("[]").removesuffix(".")
    return name, int(found["port"]) if found["port"] else None


def _set(environ: Mapping[str, str], name: str) -> str | None:
    """The name of the variable that is set, in lower case or in capitals; None: neither."""
    upper = name.upper()
    # In a CGI program, HTTP_PROXY is the request header "Proxy", which any client can send.
    names = (name,) if upper == "HTTP_PROXY" and "REQUEST_METHOD" in environ else (name, upper)
    return next((each for each in names if environ.get(each, "").strip()), None)


def _check_url(variable: str, value: str) -> str:
    url = value.strip() if "://" in value else f"http://{value.strip()}"
    scheme = url.partition("://")[0].lower()
    if scheme not in _SCHEMES:
        raise UsageError(f"{variable} names a proxy of the kind {scheme!r}: only http and https do")
    try:
        parts = urlsplit(url)
        there = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        there = False
    if not there or re.match(_USABLE, url) is None:  # not shown: it may hold a password
        raise UsageError(
            f"{variable} is not of the form http://[USER:PASSWORD@]HOST[:PORT]"
            " (in USER and PASSWORD, write @ as %40, and encode other special characters too)"
        )
    return url


def is_loopback(netloc: str) -> bool:
    """Whether a host, with or without its port, is this machine by its name or its address."""
    host = urlsplit(f"//{netloc}").hostname or ""
    address = host.startswith("127.") and host.replace(".", "").isdigit()
    return address or host == "::1" or host.rpartition(".")[2] == "localhost"
