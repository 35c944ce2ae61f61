"""The checks in their order: each begins where those before it allow it."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from s3pp.diagnosis.account import check_account
from s3pp.diagnosis.findings import Diagnosis, failed, ok
from s3pp.diagnosis.machine import check_machine
from s3pp.diagnosis.network import NetworkChecks
from s3pp.diagnosis.page import FindingsPage
from s3pp.diagnosis.requests import impatient
from s3pp.diagnosis.store_checks import BucketsCheck, CheckSettings, RequestChecks, StoreChecks
from s3pp.errors import FatalError, S3ppError
from s3pp.job import Job
from s3pp.pipeline.connect import connect, new_loop
from s3pp.pipeline.credentials import SignIn
from s3pp.s3.endpoint import Opened
from s3pp.s3.session import Session

CONNECTIONS = 2
_NO_BUCKET = "s3pp-doctor"  # of a session for the store as a whole


class Examined(NamedTuple):
    """What a doctor is asked to examine."""

    job: Job  # which has one origin, or none: the store as a whole
    read_only: bool = False  # nothing is written
    features: bool = True  # what the store supports is found out as well
    path: str = ""  # that each Dask worker has to see


class Examination:
    """The checks of this machine; ``opened`` is how it reaches the store, once it has."""

    def __init__(self, examined: Examined, diagnosis: Diagnosis, page: FindingsPage) -> None:
        job = examined.job
        self.examined = examined
        self.diagnosis = diagnosis
        self._page = page
        self._access = impatient(job.access)
        if not job.origins:
            self._access = replace(self._access, addressing="path")
        self.opened: Opened | None = None
        self._bucket = job.origin.bucket if job.origins else _NO_BUCKET
        self._prefix = directory_of(job.origin.prefix) if job.origins else ""

    def run(self) -> None:
        """Make the checks; what ends a run before it begins ends them too."""
        self._page.begin("machine")
        self._page.add_all(check_machine(self.examined.job.speed))
        try:
            self._examine_store()
        except S3ppError as error:
            self.diagnosis.end(error)

    def _examine_store(self) -> None:
        """Raises the error that a run would end with."""
        session, opened = self._sign_in()
        self._page.add_all(check_account(session.key_source(), opened.keys))
        network = NetworkChecks(opened, self._access, os.environ)
        self._page.begin("network")
        self._page.add_all(network.run())
        if network.seconds is None:
            raise FatalError("the store cannot be reached")
        self._send(self._begin_requests(session, opened, network.seconds))

    def _begin_requests(self, session: Session, opened: Opened, seconds: float) -> RequestChecks:
        """The checks that send requests; ``seconds`` are those of a new connection."""
        page, configured = self._page, opened.endpoint.region
        page.begin("bucket" if self.examined.job.origins else "store")
        if self.examined.job.origins:
            opened = self._open(session, opened)
        self.opened = opened
        renew = SignIn(session, opened.keys)
        make = partial(connect, self._access, opened, CONNECTIONS, renew=renew)
        if not self.examined.job.origins:
            return BucketsCheck(make, page)
        _, read_only, features, _ = self.examined
        settings = CheckSettings(configured, self._prefix, read_only, seconds, features)
        return StoreChecks(make, settings, page)

    def _sign_in(self) -> tuple[Session, Opened]:
        """The session, and where the store is by the configuration."""
        self._page.begin("credentials")
        try:
            return self._find_store()
        except S3ppError as error:
            self._page.add(failed("configuration", str(error), "see 'S3' in docs/cli.rst"))
            raise

    def _find_store(self) -> tuple[Session, Opened]:
        session = Session(self._access, self._bucket)
        return session, session.open_unverified()

    def _open(self, session: Session, opened: Opened) -> Opened:
        """Send the first request of a run."""
        try:
            opened = session.open(self._prefix)
        except S3ppError as error:
            self._page.add(
                failed("first request", str(error), "no run can begin before this works")
            )
            raise
        self._page.add(ok("first request", f"s3://{self._bucket} is there"))
        return opened

    def _send(self, checks: RequestChecks) -> None:
        """Run checks that send requests; what they have written is removed in any case."""
        loop = new_loop()
        task = loop.create_task(checks.run())
        try:
            loop.run_until_complete(task)
        finally:
            task.cancel()
            with suppress(S3ppError, asyncio.CancelledError):
                loop.run_until_complete(task)
            loop.run_until_complete(checks.clean())
            loop.close()


def directory_of(prefix: str) -> str:
    """The directory of what begins with ``prefix``: empty, or with a slash at its end."""
    return prefix[: prefix.rfind("/") + 1]
