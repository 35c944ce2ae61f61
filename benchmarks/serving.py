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


@dataclass(frozen=True)
class Peer:
    """A peer that is running."""

    endpoint: Endpoint

    def counts(self) -> Counts:
        """What the peer saw and holds."""
        return Counts(**json.loads(self._ask("GET", "__counts")))

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
def serving(*, https: bool = False, store: bool = False, **options: float) -> Iterator[Peer]:
    """A fresh peer, ended with the block; the options are those of peer.py."""
    program = [sys.executable, str(Path(__file__).with_name("peer.py"))]
    flags = [f"--{name}={value}" for name, value in options.items()]
    flags += (["--tls"] if https else []) + (["--store"] if store else [])
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
