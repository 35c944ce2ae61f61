"""Copies through this machine: GET, verify, PUT with a checksum and all that goes along."""

from __future__ import annotations

from collections.abc import Callable

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.records import Dest
from s3pp.s3.operations import Answer, Bucket, Headers
from s3pp.s3.retry import StoreError
from s3pp.transfer.copy.carry import NO_META, NO_TAGS, Carrier, Lightening, tag_header
from s3pp.transfer.copy.condition import Absence
from s3pp.transfer.copy.course import Course, Written
from s3pp.transfer.copy.fetch import Fetched, Fetcher, Means
from s3pp.transfer.digests import Digester
from s3pp.transfer.etags import Mismatch, proves_content
from s3pp.transfer.refused import source_fault


class Through:
    """Carries objects from one bucket to another, which may be of different stores."""

    def __init__(
        self,
        job: Job,
        buckets: tuple[Bucket, Bucket],
        carrier: Carrier,
        means: Means,
        tell: Callable[[str], None],
    ) -> None:
        """``buckets``: the source, and the destination."""
        source, dest = buckets
        signed = job.access.sign and not dest.endpoint.secure
        digester = Digester(job.objects.checksum, md5=True, signed=signed)
        self._source = source
        self._dest = dest
        self._carrier = carrier
        self._fetcher = Fetcher(source, digester, means)
        self._absence = Absence(job.mode, dest, tell)
        self._lightening = Lightening(carrier.without, tell)
        self._tell = tell

    async def write(self, course: Course) -> Written:
        """Copy one object, as it is by now. Raises ``Taken`` and ``ObjectError``."""
        task = course.task
        async with self._fetcher.fetched(task.source, course.source) as fetched:
            course.take(Dest(fetched.size, fetched.answer.etag), course.storage_class)
            course.ours = Dest(fetched.size, fetched.digests.md5)
            headers = await self._headers(course, fetched)
            answer = await self._absence.write(
                task.target,
                lambda condition: self._put(task.target, fetched, [*headers, *condition]),
                ours=course.written,
            )
        course.written = True
        etag, md5 = answer.etag, fetched.digests.md5
        if etag != md5 and proves_content(etag, answer.response, self._dest.endpoint):
            raise Mismatch(md5, etag)
        return Written(etag, answer.attempts)

    async def _put(self, target: str, fetched: Fetched, headers: Headers) -> Answer:
        body, payload_hash = fetched.body, fetched.digests.payload_hash
        return await self._lightening.send(
            lambda headers: self._dest.put(
                target, body, headers=headers, payload_hash=payload_hash
            ),
            headers,
        )

    async def _headers(self, course: Course, fetched: Fetched) -> Headers:
        key, response = course.task.source, fetched.answer.response
        if response.header(b"x-amz-missing-meta"):
            self._tell(NO_META)
        carried = self._carrier.with_put(key, response, course.storage_class)
        tags = await self._tags(key) if self._carrier.wants_tags(response) else ()
        return [*carried, fetched.digests.header, *tags]

    async def _tags(self, key: str) -> Headers:
        try:
            return tag_header(await self._source.tags(key))
        except StoreError as error:
            passes = error.kind is FailureKind.STORE and error.status != 501
            if passes or error.status == 404:
                raise source_fault(error) from None
        self._tell(NO_TAGS)
        return ()
