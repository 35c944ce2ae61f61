"""What the supervisor holds of a worker on another machine: the pipes to it, as of any child."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, NamedTuple

from s3pp.job import Job
from s3pp.pipeline.child import Child
from s3pp.pipeline.cluster.control import Control, close_all
from s3pp.pipeline.cluster.descriptors import is_readable
from s3pp.pipeline.messages import Message, NewKeys, Setup
from s3pp.pipeline.pipes import MessageReader, Outbox, widen
from s3pp.places import Side

_MOST = 64 * 1024  # bytes of a reason
_NEVER_REMOTE = (Side.LISTING, Side.INVENTORY)  # what only the walker uses


class RemotePlace(NamedTuple):
    """Where a worker process can run."""

    worker: str  # the address of the Dask worker
    host: str


class RemoteOutbox(Outbox):
    """Sends messages to another machine: keys and passwords only if the user has said so."""

    def __init__(self, fd: int, *, sends_keys: bool) -> None:
        super().__init__(fd)
        self._sends_keys = sends_keys

    def send(self, message: Message) -> None:
        """Do as ``Outbox.send``, without what must not leave this machine."""
        if isinstance(message, Setup):
            message = for_remote(message, sends_keys=self._sends_keys)
        elif isinstance(message, NewKeys) and not self._may_send(message):
            return
        super().send(message)

    def _may_send(self, news: NewKeys) -> bool:
        return self._sends_keys and news.side not in _NEVER_REMOTE


def for_remote(setup: Setup, *, sends_keys: bool) -> Setup:
    """Return ``setup`` without the keys, and without what each machine has of its own."""
    opened = {
        side: each._replace(keys=each.keys if sends_keys else None, proxy="", ca_bundle=None)
        for side, each in setup.opened.items()
        if side not in _NEVER_REMOTE
    }
    return Setup(_without_credentials(setup.job), opened)


def _without_credentials(job: Job) -> Job:
    source, listing = job.source_access, job.listing_access
    return replace(
        job,
        access=replace(job.access, credentials=None),
        source_access=source and replace(source, credentials=None),
        listing_access=listing and replace(listing, credentials=None),
    )


class RemoteProcess:
    """The process of a remote worker, as far as the supervisor asks about one."""

    def __init__(self, sentinel: int, control: Control) -> None:
        self.identity = os.urandom(8).hex()
        self.sentinel = sentinel
        self.began = False  # whether it has sent anything
        self._control = control
        self._how: str | None = None  # it ended; None: it has not

    @property
    def ended(self) -> str | None:
        """How it ended; None: it runs, or its end is not known yet."""
        if self._how is None and is_readable(self.sentinel):
            self._how = os.read(self.sentinel, _MOST).decode("utf-8", "replace") or "ended"
        return self._how

    def join(self, seconds: float = 0.0) -> None:
        """Wait for the end of one that runs, up to ``seconds``."""
        if self.began and self.ended is None:
            is_readable(self.sentinel, seconds)

    def close(self) -> None:
        """Close the sentinel: how it ended is known by now, or never will be."""
        self._how = self.ended or "was killed"
        os.close(self.sentinel)

    def kill(self) -> None:
        """Have it killed, without waiting for that; nothing, if it has ended."""
        if self.ended is None:
            self._control.send("kill", process=self.identity)


class RemoteChild(Child):
    """A worker at a place of the cluster; its attributes are those of ``Child``."""

    def __init__(
        self, name: str, place: RemotePlace, control: Control, *, sends_keys: bool
    ) -> None:
        self.name = name
        self.place = place
        self.where = f" on {place.host}"
        self._control = control
        self._ended_for = ""
        theirs_in, to_child = os.pipe()
        from_child, theirs_out = os.pipe()
        sentinel, theirs_end = os.pipe()
        self._ours, self._theirs = (to_child, from_child), (theirs_in, theirs_out, theirs_end)
        self.inbox = MessageReader(from_child)
        self.outbox = RemoteOutbox(to_child, sends_keys=sends_keys)
        self.remote = RemoteProcess(sentinel, control)
        self.process: Any = self.remote
        for fd in self._ours:
            os.set_blocking(fd, False)
            widen(fd)

    @property
    def descriptors(self) -> tuple[int, int]:
        """The supervisor's ends, which no child may keep open."""
        return self._ours

    def start(self, others: tuple[int, ...]) -> None:
        """Ask the bridge to have it started, and give it the other ends."""
        what = {"worker": self.place.worker, "process": self.remote.identity, "name": self.name}
        self._control.send("open", *self._theirs, directory=os.getcwd(), **what)
        close_all(self._theirs)

    @property
    def stopped(self) -> bool:
        """False: only its silence is known."""
        return False

    @property
    def was_lost(self) -> bool:  # type: ignore[override]
        """Whether its machine is gone, or the way to it, rather than the process."""
        return (self.remote.ended or "").startswith("is lost")

    def how_it_ended(self) -> str:
        """Describe its end, and where it was."""
        how = f"{self._ended_for}, and was killed" if self._ended_for else self.remote.ended
        return f"on {self.place.host} {how}"

    def kill(self, why: str = "") -> None:
        """Have the process killed, without waiting for it; ``why`` as of ``Child.kill``."""
        self._ended_for = self._ended_for or why
        self.remote.kill()

    def close(self) -> None:
        """Close the pipes; a process that runs cleans up, and ends."""
        close_all(self._ours)
        self.remote.close()
