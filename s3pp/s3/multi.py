"""libcurl's multi handle, driven from an event loop through one epoll object.

pycurl's own ``AsyncCurlMulti`` registers every socket with the event loop. Here one epoll object
holds them all and only its descriptor is in the loop, so that one wake-up serves all ready sockets
and completions are collected once: measured 57 to 75 µs of CPU per 4 KiB PUT against 82.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from typing import Any

import pycurl


class EpollMulti:
    """Drives a CurlMulti from the running event loop through one epoll object."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._multi: Any = pycurl.CurlMulti()
        self._epoll = select.epoll()
        self._masks: dict[int, int] = {}  # by descriptor: the epoll mask now registered
        self._futures: dict[Any, asyncio.Future[None]] = {}
        self._due: float | None = None  # when libcurl wants to be called, on the loop's clock
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._called_soon = False
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._loop.add_reader(self._epoll.fileno(), self._on_ready)

    def setopt(self, option: int, value: object) -> None:
        self._multi.setopt(option, value)

    def perform(self, curl: Any) -> asyncio.Future[None]:
        future = self._futures[curl] = self._loop.create_future()
        self._multi.add_handle(curl)
        return future

    def remove_handle(self, curl: Any) -> None:
        if self._futures.pop(curl, None):
            self._multi.remove_handle(curl)

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        if self._alarm:
            self._alarm.cancel()
        for curl in list(self._futures):
            self._settle(curl, pycurl.error(pycurl.E_ABORTED_BY_CALLBACK, "the wire was closed"))
        self._multi.close()
        self._epoll.close()

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        mask = _EPOLL_MASKS.get(what, _PARKED)
        before = self._masks.get(fd)
        self._masks[fd] = mask
        if mask in (_PARKED, before):
            return
        if before is None:
            self._epoll.register(fd, mask)
            return
        try:
            self._epoll.modify(fd, mask)
        except FileNotFoundError:  # closed while parked, and its number was reused
            self._epoll.register(fd, mask)

    def _unpark(self, fd: int) -> None:
        """Unregister an idle connection that the store closes; libcurl notices on its next use."""
        self._masks.pop(fd, None)
        with contextlib.suppress(OSError):  # closing it unregistered it
            self._epoll.unregister(fd)

    def _on_timer(self, milliseconds: int) -> None:
        """Record when libcurl wants to be called; an alarm that fires too early is set again.

        Every transfer moves libcurl's next timeout a little: an alarm per move would cost
        more than the early ones do.
        """
        self._due = None if milliseconds < 0 else self._loop.time() + milliseconds / 1000
        if milliseconds == 0:  # not now: libcurl must not be called from its own callback
            if not self._called_soon:
                self._called_soon = True
                self._loop.call_soon(self._on_soon)
        elif self._due is not None and (self._alarm is None or self._due < self._alarm_at):
            self._set_alarm(self._due)

    def _set_alarm(self, due: float) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(due, self._on_alarm)
        self._alarm_at = due  # kept here: uvloop's handle loses the time once it has passed

    def _on_soon(self) -> None:
        self._called_soon = False
        self._time_out()

    def _on_alarm(self) -> None:
        self._alarm = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._set_alarm(self._due)
        else:
            self._time_out()

    def _time_out(self) -> None:
        if not self._multi.closed:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            self._collect()

    def _on_ready(self) -> None:
        act = self._multi.socket_action
        for fd, events in self._epoll.poll(0):
            if self._masks.get(fd):  # an earlier event of this round may have parked it
                act(fd, _curl_events(events))
            else:
                self._unpark(fd)
        self._collect()

    def _collect(self) -> None:
        queued = 1
        while queued:
            queued, done, failed = self._multi.info_read()
            for curl in done:
                self._settle(curl, None)
            for curl, code, message in failed:
                self._settle(curl, pycurl.error(code, message))

    def _settle(self, curl: Any, error: Exception | None) -> None:
        self._multi.remove_handle(curl)
        future = self._futures.pop(curl)
        if future.done():  # cancelled, though its coroutine has not resumed yet
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


# The mask of an idle connection's socket, which stays registered: removing and adding it again
# would take two calls for each request.
_PARKED = 0

_EPOLL_MASKS = (
    {
        pycurl.POLL_IN: select.EPOLLIN,
        pycurl.POLL_OUT: select.EPOLLOUT,
        pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
    }
    if hasattr(select, "epoll")
    else {}
)


def _curl_events(events: int) -> int:
    """Convert epoll's events to libcurl's; an error or hang-up counts as readable."""
    mask = pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
    return mask | pycurl.CSELECT_IN if events & ~select.EPOLLOUT else mask
