"""Why a request came to nothing, in words: the one cause at the root of what libraries raise."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from urllib.parse import urlsplit


def status_text(status: int) -> str:
    """A status with its name: ``HTTP 502 Bad Gateway``."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def bare(status: int) -> str:
    """An error that is told by its status alone: a proxy's, or a server's that is no S3 store."""
    return f"{status_text(status)} without an S3 error body"


def is_store(names: Iterable[str]) -> bool:
    """Whether an answer about an object has one of the headers that every S3 store sends.

    ``names`` of its headers, or their lines, in lower case. A portal, a web application or
    another service answers any request with a page of its own.
    """
    return any(name.startswith(("etag", "x-amz-")) for name in names)


def no_store(endpoint: str) -> str:
    """What an answer without such headers means."""
    return (
        f"no S3 store answers at {endpoint} (the answer has neither an ETag nor any x-amz header): "
        "check the endpoint URL"
    )


def connection_cause(error: BaseException) -> str:
    """What kept a connection from being made, or broke it: ``connection refused``."""
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
    """Whether it all began with a recursion that had no end, which libraries may have wrapped."""
    return any(isinstance(each, RecursionError) for each in _chain(error))


def origin(url: str) -> str:
    """Scheme, host and port of ``url``, without credentials: ``http://127.0.0.1:9000``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised for, outermost first."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__
