"""What runs within a Dask worker: a description of it, and worker processes of s3pp.

::

    the scheduler ──task──▶ serve ──starts──▶ remote_worker     one thread of the Dask worker each
    the bridge ──s3pp_read, s3pp_write──▶ pipes of that process

A task that lasts as long as its process tells the scheduler that a thread is busy: it gives it
nothing else to do, and neither a worker nor a cluster is taken for idle. The bytes do not pass
through tasks but through operations of the Dask worker, as those of its own shuffles do.

A process whose bridge has not called for ``LEASE`` is killed: nobody reads what it reports.
"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from s3pp import __version__
from s3pp.escaping import one_line
from s3pp.pipeline.cluster.descriptors import read_some, write_all
from s3pp.pipeline.cluster.probe import PathProbe, unseen
from s3pp.pipeline.cluster.programs import start_program
from s3pp.pipeline.pipes import LEAVING, widen

LEASE = 60.0  # seconds without a call after which a process is killed
POLL = 5.0  # seconds that a read waits for something to read
_STARTING = 0.05  # seconds between two looks for a process that a thread starts
_STEP = 0.5  # seconds between two looks at a process
_SHOWN = 500  # bytes of what a process printed last that are reported

REMOTE_WORKER = "pipeline.cluster.remote_worker"
READ, WRITE, KILL = "s3pp_read", "s3pp_write", "s3pp_kill"  # operations of a Dask worker


class WorkerFacts(NamedTuple):
    """What a Dask worker is."""

    version: str  # of s3pp
    python: str  # as "CPython 3.11"
    host: str
    threads: int
    identity: str  # of the process, by which another one at the same address is noticed
    unseen: str  # why it does not see a path; empty: it sees all


def this_python() -> str:
    """Return the version of Python, as far as what is pickled depends on it."""
    return f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}"


def describe(probes: Sequence[tuple[Any, ...]], dask_worker: Any = None) -> tuple[Any, ...]:
    """Return the ``WorkerFacts`` of this Dask worker, and add our operations to it."""
    processes_of(dask_worker)
    faults = filter(None, (unseen(PathProbe(*each)) for each in probes))
    threads, host = dask_worker.state.nthreads, socket.gethostname()
    facts = (__version__, this_python(), host, threads, dask_worker.id, next(faults, ""))
    return tuple(WorkerFacts(*facts))


def processes_of(dask_worker: Any) -> Processes:
    """Return the processes of a Dask worker, which has our operations from then on."""
    processes: Processes = dask_worker.extensions.setdefault("s3pp", Processes())
    dask_worker.handlers.update(
        {READ: processes.read, WRITE: processes.write, KILL: processes.kill}
    )
    return processes


def serve(process: str, name: str, directory: str) -> str:
    """Run a worker process until it ends; a task. Returns how it ended, see ``Processes.serve``.

    ``process`` identifies it, ``name`` is for users, ``directory`` as of ``ServedProcess``.
    """
    from distributed import get_worker

    worker = get_worker()

    def is_wanted() -> bool:
        """Whether the client is still there that has submitted this task."""
        task = worker.state.tasks.get(task_key(process))
        return task is not None and task.state != "cancelled"

    # Another one may have been started at this address since it was described.
    return processes_of(worker).serve(process, ServedProcess(name, directory), is_wanted)


def task_key(process: str) -> str:
    """Return the key of the task that serves ``process``."""
    return f"s3pp-{process}"


async def run_program(module: str, request: str, seconds: float) -> str:
    """Run a module of s3pp in a process of its own; returns what it answers to ``request``.

    Raises ``RuntimeError`` where it ends with an error, or not within ``seconds``.
    """
    return await asyncio.to_thread(_run_program, module, request, seconds)


def _run_program(module: str, request: str, seconds: float) -> str:
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with start_program(module, secrets=True, **pipes) as process:
        try:
            answer, printed = process.communicate(request.encode(), seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"not finished within {seconds:g} s") from None
    if process.returncode:
        text = one_line(printed[-_SHOWN:].decode("utf-8", "replace").strip())
        raise RuntimeError(f"ended with code {process.returncode}: {text}")
    return answer.decode()


class ServedProcess:
    """A worker process of s3pp, and this end of its pipes."""

    def __init__(self, name: str, directory: str) -> None:
        """Start it; ``directory`` is where relative paths begin."""
        self.called = time.monotonic()
        self.drained = threading.Event()  # its last byte has been read
        self._printed: IO[bytes] = TemporaryFile()  # noqa: SIM115  # it is closed with the process
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        self._process = start_program(
            REMOTE_WORKER,
            *(name, directory),
            secrets=True,
            stderr=self._printed,
            bufsize=0,
            **pipes,
        )
        for end in (self._inbox, self._outbox):
            os.set_blocking(end.fileno(), False)
            widen(end.fileno())

    @property
    def _inbox(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _outbox(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    async def read(self) -> bytes | None:
        """Return what it has written; empty: it has ended; None: nothing within ``POLL``."""
        self.called = time.monotonic()
        content = await read_some(self._outbox.fileno(), POLL)
        if content == b"":
            self.drained.set()
        return content

    async def write(self, content: bytes) -> None:
        """Write to it; nothing to write: it is to end, cleaning up."""
        self.called = time.monotonic()
        if self._inbox.closed:
            return
        if not content or not await write_all(self._inbox.fileno(), content):
            self._inbox.close()

    def wait(self, is_wanted: Callable[[], bool]) -> str:
        """Wait until it has ended and all is read; return how it ended; empty: all is well.

        It cleans up and ends once it is not wanted any more.
        """
        while not self.drained.wait(_STEP):
            if not is_wanted():
                self._inbox.close()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(LEAVING)
                return "was dropped by its client"
            if time.monotonic() - self.called > LEASE:
                self.kill()
                return f"was not called for {LEASE:g} s, and was killed"
        code = self._process.wait()
        return self._describe(code) if code else ""

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        self.drained.set()

    def _describe(self, code: int) -> str:
        how = f"was killed (signal {-code})" if code < 0 else f"ended with code {code}"
        self._printed.seek(max(0, self._printed.seek(0, os.SEEK_END) - _SHOWN))
        printed = self._printed.read().decode("utf-8", "replace").strip()
        return f"{how}: {one_line(printed)}" if printed else how


class Processes:
    """The processes of one Dask worker, by what identifies them; its methods are operations."""

    def __init__(self) -> None:
        self._running: dict[str, ServedProcess] = {}
        self._killed: set[str] = set()  # before they were started

    def serve(self, process: str, started: ServedProcess, is_wanted: Callable[[], bool]) -> str:
        """Wait for a process that was started, as ``wait`` does; on a thread of tasks."""
        self._running[process] = started
        try:
            return "was killed" if process in self._killed else started.wait(is_wanted)
        finally:
            del self._running[process]
            started.kill()  # its pipes are closed with the last call that uses them

    async def read(self, process: str) -> bytes | None:
        """Do ``ServedProcess.read``; None as well for one that was not started yet."""
        found = await self._find(process)
        return None if found is None else await found.read()

    async def write(self, process: str, content: bytes) -> bool:
        """Do ``ServedProcess.write``; false for a process that was not started yet."""
        found = await self._find(process)
        if found is not None:
            await found.write(content)
        return found is not None

    async def _find(self, process: str) -> ServedProcess | None:
        """Return a process, or None if it is not started within ``POLL``."""
        until = time.monotonic() + POLL
        while process not in self._running and time.monotonic() < until:
            await asyncio.sleep(_STARTING)
        return self._running.get(process)

    async def kill(self, process: str) -> None:
        """Kill a process, or have it killed when it is started."""
        self._killed.add(process)
        if found := self._running.get(process):
            found.kill()
