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
from operator import itemgetter
from typing import NamedTuple

from s3pp.access import Keys

UNSIGNED = "UNSIGNED-PAYLOAD"  # allowed over https, where TLS protects the body
EMPTY_SHA256 = sha256(b"").hexdigest()

_BLOCK = 64  # bytes of a block of SHA-256


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
        self._moment: _Moment | None = None

    def sign(
        self,
        method: str,
        url: tuple[str, str, str],
        headers: Sequence[tuple[str, str]],
        payload_hash: str,
    ) -> str:
        """Return the header lines to send, ``Authorization`` among them, each with its end (CRLF).

        ``url`` is (host, encoded path, encoded and sorted query); ``headers`` are (lower-case
        name, value) pairs in any order. ``payload_hash`` is hex SHA-256 of the body or UNSIGNED.
        """
        if (keys := self.keys) is None:
            return "".join(map(_LINE, headers))
        second, region = int(self._clock() + self.offset), self.region
        moment = self._moment
        if (
            moment is None
            or moment.second != second
            or moment.keys is not keys
            or moment.region != region
        ):
            moment = self._moment = _Moment(second, keys, region, self._service)
        host, path, query = url
        names, values = zip(*headers, strict=True) if headers else ((), ())
        form = moment.forms.get((host, names)) or moment.add_form(host, names)
        given = (method, path, query, *values, payload_hash)
        request = form.request % form.order(given)
        if "  " in request or ": " in request or " \n" in request:
            request = form.request % form.order([" ".join(each.split()) for each in given])
        inner, outer = moment.inner.copy(), moment.outer.copy()
        inner.update(sha256(request.encode()).hexdigest().encode())
        outer.update(inner.digest())
        return form.lines % (*values, payload_hash, outer.hexdigest())

    @property
    def now(self) -> float:
        """The store's time as far as known, in seconds since the epoch."""
        return self._clock() + self.offset

    def set_time(self, now: float) -> None:
        """Set the store's time to ``now``, in seconds since the epoch."""
        self.offset = now - self._clock()


class _Form(NamedTuple):
    """What is the same in all requests with headers of the same names, with gaps for the rest."""

    request: str  # the canonical request
    order: Callable[[Sequence[str]], tuple[str, ...]]  # of what fills its gaps
    lines: str  # the header lines; in the gaps the values as given, the hash, the signature


class _Moment:
    """What the signatures of one second have in common, by one set of keys for one region."""

    def __init__(self, second: int, keys: Keys, region: str, service: str) -> None:
        self.second = second
        self.keys = keys
        self.region = region
        self.forms: dict[tuple[str, tuple[str, ...]], _Form] = {}
        self._stamp = stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
        self._credential = f"{keys.access_key}/{scope}"
        key = f"AWS4{keys.secret_key}".encode()
        for part in scope.split("/"):
            key = digest(key, part.encode(), "sha256")
        # The HMAC of all that precedes the request's hash: RFC 2104, section 4.
        self.inner = sha256(_xor(key, 0x36) + f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n".encode())
        self.outer = sha256(_xor(key, 0x5C))

    def add_form(self, host: str, names: tuple[str, ...]) -> _Form:
        """Create the form of requests to ``host`` with headers ``names``."""
        gaps = [(name, "%s") for name in (*names, "x-amz-content-sha256")]
        fixed = [("x-amz-date", self._stamp)]
        if token := self.keys.token:
            fixed.append(("x-amz-security-token", _literal(token)))
        sent = [*gaps, *fixed]
        numbered = enumerate([*sent, ("host", _literal(host))], 3)  # after method, path and query
        signed = sorted(numbered, key=lambda each: each[1][0])
        listed = ";".join(dict.fromkeys(name for _, (name, _) in signed))
        canonical = "\n".join(f"{name}:{value}" for _, (name, value) in signed)
        order = [0, 1, 2, *(at for at, (_, value) in signed if value == "%s"), 2 + len(gaps)]
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={_literal(self._credential)},"
            f"SignedHeaders={listed},Signature=%s"
        )
        form = _Form(
            f"%s\n%s\n%s\n{canonical}\n\n{listed}\n%s",
            itemgetter(*order),
            "".join(map(_LINE, [*sent, ("Authorization", authorization)])),
        )
        self.forms[host, names] = form
        return form


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _xor(key: bytes, pad: int) -> bytes:
    return bytes(each ^ pad for each in key.ljust(_BLOCK, b"\0"))


_LINE = "%s: %s\r\n".__mod__
