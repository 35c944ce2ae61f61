"""Signature Version 4 in headers; all that outlasts a request is cached.

Rules: AWS General Reference, "Signature Version 4 signing process", and the S3 API reference,
"Authenticating requests: using the Authorization header". For S3 the path is encoded once and not
normalised, so ``a//b`` and ``a/../b`` are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import digest

from s3pp.access import Keys

UNSIGNED = "UNSIGNED-PAYLOAD"  # allowed over https, where TLS protects the body
EMPTY_SHA256 = sha256(b"").hexdigest()


class Signer:
    """Signs requests to one region with one set of keys; both can be replaced at any time.

    ``offset``, in seconds, is added to the clock: how far the store's clock is ahead of ours.
    Without keys, requests are not signed (anonymous access).
    """

    def __init__(
        self,
        keys: Keys | None,
        region: str,
        *,
        service: str = "s3",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys
        self.region = region
        self._service = service
        self.offset = 0.0
        self._clock = clock
        self._second = -1
        self._stamp = ""
        self._key_for: tuple[str, str, str] | None = None
        self._signing_key = b""

    def sign(
        self,
        method: str,
        url: tuple[str, str, str],
        headers: Sequence[tuple[str, str]],
        payload_hash: str,
    ) -> list[str]:
        """Return the header lines to send, ``Authorization`` among them.

        ``url`` is (host, encoded path, encoded and sorted query); ``headers`` are (lower-case
        name, value) pairs in any order. ``payload_hash`` is hex SHA-256 of the body or UNSIGNED.
        """
        keys = self.keys
        if keys is None:
            return list(map(_LINE, headers))
        if (second := int(self._clock() + self.offset)) != self._second:
            self._second = second
            self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        stamp = self._stamp
        signed = [*headers, ("x-amz-content-sha256", payload_hash), ("x-amz-date", stamp)]
        if keys.token:
            signed.append(("x-amz-security-token", keys.token))
        lines = list(map(_LINE, signed))
        signed.append(("host", url[0]))
        signed.sort()
        names = ";".join(dict(signed))
        canonical = "\n".join(map(_CANONICAL, signed))
        if "  " in canonical or ": " in canonical or " \n" in canonical:
            canonical = "\n".join([f"{name}:{' '.join(value.split())}" for name, value in signed])
        request = f"{method}\n{url[1]}\n{url[2]}\n{canonical}\n\n{names}\n{payload_hash}"
        scope = f"{stamp[:8]}/{self.region}/{self._service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        wanted = (keys.secret_key, stamp[:8], self.region)
        if wanted != self._key_for:
            self._key_for, self._signing_key = wanted, self._key(keys, stamp[:8])
        signature = digest(self._signing_key, text.encode(), "sha256").hex()
        lines.append(
            f"Authorization: AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope},"
            f"SignedHeaders={names},Signature={signature}"
        )
        return lines

    @property
    def now(self) -> float:
        """The store's time as far as known, in seconds since the epoch."""
        return self._clock() + self.offset

    def set_time(self, now: float) -> None:
        """Set the store's time to ``now``, in seconds since the epoch."""
        self.offset = now - self._clock()

    def _key(self, keys: Keys, day: str) -> bytes:
        key = f"AWS4{keys.secret_key}".encode()
        for part in (day, self.region, self._service, "aws4_request"):
            key = digest(key, part.encode(), "sha256")
        return key


_LINE, _CANONICAL = "%s: %s".__mod__, "%s:%s".__mod__
