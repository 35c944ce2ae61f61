"""Where a bucket is reached: the URL before the key, and the encoding of keys into URLs."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from s3pp.places import access_point
from s3pp.s3.sigv4 import Keys

_SAFE = "/~"  # beside the RFC 3986 unreserved; S3 keys keep their slashes

_AWS = re.compile(r"(?<=\.)amazonaws\.com(\.cn)?\Z")

# Names of this very machine, and the ports that URLs leave out.
_LOOPBACK = re.compile(r"\A(?:localhost|localhost\.localdomain|127\.0\.0\.1|\[::1\])(?=:|\Z)")
_PORTS = {"http": ":80", "https": ":443"}

_PLAIN = re.compile("[A-Za-z0-9_.~/-]+").fullmatch


class Endpoint(NamedTuple):
    """One bucket's address. Producer: ``session``; consumers: everything that sends."""

    scheme: str  # "http" or "https"
    host: str  # with the port where it is not the scheme's own: what the Host header says
    base: str  # encoded path before "/key": "" for virtual addressing, "/bucket" for path style
    region: str
    bucket: str
    signs_for: str = "s3"  # the service that a signature names
    signs_bodies: bool = False  # over TLS too: a policy of the bucket may want that
    proxy: str = ""  # by which it is reached, as messages name it: no user, no password

    def path(self, key: str) -> str:
        """The encoded path of ``key``; of the bucket itself where ``key`` is empty."""
        if _PLAIN(key):  # most need no encoding, and seeing that costs a third of doing it
            return f"{self.base}/{key}"
        return f"{self.base}/{quote(key, _SAFE)}" if key else self.base or "/"

    @property
    def origin(self) -> str:
        """Where requests go, as messages name it: ``http://127.0.0.1:9000``."""
        return f"{self.scheme}://{self.host}"

    @property
    def where(self) -> str:
        """Who may have answered: the store, or the proxy on the way to it."""
        return f"{self.origin} through the proxy {self.proxy}" if self.proxy else self.origin

    @property
    def unsigned_bodies(self) -> bool:
        """Whether the hash of a body need not be signed, because TLS protects it."""
        return self.scheme == "https" and not self.signs_bodies

    @property
    def service(self) -> str:
        """What two buckets have in common that one store serves; AWS is one over its regions.

        No name is looked up: only spellings that must mean one host are seen to be the same.
        """
        named = (access_point(self.bucket) or self.bucket).lower()
        host = _tidied(self.host, self.scheme).removeprefix(f"{named}.")
        aws = _AWS.search(host)
        # One host may hold several stores, each under a path.
        under = self.base.removesuffix(f"/{self.bucket}")
        return aws[0] if aws else _LOOPBACK.sub("localhost", host, count=1) + under

    def same_bucket(self, other: Endpoint) -> bool:
        """Whether both are one bucket, however their region or scheme was named."""
        return (self.service, self.bucket) == (other.service, other.bucket)

    @property
    def etags_are_random(self) -> bool:
        """Directory buckets answer with ETags that look like MD5s and are none."""
        return self.bucket.endswith("--x-s3")


def _tidied(host: str, scheme: str) -> str:
    """``host`` in lower case, without the scheme's own port and the dot of a full name."""
    name, colon, port = host.lower().removesuffix(_PORTS.get(scheme, "")).partition(":")
    return f"{name.removesuffix('.')}{colon}{port}"


class Opened(NamedTuple):
    """What a worker needs to reach the bucket. Producer: supervisor; consumers: all children."""

    endpoint: Endpoint
    keys: Keys | None  # None: anonymous
    ca_bundle: str | None
    listable: bool  # whether the store allows ListBucket
    # Of a source: whether it is the one object of the origin's name; None: that could not be seen.
    single: bool | None = False
    proxy: str = ""  # the URL of the proxy to take, its password included; empty: none


def copy_source(bucket: str, key: str) -> str:
    """An object as ``x-amz-copy-source`` has it; through an access point it has an ARN itself."""
    if access_point(bucket):
        return quote(f"{bucket}/object/{key}", _SAFE)
    return f"{bucket}/{encoded(key)}"


def encoded(key: str) -> str:
    """``key`` as URLs have it."""
    return key if _PLAIN(key) else quote(key, _SAFE)


def query_string(parameters: dict[str, str]) -> str:
    """Encoded and sorted as Signature Version 4 wants it; a space is ``%20``, never ``+``."""
    pairs = sorted((quote(k, "~"), quote(v, "~")) for k, v in parameters.items())
    return "&".join(f"{k}={v}" for k, v in pairs)
