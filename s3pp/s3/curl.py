"""HTTP by libcurl, for requests through a proxy.

::

    coroutine ── send(Request) ──▶ pooled curl handle ──▶ CurlMulti ──▶ sockets
        ▲                                                    │ epoll
        └────────── Response | WireError ◀── future ◀────────┘

libcurl's connections belong to the multi handle, so a pooled easy handle is only settings and two
lists. It is driven by ``multi`` where there is epoll, else by pycurl's own ``AsyncCurlMulti``.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
from math import inf
from typing import Any

import pycurl

from s3pp.s3.exchange import (
    MOST_HELD,
    TICK,
    Fault,
    Pace,
    Request,
    Response,
    Sink,
    Stream,
    TimeLimits,
    WireError,
    WireSettings,
)
from s3pp.s3.multi import EpollMulti

UPLOAD_BUFFER = 256 * 1024  # bytes libcurl reads from a stream at a time
DOWNLOAD_BUFFER = 256 * 1024  # bytes libcurl passes to a sink at a time, at most

# What a transfer has moved, in bytes.
_MOVED = (pycurl.SIZE_UPLOAD_T, pycurl.SIZE_DOWNLOAD_T, pycurl.HEADER_SIZE)
_FAULTS = {
    pycurl.E_COULDNT_RESOLVE_HOST: Fault.UNRESOLVED,
    pycurl.E_COULDNT_CONNECT: Fault.CONNECTION,
    pycurl.E_PEER_FAILED_VERIFICATION: Fault.UNTRUSTED,
    pycurl.E_SSL_CACERT_BADFILE: Fault.UNTRUSTED,
    pycurl.E_SSL_ISSUER_ERROR: Fault.UNTRUSTED,
    pycurl.E_OPERATION_TIMEDOUT: Fault.SILENT,
    pycurl.E_GOT_NOTHING: Fault.CUT,
    pycurl.E_RECV_ERROR: Fault.CUT,
    pycurl.E_SEND_ERROR: Fault.CUT,
    pycurl.E_PARTIAL_FILE: Fault.PARTIAL,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Fault.UNREADABLE,
    pycurl.E_UNSUPPORTED_PROTOCOL: Fault.UNREADABLE,
    pycurl.E_FILESIZE_EXCEEDED: Fault.OVERSIZED,
}


class CurlWire:
    """Sends requests; one per process and event loop, never used across a fork."""

    def __init__(self, settings: WireSettings) -> None:
        self._settings = settings
        self._multi = EpollMulti() if hasattr(select, "epoll") else pycurl.AsyncCurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, settings.connections)
        self._loop = asyncio.get_running_loop()
        self._idle: dict[str, list[_Handle]] = {}
        self._active: dict[_Handle, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None  # of the next tick; None: none is active

    async def send(self, request: Request) -> Response:
        """Send a request and return the complete answer.

        Raises ``WireError``, or an error of the stream or the sink.
        """
        shape = _shape(request)
        pool = self._idle.setdefault(shape, [])
        handle = pool.pop() if pool else _Handle(shape, self._settings)
        handle.load(request)
        try:
            await self._perform(handle)
            return handle.response()
        except pycurl.error as error:
            raise handle.broken or handle.lost(error) from None
        except asyncio.CancelledError:
            self._multi.remove_handle(handle.curl)
            if handle.late is None:
                raise
            raise handle.late from None
        finally:
            self._active.pop(handle, None)
            handle.clear()
            pool.append(handle)

    def close(self) -> None:
        """Close every connection; requests in flight are abandoned."""
        if self._timer is not None:
            self._timer.cancel()
        self._multi.close()

    def _perform(self, handle: _Handle) -> asyncio.Future[None]:
        future = self._active[handle] = asyncio.ensure_future(self._multi.perform(handle.curl))
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._tick)
        return future

    def _tick(self) -> None:
        """End requests that are too late: libcurl would do so seconds later, by an average."""
        for handle, future in self._active.items():
            if handle.tick():
                future.cancel()
        self._timer = self._loop.call_later(TICK, self._tick) if self._active else None


def _shape(request: Request) -> str:
    """The shape of a request; those of one shape share handles.

    Only URL, headers and body differ between them.
    """
    method, body = request.method, request.body
    if body is None:
        return method if request.sink is None else "sink"
    if isinstance(body, bytes):
        return "bytes" if method == "PUT" else "post"
    return "stream"


def _header_lines(request: Request) -> list[str]:
    """The header lines as libcurl wants them.

    One without a value has to end in a semicolon. Without the last ones it would wait for "100
    Continue" before a large body, and would send the content type of a form.
    """
    given = request.head.split("\r\n")[:-1]
    lines = [f"{line[:-2]};" if line.endswith(": ") else line for line in given]
    if request.body is None:
        return lines
    typed = any(line[:13].lower() == "content-type:" for line in lines)
    return [*lines, "Expect:"] if typed else [*lines, "Expect:", "Content-Type:"]


def _cause(error: pycurl.error, curl: Any) -> str:
    """libcurl's message, or a shorter one where the system's error is more useful."""
    code, number = error.args[0], curl.getinfo(pycurl.OS_ERRNO)
    if code == pycurl.E_COULDNT_CONNECT and number:
        return os.strerror(number).lower()
    if code == pycurl.E_COULDNT_RESOLVE_HOST:
        return "host not found"
    return _USER_INFO.sub("//", str(error.args[-1]))  # some of them repeat the proxy's URL


_USER_INFO = re.compile(r"//[^/'\"]*@")


class _Handle:
    """A curl easy handle and the answer it received; its settings are reused across requests."""

    def __init__(self, shape: str, settings: WireSettings) -> None:
        self.curl: Any = pycurl.Curl()
        self.broken: Exception | None = None  # what a stream or a sink raised inside libcurl
        self._lines: list[bytes] = []
        self._chunks: list[bytes] = []
        self._held = 0  # bytes of them
        self._stream: Stream | None = None
        self._sink: Sink | None = None
        self._pace: Pace | None = None
        self._waits = False  # for the pace
        self._begun = False  # whether the sink receives this answer's body
        self.late: WireError | None = None  # why it was ended
        self._settings = settings
        self._limits = TimeLimits(inf, inf)
        self._moved = 0  # bytes, of this request
        self._connection(settings)
        self._method(shape)

    def load(self, request: Request) -> None:
        setopt, body = self.curl.setopt, request.body
        setopt(pycurl.URL, request.url)
        setopt(pycurl.HTTPHEADER, _header_lines(request))
        if isinstance(body, bytes):
            setopt(pycurl.POSTFIELDS, body)
        elif body is not None:
            body.rewind()
            self._stream = body
            setopt(pycurl.INFILESIZE_LARGE, body.size)
        self._sink, self._pace = request.sink, request.pace
        patience, settings = request.patience, self._settings
        self._limits = TimeLimits(
            settings.read_timeout + patience, settings.request_timeout + patience
        )

    def tick(self) -> bool:
        """Account for a ``TICK``; return whether the request is too late, with ``late`` set."""
        info = self.curl.getinfo
        if info(pycurl.PRETRANSFER_TIME) > 0.0:  # until then it connects, for which it has a limit
            moved = sum(map(info, _MOVED))
            if not self._waits:  # for its pace
                self.late = self._limits.tick(moved - self._moved)
            self._moved = moved
        return self.late is not None

    def response(self) -> Response:
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if self._sink is not None and not self._begun and status < 300:
            self._sink.restart()  # the body is empty, so ``_write`` was not called
        return Response(status, b"".join(self._lines), b"".join(self._chunks))

    def lost(self, error: pycurl.error) -> WireError:
        fault = _FAULTS.get(error.args[0], Fault.OTHER)
        if 400 <= self.curl.getinfo(pycurl.HTTP_CONNECTCODE) < 500:
            fault = Fault.PROXY
        return WireError(fault, _cause(error, self.curl))

    def clear(self) -> None:
        self._lines.clear()
        self._chunks.clear()
        self._held = 0
        self._stream = self._sink = self._pace = self.broken = self.late = None
        self._waits = False
        self._begun = False
        self._moved = 0

    def _connection(self, settings: WireSettings) -> None:
        setopt = self.curl.setopt
        setopt(pycurl.NOSIGNAL, 1)
        setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        setopt(pycurl.PATH_AS_IS, 1)  # else "/../" in a key silently names another key
        setopt(pycurl.CONNECTTIMEOUT_MS, int(settings.connect_timeout * 1000))
        setopt(pycurl.HEADERFUNCTION, self._lines.append)
        setopt(pycurl.WRITEFUNCTION, self._keep)
        setopt(pycurl.PROXY, settings.proxy)  # even if empty, so that libcurl does not look for one
        setopt(pycurl.NOPROXY, "")
        if settings.ca_bundle:
            setopt(pycurl.CAINFO, settings.ca_bundle)
            setopt(pycurl.PROXY_CAINFO, settings.ca_bundle)
        if not settings.verify:
            setopt(pycurl.SSL_VERIFYPEER, 0)
            setopt(pycurl.SSL_VERIFYHOST, 0)

    def _method(self, shape: str) -> None:
        setopt = self.curl.setopt
        if shape == "bytes":
            setopt(pycurl.CUSTOMREQUEST, "PUT")
        elif shape == "post":
            setopt(pycurl.POST, 1)
        elif shape == "stream":
            setopt(pycurl.UPLOAD, 1)
            setopt(pycurl.UPLOAD_BUFFERSIZE, UPLOAD_BUFFER)
            setopt(pycurl.READFUNCTION, self._read)
            setopt(pycurl.SEEKFUNCTION, self._seek)
        elif shape == "HEAD":
            setopt(pycurl.NOBODY, 1)
        elif shape == "sink":
            setopt(pycurl.BUFFERSIZE, DOWNLOAD_BUFFER)
            setopt(pycurl.WRITEFUNCTION, self._write)
        else:
            setopt(pycurl.MAXFILESIZE_LARGE, MOST_HELD)
            setopt(pycurl.CUSTOMREQUEST, shape)

    def _read(self, count: int) -> bytes | int:
        try:
            assert self._stream is not None
            if self._pace is None:
                return self._stream.read(count)
            allowed = self._pace.take(count, self._go_on)
            if not allowed:
                self._waits = True
                return int(pycurl.READFUNC_PAUSE)
            piece = self._stream.read(allowed)
            self._pace.give_back(allowed - len(piece))
            return piece
        except Exception as error:
            self.broken = error
            return int(pycurl.READFUNC_ABORT)

    def _write(self, piece: bytes) -> int | None:
        """Pass a piece to the sink, or keep it if part of an error; None: all was consumed."""
        try:
            assert self._sink is not None
            if not self._begun and self._status() >= 300:
                return self._keep(piece)
            if self._pace is not None and not self._pace.take(1, self._go_on):
                self._waits = True
                return int(pycurl.WRITEFUNC_PAUSE)  # and it comes again, whole
            if self._pace is not None:
                self._pace.charge(len(piece) - 1)
            if not self._begun:
                self._begun = True
                self._sink.restart()
            self._sink.write(piece)
            return None
        except Exception as error:
            self.broken = error
            return -1

    def _keep(self, piece: bytes) -> int | None:
        """Keep a piece of an answer that no sink receives; None: all was consumed.

        libcurl's own limit is on what is announced, and does not hold in all versions for more.
        """
        self._held += len(piece)
        if self._held > MOST_HELD:
            self.broken = WireError(Fault.OVERSIZED)
            return -1
        self._chunks.append(piece)
        return None

    def _go_on(self) -> None:
        self._waits = False
        if self._pace is not None:
            self.curl.pause(pycurl.PAUSE_CONT)

    def _status(self) -> int:
        """The status from the header lines so far: libcurl cannot be queried in a callback."""
        line = next(line for line in reversed(self._lines) if line.startswith(b"HTTP/"))
        return int(line.split(None, 2)[1])

    def _seek(self, offset: int, origin: int) -> int:
        # libcurl resends from the start when a kept connection turns out to be dead.
        if offset != 0 or origin != 0 or self._stream is None:
            return int(pycurl.SEEKFUNC_CANTSEEK)
        self._stream.rewind()
        return int(pycurl.SEEKFUNC_OK)
