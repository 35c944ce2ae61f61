"""Send a tree by workers on a Dask cluster, and by as many processes of one machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from distributed import Client

import invocations
from data import Load, tree
from measure import measure
from rounds import Failed
from serving import Peer, serving
from suite.setting import Setting
from suite.table import Table
from tools import Tool

FILES = 50_000
FEW = 16  # requests in flight for each worker, where latency and no processor is to be the bound
WORKERS = (1, 2)  # of the cluster, of one thread each
_STARTED = 60.0  # seconds that a scheduler may take to be there
_TICKS = os.sysconf("SC_CLK_TCK")
_COLUMNS = (
    "workers",
    "objects/s",
    ": local",
    "client CPU µs",
    "cluster CPU µs",
    "scheduler µs",
    "scheduler MB",
)


class Sent(NamedTuple):
    """One run: what it took, per object where it is CPU."""

    rate: float  # objects per second, from the first to the last
    client: float  # microseconds
    cluster: float  # of the workers, their processes, and the scheduler
    scheduler: float
    memory: float  # of the scheduler afterwards, in bytes


class Cluster(NamedTuple):
    """A scheduler and its workers."""

    address: str
    scheduler: int  # process
    workers: tuple[int, ...]

    def cpu(self) -> float:
        """Seconds of all, and of the processes that they have waited for."""
        return sum(map(_cpu, (self.scheduler, *self.workers)))

    def memory(self) -> int:
        """Bytes of the scheduler."""
        fields = Path(f"/proc/{self.scheduler}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGESIZE")


def dask(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure each number of workers beside as many local processes, in turns."""
    (tool,) = (each for each in found if each.name == "s3pp")
    files = setting.files or FILES
    task = tree(setting.folder, files, setting.size), Load(files, setting.size)
    rows = []

    def bound(workers: int) -> list[str]:
        return [f"-c{FEW * workers}"] if setting.latency else []

    with serving(https=setting.https, latency=setting.latency) as peer, _folder() as folder:
        for number in WORKERS:
            local, far = [], []
            for _ in range(setting.rounds):
                local.append(_send(peer, tool, task, [f"-P{number}", *bound(number)], None))
                with _cluster(folder, number, tool.environment(peer.endpoint)) as cluster:
                    far.append(
                        _send(peer, tool, task, ["--dask", cluster.address, *bound(1)], cluster)
                    )
            rows += [_row(f"{number} local", local, local), _row(f"{number} Dask", far, local)]
    return Table(f"dask: {files} files of {setting.size} bytes, {setting}", _COLUMNS, rows)


def _send(
    peer: Peer, tool: Tool, task: tuple[Path, Load], options: list[str], cluster: Cluster | None
) -> Sent:
    """Run s3pp once, with the tree of ``task``; the peer's bucket has it then."""
    source, load = task
    peer.clear()
    before = (cluster.cpu(), _cpu(cluster.scheduler)) if cluster else (0.0, 0.0)
    command = [*invocations.put(tool, peer.endpoint, source, load), "--json", *options]
    with tempfile.TemporaryFile() as printed:
        measured = measure(command, env=tool.environment(peer.endpoint), stdout=printed)
        if measured.status:
            raise Failed(f"{' '.join(options)}: {measured.errors.strip()}")
        printed.seek(0)
        last = json.loads(printed.read().splitlines()[-1])
    counts = peer.counts()
    if (counts.keys, counts.bytes) != (load.files, load.files * load.size):
        raise Failed(f"{' '.join(options)}: the bucket holds {counts.keys} keys")
    after = (cluster.cpu(), _cpu(cluster.scheduler)) if cluster else (0.0, 0.0)
    per = 1e6 / load.files
    return Sent(
        load.files / last["seconds"],
        measured.cpu * per,
        (after[0] - before[0]) * per,
        (after[1] - before[1]) * per,
        cluster.memory() if cluster else 0,
    )


def _row(name: str, runs: list[Sent], local: list[Sent]) -> list[str]:
    ratios = (run.rate / other.rate for run, other in zip(runs, local, strict=True))
    return [
        name,
        f"{median(run.rate for run in runs):,.0f}",
        f"{median(ratios):.2f}",
        f"{median(run.client for run in runs):.0f}",
        f"{median(run.cluster for run in runs):.0f}",
        f"{median(run.scheduler for run in runs):.1f}",
        f"{median(run.memory for run in runs) / 1e6:.0f}" if runs[0].memory else "-",
    ]


def _cpu(process: int) -> float:
    """Seconds that a process has used, and those of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


@contextmanager
def _folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _cluster(folder: Path, number: int, environment: dict[str, str]) -> Iterator[Cluster]:
    """A cluster on this machine, whose workers find the credentials; ended with the block."""
    file = folder / f"scheduler-{time.monotonic_ns()}.json"
    started = []

    def start(role: str, *arguments: str) -> int:
        command = [sys.executable, "-m", "dask", role, *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, env=environment, **quiet))  # type: ignore[call-overload]
        return int(started[-1].pid)

    host = ("--host", "127.0.0.1", "--no-dashboard")
    try:
        scheduler = start("scheduler", *host, "--port", "0", "--scheduler-file", str(file))
        until = time.monotonic() + _STARTED
        while not file.exists() or not file.read_text().endswith("}"):
            if time.monotonic() > until:
                raise Failed("the Dask scheduler did not start")
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        worker = (*host, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        workers = tuple(start("worker", address, *worker) for _ in range(number))
        with Client(address) as client:  # type: ignore[no-untyped-call]
            client.wait_for_workers(number, timeout=_STARTED)
        yield Cluster(address, scheduler, workers)
    finally:
        for each in started:
            each.kill()
        for each in started:
            each.wait()
