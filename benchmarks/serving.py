"""The peer as the harness sees it: a child process that is started, asked and ended."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tools import Endpoint


class Counts(NamedTuple):
    """What the peer saw since the last reset, and what it holds."""

    requests: dict[str, int]  # by operation, and by error code
    connections: int  # accepted
    keys: int
    bytes: int
    cpu_seconds: float  # of the peer, since its start


class Held(NamedTuple):
    """An object of the peer's."""

    key: str
    size: int  # bytes
    etag: str
    part_size: int  # bytes of each part but the last; 0: it is in one piece, or they differ


@dataclass(frozen=True)
class Peer:
    """A peer that is running."""

    endpoint: Endpoint

    def counts(self) -> Counts:
        """What the peer saw and holds."""
        return Counts(**json.loads(self._ask("GET", "__counts")))

    def held(self) -> list[Held]:
        """The objects it holds, for peers of a few."""
        return [Held(**each) for each in json.loads(self._ask("GET", "__held"))]

    def reset(self) -> None:
        """Count from zero."""
        self._ask("POST", "__reset")

    def clear(self) -> None:
        """Forget all objects, and count from zero."""
        self._ask("POST", "__clear")

    def _ask(self, method: str, path: str) -> bytes:
        authority = self.endpoint.authority
        context = ssl.create_default_context(cafile=str(authority)) if authority else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        request = urllib.request.Request(f"{self.endpoint.url}/{path}", method=method)
        with opener.open(request, timeout=60) as response:
            body: bytes = response.read()
        return body


@contextmanager
def serving(*, https: bool = False, **options: float | str) -> Iterator[Peer]:
    """A fresh peer, ended with the block; the options are those of peer.py, True for its flags."""
    program = [sys.executable, str(Path(__file__).with_name("peer.py"))]
    given = {**options, "tls": https}.items()
    flags = [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in given
        if value is not False
    ]
    with subprocess.Popen([*program, *flags], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            authority = Path(child.stdout.readline().strip()) if https else None
            url = child.stdout.readline().strip()
            if not url:
                raise SystemExit("the peer did not start")
            yield Peer(Endpoint(url, authority))
        finally:
            child.terminate()
