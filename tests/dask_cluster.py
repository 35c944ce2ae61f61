"""A Dask scheduler and its workers on loopback, as processes of their own.

::

    DaskCluster ──starts──▶ scheduler ◀──TCP── DaskWorker, DaskWorker …   one process each, or two
         └──HTTP──▶ /json/counts.json                                     with a nanny

They log into a directory, and end with the ``with`` block or with the process that started them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from commands import children_of, title
from forked import base_environment
from stores.certificates import Authority
from stores.daemons import die_with_parent
from stores.ports import free_ports
from stores.store import Store

END = 120.0  # seconds for anything to happen here
ROLES = ("client", "scheduler", "worker")  # in a TLS cluster
LOOK = 0.02  # seconds between two looks


@dataclass(frozen=True)
class DaskWorker:
    """A Dask worker: the process that was started, which is its nanny where it has one."""

    name: str
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process that does the work: without a nanny, that which was started."""
        below = [pid for pid in children_of(self.process.pid) if _is_worker(title(pid))]
        return below[0] if below else self.process.pid

    @property
    def putters(self) -> dict[int, str]:
        """The worker processes of s3pp that it has started, pid to title."""
        found = {pid: title(pid) for pid in children_of(self.pid)}
        return {pid: name for pid, name in found.items() if _is_ours(name)}

    def signal(self, number: int) -> None:
        """Send a signal to the process that does the work."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self) -> None:
        """Kill it, and its nanny."""
        self.signal(signal.SIGKILL)
        self.process.kill()
        self.process.wait()


class DaskCluster(AbstractContextManager["DaskCluster"]):
    """A scheduler, and the workers that are started with it."""

    def __init__(
        self,
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
        tls: Sequence[str] = (),
    ) -> None:
        """``environment`` of the workers; ``tls``: options of the scheduler and the workers."""
        self._directory = directory
        self._environment = {**base_environment(), **(environment or {})}
        self._tls = tuple(tls)
        self._started = 0
        self.workers: list[DaskWorker] = []
        port, self._http = free_ports(2)
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{port}"
        at = ("--host", self.address.rpartition(":")[0], "--port", str(port), "--no-dashboard")
        counts = ("--dashboard-address", f"127.0.0.1:{self._http}")
        self.scheduler = self._start("scheduler", "dask_scheduler", (*at, *counts))
        wait_until(self._answers, "the scheduler does not answer")

    def start_worker(
        self,
        *options: str,
        address: str = "",
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> DaskWorker:
        """Start a worker of one thread, without a nanny unless ``options`` have ``--nanny``.

        ``prefix``: a command that starts it, such as ``unshare``; ``address``: where it reaches
        the scheduler. ``wait_for_workers`` waits until it is there.
        """
        self._started += 1
        name = f"worker-{self._started}"
        nanny = () if "--nanny" in options else ("--no-nanny",)
        usual = ("--name", name, "--no-dashboard", *nanny, *options)
        listens = any(each.startswith("--listen-address") for each in options)
        at = () if listens else ("--host", "127.0.0.1")
        place = ("--local-directory", str(self._directory / name))
        threads = ("--nthreads", "1") if "--nthreads" not in options else ()
        words = (address or self.address, *usual, *at, *threads, *place)
        process = self._start(name, "dask_worker", words, environment, prefix)
        self.workers.append(DaskWorker(name, process))
        return self.workers[-1]

    def settle(self, count: int) -> list[DaskWorker]:
        """See to it that exactly ``count`` workers are there, which are plain and run."""
        self.workers = [each for each in self.workers if each.process.poll() is None]
        for each in self.workers[count:]:
            self.end_worker(each)
        for _ in range(count - len(self.workers)):
            self.start_worker()
        self.wait_for_workers(count)
        return list(self.workers)

    def end_worker(self, worker: DaskWorker) -> None:
        """Kill a worker and its nanny."""
        self.workers = [each for each in self.workers if each is not worker]
        worker.end()

    def wait_for_workers(self, count: int) -> None:
        """Return once the scheduler has so many workers."""
        wait_until(lambda: self.counts()["workers"] == count, f"not {count} workers")

    def counts(self) -> dict[str, int]:
        """What the scheduler counts: workers, tasks and others."""
        with urllib.request.urlopen(self._url, timeout=END) as answer:
            found: dict[str, int] = json.load(answer)
        return found

    def log(self, name: str) -> str:
        """What ``scheduler`` or a worker has logged."""
        return (self._directory / f"{name}.log").read_text(errors="replace")

    @property
    def putters(self) -> dict[int, str]:
        """All worker processes of s3pp that its workers have started, pid to title."""
        return {pid: name for each in self.workers for pid, name in each.putters.items()}

    def check_idle(self) -> None:
        """Nothing of a run is there any more: no task, and no process."""
        wait_until(lambda: not self.counts()["tasks"], "the scheduler still has tasks")
        wait_until(lambda: not self.putters, "processes of s3pp are left")

    def __exit__(self, *_: object) -> None:
        for each in self.workers:
            each.end()
        self.scheduler.kill()
        self.scheduler.wait()

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._http}/json/counts.json"

    def _answers(self) -> bool:
        assert self.scheduler.poll() is None, self.log("scheduler")
        with suppress(OSError):
            return bool(self.counts())
        return False

    def _start(
        self,
        name: str,
        module: str,
        options: Sequence[str],
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        program = (sys.executable, "-m", f"distributed.cli.{module}")
        with open(self._directory / f"{name}.log", "wb") as log:
            return subprocess.Popen(
                [*prefix, *program, *options, *self._tls],
                cwd=self._directory,
                env={**self._environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )


def _is_worker(title: str) -> bool:
    """Whether it is the child of a nanny that does the work."""
    return title.startswith("dask worker") or "spawn_main" in title


def _is_ours(title: str) -> bool:
    return title.startswith("s3pp: ") or "s3pp.pipeline" in title


def wait_until(holds: Callable[[], object], otherwise: str, said: Callable[[], str] = str) -> None:
    """Return once ``holds()`` does; raises AssertionError after ``END`` seconds.

    ``said`` returns what the command has said by then.
    """
    deadline = time.monotonic() + END
    while not holds():
        assert time.monotonic() < deadline, f"{otherwise} after {END:g} s: {said()}"
        time.sleep(LOOK)


@pytest.fixture(scope="session")
def shared_cluster(
    tmp_path_factory: pytest.TempPathFactory, moto_server: Store
) -> Iterator[DaskCluster]:
    """A scheduler for all tests that leave it alive, whose workers have moto's credentials."""
    directory = tmp_path_factory.mktemp("cluster")
    with DaskCluster(directory, environment=moto_server.environment) as cluster:
        yield cluster


