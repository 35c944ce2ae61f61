"""The role of a worker under each verb, and its construction.

::

    put     putter   files ──▶ dest
    get     getter   source ──▶ directory
    copy    copier   source ──▶ dest
    remove  deleter  source
    verify  verifier, of a journal, or of the ends of a put, get or copy
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from s3pp.job import Compare, Job
from s3pp.places import Side
from s3pp.records import DeleteTask, Outcome, PartOutcome
from s3pp.s3.client import Bucket
from s3pp.transfer.parts import PartRunner
from s3pp.transfer.resources import Budget, DigestNotes, Reader, WorkerResources
from s3pp.transfer.resume import OwnUploads
from s3pp.transfer.unchanged import Screen, SkipUnchanged, unchanged_files, unchanged_objects

if TYPE_CHECKING:
    from s3pp.localfs.tree import Tree

BODY_MEMORY = 16 * 1024 * 1024  # bytes of bodies one worker holds at once
THREADS = 16  # for slow file systems, compression and digests of large bodies

Buckets = Mapping[Side, Bucket]


class Role(Protocol):
    """Executes tasks, and parts of large objects."""

    notes: list[str]  # notices for the user, each shown once; the reader removes them

    @property
    def skip_unchanged(self) -> Screen | None:
        """Recognises objects that need no transfer, before ``transfer`` is called; None: none."""

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part of an object that some worker leads.

        Raises only ``FatalError`` and ``RunEnding``.
        """


class MovingRole(Role, Protocol):
    """The role of a worker in a move."""

    def take_deletions(self, outcomes: Iterable[Outcome]) -> list[DeleteTask]:
        """Return the deletions that follow these outcomes, once."""


MakeRole = Callable[[Job, Buckets, WorkerResources], Role]


def worker_resources(parts: PartRunner, own: OwnUploads | None = None) -> WorkerResources:
    """Create a worker's resources; ``parts`` has parts transferred by any worker."""
    reader, budget = Reader(ThreadPoolExecutor(THREADS)), Budget(BODY_MEMORY)
    return WorkerResources(reader, budget, parts, own or OwnUploads(), DigestNotes())


def role(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    """Create the role of one of ``job``'s workers."""
    made = _acting_role(job, buckets, resources)
    if not job.output.keeps_facts or job.verifies:
        return made
    observed: Role = import_module("s3pp.transfer.observed_role").ObservedRole(made)
    return observed


def _acting_role(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    if job.verifies:
        verifying = import_module("s3pp.pipeline.verifying_roles")
        verifier: Role = verifying.verifying_role(job, buckets, resources)
        return verifier
    if job.applies is None or job.verb == "remove":
        return _role(job, buckets, resources)
    from s3pp.transfer import applier

    acting = _role(applier.acting_job(job), buckets, resources)
    comparing = _role(applier.comparing_job(job), buckets, resources)
    if job.verb == "get":
        look = applier.look_at_files(_tree(job), resources.reader)
    else:
        timed = job.compare is Compare.MTIME
        look = applier.look_at_objects(buckets[Side.DEST], timed=timed)
    return applier.Applier(acting, comparing, look)


def _role(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    make = _MAKERS[job.verb]
    if len(job.buckets) < 2 and not job.objects.rules and not job.objects.grants:
        return make(job, buckets, resources)
    from s3pp.pipeline.compound_roles import compound_role

    return compound_role(job, buckets, resources, make)


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


def _noting_role(job: Job, *given: Any) -> Role:
    """Create the role of a run with an ETag cache."""
    made: Role = import_module(f"s3pp.transfer.{job.verb}.noting").noting_role(job, *given)
    return made


def _putter(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.transfer.put.prepare import Preparer
    from s3pp.transfer.put.putter import Putter

    dest = buckets[Side.DEST]
    if job.speed.etag_cache is not None:
        return _noting_role(job, dest, resources)
    preparer = Preparer(job, dest, resources.reader)
    putter = Putter(job, dest, preparer, resources)
    putter.skip_unchanged = unchanged_files(job, resources.reader)
    return putter


def _tree(job: Job) -> Tree:
    from s3pp.localfs.tree import Tree

    follow = job.choosing.follow_symlinks is True
    return Tree(job.directory, follow=follow, fsync=job.download.fsync)


def _getter(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.transfer.get.getter import Getter

    tree = _tree(job)
    if job.speed.etag_cache is not None:
        return _noting_role(job, buckets[Side.SOURCE], resources, tree)
    getter = Getter(job, buckets[Side.SOURCE], tree, resources)
    getter.skip_unchanged = unchanged_objects(job, tree, resources.reader)
    return getter


def _copier(job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    from s3pp.transfer.copy.copier import Copier

    source, dest = buckets[Side.SOURCE], buckets[Side.DEST]
    shared = source.endpoint.service == dest.endpoint.service
    return Copier(job, source, dest, shared=shared, resources=resources)


_MAKERS: Mapping[str, MakeRole] = MappingProxyType(
    {"put": _putter, "get": _getter, "copy": _copier, "remove": _idle}
)
