"""A reverse proxy that does harm on demand, between s3pp and a store.

::

    client ──request──▶ _Connection ──▶ the first Rule that matches ──▶ its Action ──▶ store
                                                                   └──▶ log (Hit)

It runs on threads of the test's own process, one per connection, and ends with the ``with`` block.
Method, target, headers and their order go on as they came, Host included, so that a store that
checks signatures still finds them valid. Bodies are buffered whole: it is for tests, not for use.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from stores.fault_actions import Action, Cut, Exchange, Headers, Request, Response

# Meaningful between two neighbours only (RFC 9110, 7.6.1), or answered by the proxy itself.
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "expect"})
_UPSTREAM_TIMEOUT = 60.0  # seconds
_RECEIVE_BUFFER = 64 * 1024  # bytes
_DRAIN_TIMEOUT = 5.0  # seconds without a byte


@dataclass(frozen=True)
class Rule:
    """An action, and the requests it is for.

    ``method``, ``path`` and ``header`` are regular expressions, searched for in the method, in the
    target with its query, and in the lines ``Name: value``. Of the requests that match, the first
    ``skip`` pass, the next ``times`` meet the action (0: all), and the rest pass.
    """

    action: Action
    method: str = ""
    path: str = ""
    times: int = 0
    skip: int = 0
    header: str = ""

    def matches(self, request: Request) -> bool:
        """Whether the rule is for this request."""
        lines = "\n".join(f"{name}: {value}" for name, value in request.headers)
        return bool(
            re.search(self.method, request.method)
            and re.search(self.path, request.path)
            and re.search(self.header, lines, re.IGNORECASE | re.MULTILINE)
        )

    def takes(self, nth: int) -> bool:
        """Whether the action is for the ``nth`` matching request, counted from 0."""
        return nth >= self.skip and (not self.times or nth < self.skip + self.times)


@dataclass(frozen=True)
class Hit:
    """A line of the log: a request as it arrived, and the name of the action it met."""

    at: float  # time.monotonic()
    request: Request  # without its body
    action: str  # empty: passed on untouched


class FaultProxy:
    """The rules in force and the log of what they met; ``url`` is what clients talk to."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.stopped = threading.Event()
        self._rules: tuple[Rule, ...] = ()
        self._seen: list[int] = []
        self._log: list[Hit] = []
        self._changed = threading.Condition()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def inject(self, *rules: Rule) -> None:
        """Put ``rules`` in force, instead of any others, with their counts at zero."""
        with self._changed:
            self._rules, self._seen = rules, [0] * len(rules)

    def choose(self, request: Request) -> Action:
        """Decide what ``request`` meets, and write it down."""
        with self._changed:
            action = self._first(request)
            name = type(action).__name__ if action else ""
            self._log.append(Hit(time.monotonic(), replace(request, body=b""), name))
            self._changed.notify_all()
        return action or Action()

    def _first(self, request: Request) -> Action | None:
        for place, rule in enumerate(self._rules):
            if rule.matches(request):
                self._seen[place] += 1
                if rule.takes(self._seen[place] - 1):
                    return rule.action
        return None

    def hits(self, method: str = "", path: str = "", action: str = "") -> list[Hit]:
        """The log's lines whose method, path and action match these regular expressions."""
        with self._changed:
            return [hit for hit in self._log if _fits(hit, method, path, action)]

    def wait_for(self, count: int, method: str = "PUT", *, timeout: float = 40.0) -> None:
        """Return once ``count`` requests of ``method`` have arrived.

        Raises ``TimeoutError`` after ``timeout`` seconds, with the number that did arrive.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while (seen := sum(_fits(hit, method, "", "") for hit in self._log)) < count:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{seen} of {count} {method} requests after {timeout} s")

    @contextmanager
    def serving(self) -> Iterator[FaultProxy]:
        """Answer until the block ends; then every connection is closed."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopped.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _fits(hit: Hit, method: str, path: str, action: str) -> bool:
    request = hit.request
    return bool(
        re.search(method, request.method)
        and re.search(path, request.path)
        and re.search(action, hit.action)
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # the threads end when their connections, closed here, do
    request_queue_size = 1024

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Connection)

    def server_bind(self) -> None:
        # A body waits in the client until it is read here, not in a buffer: see ``Call``.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        super().server_bind()

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # its thread was quicker
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what many tests are about: no traceback for it."""


class _Connection(BaseHTTPRequestHandler):
    """One client connection, and at most one kept to the store on its behalf."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        netloc = urlsplit(self.server.proxy.upstream).netloc
        self._store = http.client.HTTPConnection(netloc, timeout=_UPSTREAM_TIMEOUT)

    def finish(self) -> None:
        self._store.close()
        super().finish()

    def handle_expect_100(self) -> bool:
        go_on = super().handle_expect_100()
        self.wfile.flush()  # the client keeps the body back until it reads this
        return go_on

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the proxy keeps a log of its own."""

    def do_GET(self) -> None:
        try:
            self._serve()
        except Cut:
            self._reset()

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def _serve(self) -> None:
        # The request line itself: http.server folds a leading // of the path into one slash.
        target, port = self.requestline.split()[1], self.client_address[1]
        head = Request(self.command, target, tuple(self.headers.items()), port=port)
        action = self.server.proxy.choose(head)
        early = action.arrive(Exchange(head, self._forward, self.server.proxy.stopped))
        if early:
            self.close_connection = True
            self._reply(early)
            self._drain()
            return
        whole = replace(head, body=self._body())
        self._reply(action.answer(Exchange(whole, self._forward, self.server.proxy.stopped)))

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise Cut  # the client went away: the store must not see half an object
        return body

    def _drain(self) -> None:
        # Closing on unread bytes would reset the connection, and the answer could be lost with it.
        self.connection.settimeout(_DRAIN_TIMEOUT)
        with suppress(OSError):
            while self.rfile.read1(1 << 16):
                pass

    def _forward(self, request: Request) -> Response:
        try:
            return self._ask(request)
        except (http.client.HTTPException, ConnectionError):
            self._store.close()  # a kept connection that the store had closed meanwhile
            return self._ask(request)

    def _ask(self, request: Request) -> Response:
        store = self._store
        store.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in _end_to_end(request.headers):
            store.putheader(name, value)
        store.endheaders(request.body or None)
        answer = store.getresponse()
        return Response(answer.status, _end_to_end(tuple(answer.getheaders())), answer.read())

    def _reply(self, response: Response) -> None:
        ends = response.missing > 0 or response.unmeasured
        self.close_connection = self.close_connection or ends
        self.send_response_only(response.status)
        for name, value in response.headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if response.status != 204 and not response.unmeasured:
            self.send_header("Content-Length", self._length(response))
        if self.close_connection and not response.missing:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self._write(response)
        self.wfile.flush()

    def _length(self, response: Response) -> str:
        said = Request("", "", response.headers).header("Content-Length")
        length = len(response.body) + response.missing
        return said if said and self.command == "HEAD" else str(length)

    def _write(self, response: Response) -> None:
        body, wait = response.body, self.server.proxy.stopped.wait
        if response.stall:
            half = len(body) // 2
            self._write_now(body[:half])
            wait(response.stall)
            self._write_now(body[half:])
        elif response.pace:
            for at in range(len(body)):
                self._write_now(body[at : at + 1])
                if wait(response.pace):
                    return
        else:
            self.wfile.write(body)

    def _write_now(self, piece: bytes) -> None:
        self.wfile.write(piece)
        self.wfile.flush()

    def _reset(self) -> None:
        # Lingering for no time makes close() send RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


def _end_to_end(headers: Headers) -> Headers:
    return tuple(pair for pair in headers if pair[0].lower() not in _HOP_BY_HOP)
