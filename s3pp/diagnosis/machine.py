"""This machine: versions, processors, memory, limits, space for temporary files."""

from __future__ import annotations

import os
import platform
import re
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from s3pp import __version__
from s3pp.diagnosis.findings import Finding, ok, warning
from s3pp.limits import GIB, MIB
from s3pp.pipeline.slots import slot_count
from s3pp.processors import usable_processors
from s3pp.speed import Speed

LEAST_MEMORY = 256 * MIB  # docs/performance.rst: no run takes more
LEAST_SPACE = GIB  # for lists that are sorted on disk, and members of archives
_PACKAGES = ("aiohappyeyeballs", "awscrt", "botocore", "isal", "pycurl", "uvloop")
_CGROUP = "/sys/fs/cgroup/memory."


def check_machine(speed: Speed) -> Iterator[Finding]:
    """Everything that can be known without the store."""
    yield _versions()
    yield _processors(speed.processes)
    yield _memory()
    yield _descriptors(speed)
    yield _temporary_space(tempfile.gettempdir())


def _versions() -> Finding:
    packages = ", ".join(f"{name} {number}" for name in _PACKAGES if (number := _version(name)))
    python = f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"
    return ok("versions", f"s3pp {__version__}, {python}, {packages}; {platform.platform()}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processors(processes: int) -> Finding:
    there, usable = os.cpu_count() or 1, usable_processors()
    return ok("processors", f"{usable} of {count(there, 'core')} usable, {processes} workers")


def _memory() -> Finding:
    free = available_memory()
    if free is None:
        return ok("memory", "the system does not say how much is available")
    found = f"{free // MIB:,} MiB available"
    if free >= LEAST_MEMORY:
        return ok("memory", found)
    return warning("memory", found, "runs take up to 250 MB: free some, or raise the limit")


def available_memory() -> int | None:
    """Bytes that can still be allocated, by the system and the control group; None: unknown."""
    free = _number("/proc/meminfo", r"MemAvailable:\s+(\d+) kB")
    limit, used = (_number(f"{_CGROUP}{name}", r"(\d+)") for name in ("max", "current"))
    known = [free * 1024] if free is not None else []
    if limit is not None and used is not None:
        known.append(max(0, limit - used))
    return min(known, default=None)


def _number(path: str, pattern: str) -> int | None:
    with suppress(OSError), open(path, encoding="ascii") as file:
        if match := re.search(pattern, file.read()):
            return int(match[1])
    return None


def _descriptors(speed: Speed) -> Finding:
    slots = slot_count(speed.concurrency, speed.processes) * speed.processes
    if slots >= speed.concurrency // speed.processes * speed.processes:
        return ok("open files", f"enough for {speed.concurrency} requests in flight")
    found = f"the limit allows {slots} requests in flight in place of {speed.concurrency}"
    return warning("open files", found, "raise ulimit -n (its hard limit)")


def _temporary_space(directory: str) -> Finding:
    try:
        file_system = os.statvfs(directory)
    except OSError as error:
        found = f"{directory}: {error.strerror}"
        return warning("temporary files", found, "set TMPDIR to a directory")
    free = file_system.f_bavail * file_system.f_frsize
    found = f"{free // MIB:,} MiB free in {directory}"
    if free >= LEAST_SPACE:
        return ok("temporary files", found)
    advice = "archives and long lists are sorted there: free some, or set TMPDIR"
    return warning("temporary files", found, advice)


def count(number: int, what: str) -> str:
    """``1 core``, ``2 cores``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
