"""The crew of a run on a cluster: the statter and the walker here, the workers there."""

from __future__ import annotations

from s3pp.job import Job
from s3pp.pipeline.child import Child
from s3pp.pipeline.children import Callbacks, Crew
from s3pp.pipeline.cluster.connection import ClusterConnection
from s3pp.pipeline.cluster.remote_child import RemoteChild

_REMEDY = "run the same command again, --no-dask without a cluster"
QUIET = 10.0  # seconds without a first worker after which the user is told
ABANDONED = 60.0  # seconds without any worker after which a run ends


class ClusterCrew(Crew):
    """Starts a worker at each place that the cluster has, also at those that come later."""

    eager = True

    def __init__(self, connection: ClusterConnection, job: Job, callbacks: Callbacks) -> None:
        super().__init__(job, callbacks)
        self._connection = connection
        self._alone = 0.0  # seconds without any worker
        self._had_any = False
        self._waited = 0.0  # seconds for a first worker
        self._loss = ""  # how the last one ended
        self.loop.watch(connection.fd, self._on_control)

    @property
    def complete(self) -> bool:
        """Whether there is no place for another worker."""
        return not self._connection.places

    def start_worker(self, name: str | None = None) -> Child | None:
        """Start a worker at the next place; None: there is none.

        It takes part once it has sent something: by then it has a thread of its Dask worker, and
        credentials.
        """
        return None if self.complete else self._launch_worker(name)

    def _create_worker(self, name: str) -> Child:
        place, control = self._connection.places.pop(0), self._connection.control
        return RemoteChild(name, place, control, sends_keys=self._job.cluster.sends_keys)

    def heard(self, child: Child) -> None:
        """Do as ``Crew.heard``; a worker that is heard for the first time joins the others."""
        super().heard(child)
        if isinstance(child, RemoteChild) and not child.remote.began:
            child.remote.began = self._had_any = True
            self._callbacks.on_worker(child)

    def describe_loss(self, worker: Child) -> str:
        """Return a line about a worker that was lost, whose place is free if it is still there."""
        assert isinstance(worker, RemoteChild)
        self._loss = f"{worker.name} {worker.how_it_ended()}"
        if not worker.remote.began:
            return f"{self._loss}: no other is started there"
        self._connection.give_back(worker.place)
        return f"{self._loss}: its tasks are repeated"

    def kill_silent(self, seconds: float) -> None:
        """Do as ``Crew.kill_silent``, and end the run if there has been no worker for long.

        One that waits for a thread of its Dask worker is not silent.
        """
        super().kill_silent(seconds)
        self._notice_wait(seconds)
        if self.workers or self._connection.places:
            self._alone = 0.0
            return
        self._alone += seconds
        if self._alone > ABANDONED or not self._had_any:
            why = self._loss or "no Dask worker is there any more"
            what = f"--dask {self._connection.address}: no worker is left: {why}"
            self._callbacks.abort(f"{what}: {_REMEDY}" if self._had_any else what)

    def _notice_wait(self, seconds: float) -> None:
        """Say once why nothing happens: the Dask workers do not start any process."""
        if not self._had_any and self.workers and self._waited < QUIET:
            self._waited += seconds
            if self._waited >= QUIET:
                why = "other tasks have all threads of the Dask workers: waiting for one"
                self._callbacks.notify(f"--dask: {why}")

    def _count_silence(self, seconds: float) -> dict[Child, float]:
        for worker in self.workers:
            if isinstance(worker, RemoteChild) and not worker.remote.began:
                self.workers[worker] = -seconds
        return super()._count_silence(seconds)

    def _on_control(self) -> None:
        faults = self._connection.receive()
        for text in (*faults, *self._connection.notices):
            self._callbacks.notify(f"--dask: {text}")
        self._connection.notices.clear()
        if self._connection.control.closed:
            self.loop.unwatch(self._connection.fd)
            why = f"the connection to the Dask scheduler is lost: {self._connection.trouble}"
            self._callbacks.abort(f"--dask {self._connection.address}: {why}: {_REMEDY}")
