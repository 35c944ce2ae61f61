"""The doctor's checks on the machine of a Dask worker; a program, which the worker starts.

A request comes in by standard input, and its findings go out by standard output, as one line.
"""

from __future__ import annotations

import pickle
import sys
from base64 import b64decode, b64encode
from typing import NamedTuple

from s3pp.diagnosis.examination import Examination, Examined
from s3pp.diagnosis.findings import Diagnosis
from s3pp.diagnosis.page import FindingsPage
from s3pp.diagnosis.worker_findings import write_sections
from s3pp.job import Job
from s3pp.output import Output
from s3pp.pipeline.child import set_title
from s3pp.pipeline.cluster.remote_child import for_remote
from s3pp.pipeline.cluster.remote_worker import open_here
from s3pp.pipeline.messages import Setup
from s3pp.places import Side
from s3pp.report.outlet import Streams
from s3pp.s3.endpoint import Opened
from s3pp.s3.session import Session


class WorkerRequest(NamedTuple):
    """What a Dask worker is to examine; it has the same version of s3pp."""

    job: Job
    opened: Opened | None  # the store as the run reaches it; None: it does not
    read_only: bool

    @classmethod
    def of(cls, examined: Examined, opened: Opened | None) -> WorkerRequest:
        """Return what a Dask worker gets to know: keys only if the user has said so."""
        sides = {} if opened is None else {Side.SOURCE: opened}
        sends_keys = examined.job.cluster.sends_keys
        setup = for_remote(Setup(examined.job, sides), sends_keys=sends_keys)
        return cls(setup.job, setup.opened.get(Side.SOURCE), examined.read_only)

    def encode(self) -> str:
        """Return it as text."""
        return b64encode(pickle.dumps(self)).decode()

    @classmethod
    def decode(cls, text: str) -> WorkerRequest:
        """Return what ``encode`` has made text of."""
        decoded: WorkerRequest = pickle.loads(b64decode(text))
        return decoded


class WorkerExamination(Examination):
    """The checks that are made on each machine: of the run's store, by what this machine has."""

    def __init__(self, request: WorkerRequest, diagnosis: Diagnosis, page: FindingsPage) -> None:
        examined = Examined(request.job, request.read_only, features=False)
        super().__init__(examined, diagnosis, page)
        self._sent = request.opened

    def _examine_store(self) -> None:
        if self._sent is not None:
            super()._examine_store()

    def _find_store(self) -> tuple[Session, Opened]:
        assert self._sent is not None
        return open_here(self._access, self._bucket, self._sent)

    def _open(self, session: Session, opened: Opened) -> Opened:
        """The run has found it."""
        return opened


def examine_worker(request: WorkerRequest) -> Diagnosis:
    """Make the checks, and print nothing."""
    diagnosis = Diagnosis()
    page = FindingsPage(diagnosis, Output(json=True), Streams.of(None, None))
    WorkerExamination(request, diagnosis, page).run()
    return diagnosis


def main() -> None:
    """Answer the request."""
    set_title("s3pp: doctor")
    found = examine_worker(WorkerRequest.decode(sys.stdin.read()))
    Streams.of(sys.stdout, sys.stderr).stdout.lines([write_sections(found)])


if __name__ == "__main__":
    main()