@pytest.fixture
def dask(shared_cluster: DaskCluster) -> Iterator[DaskCluster]:
    """A cluster with two workers; nothing of a run is left there after the test."""
    shared_cluster.settle(2)
    yield shared_cluster
    shared_cluster.check_idle()


@pytest.fixture(scope="session")
def tls_settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of Dask's configuration with a certificate for all of a cluster."""
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority(directory)
    mine = {"cert": str(authority.served), "key": str(authority.served)}
    tls = {"ca-file": str(authority.ca_bundle), **dict.fromkeys(ROLES, mine)}
    settings = directory / "dask.yaml"
    # JSON is YAML.
    settings.write_text(
        json.dumps({"distributed": {"comm": {"require-encryption": True, "tls": tls}}})
    )
    return settings


@pytest.fixture(scope="session")
def tls_cluster(
    tmp_path_factory: pytest.TempPathFactory, tls_settings: Path
) -> Iterator[DaskCluster]:
    """A cluster that speaks TLS alone, whose worker has no credentials."""
    directory = tmp_path_factory.mktemp("tls-cluster")
    tls = json.loads(tls_settings.read_text())["distributed"]["comm"]["tls"]
    mine = (f"--tls-cert={tls['worker']['cert']}", f"--tls-key={tls['worker']['key']}")
    with DaskCluster(directory, tls=(f"--tls-ca-file={tls['ca-file']}", *mine)) as cluster:
        cluster.settle(1)
        yield cluster


def may_mount() -> bool:
    """Whether a mount namespace can be made here."""
    mount = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(mount, stdin=subprocess.DEVNULL, capture_output=True).returncode
    )
