"""One run of a job at a time: the lock of ``--lock``."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

from s3pp.access import Access
from s3pp.errors import FatalError
from s3pp.job import STREAM, Job
from s3pp.localfs.run_lock import RunLock
from s3pp.localfs.user_directory import user_directory
from s3pp.locking import AUTO_LOCK, FOREVER
from s3pp.pipeline.signals import Signals

LEAST_PAUSE, MOST_PAUSE = 0.02, 0.5  # seconds between two attempts


class AnotherRunError(FatalError):
    """Raised where another run holds the lock of this one."""


def acquire(job: Job, notify: Callable[[str], None]) -> RunLock:
    """Take the lock of ``job``, and wait for it as long as the job says.

    Raises ``AnotherRunError`` where it is still held then, ``UsageError`` for a file that cannot be
    locked, and ``signals.Stopped`` for a signal while it waits.
    """
    path, argument = _place(job)
    lock = RunLock(path, argument)
    try:
        with Signals():
            if not lock.take() and not _wait(lock, job.locking.wait, f"{argument} is held", notify):
                raise AnotherRunError(_refusal(lock, job, argument))
    except BaseException:
        lock.close()
        raise
    lock.write_holder(describe(job))
    return lock


def _place(job: Job) -> tuple[str, str]:
    """The path of the lock, and how messages name it."""
    named = job.locking.lock
    assert named is not None
    if named != AUTO_LOCK:
        return named, f"--lock {named!r}"
    file = f"{fingerprint(job, os.environ)}.lock"
    path = os.path.join(user_directory("--lock auto"), file)
    return path, f"--lock auto ({path})"


def _wait(lock: RunLock, seconds: float, fault: str, notify: Callable[[str], None]) -> bool:
    """Wait for the lock, up to ``seconds``; returns whether it was taken."""
    if not seconds:
        return False
    limit = "" if seconds >= FOREVER else f", up to {seconds:g} s"
    notify(f"{fault} by {lock.holder() or 'another process'}: waiting for it{limit}")
    end, pause = time.monotonic() + seconds, LEAST_PAUSE
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        if lock.take():
            return True
        pause = min(2 * pause, MOST_PAUSE)
    return False


def _refusal(lock: RunLock, job: Job, argument: str) -> str:
    holder, waited = lock.holder() or "another process", job.locking.wait
    if waited:
        held, remedy = f"still held after {waited:g} s", "wait for that run, or give it more time"
    else:
        held, remedy = "held", "wait for that run, or use --lock-wait"
    return f"{describe(job)}: {argument} is {held} by {holder}: nothing was done: {remedy}"


def describe(job: Job) -> str:
    """The verb and the places of ``job``, as on a command line."""
    return " ".join(filter(None, (job.title, *job.reads, job.writes)))


def fingerprint(job: Job, environ: Mapping[str, str]) -> str:
    """Return the same text for runs of the same job, and another for others: 16 hex digits.

    A job is its verb, what it reads and writes, and the stores. Filters and settings are not part
    of it: a run with others would write to the same objects or files. A verify of two ends is the
    same job as their transfer, whose results it must not see half.
    """
    read = [(_absolute(each.path), each.name) for each in job.sources]
    read += [(_absolute(job.verified), "")] if job.verified is not None else []
    read += [(str(each), each.name) for each in job.origins]
    alone = read[0][1] if len(read) == 1 else None  # this name is part of the destination
    names = [each for each, name in read] if len(read) == 1 else sorted(map(repr, read))
    written = _absolute(job.directory, alone or "") if job.directory else job.writes
    stores = [_store(each, environ) for each in (job.source_access or job.access, job.access)]
    verb = job.verb if job.verifies else job.title
    parts = [verb, names, written, stores, job.sandbox]
    if job.choosing.shard is not None:  # whose runs are to go on side by side
        parts.append(str(job.choosing.shard))
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _absolute(path: str, name: str = "") -> str:
    return path if path == STREAM else os.path.realpath(os.path.join(path, name))


def _store(access: Access, environ: Mapping[str, str]) -> list[str]:
    """The names by which a store is found: an endpoint, or the profile that may have one."""
    named = access.endpoint_url
    if not access.own_settings:
        variables = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        named = named or next(filter(None, map(environ.get, variables)), None)
    if named:
        return [named.rpartition("://")[2].rstrip("/").lower()]
    profile = access.profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    return ["profile", profile or ""]
