"""What runs within a Dask worker, with a trivial child where the worker process of s3pp would be.

It answers each line with the same, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from s3pp import __version__
from s3pp.pipeline.cluster import dask_worker as module
from s3pp.pipeline.cluster.dask_worker import (
    KILL,
    READ,
    WRITE,
    Processes,
    ServedProcess,
    WorkerFacts,
    describe,
    this_python,
)
from s3pp.pipeline.cluster.probe import PathProbe

pytestmark = pytest.mark.timeout(60)

Serve = Callable[[str], ServedProcess]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """``serve(command)``: a served process that runs ``command`` in a shell."""
    started: list[subprocess.Popen[bytes]] = []

    def start(_: str, name: str, directory: str, *, secrets: bool, **options: Any) -> Any:
        assert (directory, secrets) == ("/", True)
        started.append(subprocess.Popen(["sh", "-c", name], start_new_session=True, **options))
        return started[-1]

    monkeypatch.setattr(module, "start_program", start)
    monkeypatch.setattr(module, "_STEP", 0.001)
    yield lambda command: ServedProcess(command, "/")
    for each in started:
        assert each.poll() is not None, "a process is left"


def wanted() -> bool:
    return True


class Served:
    """The processes of a Dask worker, and a thread of tasks with one."""

    def __init__(self, processes: Processes, process: ServedProcess) -> None:
        self.processes = processes
        self.how = ""
        self._thread = threading.Thread(target=self._run, args=(process,))
        self._thread.start()

    def _run(self, process: ServedProcess) -> None:
        self.how = self.processes.serve("p", process, wanted)

    def end(self) -> str:
        """Return how it ended, once it has."""
        self._thread.join()
        return self.how


async def read_all(processes: Processes) -> bytes:
    """Read what a process writes, to its end."""
    content, more = b"", None
    while more != b"":
        more = await processes.read("p")
        content += more or b""
    return content


def test_a_process_answers_and_ends_with_its_input(serve: Serve) -> None:
    processes = Processes()
    served = Served(processes, serve("cat"))

    async def talk() -> bytes:
        assert await processes.write("p", b"one\n")
        assert await processes.read("p") == b"one\n"
        assert await processes.write("p", b"two\n")
        assert await processes.write("p", b"")
        assert await processes.write("p", b"of nobody's interest")
        return await read_all(processes)

    assert asyncio.run(talk()) == b"two\n"
    assert served.end() == ""


def test_more_is_written_than_a_pipe_holds(serve: Serve) -> None:
    processes, content = Processes(), os.urandom(1 << 20)
    served = Served(processes, serve("cat"))

    async def write() -> None:
        await processes.write("p", content)
        await processes.write("p", b"")

    async def talk() -> bytes:
        _, back = await asyncio.gather(write(), read_all(processes))
        return back

    assert asyncio.run(talk()) == content
    assert served.end() == ""


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("exit 3", "ended with code 3"),
        ("echo no; echo 'no credentials\tfound' >&2; exit 1", "ended with code 1: no credentials"),
        ("kill -9 $$", "was killed (signal 9)"),
        (f"echo '{'x' * 600}' >&2; exit 1", f"ended with code 1: {'x' * 499}"),
    ],
)
def test_how_a_process_ended_is_told(serve: Serve, command: str, how: str) -> None:
    processes = Processes()
    served = Served(processes, serve(command))
    asyncio.run(read_all(processes))
    assert served.end().startswith(how)
    assert len(served.end()) < len("ended with code 1: ") + 500


def test_a_process_that_is_not_called_any_more_is_killed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE", 0.0)
    processes = Processes()
    assert processes.serve("p", serve("cat"), wanted) == "was not called for 0 s, and was killed"


def test_a_process_whose_client_is_gone_ends_by_itself(serve: Serve) -> None:
    """Its input ends, as where the command is gone, so that it can clean up."""
    how = Processes().serve("p", serve("cat > /dev/null"), lambda: False)
    assert how == "was dropped by its client"


@pytest.mark.parametrize("operation", ["read", "write"])
def test_each_call_renews_the_lease(serve: Serve, operation: str) -> None:
    process = serve("echo x; cat")
    process.called = before = process.called - module.LEASE / 2

    async def call() -> None:
        await (process.read() if operation == "read" else process.write(b"x"))

    asyncio.run(call())
    assert process.called > before
    process.kill()


def test_a_process_is_killed(serve: Serve) -> None:
    processes = Processes()
    served = Served(processes, serve("cat"))

    async def kill() -> None:
        assert await processes.write("p", b"x")  # it runs
        await processes.kill("p")
        await processes.kill("p")

    asyncio.run(kill())
    assert served.end() == "was killed (signal 9)"


def test_a_process_is_killed_before_it_is_started(serve: Serve) -> None:
    processes = Processes()
    asyncio.run(processes.kill("p"))
    assert processes.serve("p", serve("cat"), wanted) == "was killed"


def test_a_process_that_waits_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.0)
    processes = Processes()

    async def call() -> tuple[bytes | None, bool]:
        return await processes.read("p"), await processes.write("p", b"x")

    assert asyncio.run(call()) == (None, False)


def test_nothing_is_there_to_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.0)
    process = serve("cat")
    assert asyncio.run(process.read()) is None
    assert not process.drained.is_set()
    process.kill()


class DaskWorker:
    """A Dask worker, as far as our operations ask about one."""

    def __init__(self, *, threads: int) -> None:
        self.extensions: dict[str, Any] = {}
        self.handlers: dict[str, Any] = {}
        self.state = self
        self.nthreads = threads
        self.id = "Worker-1"


def facts(worker: DaskWorker, probes: Sequence[PathProbe] = ()) -> WorkerFacts:
    """What it says of itself."""
    return WorkerFacts(*describe([tuple(each) for each in probes], dask_worker=worker))


def test_a_dask_worker_is_described_and_gets_our_operations(tmp_path: Path) -> None:
    worker = DaskWorker(threads=3)
    found = facts(worker, [PathProbe("/src", str(tmp_path))])
    assert (found.version, found.python, found.threads) == (__version__, this_python(), 3)
    assert (found.identity, found.unseen) == ("Worker-1", "")
    processes = worker.extensions["s3pp"]
    assert set(worker.handlers) == {READ, WRITE, KILL}
    again = facts(worker, [PathProbe("/src", str(tmp_path)), PathProbe("/x", str(tmp_path / "x"))])
    assert again.unseen == "No such file or directory: '/x'"
    assert worker.extensions["s3pp"] is processes, "a second run forgets what the first has started"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("cat", "hello"),
        ("echo no >&2; echo way >&2; exit 3", "RuntimeError: ended with code 3: no\\nway"),
        ("exec sleep 100", "RuntimeError: not finished within 0 s"),
    ],
)
def test_a_program_answers(monkeypatch: pytest.MonkeyPatch, command: str, answer: str) -> None:
    started = []

    def start(*_: Any, secrets: bool, **options: Any) -> Any:
        assert secrets
        started.append(subprocess.Popen(["sh", "-c", command], **options))
        return started[-1]

    monkeypatch.setattr(module, "start_program", start)
    try:
        found = asyncio.run(
            module.run_program("doctor", "hello", 0.0 if "sleep" in command else 50.0)
        )
    except RuntimeError as error:
        found = f"RuntimeError: {error}"
    assert found == answer
    assert started[0].returncode is not None
