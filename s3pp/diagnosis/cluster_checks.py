"""The Dask workers of ``--dask``: whether each can take part in a run, and what it sees of it."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Protocol

from s3pp.diagnosis.examination import Examined
from s3pp.diagnosis.findings import Diagnosis, Finding, failed, ok
from s3pp.diagnosis.machine import count
from s3pp.diagnosis.page import FindingsPage
from s3pp.diagnosis.worker_findings import (
    check_facts,
    check_round_trip,
    is_same_version,
    read_sections,
    summarize,
)
from s3pp.diagnosis.worker_program import WorkerRequest
from s3pp.errors import FatalError, S3ppError, UsageError
from s3pp.job import Job
from s3pp.pipeline.cluster.connection import WAIT, ClusterConnection
from s3pp.pipeline.cluster.control import Control, ControlMessage
from s3pp.pipeline.cluster.probe import PathProbe, probes
from s3pp.places import Source
from s3pp.s3.endpoint import Opened

PROGRAM = "diagnosis.worker_program"
LONGEST = 120.0  # seconds that a Dask worker's checks may take: the doctor's own, with a margin
_MARGIN = 15.0  # seconds for the way of the answer


class StartedBridge(Protocol):
    """A bridge to the cluster that has been started."""

    @property
    def control(self) -> Control:
        """The channel to it."""

    def close(self) -> None:
        """End it."""


Connect = Callable[[Job, list[PathProbe]], StartedBridge]


class ClusterChecks:
    """The checks of a cluster: of its scheduler, and of each Dask worker that it has."""

    def __init__(
        self,
        examined: Examined,
        diagnosis: Diagnosis,
        page: FindingsPage,
        connect: Connect = ClusterConnection,
    ) -> None:
        """``connect`` starts the bridge."""
        self._connect = connect
        self._examined = examined
        self._diagnosis = diagnosis
        self._page = page
        self._cluster = examined.job.cluster
        self._address = examined.job.cluster.dask or ""
        self._joined: dict[str, dict[str, Any]] = {}  # what Dask workers are, by address
        self._pending: set[str] = set()  # addresses whose answer has not come

    def run(self, opened: Opened | None) -> None:
        """Make them; ``opened`` is how this machine reaches the store, None: it does not.

        Raises ``S3ppError`` where no run can begin.
        """
        self._page.begin("cluster")
        with ExitStack() as stack:
            connection = self._start(stack)
            self._begin(connection)
            self._examine(connection, opened)

    def _start(self, stack: ExitStack) -> StartedBridge:
        """Start the bridge, with the file by which a path is found. Raises ``S3ppError``."""
        try:
            found = stack.enter_context(probes(_probed(self._examined)))
            connection = self._connect(self._examined.job, found)
        except S3ppError as error:
            self._page.add(failed("start", str(error), "no run can begin before this works"))
            raise
        stack.callback(connection.close)
        return connection

    def _begin(self, connection: StartedBridge) -> None:
        """Wait until the bridge has looked at all Dask workers. Raises ``FatalError``."""
        refused = []
        for message in _messages(connection, WAIT):
            if message.event == "joined":
                self._joined[message.content["worker"]] = message.content
            elif message.event == "refused":
                refused.append(message.content)
            elif message.event == "fatal":
                raise self._unusable(message.content["why"])
            elif message.event == "ready":
                break
        else:
            raise self._unusable(f"no answer within {WAIT:g} s")
        threads = sum(each["threads"] for each in self._joined.values())
        workers = f"{count(len(self._joined), 'Dask worker')} with {count(threads, 'thread')}"
        self._page.add(ok("scheduler", f"{self._address}: {workers}"))
        self._refuse(refused)
        if not self._joined and not refused:
            advice = f"dask worker {self._address} on each machine; a run waits {WAIT:g} s for one"
            self._page.add(failed("Dask workers", "there is none", advice))
            raise FatalError("no Dask worker is there")

    def _unusable(self, why: str) -> FatalError:
        advice = "see that dask scheduler runs there, and with which protocol: tcp:// or tls://"
        self._page.add(failed("scheduler", f"{self._address}: {why}", advice))
        return FatalError(why)

    def _refuse(self, refused: list[dict[str, Any]]) -> None:
        """Print why Dask workers could not be looked at."""
        for each in refused:
            self._page.begin(f"worker {each['worker']}")
            advice = "install s3pp there, in the environment of dask worker"
            if "ModuleNotFoundError" not in each["why"]:
                advice = "see the log of that Dask worker"
            self._fail(failed("Dask worker", each["why"], advice))

    def _fail(self, finding: Finding) -> None:
        """Add what keeps a run from beginning, but not the checks from going on."""
        self._page.add(finding)
        self._diagnosis.end(UsageError(finding.found))

    def _examine(self, connection: StartedBridge, opened: Opened | None) -> None:
        """Have the Dask workers that fit examined side by side; print each as it answers."""
        for address, facts in self._joined.items():
            if not is_same_version(facts):
                self._print(address, [])
                continue
            request = WorkerRequest.of(self._examined, opened).encode()
            what = {"worker": address, "program": PROGRAM, "request": request, "seconds": LONGEST}
            connection.control.send("examine", **what)
            self._pending.add(address)
        for message in _messages(connection, LONGEST + _MARGIN) if self._pending else ():
            if message.event == "examined" and message.content["worker"] in self._pending:
                self._pending.discard(message.content["worker"])
                self._print(message.content["worker"], self._answered(message.content))
            elif message.event == "fatal":
                raise self._lost(message.content["why"])
            if not self._pending:
                return
        if self._pending:
            raise self._lost("the process with the Dask client has ended, or does not answer")

    def _lost(self, why: str) -> FatalError:
        self._page.begin("cluster")
        self._page.add(failed("connection", why, "see the log of the scheduler, and repeat this"))
        return FatalError(why)

    def _print(self, address: str, answered: list[Finding]) -> None:
        facts = self._joined[address]
        self._page.begin(f"worker {address} on {facts['host']}")
        for finding in check_facts(facts, self._examined):
            add = self._fail if finding.is_problem else self._page.add
            add(finding)
        self._page.add_all(answered)

    def _answered(self, content: dict[str, Any]) -> list[Finding]:
        """The findings of what a Dask worker has answered."""
        if "why" in content:
            return [failed("checks", content["why"], "see the log of that Dask worker")]
        sections = read_sections(content["answer"])
        found = list(summarize(sections, sent=self._cluster.sends_keys))
        return [check_round_trip(content["round_trip"], is_direct=content["is_direct"]), *found]


def _probed(examined: Examined) -> Job:
    """A job with the path that Dask workers have to see."""
    path, job = examined.path, examined.job
    if not path:
        return job
    writable = os.path.isdir(path) and os.access(path, os.W_OK)
    if writable and not examined.read_only:
        return replace(job, directory=path)
    return replace(job, sources=(Source(path),))


def _messages(connection: StartedBridge, seconds: float) -> Iterator[ControlMessage]:
    """Yield what the bridge says within ``seconds``, until it ends."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if not select.select([connection.control], [], [], left)[0]:
            return
        yield from connection.control.receive()
        if connection.control.closed:
            return
