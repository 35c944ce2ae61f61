"""What one request costs the peer itself: asked on connections that are kept, a few at once."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPSConnection
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from data import names
from rounds import Failed
from serving import Peer, serving
from suite.setting import Setting
from suite.table import Table
from tools import Endpoint, Tool

_OBJECTS = 10_000
_AT_ONCE = 20  # under load a request is not alone, and does not pay for waking the peer
_PAGE = "/bench?list-type=2&prefix=p%2F&encoding-type=url&start-after="
_COLUMNS = ("request", "requests", "µs/request")


class _Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None


def peer(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure CPU microseconds per request; the tools have no part in it."""
    with serving(https=setting.https, preload=_OBJECTS, size=setting.size) as running:
        rows = [
            [kind, str(len(asked)), f"{_cost(running, asked):.0f}"]
            for kind, asked in _kinds(setting.size).items()
        ]
    scheme = "https" if setting.https else "http"
    return Table(f"peer: objects of {setting.size} bytes, {scheme}", _COLUMNS, rows)


def _kinds(size: int) -> dict[str, list[_Asked]]:
    paths = list(names(_OBJECTS))
    ranged = {"Range": "bytes=0-52428799"}
    pages = [_Asked("GET", _PAGE + quote(f"p/{name[:5]}", safe=""), {}) for name in paths[::1000]]
    return {
        "GET": [_Asked("GET", f"/bench/p/{path}", {}) for path in paths],
        "GET with Range": [_Asked("GET", f"/bench/p/{path}", ranged) for path in paths],
        "HEAD": [_Asked("HEAD", f"/bench/p/{path}", {}) for path in paths],
        "copy": [_Asked("PUT", f"/bench/q/{path}", _source(path)) for path in paths],
        "PUT": [_Asked("PUT", f"/bench/r/{path}", {}, bytes(size)) for path in paths],
        "LIST, 1,000 keys": pages,
        "LIST, once more": pages * 20,
    }


def _source(path: str) -> dict[str, str]:
    return {"x-amz-copy-source": f"bench/p/{path}"}


def _cost(running: Peer, asked: Sequence[_Asked]) -> float:
    """CPU microseconds of each, less what it costs to be told them, and without connecting."""
    connections = [_connection(running.endpoint) for _ in range(_AT_ONCE)]
    _ask(connections, [asked[0]] * _AT_ONCE)
    telling = -running.counts().cpu_seconds
    before = running.counts().cpu_seconds
    for start in range(0, len(asked), _AT_ONCE):
        _ask(connections, asked[start : start + _AT_ONCE])
    for connection in connections:
        connection.close()
    after = running.counts().cpu_seconds
    return (after - before - (before + telling)) / len(asked) * 1e6


def _ask(connections: Sequence[HTTPConnection], asked: Sequence[_Asked]) -> None:
    pairs = list(zip(connections, asked, strict=False))
    for connection, one in pairs:
        connection.request(one.method, one.path, one.body, one.headers)
    for connection, one in pairs:
        with connection.getresponse() as answer:
            answer.read()
        if answer.status not in (200, 206):
            raise Failed(f"{one.method} {one.path}: {answer.status}")


def _connection(endpoint: Endpoint) -> HTTPConnection:
    place = urlsplit(endpoint.url).netloc
    if endpoint.authority is None:
        return HTTPConnection(place)
    context = ssl.create_default_context(cafile=str(endpoint.authority))
    return HTTPSConnection(place, context=context)
