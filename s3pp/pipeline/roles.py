"""What a worker is under each verb, and how it is made.

::

    put   putter    files ──▶ dest
    get   getter    source ──▶ directory
    copy  copier    source ──▶ dest
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from s3pp.job import Job, Mode, Side
from s3pp.records import Outcome, PartOutcome
from s3pp.s3.operations import Bucket
from s3pp.transfer.copy.copier import Copier
from s3pp.transfer.digests import Digester
from s3pp.transfer.files.tree import Tree
from s3pp.transfer.get.getter import Getter
from s3pp.transfer.means import Means, Offer
from s3pp.transfer.put.prepare import Preparer
from s3pp.transfer.put.putter import Putter
from s3pp.transfer.reading import Budget, Reader

TITLES = {"put": "putter", "get": "getter", "copy": "copier"}
BODY_MEMORY = 16 * 1024 * 1024  # bytes of bodies one worker holds at once
THREADS = 16  # for slow file systems, compression and digests of large bodies

Buckets = Mapping[Side, Bucket]


class Role(Protocol):
    """What brings one task after another to its end."""

    notes: list[str]  # what people should know once; whoever reads them takes them away
    requests_spared: int  # that a dry run did not make

    async def transfer(self, task: Any) -> Outcome:
        """Bring one task to its end. Raises ``FatalError`` and ``Unfinished`` only."""

    async def part(self, part: Any) -> PartOutcome:
        """Move one part of an object that some worker leads. Raises ``FatalError`` only."""


def role(job: Job, buckets: Buckets, offer: Offer) -> Role:
    """The role of ``job``'s workers, for one of them; ``offer`` has a part moved by any."""
    means = Means(Reader(ThreadPoolExecutor(THREADS)), Budget(BODY_MEMORY), offer)
    if job.verb == "put":
        return _putter(job, buckets[Side.DEST], means)
    if job.verb == "get":
        tree = Tree(job.directory, follow=job.choosing.follow_symlinks, fsync=job.landing.fsync)
        return Getter(job, buckets[Side.SOURCE], tree, means)
    source, dest = buckets[Side.SOURCE], buckets[Side.DEST]
    shared = source.endpoint.service == dest.endpoint.service
    return Copier(job, source, dest, shared=shared, means=means)


def _putter(job: Job, bucket: Bucket, means: Means) -> Putter:
    digester = Digester(
        job.objects.checksum,
        md5=job.mode is not Mode.STUPID,  # the others compare it with an ETag
        signed=job.access.sign and not bucket.endpoint.secure,
    )
    preparer = Preparer(job.objects, digester, job.parts, reader=means.reader, budget=means.budget)
    return Putter(job, bucket, preparer, means.offer)
