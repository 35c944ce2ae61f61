"""The selector loop: every queue and sentinel of the supervisor's in one selector.

What to do when a descriptor is ready is a call without arguments, kept with the descriptor.
"""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Callable

from s3pp.pipeline.children import Child
from s3pp.pipeline.messages import Message

Act = Callable[[], None]


class SelectorLoop:
    """Waits for all children at once, and never for one of them alone."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.children: list[Child] = []  # that run, or have ended and were not forgotten yet

    def turn(self, seconds: float) -> None:
        """Wait until something is ready, ``seconds`` at most, and act on all that is."""
        for key, _ in self._selector.select(seconds):
            # An event before may have closed it, and a new child may have its number by now.
            if self._selector.get_map().get(key.fd) == key:
                key.data()

    def add(self, child: Child, *, on_death: Act) -> None:
        """Start a child and watch its sentinel. Raises ``OSError`` if there is no room for it."""
        try:
            child.start(tuple(fd for each in self.children for fd in each.descriptors))
        except OSError:
            child.close()
            raise
        self.children.append(child)
        self.watch(child.process.sentinel, on_death)

    def forget(self, child: Child) -> None:
        """Close everything that belongs to a child that has ended."""
        for fd in (child.process.sentinel, child.inbox.fd, child.outbox.fd):
            self.unwatch(fd)
        child.close()
        if child in self.children:
            self.children.remove(child)

    def send(self, child: Child, message: Message) -> None:
        """Send what fits into the child's queue now, and the rest as it finds room.

        Messages to a removed child are dropped.
        """
        if child not in self.children:
            return
        child.outbox.send(message)
        fd = child.outbox.fd
        if child.outbox and not self.watches(fd):
            self._selector.register(fd, selectors.EVENT_WRITE, lambda: self._flush(child))

    def watch(self, fd: int, act: Act) -> None:
        """Act whenever ``fd`` is readable."""
        self._selector.register(fd, selectors.EVENT_READ, act)

    def unwatch(self, fd: int) -> None:
        """Act no more; harmless for what is not watched."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(fd)

    def watches(self, fd: int) -> bool:
        """Whether ``fd`` is watched."""
        return fd in self._selector.get_map()

    def close(self) -> None:
        """Watch nothing any more."""
        self._selector.close()

    def _flush(self, child: Child) -> None:
        child.outbox.flush()
        if not child.outbox:
            self.unwatch(child.outbox.fd)
