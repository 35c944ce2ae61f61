"""The address of a bucket: the URL before the key, and the encoding of keys into URLs."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from s3pp.places import access_point
from s3pp.s3.sigv4 import Keys

_SAFE = "/~"  # besides the RFC 3986 unreserved characters; S3 keys keep their slashes

_AWS = re.compile(r"(?<=\.)amazonaws\.com(\.cn)?\Z")

# Names of the local machine, and the default ports, which URLs omit.
_LOOPBACK = re.compile(r"\A(?:localhost|localhost\.localdomain|127\.0\.0\.1|\[::1\])(?=:|\Z)")
_PORTS = {"http": ":80", "https": ":443"}

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

    @property
    def origin(self) -> str:
        """The destination of requests, for messages: ``http://127.0.0.1:9000``."""
        return f"{self.scheme}://{self.host}"

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
        host = _tidied(self.host, self.scheme).removeprefix(f"{named}.")
        aws = _AWS.search(host)
        # One host may hold several stores, each under a path.
        under = self.base.removesuffix(f"/{self.bucket}")
        return aws[0] if aws else _LOOPBACK.sub("localhost", host, count=1) + under

    def same_bucket(self, other: Endpoint) -> bool:
        """Whether both are the same bucket, whatever region or scheme each was given."""
        return (self.service, self.bucket) == (other.service, other.bucket)

    @property
    def etags_are_random(self) -> bool:
        """Whether ETags only look like MD5s, as in directory buckets."""
        return self.bucket.endswith("--x-s3")


def _tidied(host: str, scheme: str) -> str:
    """Return ``host`` in lower case, without the scheme's default port and a trailing dot."""
    name, colon, port = host.lower().removesuffix(_PORTS.get(scheme, "")).partition(":")
    return f"{name.removesuffix('.')}{colon}{port}"


class Opened(NamedTuple):
    """All a process needs to reach the bucket. Producer: supervisor; consumers: all children."""

    endpoint: Endpoint
    keys: Keys | None  # None: anonymous
    ca_bundle: str | None
    listable: bool  # whether the store allows ListBucket
    # Of a source: whether it is the single object named by the origin; None: unknown.
    single: bool | None = False
    proxy: str = ""  # the URL of the proxy to use, including its password; empty: none


def copy_source(bucket: str, key: str) -> str:
    """The ``x-amz-copy-source`` of an object; behind an access point it has an ARN of its own."""
    if access_point(bucket):
        return quote(f"{bucket}/object/{key}", _SAFE)
    return f"{bucket}/{encoded(key)}"


def encoded(key: str) -> str:
    """Encode ``key`` for a URL."""
    return key if _PLAIN(key) else quote(key, _SAFE)


def query_string(parameters: dict[str, str]) -> str:
    """Encode and sort as Signature Version 4 requires; a space becomes ``%20``, never ``+``."""
    pairs = sorted((quote(k, "~"), quote(v, "~")) for k, v in parameters.items())
    return "&".join(f"{k}={v}" for k, v in pairs)
