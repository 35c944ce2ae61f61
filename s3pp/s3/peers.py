"""A server that requests go to: its addresses, its TLS, and the connections to it.

::

    name ── lookup, kept a minute ──▶ addresses ── race (RFC 8305) ──▶ socket ── TLS ──▶ Connection
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

from aiohappyeyeballs import AddrInfoType, start_connection

from s3pp import __version__
from s3pp.errors import no_thread
from s3pp.s3.endpoint import PORTS
from s3pp.s3.exchange import Fault, WireError
from s3pp.s3.http1 import Connection
from s3pp.s3.receiving import BUFFER, describe
from s3pp.s3.sending import SentRequest

NAMES_KEPT = 60.0  # seconds for which the addresses of a name are used again, as libcurl does
# RFC 8305, section 8: the delay before the next address is tried beside this one, in seconds.
NEXT_ADDRESS = 0.25

# Errors that say nothing about the addresses.
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_CONNECTING = frozenset({errno.EINPROGRESS, errno.EINTR})
# Set by Python's ssl module, where OpenSSL (from 3.0 on) has it.
_IGNORE_CUT = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


class Peer:
    """The server of one origin, and the connections to it; implements ``http1.Pool``."""

    def __init__(
        self,
        origin: str,
        most_idle: int,
        *,
        tls: Callable[[], ssl.SSLContext] | None,
        send_again: Callable[[Peer, SentRequest], None],
    ) -> None:
        """``tls`` returns how the server is verified; None: without TLS.

        ``most_idle`` connections are kept at most.
        """
        url = urlsplit(origin)
        assert url.hostname is not None
        # The request line after the path, and the headers that are the same for all requests.
        self.rest = f"HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: s3pp/{__version__}\r\n"
        self.session: ssl.SSLSession | None = None
        self.buffer = memoryview(bytearray(BUFFER))
        self.idle: list[Connection] = []  # the one used last at the end
        self.connections: set[Connection] = set()  # all
        self._addresses = Addresses(url.hostname, url.port or PORTS[url.scheme])
        self._tls = tls
        self._server_name = url.hostname.removesuffix(".")
        self._most_idle = most_idle
        self._send_again = send_again

    def give(self, connection: Connection) -> None:
        if len(self.idle) < self._most_idle:
            self.idle.append(connection)
        else:
            connection.close()

    def remove(self, connection: Connection) -> None:
        self.connections.discard(connection)
        with contextlib.suppress(ValueError):
            self.idle.remove(connection)

    def distrust(self, address: Any) -> None:
        self._addresses.distrust(address)

    def send_again(self, request: SentRequest) -> None:
        self._send_again(self, request)

    def add(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Connection:
        """Take over a socket that ``connect`` returned."""
        connection = Connection(loop, sock, self, address=_peer_address(sock))
        self.connections.add(connection)
        return connection

    async def connect(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        """Return a connected socket, after the handshake of TLS. Raises ``WireError``."""
        try:
            context = None if self._tls is None else self._tls()
            sock = await self._addresses.connect(loop)
            return sock if context is None else await self._secure(loop, sock, context)
        except (OSError, UnicodeError, RuntimeError) as error:
            raise connect_error(error) from None

    async def _secure(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, context: ssl.SSLContext
    ) -> socket.socket:
        address = _peer_address(sock)
        try:
            secure = context.wrap_socket(
                sock,
                server_hostname=self._server_name,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
                session=self.session,
            )
        except BaseException:
            sock.close()
            raise
        try:
            await _shake_hands(loop, secure)
        except BaseException:
            secure.close()
            self.session = None
            self._addresses.distrust(address)
            raise
        return secure


class Addresses:
    """The addresses of a host; those at which connections broke come last."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._lookup: asyncio.Future[list[AddrInfoType]] | None = None
        self._looked_up = 0.0

    async def connect(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        """Return a socket that is connected to one of them. Raises as ``start_connection`` does."""
        lookup = self._look_up(loop)
        try:
            # Many who connect at once share one lookup, and none of them cancels it.
            found = await asyncio.shield(lookup)
            connecting = cast(asyncio.AbstractEventLoop, _ConnectingLoop(loop))
            sock = await start_connection(found, happy_eyeballs_delay=NEXT_ADDRESS, loop=connecting)
        except BaseException as error:
            # The name may have moved: the next one looks it up again.
            if self._lookup is lookup and getattr(error, "errno", None) not in _LOCAL:
                self._lookup = None
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def distrust(self, address: Any) -> None:
        """Try ``address`` last from now on."""
        if self._lookup is not None and self._lookup.done() and not self._lookup.exception():
            self._lookup.result().sort(key=lambda each: each[4] == address)

    def _look_up(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[list[AddrInfoType]]:
        now = loop.time()
        if self._lookup is None or now - self._looked_up > NAMES_KEPT:
            self._looked_up = now
            self._lookup = _look_up(loop, self._host, self._port)
        return self._lookup


class _ConnectingLoop:
    """An event loop that connects sockets to addresses without a thread.

    uvloop passes addresses through a lookup on libuv's threads, and libuv aborts the process where
    the system allows no more threads.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket that does not block. Raises ``OSError``."""
        loop, error = self._loop, sock.connect_ex(address)
        if error in _CONNECTING:
            await _until_ready(sock.fileno(), loop.add_writer, loop.remove_writer)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))


