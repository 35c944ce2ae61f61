"""The sandbox's child process: moto's S3 behind a threaded HTTP/1.1 server.

Run as ``python -m s3pp.sandbox.server PORT``. It prints its port as a line of JSON on standard
output, and exits at the end of standard input: the death of the parent, however caused, closes
that pipe.
"""

from __future__ import annotations

import errno
import io
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

from s3pp.errors import no_thread

HOST = "127.0.0.1"
BACKLOG = 1024  # more than the connections a run opens at once by default
WATCH_SECONDS = 1.0  # between two checks of the parent's process id


class Exchange(WSGIRequestHandler):
    """A connection kept open between requests, unlike Werkzeug's own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # head and body of a response in one segment

    def run_wsgi(self) -> None:
        """Answer one request, after reading its whole body."""
        self.environ = environ = self.make_environ()
        body = _body(environ)
        if body is None:  # the client disconnected: do not store half an object
            self.close_connection = True
            return
        environ["wsgi.input"] = io.BytesIO(body)
        chunks, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        answer = b"".join(chunks)
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in headers and code not in ("204", "304"):
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


class Server(ThreadedWSGIServer):
    """A server with one daemon thread per connection."""

    daemon_threads = True


def _body(environ: dict[str, Any]) -> bytes | None:
    """Return the request's body, or None if it was truncated."""
    source = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):  # chunked
        try:
            return bytes(source.read())
        except OSError:
            return None
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = bytes(source.read(length))
    return body if len(body) == length else None


def _application() -> Callable[..., Any]:
    from moto.moto_server.werkzeug_app import create_backend_app

    app = create_backend_app("s3")
    app.debug = False  # an exception becomes a 500 for this request, not for the thread
    lock = threading.Lock()

    def one_at_a_time(environ: Any, start_response: Any) -> Any:
        # moto's store is plain dicts, iterated by listings: not thread-safe.
        with lock:
            return app(environ, start_response)

    return one_at_a_time


def _exchange() -> type[WSGIRequestHandler]:
    """Return ``Exchange`` over moto's request class, which keeps underscores in header names."""
    from moto.moto_server import werkzeug_app

    base = getattr(werkzeug_app, "MotoRequestHandler", WSGIRequestHandler)
    return type("Exchange", (Exchange, base), {}) if base is not WSGIRequestHandler else Exchange


def _listen(port: int) -> Server:
    with socket.create_server((HOST, port), backlog=BACKLOG) as listener:
        # Werkzeug duplicates the descriptor.
        return Server(HOST, port, _application(), _exchange(), fd=listener.fileno())


def _end_with(parent: int) -> None:
    """Exit this process when its parent exits.

    Children forked by the parent hold the pipe's other end too, so its process id is also watched.
    """
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], WATCH_SECONDS)
        if readable and not os.read(0, 4096):
            break
    os._exit(0)


def _report(report: dict[str, Any]) -> None:
    """Send the one line of the protocol, then close standard output for good."""
    os.write(1, json.dumps(report).encode() + b"\n")
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, 1)


def main(port: int) -> int:
    """Serve on ``port`` (0: a free one) until the parent exits; returns 1 if it cannot start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    except RuntimeError:
        _report({"error": str(no_thread())})
        return 1
    try:
        server = _listen(port)
    except (OSError, ImportError) as error:
        _report({"error": _reason(port, error)})
        return 1
    _report({"port": server.port})
    server.serve_forever()
    return 0


def _reason(port: int, error: OSError | ImportError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {port} is in use: choose another, or none for one that is free"
    return f"port {port}: {error}" if isinstance(error, OSError) else str(error)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
