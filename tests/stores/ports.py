"""Ports and child servers that end with the test run."""

from __future__ import annotations

import http.client
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent
# Ports below those that systems give to connections: any of these may be taken by one of the many
# that tests make, before a server binds it.
NEVER_GIVEN = range(16_384, 32_768)
START_TIMEOUT = 60.0  # seconds; a busy machine may need several for Swift's imports


def free_port() -> int:
    """A TCP port nobody listens on at the moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many different ones, for servers that want several."""
    ports: set[int] = set()
    while len(ports) < count:
        port = secrets.choice(NEVER_GIVEN)
        if _is_free(port):
            ports.add(port)
    return list(ports)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for_http(port: int, path: str, timeout: float = START_TIMEOUT) -> None:
    """Return once ``port`` answers a GET with anything but a 5xx; raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not _answers(port, path):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing answers on port {port}")
        time.sleep(0.05)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_for_port(port: int, timeout: float = START_TIMEOUT) -> None:
    """Return once something listens on ``port``; raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.02)


class ChildServer:
    """A module run with a port in a child process, ended by the end of its stdin.

    The module prints one line when it is ready. Because it also ends when its stdin does, it never
    outlives a test run, not even one that was killed.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.port = free_port()
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, str(self.port), *arguments],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._child.stdout is not None
        if self._child.stdout.readline() != b"ready\n":
            self.stop()
            raise RuntimeError(f"{module} did not start")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
