"""The supervisor's event loop: it waits for all children at once, for pipes and sentinels."""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Callable

from s3pp.pipeline.child import Child
from s3pp.pipeline.messages import Message

Act = Callable[[], None]


class SelectorLoop:
    """Waits for all children at once, never for a single one."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.children: list[Child] = []  # that run, or have ended but were not yet removed

    def turn(self, seconds: float) -> None:
        """Wait up to ``seconds`` for descriptors to become ready, and call their callbacks."""
        for key, _ in self._selector.select(seconds):
            # An earlier callback may have closed it, and a new child may have reused its number.
            if self._selector.get_map().get(key.fd) == key:
                key.data()

    def add(self, child: Child, *, on_death: Act) -> None:
        """Start a child and watch its sentinel. Raises ``OSError`` if it cannot be started."""
        try:
            child.start(tuple(fd for each in self.children for fd in each.descriptors))
        except OSError:
            child.close()
            raise
        self.children.append(child)
        self.watch(child.process.sentinel, on_death)

    def forget(self, child: Child) -> None:
        """Remove a child that has ended, and close its descriptors; only once.

        Their numbers may be those of another child by then.
        """
        if child not in self.children:
            return
        self.children.remove(child)
        for fd in (child.process.sentinel, child.inbox.fd, child.outbox.fd):
            self.unwatch(fd)
        child.close()

    def send(self, child: Child, message: Message) -> None:
        """Send a message; what does not fit into the child's queue is sent as it drains.

        Messages to a removed child are dropped.
        """
        if child not in self.children:
            return
        child.outbox.send(message)
        fd = child.outbox.fd
        if child.outbox and not self.watches(fd):
            self._selector.register(fd, selectors.EVENT_WRITE, lambda: self._flush(child))

    def watch(self, fd: int, act: Act) -> None:
        """Call ``act`` whenever ``fd`` is readable."""
        self._selector.register(fd, selectors.EVENT_READ, act)

    def unwatch(self, fd: int) -> None:
        """Stop watching ``fd``; does nothing if it is not watched."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(fd)

    def gate(self, fd: int, act: Act, *, open: bool) -> None:
        """Watch ``fd`` as ``watch`` does while ``open`` is set, and only then."""
        if open and not self.watches(fd):
            self.watch(fd, act)
        elif not open and self.watches(fd):
            self.unwatch(fd)

    def watches(self, fd: int) -> bool:
        """Whether ``fd`` is watched."""
        return fd in self._selector.get_map()

    def close(self) -> None:
        """Close the selector."""
        self._selector.close()

    def _flush(self, child: Child) -> None:
        child.outbox.flush()
        if not child.outbox:
            self.unwatch(child.outbox.fd)
