"""The fault proxy of a soak: it fails a share of the requests, each in a way of its own.

Which request meets what is a hash of the seed, the request and how often it was made, and so does
not depend on the order in which processes ask.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from urllib.parse import unquote

from stores.fault_actions import (
    Action,
    Delay,
    Exchange,
    Hang,
    LoseResponse,
    Request,
    Reset,
    Response,
    Say,
    Status,
    Truncate,
    error,
    flipped,
)
from stores.fault_proxy import FaultProxy

SHARE = 0.1  # of all requests
QUIET = 4.0  # seconds of silence; the run's --read-timeout is 3


class FlipAnswer(Action):
    """Flip a bit in the body of the answer, if it has one."""

    def answer(self, exchange: Exchange) -> Response:
        response = exchange.forward()
        return replace(response, body=flipped(response.body)) if response.body else response


@dataclass(frozen=True)
class DropTail(Action):
    """Answer with half of the body, and a length that agrees with it."""

    def answer(self, exchange: Exchange) -> Response:
        response = exchange.forward()
        return replace(response, body=response.body[: len(response.body) // 2])


# A portal's page in the place of an answer.
_PAGE = Say(Response(200, (("Content-Type", "text/html"),), b"<html><body>sign in</body></html>"))
_OK_ERROR = Say(replace(error(500, "InternalError"), status=200))

ANY: dict[str, Action] = {
    "503 SlowDown": Status(503, "SlowDown"),
    "503 before the body": Status(503, "ServiceUnavailable", early=True),
    "500 InternalError": Status(500, "InternalError"),
    "502": Status(502, "BadGateway"),
    "429": Status(429, "TooManyRequests"),
    "400 RequestTimeout": Status(400, "RequestTimeout"),
    "connection reset": Reset(),
    "answer lost": LoseResponse(),
    "answer truncated": Truncate(),
    "late by 1 s": Delay(1.0),
    "silence, then reset": Hang(QUIET),
}
SENT: dict[str, Action] = {"400 BadDigest": Status(400, "BadDigest")}  # it arrived with a bit off
FETCHED: dict[str, Action] = {
    "bit flipped in an object": FlipAnswer(),
    "object cut, length agrees": DropTail(),
    "a page instead of an object": _PAGE,
}
LISTED: dict[str, Action] = {
    "listing cut, length agrees": DropTail(),
    "a page instead of a listing": _PAGE,
}
COMPLETED: dict[str, Action] = {"200 with Error": _OK_ERROR}
UNHEARD = {"answer lost", "answer truncated"}  # the store did what was asked


def possible(request: Request) -> dict[str, Action]:
    """Return what can happen to a request, by name."""
    path, _, query = request.path.partition("?")
    if request.method == "PUT":
        copies = request.header("x-amz-copy-source") != ""
        return {**ANY, **(COMPLETED if copies else SENT)}
    if request.method == "POST" and "uploadId=" in query:
        return {**ANY, **COMPLETED}
    if request.method == "GET" and path.count("/") > 1 and not query:
        return {**ANY, **FETCHED}
    if request.method == "GET" and "list-type=2" in query:
        return {**ANY, **LISTED}
    return ANY


class RandomFaults(FaultProxy):
    """A proxy that fails ``share`` of the requests; ``met`` counts by the name of the fault."""

    def __init__(self, upstream: str, seed: str, share: float = SHARE) -> None:
        super().__init__(upstream)
        self.share = share
        self.requests = 0
        self.met: Counter[str] = Counter()
        self.unacknowledged: set[str] = set()  # keys of uploads whose creation nobody learnt of
        self._seed = seed
        self._times: Counter[tuple[str, str]] = Counter()

    def _first(self, request: Request) -> Action | None:
        """As ``FaultProxy``: called under its lock, once for each request."""
        self.requests += 1
        self._log.clear()  # it grows with each request, and is not looked at
        asked = (request.method, request.path)
        self._times[asked] += 1
        words = f"{self._seed} {asked} {self._times[asked]}"
        chance = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") / 2**64
        if chance >= self.share:
            return None
        choices = possible(request)
        name = list(choices)[int(chance / self.share * len(choices))]
        self.met[name] += 1
        path, _, query = request.path.partition("?")
        if request.method == "POST" and query == "uploads=" and name in UNHEARD:
            self.unacknowledged.add(unquote(path).split("/", 2)[2])
        return choices[name]
