"""An in-memory S3 server on loopback, in a child process, for trying and testing s3pp.

The child runs ``server``.

::

    Sandbox ──subprocess──▶ s3pp.sandbox.server (moto's S3)
       stdin pipe, never written: its end of file is the parent's death
       stdout pipe: one line of JSON, {"port": …} or {"error": …}
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress

from s3pp.errors import FatalError, UsageError, start_failure

HOST = "127.0.0.1"
REGION = "us-east-1"
STOP_SECONDS = 5.0  # for the server to exit after its standard input is closed
SIGNALS_HANDLED_SECONDS = 0.5  # the longest that a signal waits for its handler

# User settings that would direct or sign requests for a store other than the sandbox.
UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)
# S3 user guide, "General purpose bucket naming rules".
_NEW_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NEEDED = ("moto", "flask", "werkzeug")
_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


class Sandbox:
    """A context manager around one server; its contents are lost when it ends.

    ``port`` 0 picks a free port. Entering raises ``UsageError`` if moto is not installed or the
    port is in use, ``FatalError`` if the server does not start.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The endpoint URL."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Sandbox:
        if not all(map(importlib.util.find_spec, _NEEDED)):
            raise UsageError("the sandbox needs moto: pip install 's3pp[sandbox]'")
        try:
            self._server = _spawn(self.port)
        except OSError as error:
            raise FatalError(
                f"the sandbox server cannot be started: {start_failure(error)}"
            ) from None
        try:
            self.port = _read_port(self._server)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def wait(self) -> int:
        """Wait until the server exits by itself, which is not expected; returns its exit status."""
        assert self._server is not None
        return wait_for(self._server)

    def environment(self) -> dict[str, str]:
        """Return the variables that direct any AWS client to this server, bypassing proxies."""
        fixed = {
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        return fixed | _past_proxies(os.environ)

    @contextmanager
    def export_to(self, environ: MutableMapping[str, str]) -> Iterator[None]:
        """Set this server's variables in ``environ``, and restore it afterwards."""
        before = dict(environ)
        for name in UNSET:
            environ.pop(name, None)
        environ.update(self.environment())
        try:
            yield
        finally:
            environ.clear()
            environ.update(before)

    def create_bucket(self, name: str) -> None:
        """Create bucket ``name``.

        Raises ``UsageError`` for what S3 allows no new bucket to be called, which the server does
        not refuse, and with the server's reason if it refuses.
        """
        if not _NEW_BUCKET.fullmatch(name) or ".." in name:
            raise UsageError(
                f"bucket {name!r} cannot be created in the sandbox: a name has 3 to 63 of a-z, 0-9,"
                " . and -, and begins and ends with a letter or a digit"
            )
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request("PUT", f"/{name}")
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        finally:
            connection.close()
        if response.status != 200:
            found = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
            reason = found[1] if found else f"status {response.status}"
            raise UsageError(f"bucket {name!r} cannot be created in the sandbox: {reason}")

    def _stop(self) -> None:
        if self._server is None:
            return
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        try:
            self._server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server.stdout.close()


def wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait until ``process`` ends, and handle signals meanwhile; returns its exit status.

    Python handles a signal when a system call returns. One that arrives just before ``waitpid``
    blocks, or at another thread, does not interrupt it; so no wait here is without a bound.
    """
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(SIGNALS_HANDLED_SECONDS)


def _spawn(port: int) -> subprocess.Popen[bytes]:
    # In a new session: Ctrl-C goes to the terminal's whole foreground group, and the
    # transfer it stops still has requests in flight to this server.
    return subprocess.Popen(
        [sys.executable, "-m", "s3pp.sandbox.server", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",  # "-m" puts the working directory first on the path: keeps out the user's files
        env=_server_environment(os.environ),
        start_new_session=True,
    )


def _server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without AWS variables, and with this copy of s3pp importable."""
    kept = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    given = [os.path.abspath(p) for p in environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return kept | {"PYTHONPATH": os.pathsep.join([here, *given])}


def _read_port(server: subprocess.Popen[bytes]) -> int:
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        raise FatalError("the sandbox server ended before it was ready")
    report = json.loads(line)
    if "error" in report:
        raise UsageError(f"the sandbox cannot start: {report['error']}")
    return int(report["port"])


def _past_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    if not any(environ.get(name) for name in _PROXIES):
        return {}
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    hosts = ",".join([*filter(None, given.split(",")), HOST])
    return {"no_proxy": hosts, "NO_PROXY": hosts}
