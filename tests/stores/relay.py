"""A relay in front of a store: it records every request and may answer some itself.

One thread per connection, one upstream connection each, HTTP/1.1 kept alive on both sides. The
client's Host is passed on, because it is signed. With a TLS context it speaks https to the client;
asked for an absolute URL, it acts as the proxy of that URL; asked to CONNECT, it tunnels. With
``under``, the store lies below that path, which the store behind it never hears of.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "expect"}


@dataclass(frozen=True)
class Request:
    """One request as the client sent it."""

    method: str
    target: str  # path and query; an absolute URL where the client takes us for a proxy
    headers: dict[str, str]  # names in lower case
    body: bytes = b""

    @property
    def path(self) -> str:
        return urllib.parse.urlsplit(self.target).path

    @property
    def of_bucket(self) -> bool:
        """True for a request on a whole bucket or the service."""
        return "/" not in self.path.strip("/")


@dataclass(frozen=True)
class Answer:
    """A response: made up by an interceptor, or as the store gave it."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def error(status: int, code: str, *headers: tuple[str, str], message: str = "made up") -> Answer:
    """The XML error document S3 answers with."""
    xml = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>"
    return Answer(status, [("Content-Type", "application/xml"), *headers], xml.encode())


Interceptor = Callable[[Request], "Answer | None"]
Rewriter = Callable[[Request, Answer], Answer]


class Relay:
    """A relay to ``upstream`` (an http URL), listening on 127.0.0.1 until ``stop``.

    ``intercept(request)`` may return an ``Answer``, which the store then never hears of (return
    None to relay); ``rewrite(request, answer)`` may change what the store said.
    """

    def __init__(
        self,
        upstream: str,
        *,
        intercept: Interceptor | None = None,
        rewrite: Rewriter | None = None,
        tls: ssl.SSLContext | None = None,
        under: str = "",
    ) -> None:
        self.under = under
        self.requests: list[Request] = []
        self.connections = 0
        self.intercept = intercept
        self.rewrite = rewrite
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self._server = _Server(self, tls)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}{under}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, relay: Relay, tls: ssl.SSLContext | None) -> None:
        self.relay, self.tls = relay, tls
        super().__init__(("127.0.0.1", 0), _Connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.tls:
            # The handshake is made by the first read, on the connection's own thread: a client
            # that breaks it off because it does not trust us must not stop the others.
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients break connections on purpose here."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream: dict[str, http.client.HTTPConnection] = {}
        self.server.relay.connections += 1

    def finish(self) -> None:
        for connection in self._upstream.values():
            connection.close()
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the record is ``Relay.requests``."""

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _relay(self) -> None:
        relay, request = self.server.relay, self._read()
        relay.requests.append(request)
        answer = relay.intercept(request) if relay.intercept else None
        if answer is None:
            answer = self._ask(request)
        if relay.rewrite:
            answer = relay.rewrite(request, answer)
        self._reply(answer)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _relay

    def _read(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if "chunked" in headers.get("transfer-encoding", ""):
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(headers.get("content-length", 0)))
        return Request(self.command, self.path, headers, body)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def _ask(self, request: Request) -> Answer:
        url = urllib.parse.urlsplit(request.target)
        netloc = url.netloc or self.server.relay.upstream
        target = url._replace(scheme="", netloc="").geturl() if url.netloc else request.target
        target = target.removeprefix(self.server.relay.under)
        upstream = self._connected(netloc)
        upstream.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name not in HOP_BY_HOP and name != "content-length":
                upstream.putheader(name, value)
        upstream.putheader("content-length", str(len(request.body)))
        upstream.endheaders(request.body)
        response = upstream.getresponse()
        return Answer(response.status, response.getheaders(), response.read())

    def _connected(self, netloc: str) -> http.client.HTTPConnection:
        if netloc not in self._upstream:
            connection = http.client.HTTPConnection(netloc, timeout=60)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._upstream[netloc] = connection
        return self._upstream[netloc]

    def _reply(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        names = {name.lower() for name, _ in answer.headers}
        for name, value in answer.headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if "content-length" not in names and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def do_CONNECT(self) -> None:
        relay, headers = self.server.relay, {k.lower(): v for k, v in self.headers.items()}
        request = Request("CONNECT", self.path, headers)
        relay.requests.append(request)
        if relay.intercept and (refusal := relay.intercept(request)):
            self._reply(refusal)
            return
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as far:
            self.send_response_only(200)
            self.end_headers()
            self.wfile.flush()
            _tunnel(self.connection, far)
        self.close_connection = True


def _tunnel(near: socket.socket, far: socket.socket) -> None:
    other = {near: far, far: near}
    while True:
        for ready in select.select(list(other), [], [])[0]:
            if not (data := ready.recv(65536)):
                return
            other[ready].sendall(data)
