"""Where a bucket is reached: the URL before the key, and the encoding of keys into URLs."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from s3pp.s3.sigv4 import Keys

_SAFE = "/~"  # beside the RFC 3986 unreserved; S3 keys keep their slashes

_PLAIN = re.compile("[A-Za-z0-9_.~/-]+").fullmatch


class Endpoint(NamedTuple):
    """One bucket's address. Producer: ``session``; consumers: everything that sends."""

    scheme: str  # "http" or "https"
    host: str  # with the port where it is not the scheme's own: what the Host header says
    base: str  # encoded path before "/key": "" for virtual addressing, "/bucket" for path style
    region: str
    bucket: str

    def path(self, key: str) -> str:
        """The encoded path of ``key``; of the bucket itself where ``key`` is empty."""
        if not key:
            return self.base or "/"
        # Most keys need no encoding, and seeing that costs a third of doing it.
        return f"{self.base}/{key if _PLAIN(key) else quote(key, _SAFE)}"

    @property
    def secure(self) -> bool:
        """Whether TLS protects the body, so that its hash need not be signed."""
        return self.scheme == "https"

    @property
    def etags_are_random(self) -> bool:
        """Directory buckets answer with ETags that look like MD5s and are none."""
        return self.bucket.endswith("--x-s3")


class Opened(NamedTuple):
    """What a worker needs to reach the bucket. Producer: supervisor; consumers: all children."""

    endpoint: Endpoint
    keys: Keys | None  # None: anonymous
    ca_bundle: str | None
    listable: bool  # whether the store lets us list the bucket


def query_string(parameters: dict[str, str]) -> str:
    """Encoded and sorted as Signature Version 4 wants it; a space is ``%20``, never ``+``."""
    pairs = sorted((quote(k, "~"), quote(v, "~")) for k, v in parameters.items())
    return "&".join(f"{k}={v}" for k, v in pairs)
