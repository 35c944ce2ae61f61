"""What a proxy of Swift remembers of accounts and containers: memcached in one process.

Without it each request asks the backends first whether its container exists. Real installations
have memcached for that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Cache:
    """The part of ``swift.common.memcached.MemcacheRing`` that the proxy uses."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, str]] = {}  # JSON, until a time

    def get(self, key: str, **_: Any) -> Any:
        """The value under ``key``; None where there is none, or not any more."""
        until, text = self._entries.get(key, (0.0, ""))
        return json.loads(text) if time.monotonic() < until else None

    def set(self, key: str, value: Any, time: float = 0, **_: Any) -> None:
        """Keep ``value`` for ``time`` seconds."""
        self._entries[key] = (_now() + time, json.dumps(value))

    def delete(self, key: str, **_: Any) -> None:
        """Forget ``key``."""
        self._entries.pop(key, None)

    def incr(self, key: str, delta: int = 1, time: float = 0, **_: Any) -> int:
        """Add to a number, and return it."""
        count = int(self.get(key) or 0) + delta
        self.set(key, count, time)
        return count


def _now() -> float:
    return time.monotonic()


def filter_factory(_: dict[str, str], **__: str) -> Callable[[Wsgi], Wsgi]:
    """The middleware, as paste makes it."""
    cache = Cache()

    def filtered(app: Wsgi) -> Wsgi:
        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return call

    return filtered