def _look_up(
    loop: asyncio.AbstractEventLoop, host: str, port: int
) -> asyncio.Future[list[AddrInfoType]]:
    """Resolve a host, in a thread that the end of the process does not wait for.

    Raises ``FatalError``.
    """
    future: asyncio.Future[list[AddrInfoType]] = loop.create_future()
    with contextlib.suppress(socket.gaierror):  # an address needs no lookup, nor its thread
        future.set_result(_addresses(host, port, socket.AI_NUMERICHOST))
        return future
    thread = threading.Thread(target=_resolve, args=(loop, future, host, port), daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise no_thread() from None
    return future


def _resolve(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[list[AddrInfoType]],
    host: str,
    port: int,
) -> None:
    found: list[AddrInfoType] | Exception
    try:
        found = _addresses(host, port, 0)
    except Exception as error:
        found = error
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(_settle, future, found)


def _settle(
    future: asyncio.Future[list[AddrInfoType]], found: list[AddrInfoType] | Exception
) -> None:
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)


def _addresses(host: str, port: int, flags: int) -> list[AddrInfoType]:
    return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)]


def _peer_address(sock: socket.socket) -> Any:
    """The address a socket is connected to; None where it is no longer."""
    with contextlib.suppress(OSError):
        return sock.getpeername()
    return None


async def _shake_hands(loop: asyncio.AbstractEventLoop, sock: ssl.SSLSocket) -> None:
    while True:
        try:
            sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            await _until_ready(sock.fileno(), loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _until_ready(sock.fileno(), loop.add_writer, loop.remove_writer)


async def _until_ready(fd: int, watch: Callable[..., Any], unwatch: Callable[[int], Any]) -> None:
    ready = asyncio.Event()
    watch(fd, ready.set)
    try:
        await ready.wait()
    finally:
        unwatch(fd)


@cache
def tls_context(ca_bundle: str | None, *, verify: bool) -> ssl.SSLContext:
    """How servers are verified: as libcurl does it for requests through a proxy.

    To read a usual bundle takes 25 ms, so that a forked process takes over what its parent has
    read; what belongs to a connection is not in it. Raises ``WireError``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    # An end that the peer did not declare must not pass for one that it did.
    context.options &= ~_IGNORE_CUT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    # A bundle may name the server's own certificate, or the authority right above it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        if ca_bundle:
            context.load_verify_locations(cafile=ca_bundle)
        else:
            context.load_default_certs()
    except OSError as error:
        why = describe(error)
        raise WireError(Fault.UNTRUSTED, f"CA certificates of {ca_bundle!r}: {why}") from None
    return context


def connect_error(error: Exception) -> WireError:
    """The error for a connection that could not be made."""
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return WireError(Fault.UNRESOLVED, "host not found")
    if isinstance(error, ssl.SSLCertVerificationError):
        return WireError(Fault.UNTRUSTED, f"SSL certificate problem: {error.verify_message}")
    return WireError(Fault.CONNECTION, describe(error))
