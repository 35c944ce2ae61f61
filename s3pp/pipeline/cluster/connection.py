"""The connection to a Dask cluster: a bridge that has been started, and what it says of workers."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from s3pp import __version__
from s3pp.errors import FatalError, UsageError
from s3pp.job import Job
from s3pp.pipeline.cluster.control import Control
from s3pp.pipeline.cluster.dask_worker import this_python
from s3pp.pipeline.cluster.descriptors import is_readable, raise_limit
from s3pp.pipeline.cluster.probe import PathProbe, probes
from s3pp.pipeline.cluster.programs import start_program
from s3pp.pipeline.cluster.remote_child import RemotePlace

WAIT = 60.0  # seconds for a first Dask worker to be there
LEAVING = 15.0  # seconds that the bridge may take to end


@contextmanager
def connected(job: Job) -> Iterator[tuple[Job, ClusterConnection]]:
    """Yield the job as its cluster is to do it, and the connection to that.

    Raises ``UsageError`` where a Dask worker does not fit, and ``FatalError`` where there is none.
    """
    with probes(job) as found:
        connection = ClusterConnection(job, found)
        try:
            yield connection.begin(), connection
        finally:
            connection.close()


class ClusterConnection:
    """The Dask workers of a run, and the channel to the bridge."""

    def __init__(self, job: Job, found: list[PathProbe]) -> None:
        """Start the bridge. Raises ``FatalError``, and ``UsageError`` for a file of settings."""
        _check_readable(job.cluster.security)
        raise_limit()
        self._job = job
        self.address = job.cluster.dask or ""
        self.places: list[RemotePlace] = []  # for processes that can be started
        self.notices: list[str] = []  # for users, of workers that have come late
        self.trouble = ""  # why the bridge has ended
        self._hosts: dict[str, str] = {}  # by address, of Dask workers that are used
        self._ready = self._begun = False
        ours, theirs = socket.socketpair()
        self.control = Control(ours)
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        with theirs:
            try:
                fd = theirs.fileno()
                self._bridge = start_program(
                    "pipeline.cluster.bridge", str(fd), secrets=False, pass_fds=[fd], **quiet
                )
            except OSError as error:
                raise FatalError(f"--dask: Python cannot be started: {error.strerror}") from None
        security = job.cluster.security
        self.control.send(
            "begin",
            address=self.address,
            local_workers=job.cluster.local_workers,
            security=security and os.path.abspath(security),
            probes=[tuple(each) for each in found],
        )

    @property
    def fd(self) -> int:
        """The descriptor to watch: what it has to say."""
        return self.control.fileno()

    def begin(self) -> Job:
        """Wait until a worker is there and all have been looked at; return the job for them.

        Raises ``UsageError`` for a worker that does not fit, and ``FatalError`` for none.
        """
        until = time.monotonic() + WAIT
        while not (self._ready and self.places):
            left = until - time.monotonic()
            if left <= 0 or not is_readable(self.fd, left):
                raise FatalError(self._none())
            for fault in self.receive():
                raise UsageError(f"--dask {self.address}: {fault}")
            if self.control.closed:
                raise FatalError(f"--dask {self.address}: {self.trouble}, and nothing was begun")
        self._begun = True
        processes = len(self.places) // len(self._hosts)
        speed = replace(self._job.speed, processes=max(1, processes), machines=len(self._hosts))
        return replace(self._job, speed=speed)

    def receive(self) -> list[str]:
        """Take in what the bridge says; returns why Dask workers do not fit."""
        faults = []
        for message in self.control.receive():
            content = message.content
            if message.event == "joined":
                faults += self._join(content["worker"], content)
            elif message.event == "refused":
                faults.append(
                    f"the Dask worker {content['worker']} cannot be used: {content['why']}"
                )
            elif message.event == "left":
                self._leave(content["worker"])
            elif message.event == "ready":
                self._ready = True
            elif message.event == "fatal":
                self.trouble = content["why"]
        if self.control.closed:
            self.trouble = self.trouble or "the process with the Dask client has ended"
        return faults

    def give_back(self, place: RemotePlace) -> None:
        """Let another process be started at ``place``, unless its Dask worker is gone."""
        if place.worker in self._hosts:
            self.places.append(place)

    def _none(self) -> str:
        what = "no Dask worker has come" if self._ready else "the scheduler did not answer"
        remedy = f"start some with: dask worker {self.address}" if self._ready else "is it there?"
        return f"--dask {self.address}: {what} within {WAIT:g} s: {remedy}"

    def _join(self, worker: str, facts: dict[str, Any]) -> list[str]:
        if fault := _misfit(facts):
            return [f"the Dask worker {worker} on {facts['host']} {fault}"]
        self._hosts[worker] = facts["host"]
        most = self._job.cluster.processes or facts["threads"]
        number = max(1, min(most, facts["threads"], self._job.speed.concurrency))
        self.places += [RemotePlace(worker, facts["host"])] * number
        if self._begun:
            self.notices.append(f"a Dask worker on {facts['host']} has come, and takes part")
        return []

    def _leave(self, worker: str) -> None:
        self._hosts.pop(worker, None)  # one that does not fit was not among them
        self.places = [each for each in self.places if each.worker != worker]

    def close(self) -> None:
        """End the bridge, when the processes on other machines have ended."""
        with suppress(OSError):
            self.control.shutdown()
        try:
            self._bridge.wait(LEAVING)
        except subprocess.TimeoutExpired:
            self._bridge.kill()
            self._bridge.wait()
        self.control.close()


def _check_readable(security: str | None) -> None:
    """Refuse a file that cannot be read: Dask takes one that is missing for an empty one."""
    if security is None:
        return
    try:
        with open(security, "rb"):
            pass
    except OSError as error:
        raise UsageError(f"--dask-security {security!r}: {error.strerror}") from None


def _misfit(facts: dict[str, Any]) -> str:
    """Return why a Dask worker cannot be used; empty: it can."""
    theirs, ours = (facts["version"], facts["python"]), (__version__, this_python())
    if theirs != ours:
        return "has s3pp {} on {}, and here is {} on {}: install the same".format(*theirs, *ours)
    if unseen := facts["unseen"]:
        return f"does not see what this machine does: {unseen}: mount it there under this path"
    return ""
