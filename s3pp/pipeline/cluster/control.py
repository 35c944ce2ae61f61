"""The channel between the supervisor and the bridge: lines of JSON, and descriptors beside them."""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

_MOST = 16  # descriptors of one read; a message has three at most
_CHUNK = 64 * 1024  # bytes


class ControlMessage(NamedTuple):
    """A message: ``content`` says what, by its ``event``."""

    content: dict[str, Any]
    descriptors: tuple[int, ...] = ()

    @property
    def event(self) -> str:
        """What it is about."""
        event: str = self.content["event"]
        return event


class Control:
    """One end of the channel; ``closed`` is set once the other end is."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._text = b""
        self._came: deque[int] = deque()  # descriptors whose message is not complete
        self.closed = False

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._socket.fileno()

    def send(self, event: str, *descriptors: int, **content: Any) -> None:
        """Send a message with copies of ``descriptors``; nothing, if nobody receives it."""
        message = {"event": event, "descriptors": len(descriptors), **content}
        view = memoryview(json.dumps(message).encode() + b"\n")
        try:
            if descriptors:
                view = view[socket.send_fds(self._socket, [view], descriptors) :]
            self._socket.sendall(view)
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def receive(self) -> list[ControlMessage]:
        """Read once, waiting if nothing is there, and return the complete messages."""
        try:
            text, came, _, _ = socket.recv_fds(self._socket, _CHUNK, _MOST)
        except ConnectionResetError:
            text, came = b"", []
        self._came.extend(came)
        self.closed |= not text
        *lines, self._text = (self._text + text).split(b"\n")
        return [self._message(json.loads(line)) for line in lines]

    def shutdown(self) -> None:
        """Tell the other end that no more messages come, and go on receiving."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
        close_all(self._came)

    def _message(self, content: dict[str, Any]) -> ControlMessage:
        count = content.pop("descriptors")
        return ControlMessage(content, tuple(self._came.popleft() for _ in range(count)))


def close_all(descriptors: Sequence[int] | deque[int]) -> None:
    """Close descriptors."""
    for fd in descriptors:
        os.close(fd)
