"""Runs on a Dask cluster whose processes are killed, stopped, or cut off in the middle.

Requests are held at the store until that has happened, so that it always is in the middle.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Run, children_of, owner_of, title
from dask_cluster import END, DaskCluster, wait_until
from faults.accounting import check_all_done
from faults.trials import PutTrial
from stores.fault_actions import Gate
from stores.fault_proxy import Rule
from stores.ports import free_ports
from stores.store import Store
from stores.tcp_proxy import TcpProxy

pytestmark = pytest.mark.timeout(600)

FILES = {f"d{n % 3}/f{n:03d}": 100 + n for n in range(120)}  # more than one worker is given ahead
SOON = "--worker-timeout=2"


class HeldPut:
    """A put whose requests are held, once each worker process of the cluster has sent some."""

    def __init__(self, trial: PutTrial, dask: DaskCluster, *options: str) -> None:
        self.trial, self._dask, self._gate = trial, dask, Gate()
        self.contents = trial.tree(FILES)
        trial.inject(Rule(self._gate, "PUT"))
        words = (f"--dask={dask.address}", "--read-timeout=100", *options)
        self.running = trial.start(*words)
        wait_until(self._is_held, "not all workers send requests", self.running.err)

    @property
    def bridge(self) -> int:
        """The process with the Dask client."""
        below = children_of(self.running.pid)
        (found,) = [pid for pid in below if title(pid) == "s3pp: dask"]
        return found

    def wait_for_notice(self, *words: str) -> None:
        """Return once a line with all of ``words`` is on stderr."""
        wait_until(lambda: self._said(*words), f"{words} not said", self.running.err)

    def check_all_done(self) -> None:
        """Let all requests through: the run then does all of it, and nothing is left."""
        self._gate.open()
        end = self.trial.end(self.running, END)
        check_all_done(end, self.trial.bucket, self.contents)

    def check_broken_off(self, *words: str) -> None:
        """The run ends with 3, and says why; what its journal has as done is there."""
        self._gate.open()
        result = self.running.wait(END)
        assert result.code == 3, result
        assert self._said(*words), result
        stored = self.trial.bucket.tree()
        for key in self.trial.claims():
            assert stored[key] == self.contents[key]

    def _is_held(self) -> bool:
        assert self.running.popen.poll() is None, self.running.err()
        putters = list(self._dask.putters)
        ports = [hit.request.port for hit in self.trial.proxy.hits("PUT")]
        return {owner_of(port, putters) for port in ports} >= {*putters} != set()

    def _said(self, *words: str) -> bool:
        return any(all(each in line for each in words) for line in self.running.err().splitlines())


# What runs on the cluster


def test_a_worker_process_is_killed(dask: DaskCluster, moto_trial: PutTrial) -> None:
    held = HeldPut(moto_trial, dask)
    os.kill(next(iter(dask.putters)), signal.SIGKILL)
    held.wait_for_notice("was killed (signal 9)", "its tasks are repeated")
    held.check_all_done()


def test_a_dask_worker_is_killed_and_comes_back_and_then_its_nanny_is_killed(
    dask: DaskCluster, moto_trial: PutTrial
) -> None:
    worker = dask.start_worker("--nanny")
    dask.wait_for_workers(3)
    held = HeldPut(moto_trial, dask)
    first, (putter,) = worker.pid, worker.putters
    os.kill(first, signal.SIGKILL)
    held.wait_for_notice("is lost", "its tasks are repeated")
    wait_until(lambda: worker.pid != first and worker.putters, "it takes no part again")
    worker.process.kill()
    wait_until(lambda: held.running.err().count("is lost") == 2, "lost unnoticed")
    held.check_all_done()
    wait_until(lambda: not title(putter), "a process has outlived its Dask worker")


def test_the_only_dask_worker_is_killed_and_another_comes_late(
    dask: DaskCluster, moto_trial: PutTrial
) -> None:
    (only,) = dask.settle(1)
    held = HeldPut(moto_trial, dask)
    dask.end_worker(only)
    held.wait_for_notice("is lost", "its tasks are repeated")
    dask.start_worker()
    held.check_all_done()


def test_a_stopped_dask_worker_costs_nothing(dask: DaskCluster, moto_trial: PutTrial) -> None:
    held = HeldPut(moto_trial, dask, SOON)
    stopped = dask.workers[0]
    stopped.signal(signal.SIGSTOP)
    held.wait_for_notice("did not respond for 2 s", "its tasks are repeated")
    held.check_all_done()
    stopped.signal(signal.SIGCONT)


@pytest.fixture
def distant(dask: DaskCluster) -> Iterator[list[TcpProxy]]:
    """The ways to and from one more worker."""
    to_scheduler, listening, contacted = free_ports(3)
    with (
        TcpProxy(to_scheduler, int(dask.address.rpartition(":")[2])) as there,
        TcpProxy(contacted, listening) as back,
    ):
        listen = f"--listen-address=tcp://127.0.0.1:{listening}"
        contact = f"--contact-address=tcp://127.0.0.1:{contacted}"
        worker = dask.start_worker(listen, contact, address=f"tcp://127.0.0.1:{to_scheduler}")
        dask.wait_for_workers(3)
        yield [there, back]
        dask.end_worker(worker)


def test_the_way_to_a_dask_worker_is_cut(
    distant: list[TcpProxy], dask: DaskCluster, moto_trial: PutTrial
) -> None:
    held = HeldPut(moto_trial, dask, SOON)
    for way in distant:
        way.cut()
    held.wait_for_notice("did not respond for 2 s", "its tasks are repeated")
    held.check_all_done()


# What there is one of


@pytest.fixture
def own_cluster(tmp_path: Path, moto: Store) -> Iterator[DaskCluster]:
    """A cluster of this test, with one worker."""
    with DaskCluster(tmp_path, environment=moto.environment) as cluster:
        cluster.settle(1)
        yield cluster


def test_the_scheduler_is_killed_and_a_retry_does_the_rest(
    own_cluster: DaskCluster, moto_trial: PutTrial, s3pp: Run
) -> None:
    held = HeldPut(moto_trial, own_cluster)
    own_cluster.scheduler.kill()
    held.check_broken_off("connection to the Dask scheduler is lost")
    wait_until(lambda: not own_cluster.putters, "processes of s3pp are left")
    result = s3pp("retry", "--no-dask", moto_trial.journal, timeout=END)
    assert result.code == 0, result
    assert moto_trial.bucket.tree() == held.contents


def test_the_process_with_the_dask_client_is_killed(
    own_cluster: DaskCluster, moto_trial: PutTrial
) -> None:
    """Its worker processes last until their lease is over, or their Dask worker is."""
    held = HeldPut(moto_trial, own_cluster)
    os.kill(held.bridge, signal.SIGKILL)
    held.check_broken_off("connection to the Dask scheduler is lost")


def test_the_command_is_killed(dask: DaskCluster, moto_trial: PutTrial) -> None:
    """Worker processes see the end of their pipes; the fixture finds none that is left."""
    held = HeldPut(moto_trial, dask)
    bridge = held.bridge
    held.running.signal(signal.SIGKILL)
    held.running.popen.wait()
    dask.check_idle()
    wait_until(lambda: not title(bridge), "the process with the Dask client is left")
