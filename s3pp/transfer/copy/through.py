"""Copies through this machine: GET, verify, PUT with a checksum, headers and tags."""

from __future__ import annotations

from collections.abc import Callable

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.acknowledged import etag_of_whole
from s3pp.integrity.digests import Digester
from s3pp.job import Job
from s3pp.limits import MAX_SINGLE_PUT
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket, Headers
from s3pp.transfer.condition import Absence
from s3pp.transfer.copy.course import Course, Written
from s3pp.transfer.copy.fetch import Fetched, Fetcher
from s3pp.transfer.copy.labels import Labels
from s3pp.transfer.means import Means

_GROWN = "the object has grown beyond what one request carries: copy it again"


class Through:
    """A copier from one bucket to another, which may be on different stores."""

    def __init__(
        self,
        job: Job,
        buckets: tuple[Bucket, Bucket],
        labels: Labels,
        means: Means,
        tell: Callable[[str], None],
    ) -> None:
        """Set up; ``buckets``: the source, and the destination."""
        source, dest = buckets
        signed = job.access.sign and not dest.endpoint.unsigned_bodies
        digester = Digester(job.objects.checksum, md5=True, signed=signed)
        self._dest = dest
        self._labels = labels
        self._fetcher = Fetcher(source, digester, means)
        self._absence = Absence(job.mode, dest, tell)

    async def write(self, course: Course) -> Written:
        """Copy one object in its current state. Raises ``Taken`` and ``ObjectError``."""
        task = course.task
        async with self._fetcher.fetched(task.source, course.source) as fetched:
            course.take(Dest(fetched.size, fetched.answer.etag), course.storage_class)
            if fetched.size > MAX_SINGLE_PUT:
                raise ObjectError(FailureKind.CHANGED, _GROWN)
            course.ours = Dest(fetched.size, fetched.digests.md5)
            carried = await self._labels.of(course, fetched.answer.response)
            headers = [*carried, fetched.digests.header]
            answer = await self._absence.write(
                task.target,
                lambda condition: self._put(task.target, fetched, [*headers, *condition]),
                ours=course.written,
            )
        course.written = True
        etag = answer.etag
        if etag != course.ours.etag:
            etag = await etag_of_whole(self._dest, task.target, answer, course.ours)
        return Written(etag, answer.attempts)

    async def _put(self, target: str, fetched: Fetched, headers: Headers) -> Answer:
        body, payload_hash = fetched.body, fetched.digests.payload_hash
        return await self._labels.lightening.send(
            lambda headers: self._dest.put(
                target, body, headers=headers, payload_hash=payload_hash
            ),
            headers,
        )
