"""A worker process on another machine: the worker of every run, with its pipes as stdin and stdout.

It reaches the store by what this machine has: its own credentials, unless the run sends some, its
proxy and its certificates.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from s3pp.access import Access
from s3pp.errors import S3ppError, UsageError
from s3pp.job import Job
from s3pp.pipeline.child import play, set_title
from s3pp.pipeline.connect import Renews
from s3pp.pipeline.credentials import SignIn
from s3pp.pipeline.messages import Setup
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.worker import run_worker
from s3pp.places import Side
from s3pp.s3.endpoint import Opened
from s3pp.s3.session import Session


def main() -> None:
    """Run the worker whose name, and whose directory for relative paths, are the arguments."""
    name, directory = sys.argv[1:]
    # What is printed must not get between the messages.
    inbox, outbox = MessageReader(os.dup(0)), MessageWriter(os.dup(1))
    os.dup2(2, 1)
    set_title(f"s3pp: {name}")
    os._exit(play(name, _run, (inbox, outbox, directory)))


def _run(inbox: MessageReader, outbox: MessageWriter, directory: str) -> None:
    setup: Setup | None = inbox.receive()
    if setup is None:
        return
    try:
        _enter(setup.job, directory)
        signed, renewals = sign_in(setup)
    except S3ppError as error:
        instead = "" if "credentials" not in str(error) else ", or use --dask-send-credentials"
        raise SystemExit(f"{error}, for dask worker{instead}") from None
    run_worker(inbox, outbox, signed, renewals)


def _enter(job: Job, directory: str) -> None:
    """Make relative paths mean the same as where the command was started."""
    paths = [*(each.path for each in job.sources), job.directory]
    if all(os.path.isabs(each) for each in paths if each):
        return
    try:
        os.chdir(directory)
    except OSError as error:
        raise UsageError(f"{directory!r}, where the run was started: {error.strerror}") from None


def sign_in(setup: Setup) -> tuple[Setup, Mapping[Side, Renews]]:
    """Return the buckets as this machine reaches them, and what renews credentials found here.

    Raises ``UsageError`` where there are none.
    """
    opened: dict[Side, Opened] = {}
    renewals: dict[Side, Renews] = {}
    for side, each in setup.opened.items():
        access, bucket = setup.job.access_to(side), setup.job.bucket_of(side)
        session, opened[side] = open_here(access, bucket, each)
        if each.keys is None:  # else the run renews them
            renewals[side] = SignIn(session, opened[side].keys)
    return setup._replace(opened=opened), renewals


def open_here(access: Access, bucket: str, sent: Opened) -> tuple[Session, Opened]:
    """Return a session of this machine, and the run's bucket ``sent`` as it is reached from here.

    Raises ``UsageError`` where there are no credentials.
    """
    if sent.keys is not None:
        access = replace(access, credentials=sent.keys, profile=None)
    session = Session(access, bucket)
    here = session.open_unverified()
    return session, sent._replace(keys=here.keys, proxy=here.proxy, ca_bundle=here.ca_bundle)


if __name__ == "__main__":
    main()
