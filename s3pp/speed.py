"""Options that limit the concurrency of a run, and its rate."""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.limits import MAX_CONCURRENCY, PLACES
from s3pp.option import FILE, TIME, Value, choice, option, up_to
from s3pp.processors import usable_processors
from s3pp.timetable import Timetable


@dataclass(frozen=True)
class Speed:
    """Limits on concurrency and rate."""

    processes: int = option(
        lambda: max(2, usable_processors()),
        "-P",
        "--processes",
        up_to(1024),
        help="worker processes, started as needed (default: one per usable core, at least 2)",
    )
    # Requests in flight and not bandwidth bound many small objects at real latencies.
    concurrency: int = option(
        512,
        "-c",
        "--concurrency",
        up_to(MAX_CONCURRENCY),
        help="requests in flight over all processes (default: {default})",
    )
    listers: int = option(
        4,
        "--listers",
        up_to(256),
        help="requests in flight that list the source (default: {default})",
    )
    max_bandwidth: Timetable | None = option(  # bytes of bodies a second, in each direction
        None,
        "--max-bandwidth",
        Value("RATE", "max_bandwidth"),
        help="bytes per second in each direction: 10M, or by time: '08:00,1M 18:00,off'",
    )
    max_requests: Timetable | None = option(
        None,
        "--max-requests",
        Value("N", "max_requests"),
        help="requests per second: 100, or by time: '08:00,100 18:00,off'",
    )
    start_method: str = option(
        "auto",
        "--start-method",
        choice("HOW", "auto", "fork", "spawn"),
        help="how processes are started: fork, spawn, or auto (default): fork on Linux, else spawn",
    )
    etag_cache: str | None = option(
        None, "--etag-cache", FILE, help="keep ETags of local files in FILE; read changed ones only"
    )
    worker_timeout: float = option(  # seconds
        60.0,
        "--worker-timeout",
        TIME,
        help="replace a worker that has not responded for this long (default: {default:g})",
    )

    machines: int = 1  # with so many processes each; 1: this one, or those of a cluster

    @property
    def all_processes(self) -> int:
        """The number of worker processes on all machines."""
        return self.machines * self.processes

    @property
    def places(self) -> int:
        """The number of parts of large objects that one process transfers at a time."""
        return max(1, min(PLACES, self.concurrency // self.processes))

    @property
    def parts_at_once(self) -> int:
        """The number of parts of one object in progress: the places of all processes, and spare."""
        return self.all_processes * self.places + self.all_processes
