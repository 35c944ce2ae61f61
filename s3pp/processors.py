"""How many processors this process may use.

A scheduler may leave a job fewer than the machine has: by an affinity mask (Slurm, ``taskset``), or
by a quota of its control group (containers, systemd's ``CPUQuota``), which no call of the standard
library knows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

CGROUPS = "/sys/fs/cgroup"
OWN_CGROUP = "/proc/self/cgroup"


@cache
def usable_processors() -> int:
    """Return the number of processors that this process may use, at least 1; found out once."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        allowed = os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, cgroup_quota())))


def cgroup_quota(own: str = OWN_CGROUP, root: str = CGROUPS) -> float:
    """Return the processors' time per second that the control groups allow; ``inf`` if any.

    Kernel documentation, "Control Group v2", ``cpu.max``, and "CFS Bandwidth Control" of version 1.
    A group's limit holds for all groups in it. ``own`` lists the groups of this process, which a
    container may see by paths that are not below its ``root``: then the root's own limit counts.
    """
    return min(_quotas(own, root), default=math.inf)


def _quotas(own: str, root: str) -> Iterator[float]:
    for controllers, path in _groups(own):
        if not controllers:
            for group in _upwards(root, path):
                quota, _, period = _read(f"{group}/cpu.max").partition(" ")
                yield from _quota(quota, period)
        elif "cpu" in controllers.split(","):
            for group in _upwards(f"{root}/{controllers}", path):
                quota = _read(f"{group}/cpu.cfs_quota_us")
                yield from _quota(quota, _read(f"{group}/cpu.cfs_period_us"))


def _groups(own: str) -> Iterator[tuple[str, str]]:
    """Yield controllers and path of each group; version 2 has no controllers there."""
    for line in _read(own).splitlines():
        number, _, group = line.partition(":")
        controllers, _, path = group.partition(":")
        if number.isdigit():
            yield controllers, path


def _upwards(root: str, path: str) -> Iterator[str]:
    """Yield the directory of a group and those around it, up to ``root``."""
    names = path.strip("/").split("/") if path.strip("/") else []
    for length in range(len(names), -1, -1):
        yield "/".join([root, *names[:length]])


def _quota(quota: str, period: str) -> Iterator[float]:
    """Yield a quota, if both numbers are limits: without one the quota is ``max``, or -1."""
    with suppress(ValueError):
        if int(quota) > 0 and int(period) > 0:
            yield int(quota) / int(period)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return ""
