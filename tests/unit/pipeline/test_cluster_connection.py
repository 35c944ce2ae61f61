"""What the connection to a cluster makes of what the bridge says, which this test plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3pp import __version__
from s3pp.cluster import Cluster
from s3pp.errors import FatalError, UsageError
from s3pp.pipeline.cluster import connection as module
from s3pp.pipeline.cluster.connection import LEAVING
from s3pp.pipeline.cluster.dask_worker import this_python
from s3pp.pipeline.cluster.remote_child import RemotePlace

from .cluster_bridge import ADDRESS, PlayedBridge

pytestmark = pytest.mark.timeout(60)

A, B = "tcp://a:1", "tcp://b:1"


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedBridge]:
    played = PlayedBridge(monkeypatch)
    yield played
    played.control.close()


def test_all_workers_that_are_there_take_part(bridge: PlayedBridge) -> None:
    connection = bridge.connect()
    bridge.say_joined(A, threads=2, host="a")
    bridge.say_joined(B, threads=2, host="b")
    bridge.control.send("ready")
    job = connection.begin()
    assert connection.places == [RemotePlace(A, "a")] * 2 + [RemotePlace(B, "b")] * 2
    assert (job.speed.machines, job.speed.processes) == (2, 2)
    assert connection.notices == []
    connection.close()
    assert bridge.waits == [LEAVING]
    bridge.control.receive()
    assert bridge.control.closed


@pytest.mark.parametrize(
    ("threads", "processes", "concurrency", "places"),
    [(4, None, 512, 4), (4, 3, 512, 3), (2, 3, 512, 2), (4, None, 1, 1), (0, None, 512, 1)],
)
def test_processes_are_limited(
    bridge: PlayedBridge, threads: int, processes: int | None, concurrency: int, places: int
) -> None:
    cluster = Cluster(dask=ADDRESS, processes=processes)
    connection = bridge.connect(cluster, concurrency=concurrency)
    bridge.say_joined(A, threads=threads)
    assert connection.receive() == []
    assert len(connection.places) == places
    connection.close()


def test_a_worker_that_comes_late_is_named(bridge: PlayedBridge) -> None:
    connection = bridge.connect()
    bridge.say_joined(A)
    bridge.control.send("ready")
    connection.begin()
    bridge.say_joined(B, host="b")
    assert connection.receive() == []
    assert connection.notices == ["a Dask worker on b has come, and takes part"]
    assert connection.places[-1] == RemotePlace(B, "b")
    connection.close()


MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"version": "0.0.1"}, f"has s3pp 0.0.1 on {this_python()}, and here is {__version__}"),
    ({"python": "PyPy 3.9"}, f"has s3pp {__version__} on PyPy 3.9, and here is {__version__}"),
    ({"unseen": "No such file: '/src'"}, "this machine does: No such file: '/src': mount it there"),
]


@pytest.mark.parametrize(("facts", "why"), MISFITS)
def test_a_worker_that_does_not_fit_is_refused(
    bridge: PlayedBridge, facts: dict[str, Any], why: str
) -> None:
    connection = bridge.connect()
    bridge.say_joined(A, **facts)
    bridge.control.send("ready")
    with pytest.raises(UsageError) as refused:
        connection.begin()
    assert str(refused.value).startswith(f"--dask {ADDRESS}: the Dask worker {A} on node ")
    assert why in str(refused.value)
    assert connection.places == []
    connection.close()


def test_a_worker_that_does_not_fit_comes_late_and_leaves(bridge: PlayedBridge) -> None:
    connection = bridge.connect()
    bridge.say_joined(A)
    bridge.control.send("ready")
    connection.begin()
    bridge.say_joined(B, version="0.0.1")
    (fault,) = connection.receive()
    assert fault.startswith(f"the Dask worker {B} on node has s3pp 0.0.1")
    bridge.control.send("left", worker=B)
    assert connection.receive() == []
    assert connection.places == [RemotePlace(A, "node")]
    connection.close()


def test_a_worker_without_s3pp_is_refused(bridge: PlayedBridge) -> None:
    connection = bridge.connect()
    bridge.control.send("refused", worker=A, why="ModuleNotFoundError: s3pp")
    assert connection.receive() == [
        f"the Dask worker {A} cannot be used: ModuleNotFoundError: s3pp"
    ]
    connection.close()


def test_a_worker_that_leaves_takes_its_places_with_it(bridge: PlayedBridge) -> None:
    connection = bridge.connect()
    bridge.say_joined(A, threads=2)
    bridge.say_joined(B, threads=2)
    connection.receive()
    taken, other = connection.places.pop(0), connection.places.pop()
    bridge.control.send("left", worker=A)
    connection.receive()
    assert connection.places == [RemotePlace(B, "node")]
    for each in (taken, other):
        connection.give_back(each)
    assert connection.places == [RemotePlace(B, "node")] * 2
    connection.close()


def test_what_is_waited_for_is_named(bridge: PlayedBridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT", 0.0)
    connection = bridge.connect()
    silent = f"--dask {ADDRESS}: the scheduler did not answer within 0 s: is it there?"
    with pytest.raises(FatalError) as none:
        connection.begin()
    assert str(none.value) == silent
    bridge.say_joined(A)  # others may be there that have not been looked at
    connection.receive()
    with pytest.raises(FatalError) as none:
        connection.begin()
    assert str(none.value) == silent
    bridge.control.send("left", worker=A)
    bridge.control.send("ready")
    connection.receive()
    without = (
        f"--dask {ADDRESS}: no Dask worker has come within 0 s: start some with:"
        f" dask worker {ADDRESS}"
    )
    with pytest.raises(FatalError) as none:
        connection.begin()
    assert str(none.value) == without
    connection.close()


@pytest.mark.parametrize(
    ("said", "why"),
    [("no certificates", "no certificates"), ("", "the process with the Dask client has ended")],
)
def test_the_bridge_ends_before_the_run_begins(bridge: PlayedBridge, said: str, why: str) -> None:
    connection = bridge.connect()
    if said:
        bridge.control.send("fatal", why=said)
    bridge.control.close()
    with pytest.raises(FatalError) as ended:
        connection.begin()
    assert str(ended.value) == f"--dask {ADDRESS}: {why}, and nothing was begun"
    connection.close()


def test_settings_that_cannot_be_read_are_refused(bridge: PlayedBridge, tmp_path: Path) -> None:
    bridge.connect().close()
    with pytest.raises(UsageError, match=r"--dask-security '.*/gone': No such file or directory"):
        bridge.connect(Cluster(dask=ADDRESS, security=str(tmp_path / "gone")))
