"""``--dask``: which addresses are understood, and what a run on a cluster cannot do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3pp.args import clusters as module
from s3pp.args.clusters import check_cluster, dask_address, fit_processes
from s3pp.cluster import Cluster
from s3pp.errors import UsageError
from s3pp.job import STREAM, Job
from s3pp.places import Source
from s3pp.speed import Speed

JOB = Job("put", (Source("/src"),))
TCP, TLS, LOCAL = "tcp://head:8786", "tls://head:8786", "local:2"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("head:8786", TCP),
        (TCP, TCP),
        (TLS, TLS),
        ("10.0.0.1:1", "tcp://10.0.0.1:1"),
        ("tcp://local:8786", "tcp://local:8786"),
        ("[fe80::1]:65535", "tcp://[fe80::1]:65535"),
        ("local", "local"),
        ("local:1", "local:1"),
        ("local:1024", "local:1024"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert dask_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "head",
        "head:",
        "head:0",
        "head:65536",
        "head:٣",
        "head:8786/",
        "head:8786\n",
        "http://head:8786",
        "ucx://head:8786",
        "user@head:8786",
        "fe80::1:8786",
        "local:",
        "local:0",
        "local:-1",
        "local:1025",
        "local:10000",
        "local:2 ",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no scheduler: write tcp://HOST:PORT, tls://") as none:
        dask_address(text)
    assert repr(text) in str(none.value)


def test_processes_that_would_be_idle_are_not_started() -> None:
    assert fit_processes(Speed(processes=8, concurrency=3)).processes == 3
    assert fit_processes(Speed(processes=8, concurrency=9)).processes == 8


SENDS: dict[str, Any] = {"send_credentials": True}
OPENLY: dict[str, Any] = {"send_unencrypted": True}
SECURITY: dict[str, Any] = {"security": "/tls.yaml"}


@pytest.mark.parametrize(
    "cluster",
    [
        Cluster(),
        Cluster(TCP),
        Cluster(LOCAL),
        Cluster(TCP, **SECURITY),
        Cluster(TLS, **SENDS),
        Cluster(TLS, **SENDS, **OPENLY),
        Cluster(TCP, **SENDS, **OPENLY),
    ],
)
def test_what_is_accepted(cluster: Cluster) -> None:
    check_cluster(replace(JOB, cluster=cluster))


@pytest.mark.parametrize(
    ("cluster", "why"),
    [
        (Cluster(**SECURITY), "--dask-security needs --dask ADDRESS"),
        (Cluster(**SENDS), "--dask-send-credentials needs --dask ADDRESS"),
        (Cluster(**OPENLY), "--dask-send-unencrypted needs --dask ADDRESS"),
        (Cluster(LOCAL, **SECURITY), "--dask-security has no use with --dask local"),
        (Cluster(LOCAL, **SENDS), "--dask-send-credentials has no use with --dask local"),
        (Cluster(LOCAL, **OPENLY), "--dask-send-unencrypted has no use with --dask local"),
        (Cluster(TCP, **OPENLY), "--dask-send-unencrypted needs --dask-send-credentials"),
        (Cluster(TLS, **OPENLY), "--dask-send-unencrypted needs --dask-send-credentials"),
        (
            Cluster(TCP, **SENDS),
            f"--dask-send-credentials needs a tls:// address, and {TCP} is not encrypted",
        ),
    ],
)
def test_options_that_do_not_fit(cluster: Cluster, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_cluster(replace(JOB, cluster=cluster))
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (replace(JOB, sources=(Source(STREAM),)), "'-' is a single stream"),
        (Job("get", directory=STREAM), "'-' is a single stream"),
        (replace(JOB, walk="tar"), "--walk tar reads an archive"),
        (replace(JOB, sandbox=True), "--sandbox is a store that only this machine reaches"),
    ],
)
def test_what_only_this_machine_can_do(job: Job, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_cluster(replace(job, cluster=Cluster(TCP)))
    assert str(refused.value).startswith(why)
    assert str(refused.value).endswith(": leave --dask out")
    check_cluster(job)


def test_a_sandbox_is_reached_by_workers_on_this_machine() -> None:
    check_cluster(replace(JOB, sandbox=True, cluster=Cluster(LOCAL)))


def test_distributed_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", {}.get)
    with pytest.raises(UsageError, match=r"needs the package distributed.*: pip install 's3pp\[da"):
        check_cluster(replace(JOB, cluster=Cluster(TCP)))
    check_cluster(JOB)
