"""The role of a worker under each verb, and its construction.

::

    put   putter    files ──▶ dest
    get   getter    source ──▶ directory
    copy  copier    source ──▶ dest
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol

from s3pp.integrity.checksums import ALGORITHMS
from s3pp.job import Job, Side
from s3pp.records import Outcome, PartOutcome
from s3pp.s3.client import Bucket
from s3pp.transfer.parts import PartRunner
from s3pp.transfer.resources import Budget, Reader, WorkerResources
from s3pp.transfer.resume import OwnUploads

TITLES = {"put": "putter", "get": "getter", "copy": "copier"}
BODY_MEMORY = 16 * 1024 * 1024  # bytes of bodies one worker holds at once
THREADS = 16  # for slow file systems, compression and digests of large bodies

Buckets = Mapping[Side, Bucket]


class Role(Protocol):
    """Executes tasks, and parts of large objects."""

    notes: list[str]  # notices for the user, each shown once; the reader removes them

    @property
    def requests_spared(self) -> int:
        """The number of requests that a dry run did not make."""

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part of an object that some worker leads.

        Raises only ``FatalError`` and ``RunEnding``.
        """


def load(job: Job) -> None:
    """Import the modules that ``job``'s workers need, so that forked workers share them."""
    import_module(f"s3pp.transfer.{job.verb}.{TITLES[job.verb]}")
    if job.verb == "get" or ALGORITHMS[job.objects.checksum].needs_awscrt:
        with suppress(ImportError):  # an extra; its import takes longer than all others
            import_module("awscrt.checksums")


def worker_resources(parts: PartRunner, own: OwnUploads | None = None) -> WorkerResources:
    """Create a worker's resources; ``parts`` has parts transferred by any worker."""
    reader, budget = Reader(ThreadPoolExecutor(THREADS)), Budget(BODY_MEMORY)
    return WorkerResources(reader, budget, parts, own or OwnUploads())


def role(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    """Create the role of one of ``job``'s workers."""
    made = _MAKERS[job.verb](job, buckets, resources)
    if not job.objects.grants:
        return made
    from s3pp.transfer.granter import Granter

    return Granter(made, buckets[Side.DEST], job.objects.grants, dry_run=job.dry_run)


def _putter(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.transfer.put.prepare import Preparer
    from s3pp.transfer.put.putter import Putter

    dest = buckets[Side.DEST]
    preparer = Preparer(job, dest, resources.reader)
    return Putter(job, dest, preparer, resources)


def _getter(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.localfs.tree import Tree
    from s3pp.transfer.get.getter import Getter

    tree = Tree(
        job.directory, follow=job.choosing.follow_symlinks is True, fsync=job.download.fsync
    )
    return Getter(job, buckets[Side.SOURCE], tree, resources)


def _copier(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.transfer.copy.copier import Copier

    source, dest = buckets[Side.SOURCE], buckets[Side.DEST]
    shared = source.endpoint.service == dest.endpoint.service
    return Copier(job, source, dest, shared=shared, resources=resources)


_MAKERS: Mapping[str, Callable[[Job, Buckets, WorkerResources], Role]] = MappingProxyType(
    {"put": _putter, "get": _getter, "copy": _copier}
)
