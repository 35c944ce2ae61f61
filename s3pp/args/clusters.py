"""The value of ``--dask``, and checks of what a run on a cluster cannot do."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec

from s3pp.cluster import LOCAL, Cluster
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.speed import Speed

MOST_LOCAL = 1024  # Dask workers on this machine
_FORM = re.compile(r"(?a)(?:(tcp|tls)://)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_LOCAL = re.compile(rf"(?a){LOCAL}(?::(\d{{1,5}}))?")


def dask_address(text: str) -> str:
    """Return the address of a scheduler with its protocol, or ``local``, ``local:4``.

    Raises ``ValueError``.
    """
    local, found = _LOCAL.fullmatch(text), _FORM.fullmatch(text)
    if local and 0 < int(local[1] or 1) <= MOST_LOCAL:
        return text
    if local is None and found and 0 < int(found[3]) < 65536:
        return f"{found[1] or 'tcp'}://{found[2]}:{found[3]}"
    raise ValueError(
        f"{text!r} is no scheduler: write tcp://HOST:PORT, tls://HOST:PORT, {LOCAL} or {LOCAL}:N"
        f" with N up to {MOST_LOCAL}"
    )


def fit_processes(speed: Speed) -> Speed:
    """Limit the processes to the number of concurrent requests: others would be idle."""
    return replace(speed, processes=min(speed.processes, speed.concurrency))


def check_cluster(job: Job) -> None:
    """Refuse what workers on other machines cannot do, and options that need a cluster.

    Raises ``UsageError``.
    """
    cluster = job.cluster
    if cluster.dask is None:
        _check_needed(cluster)
        return
    if not find_spec("distributed"):
        raise UsageError(
            "--dask needs the package distributed, which cannot be imported:"
            " pip install 's3pp[dask]'"
        )
    refusals = {
        "'-' is a single stream, which this machine transfers": job.is_stream,
        "--walk tar reads an archive, which only this machine has open": job.walk == "tar",
        "--sandbox is a store that only this machine reaches": (
            job.sandbox and cluster.local_workers is None
        ),
    }
    for why, is_so in refusals.items():
        if is_so:
            raise UsageError(f"{why}: leave --dask out")
    _check_secrecy(cluster)


def _check_needed(cluster: Cluster) -> None:
    given = {
        "--dask-security": cluster.security is not None,
        "--dask-send-credentials": cluster.send_credentials,
        "--dask-send-unencrypted": cluster.send_unencrypted,
    }
    for flag, there in given.items():
        if there:
            raise UsageError(f"{flag} needs --dask ADDRESS")


def _check_secrecy(cluster: Cluster) -> None:
    """Refuse to send credentials to where they could be read on their way."""
    encrypted = (cluster.dask or "").startswith("tls://")
    if cluster.local_workers is not None:
        for flag, there in (
            ("--dask-security", cluster.security is not None),
            ("--dask-send-credentials", cluster.send_credentials),
            ("--dask-send-unencrypted", cluster.send_unencrypted),
        ):
            if there:
                raise UsageError(f"{flag} has no use with --dask {LOCAL}: leave it out")
    elif cluster.send_unencrypted and not cluster.send_credentials:
        raise UsageError("--dask-send-unencrypted needs --dask-send-credentials")
    elif cluster.send_credentials and not (encrypted or cluster.send_unencrypted):
        raise UsageError(
            f"--dask-send-credentials needs a tls:// address, and {cluster.dask} is not encrypted:"
            " with --dask-send-unencrypted they are sent all the same"
        )
