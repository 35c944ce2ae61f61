"""The crew of a run on a cluster, with a bridge that this test plays and no process at all."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from s3pp.cluster import Cluster
from s3pp.job import Job
from s3pp.pipeline.child import Child, start_context
from s3pp.pipeline.children import Callbacks
from s3pp.pipeline.cluster.channel import Ends
from s3pp.pipeline.cluster.connection import ClusterConnection
from s3pp.pipeline.cluster.control import close_all
from s3pp.pipeline.cluster.crew import ABANDONED, ClusterCrew
from s3pp.pipeline.cluster.remote_child import RemoteChild
from s3pp.pipeline.messages import Heartbeat, encode
from s3pp.speed import Speed

from .cluster_bridge import ADDRESS, PlayedBridge

pytestmark = pytest.mark.timeout(60)

NODE = "tcp://node:1"
REMEDY = "run the same command again, --no-dask without a cluster"


class Stage:
    """A crew, what it says, and the bridge's ends of its workers' pipes by process."""

    def __init__(self, bridge: PlayedBridge) -> None:
        self.bridge = bridge
        self.said: list[str] = []
        self.joined: list[Child] = []
        self.died: list[Child] = []
        self.ends: dict[str, Ends] = {}
        self.connection: ClusterConnection = bridge.connect()
        callbacks = Callbacks(
            on_worker=self.joined.append,
            on_readable=lambda child: self.crew.heard(child) if child.inbox.available() else None,
            on_death=self.died.append,
            notify=self.said.append,
            abort=lambda why: self.said.append(f"aborted: {why}"),
        )
        job = Job("put", cluster=Cluster(dask=ADDRESS), speed=Speed(worker_timeout=10.0))
        self.crew = ClusterCrew(self.connection, job, callbacks)

    def start_worker(self, *, threads: int = 1) -> RemoteChild:
        """Have a Dask worker come, and start a worker there."""
        self.bridge.say_joined(NODE, threads=threads)
        self.turn()
        worker = self.crew.start_worker()
        assert isinstance(worker, RemoteChild)
        (opened,) = self.bridge.control.receive()
        assert (opened.event, opened.content["process"]) == ("open", worker.remote.identity)
        self.ends[worker.remote.identity] = Ends(*opened.descriptors)
        return worker

    def begin(self, worker: RemoteChild) -> None:
        """Have the worker say that it runs."""
        os.write(self.ends[worker.remote.identity].outbox, encode(Heartbeat()))
        self.turn()

    def end(self, worker: RemoteChild, how: str) -> str:
        """Have the worker end; returns what the supervisor says of it."""
        ends = self.ends.pop(worker.remote.identity)
        os.write(ends.sentinel, how.encode())
        close_all(ends)
        self.turn()
        assert self.died == [worker]
        self.died.clear()
        del self.crew.workers[worker]
        self.crew.loop.forget(worker)
        return self.crew.describe_loss(worker)

    def turn(self) -> None:
        """Take in what is there."""
        self.crew.loop.turn(0.0)

    def close(self) -> None:
        """Close all that is left."""
        for child in list(self.crew.loop.children):
            self.crew.loop.forget(child)
        for each in self.ends.values():
            close_all(each)
        self.crew.loop.close()
        self.connection.close()
        self.bridge.control.close()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    prepared = Stage(PlayedBridge(monkeypatch))
    yield prepared
    prepared.close()


def test_a_worker_joins_when_it_is_heard_for_the_first_time(stage: Stage) -> None:
    worker = stage.start_worker()
    assert stage.crew.complete
    assert stage.crew.start_worker() is None
    assert (worker.name, worker.where, stage.joined) == ("putter 1", " on node", [])
    stage.begin(worker)
    stage.begin(worker)
    assert stage.joined == [worker]


def test_a_child_on_this_machine_does_not_join(stage: Stage) -> None:
    walker = Child("walker", print, context=start_context("spawn"), arguments=())
    stage.crew.heard(walker)
    assert stage.joined == []
    walker.close()


def test_one_that_was_lost_before_it_began_is_not_started_again(stage: Stage) -> None:
    worker = stage.start_worker()
    loss = stage.end(worker, "could not be started: no fork")
    assert loss == "putter 1 on node could not be started: no fork: no other is started there"
    assert stage.crew.complete


def test_one_that_was_lost_later_gives_its_place_back(stage: Stage) -> None:
    worker = stage.start_worker()
    stage.begin(worker)
    loss = stage.end(worker, "was killed (signal 9)")
    assert loss == "putter 1 on node was killed (signal 9): its tasks are repeated"
    assert not worker.was_lost
    assert stage.connection.places == [worker.place]
    again = stage.crew.start_worker(worker.name)
    assert again is not None
    assert again.name == "putter 1"


def test_a_place_is_not_given_back_when_its_dask_worker_is_gone(stage: Stage) -> None:
    worker = stage.start_worker()
    stage.begin(worker)
    stage.bridge.control.send("left", worker=NODE)
    stage.turn()
    loss = stage.end(worker, "is lost: its Dask worker is gone")
    assert loss == "putter 1 on node is lost: its Dask worker is gone: its tasks are repeated"
    assert worker.was_lost
    assert stage.crew.complete


def test_no_worker_has_ever_begun(stage: Stage) -> None:
    first, second = stage.start_worker(), stage.start_worker()
    stage.end(first, "ended with code 1: no credentials found")
    stage.crew.kill_silent(1.0)
    assert stage.said == []
    stage.end(second, "ended with code 1: no credentials found")
    stage.crew.kill_silent(1.0)
    assert stage.said == [
        f"aborted: --dask {ADDRESS}: no worker is left: putter 2 on node"
        " ended with code 1: no credentials found"
    ]


def test_another_worker_is_waited_for_when_all_are_lost(stage: Stage) -> None:
    worker = stage.start_worker()
    stage.begin(worker)
    stage.bridge.control.send("left", worker=NODE)
    stage.turn()
    stage.end(worker, "is lost: gone")
    stage.crew.kill_silent(ABANDONED)
    assert stage.said == []
    stage.bridge.say_joined(NODE)
    stage.turn()
    stage.crew.kill_silent(1.0)
    assert stage.said == []
    other = stage.start_worker()
    stage.crew.kill_silent(1.0)
    stage.bridge.control.send("left", worker=NODE)
    stage.turn()
    stage.end(other, "is lost: gone too")
    stage.crew.kill_silent(ABANDONED)
    assert stage.said == []
    stage.crew.kill_silent(0.1)
    assert stage.said == [
        f"aborted: --dask {ADDRESS}: no worker is left: putter 2 on node is lost: gone too:"
        f" {REMEDY}"
    ]


def test_waiting_for_a_thread_is_no_silence(stage: Stage) -> None:
    worker = stage.start_worker()
    for _ in range(10):
        stage.crew.kill_silent(9.0)
    assert worker.remote.ended is None
    stage.begin(worker)
    stage.crew.kill_silent(9.0)
    stage.begin(worker)
    stage.crew.kill_silent(9.0)
    waiting = "--dask: other tasks have all threads of the Dask workers: waiting for one"
    assert stage.said == [waiting]
    stage.crew.kill_silent(9.0)
    (kill,) = stage.bridge.control.receive()
    assert (kill.event, kill.content["process"]) == ("kill", worker.remote.identity)
    loss = stage.end(worker, "was killed")
    assert (
        loss == "putter 1 on node did not respond for 10 s, and was killed: its tasks are repeated"
    )


def test_a_worker_that_comes_late_is_named_once(stage: Stage) -> None:
    stage.bridge.say_joined(NODE)
    stage.bridge.control.send("ready")
    stage.connection.begin()
    stage.bridge.say_joined("tcp://late:1", host="late")
    stage.turn()
    stage.bridge.say_joined("tcp://odd:1", host="odd", unseen="No such file: '/src'")
    stage.turn()
    assert stage.said == [
        "--dask: a Dask worker on late has come, and takes part",
        "--dask: the Dask worker tcp://odd:1 on odd does not see what this machine does:"
        " No such file: '/src': mount it there under this path",
    ]


def test_the_scheduler_is_lost(stage: Stage) -> None:
    stage.bridge.control.send("fatal", why="CommClosedError")
    stage.bridge.control.close()
    stage.turn()
    stage.turn()
    stage.turn()
    assert stage.said == [
        f"aborted: --dask {ADDRESS}: the connection to the Dask scheduler is lost:"
        f" CommClosedError: {REMEDY}"
    ]
