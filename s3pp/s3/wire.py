"""HTTP transport: concurrent requests over persistent connections in an event loop.

::

    Request ──┬─ directly ─────────▶ ``connections``
              └─ through a proxy ──▶ ``curl``
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from s3pp.s3.connections import Connections
from s3pp.s3.exchange import Request, Response, WireSettings

if TYPE_CHECKING:
    from s3pp.s3.curl import CurlWire


class Wire:
    """Sends requests; one per process and event loop, never used across a fork."""

    def __init__(self, settings: WireSettings) -> None:
        self._direct = Connections(settings)
        self._settings = settings
        self._curl: CurlWire | None = None

    def send(self, request: Request) -> Awaitable[Response]:
        """Send a request and return the complete answer.

        Raises ``WireError``, or an error of the stream or the sink.
        """
        if not self._settings.proxy:
            return self._direct.send(request)
        return self._by_curl().send(request)

    def close(self) -> None:
        """Close every connection; requests in flight are abandoned."""
        self._direct.close()
        if self._curl is not None:
            self._curl.close()

    def _by_curl(self) -> CurlWire:
        if self._curl is None:
            from s3pp.s3.curl import CurlWire  # takes longer to import than many runs need it

            self._curl = CurlWire(self._settings)
        return self._curl
