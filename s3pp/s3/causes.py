"""Descriptions of failed requests: the root cause of the exceptions that libraries raise."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from urllib.parse import urlsplit


def status_text(status: int) -> str:
    """Return a status with its name: ``HTTP 502 Bad Gateway``."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def bare(status: int) -> str:
    """Describe an error known only by its status: from a proxy, or a server other than S3."""
    return f"{status_text(status)} without an S3 error body"


def is_store(names: Iterable[str]) -> bool:
    """Whether a response about an object has one of the headers that every S3 store sends.

    ``names``: its header names, or whole header lines, in lower case. A captive portal, a web
    application or another service answers any request with a page of its own.
    """
    return any(name.startswith(("etag", "x-amz-")) for name in names)


def no_store(endpoint: str) -> str:
    """The message for a response that lacks such headers."""
    return (
        f"no S3 store answers at {endpoint} (the answer has neither an ETag nor any x-amz header): "
        "check the endpoint URL"
    )


def connection_cause(error: BaseException) -> str:
    """Return why a connection failed or broke: ``connection refused``."""
    said = error
    for said in _chain(error):
        if isinstance(said, ConnectionRefusedError):
            return "connection refused"
        if isinstance(said, socket.gaierror):
            return f"host not found ({said.strerror})"
        if isinstance(said, OSError) and said.strerror:
            return said.strerror[:1].lower() + said.strerror[1:]
    return " ".join(str(said).split()) or type(said).__name__


def is_recursion(error: BaseException) -> bool:
    """Whether the root cause is infinite recursion, which libraries may have wrapped."""
    return any(isinstance(each, RecursionError) for each in _chain(error))


def origin(url: str) -> str:
    """Scheme, host and port of ``url``, without credentials: ``http://127.0.0.1:9000``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, outermost first."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__
