"""The children of a run: which there are, and when they are started.

A worker costs some 20 ms of CPU, as much as 300 small objects. So a run begins with one, and others
follow when there is work for them; where botocore is needed, all are started before it is imported,
so that they carry none of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import setproctitle

from s3pp.errors import FatalError, start_failure
from s3pp.job import Job
from s3pp.pipeline.child import Child, Role, start_context
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.preloading import TITLES, load, load_more
from s3pp.pipeline.selector_loop import SelectorLoop
from s3pp.pipeline.worker import run_worker

# What only one child needs is imported by that child, while others start.


def _run_statter(
    inbox: MessageReader, outbox: MessageWriter, job: Job, started: float, spool_dir: str
) -> None:
    """Run the statter; it is the last to end, and removes what a killed supervisor leaves."""
    from s3pp.pipeline.orphaned import remove_directory, watch_supervisor
    from s3pp.pipeline.statter import run_statter

    watch_supervisor(inbox.fd, spool_dir)
    run_statter(inbox, outbox, job, started)
    if inbox.closed:
        remove_directory(spool_dir)


def _run_walker(*arguments: Any) -> None:
    from s3pp.pipeline.walker import run_walker

    run_walker(*arguments)


class Callbacks(NamedTuple):
    """What the supervisor does with its children; the first three are called with the child."""

    on_worker: Callable[[Child], None]  # it has been started
    on_readable: Callable[[Child], None]
    on_death: Callable[[Child], None]
    notify: Callable[[str], None]  # informs users
    abort: Callable[[str], None]  # ends the run, for a reason


class Crew:
    """The children of a run: a statter, a walker, and the workers."""

    eager = False  # whether workers are started before there is work for them

    def __init__(self, job: Job, callbacks: Callbacks) -> None:
        self.loop = SelectorLoop()
        self.workers: dict[Child, float] = {}  # seconds since each one's last message
        self._job = job
        self._callbacks = callbacks
        self._context = start_context(job.speed.start_method)
        setproctitle.getproctitle()  # which has to see the environment before it is changed
        self._begun = 0  # workers, without those that replaced another
        self._most = job.speed.processes  # workers; fewer once the system refuses another
        self._stopped: dict[Child, float] = {}  # seconds for which those that send nothing are

    def start(self, spool_dir: str, started: float) -> None:
        """Start the statter, the walker and the first worker, unless they were started before.

        ``spool_dir`` is a directory for members of archives, ``started`` the monotonic time of the
        run's start. Raises ``FatalError``.
        """
        if self._begun:
            return
        job = self._job
        load(job)
        self.statter = self.launch("statter", _run_statter, (job, started, spool_dir))
        stdin = Connection(os.dup(0), writable=False) if job.choosing.files_from == "-" else None
        self.walker = self.launch("walker", _run_walker, (spool_dir, stdin))
        if stdin:
            stdin.close()
        self.start_worker()

    @property
    def complete(self) -> bool:
        """Whether all workers have been started that the job, and the system, allow."""
        return self._begun >= self._most

    def start_worker(self, name: str | None = None) -> Child | None:
        """Start a worker: one more, or one that replaces ``name``.

        None: the system refuses, and the run continues with the other workers. Raises
        ``FatalError`` where there are none.
        """
        if self._begun == 1:
            load_more(self._job)
        try:
            worker = self._launch_worker(name)
        except FatalError as error:
            if not self.workers:
                raise
            self._most = 0
            self._callbacks.notify(f"{error}: the run continues with fewer workers")
            return None
        self._callbacks.on_worker(worker)
        return worker

    def _launch_worker(self, name: str | None) -> Child:
        """Start a worker, and watch it, see ``start_worker``. Raises ``FatalError``."""
        if name is None:
            self._begun += 1
            name = f"{TITLES[self._job.verb]} {self._begun}"
        worker = self._start_child(name, partial(self._create_worker, name))
        self.workers[worker] = 0.0
        return worker

    def _create_worker(self, name: str) -> Child:
        return Child(name, run_worker, context=self._context, arguments=())

    def heard(self, child: Child) -> None:
        """Note that a child has sent something."""
        if child in self.workers:
            self.workers[child] = 0.0

    def describe_loss(self, worker: Child) -> str:
        """Return a line about a worker that has died; another one is started after that."""
        return f"{worker.name} {worker.how_it_ended()}: replaced, and its tasks are repeated"

    def kill_silent(self, seconds: float) -> None:
        """Kill the children that do not respond within the timeout; ``seconds`` have passed.

        A worker sends heartbeats. The others may have to wait, for a slow file system or a terminal
        that is stopped: they do not respond while they are stopped themselves.
        """
        silent, limit = self._count_silence(seconds), self._job.speed.worker_timeout
        for child in [each for each, passed in silent.items() if passed > limit]:
            child.kill(f"did not respond for {limit:g} s")

    def _count_silence(self, seconds: float) -> dict[Child, float]:
        """Return the seconds for which each child has been silent, or stopped."""
        for worker in self.workers:
            self.workers[worker] += seconds
        others = [each for each in self.loop.children if each not in self.workers]
        before = self._stopped
        self._stopped = {each: before.get(each, 0.0) + seconds for each in others if each.stopped}
        return {**self.workers, **self._stopped}

    def launch(self, name: str, role: Role, arguments: tuple[object, ...]) -> Child:
        """Start a child, and watch it. Raises ``FatalError``."""
        create = partial(Child, name, role, context=self._context, arguments=arguments)
        return self._start_child(name, create)

    def _start_child(self, name: str, create: Callable[[], Child]) -> Child:
        try:
            child = create()
            self.loop.add(child, on_death=lambda: self._callbacks.on_death(child))
        except OSError as error:
            raise FatalError(f"cannot start the {name}: {start_failure(error)}") from None
        if name != "walker":  # it is read only while a worker has room
            self.loop.watch(child.inbox.fd, lambda: self._callbacks.on_readable(child))
        return child
