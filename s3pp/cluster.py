"""Options about the cluster whose machines transfer, in place of processes of this one."""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.option import FILE, Value, option

LOCAL = "local"  # as the address: a cluster on this machine, for this run only


@dataclass(frozen=True)
class Cluster:
    """The Dask cluster of a run; without ``dask`` there is none.

    ``Speed.processes`` and ``Speed.concurrency`` are then those of each Dask worker.
    """

    dask: str | None = option(
        None,
        "--dask",
        Value("ADDRESS|local[:N]", "dask_address", once=True),
        help="transfer on the workers of the Dask scheduler at ADDRESS, or of one that is started"
        " here, with N workers",
        doctor="examine the workers of the Dask scheduler at ADDRESS too, or of one that is started"
        " here, with N workers",
    )
    security: str | None = option(
        None,
        "--dask-security",
        FILE,
        help="YAML file of Dask's TLS settings, distributed.comm.tls (default: Dask's own files)",
    )
    send_credentials: bool = option(
        False,
        "--dask-send-credentials",
        help="use the credentials of this machine on all; over TLS only (default: each its own)",
    )
    send_unencrypted: bool = option(
        False,
        "--dask-send-unencrypted",
        help="let --dask-send-credentials send them without TLS too: who listens can use them",
    )
    # Worker processes of each Dask worker; None: as many as it has threads.
    processes: int | None = None

    @property
    def sends_keys(self) -> bool:
        """Whether workers get credentials from here: also if they are on this machine anyway."""
        return self.send_credentials or self.local_workers is not None

    @property
    def local_workers(self) -> int | None:
        """The number of workers of a cluster on this machine, 0: by its processors; or None."""
        name, _, number = (self.dask or "").partition(":")
        return int(number or 0) if name == LOCAL else None
