"""A bridge that a test plays: the other end of a connection's control channel."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from s3pp import __version__
from s3pp.cluster import Cluster
from s3pp.job import Job
from s3pp.pipeline.cluster import connection as module
from s3pp.pipeline.cluster.connection import ClusterConnection
from s3pp.pipeline.cluster.control import Control
from s3pp.pipeline.cluster.dask_worker import this_python
from s3pp.speed import Speed

ADDRESS = "tcp://head:8786"
FITTING = {"version": __version__, "python": this_python(), "host": "node", "unseen": ""}


class PlayedBridge:
    """What is sent to the bridge can be received here, and what is said comes from it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.control: Control
        self.waits: list[float] = []  # seconds for which its end was waited for
        monkeypatch.setattr(module, "start_program", self._start)

    def _start(self, *words: str, secrets: bool, pass_fds: list[int], **_: Any) -> PlayedBridge:
        assert not secrets
        assert words == ("pipeline.cluster.bridge", str(pass_fds[0]))
        self.control = Control(socket.socket(fileno=os.dup(pass_fds[0])))
        return self

    def wait(self, seconds: float) -> None:
        """As ``Popen.wait``: it has ended."""
        self.waits.append(seconds)

    def connect(self, cluster: Cluster | None = None, **speed: Any) -> ClusterConnection:
        """Return a connection to this bridge."""
        job = Job("put", cluster=cluster or Cluster(dask=ADDRESS), speed=Speed(**speed))
        connection = ClusterConnection(job, [])
        (begin,) = self.control.receive()
        assert begin.event == "begin"
        return connection

    def say_joined(self, worker: str, *, threads: int = 1, **others: Any) -> None:
        """Say that a Dask worker is there, which fits but for ``others``."""
        self.control.send("joined", worker=worker, **{**FITTING, "threads": threads, **others})
