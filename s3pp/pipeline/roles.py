"""The role of a worker under each verb, and its construction.

::

    put     putter   files ──▶ dest
    get     getter   source ──▶ directory
    copy    copier   source ──▶ dest
    remove  deleter  source
"""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol

from s3pp.integrity.checksums import ALGORITHMS
from s3pp.job import Job
from s3pp.places import Side, Source
from s3pp.records import Outcome, PartOutcome
from s3pp.s3.client import Bucket
from s3pp.transfer.parts import PartRunner
from s3pp.transfer.resources import Budget, Reader, WorkerResources
from s3pp.transfer.resume import OwnUploads
from s3pp.transfer.unchanged import SkipUnchanged, unchanged_files, unchanged_objects

TITLES = {"put": "putter", "get": "getter", "copy": "copier", "remove": "deleter"}
_MODULES = {"remove": "delete.objects"}
BODY_MEMORY = 16 * 1024 * 1024  # bytes of bodies one worker holds at once
THREADS = 16  # for slow file systems, compression and digests of large bodies

Buckets = Mapping[Side, Bucket]


class Role(Protocol):
    """Executes tasks, and parts of large objects."""

    notes: list[str]  # notices for the user, each shown once; the reader removes them

    @property
    def skip_unchanged(self) -> SkipUnchanged | None:
        """Recognises objects that need no transfer, before ``transfer`` is called; None: none."""

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part of an object that some worker leads.

        Raises only ``FatalError`` and ``RunEnding``.
        """


def load(job: Job) -> None:
    """Import the modules that every worker of ``job`` needs, so that forked workers share them."""
    module = _MODULES.get(job.verb) or f"{job.verb}.{TITLES[job.verb]}"
    import_module(f"s3pp.transfer.{module}")


def load_more(job: Job) -> None:
    """Import what the workers of a run of many objects may need, before a second one is forked.

    A first worker imports it when it does need it.
    """
    with suppress(ImportError):
        import_module("uvloop")
    if computes_crcs(job):
        with suppress(ImportError):  # it has no wheels for some machines
            import_module("awscrt.checksums")


def computes_crcs(job: Job) -> bool:
    """Return whether most workers will need awscrt, whose import takes longer than all others.

    Otherwise those import it that send a part with its checksum.
    """
    named = ALGORITHMS.get(job.objects.checksum)  # None: auto
    if job.verb == "get" or named is not None:
        return named is None or job.verb == "get" or named.needs_awscrt
    is_aws = job.access.endpoint_url is None  # as far as known before the children are started
    return job.verb == "put" and is_aws and any(map(partial(_is_large, job), job.sources))


def _is_large(job: Job, source: Source) -> bool:
    """Return whether a source is a file that is sent in parts."""
    try:
        found = os.stat(source.path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > job.parts.threshold


def worker_resources(parts: PartRunner, own: OwnUploads | None = None) -> WorkerResources:
    """Create a worker's resources; ``parts`` has parts transferred by any worker."""
    reader, budget = Reader(ThreadPoolExecutor(THREADS)), Budget(BODY_MEMORY)
    return WorkerResources(reader, budget, parts, own or OwnUploads())


def role(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    """Create the role of one of ``job``'s workers."""
    several = len(job.buckets) > 1
    made = (_role_by_bucket if several else _MAKERS[job.verb])(job, buckets, resources)
    if not job.objects.grants:
        return made
    from s3pp.transfer.granter import Granter

    return Granter(made, buckets[Side.DEST], job.objects.grants, dry_run=job.dry_run)


def _role_by_bucket(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    roles: dict[str, Role] = {}
    for number, bucket in enumerate(job.buckets):
        its = {**buckets, Side.SOURCE: buckets[Side("source", number)]}
        parts = QualifiedParts(resources.parts, f"{bucket}/")
        roles[f"{bucket}/"] = _MAKERS[job.verb](job, its, resources._replace(parts=parts))
    return RoleByBucket(roles)


class QualifiedParts:
    """Has parts transferred whose source is named with its bucket."""

    def __init__(self, parts: PartRunner, bucket: str) -> None:
        self._parts = parts
        self._bucket = bucket
        self.check, self.report = parts.check, parts.report

    def run(self, part: Any) -> Awaitable[PartOutcome]:
        """``PartRunner.run``."""
        return self._parts.run(part._replace(source=self._bucket + part.source))


class RoleByBucket:
    """The role of a worker in a run that reads several buckets: tasks name ``bucket/key``."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        """``roles``: by the name of the bucket and a slash."""
        self.notes: list[str] = []  # as those of ``Role``
        self._roles = roles
        # It concerns only what stands at the destination, which is the same for all.
        self.skip_unchanged = next(iter(roles.values())).skip_unchanged

    async def transfer(self, task: Any) -> Outcome:
        """``Role.transfer``."""
        role, key = self._find(task.source)
        outcome: Any = await role.transfer(task._replace(source=key))
        while role.notes:
            self.notes.append(role.notes.pop())
        named: Outcome = outcome._replace(source=task.source)
        return named

    async def part(self, part: Any) -> PartOutcome:
        """``Role.part``."""
        role, key = self._find(part.source)
        return await role.part(part._replace(source=key))

    def _find(self, source: str) -> tuple[Role, str]:
        bucket = next(bucket for bucket in self._roles if source.startswith(bucket))
        return self._roles[bucket], source[len(bucket) :]


class Idle:
    """The role of a worker that only deletes."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.skip_unchanged: SkipUnchanged | None = None

    async def transfer(self, task: Any) -> Outcome:
        """``Role.transfer``, of which there is none."""
        raise AssertionError(f"{task} in a run that transfers nothing")

    async def part(self, part: Any) -> PartOutcome:
        """``Role.part``, likewise."""
        raise AssertionError(f"{part} in a run that transfers nothing")


def _idle(_job: Job, _buckets: Buckets, _resources: WorkerResources) -> Role:
    return Idle()


def _putter(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.transfer.put.prepare import Preparer
    from s3pp.transfer.put.putter import Putter

    dest = buckets[Side.DEST]
    preparer = Preparer(job, dest, resources.reader)
    putter = Putter(job, dest, preparer, resources)
    putter.skip_unchanged = unchanged_files(job, resources.reader)
    return putter


def _getter(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.localfs.tree import Tree
    from s3pp.transfer.get.getter import Getter

    tree = Tree(
        job.directory, follow=job.choosing.follow_symlinks is True, fsync=job.download.fsync
    )
    getter = Getter(job, buckets[Side.SOURCE], tree, resources)
    getter.skip_unchanged = unchanged_objects(job, tree, resources.reader)
    return getter


def _copier(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.transfer.copy.copier import Copier

    source, dest = buckets[Side.SOURCE], buckets[Side.DEST]
    shared = source.endpoint.service == dest.endpoint.service
    return Copier(job, source, dest, shared=shared, resources=resources)


_MAKERS: Mapping[str, Callable[[Job, Buckets, WorkerResources], Role]] = MappingProxyType(
    {"put": _putter, "get": _getter, "copy": _copier, "remove": _idle}
)
