"""Copies through this machine: GET, verify, PUT with a checksum, headers and tags."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.stored_object import confirm_whole
from s3pp.job import Job
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket, Headers
from s3pp.transfer.conditional_write import ConditionalWrite
from s3pp.transfer.copy.copy_attempt import CopyAttempt, Written
from s3pp.transfer.copy.fetch import FetchedObject, ObjectFetcher
from s3pp.transfer.object_headers import SourceHeaders

_GROWN = "the object has grown beyond what one request carries: copy it again"


class Through:
    """A copier of whole objects from one bucket to another, which may be on different stores."""

    def __init__(
        self,
        job: Job,
        dest: Bucket,
        fetcher: ObjectFetcher,
        headers: SourceHeaders,
        notify: Callable[[str], None],
    ) -> None:
        self._dest = dest
        self._headers = headers
        self._fetcher = fetcher
        self._conditional = ConditionalWrite(job.mode, dest, notify)

    async def write(self, attempt: CopyAttempt) -> Written:
        """Copy one object in its current state. Raises ``AlreadyExists`` and ``ObjectError``."""
        task = attempt.task
        async with self._fetcher.fetch(task.source, attempt.source) as fetched:
            response = fetched.answer.response
            attempt.set_source(Dest(fetched.size, fetched.answer.etag), attempt.storage_class)
            if not attempt.fits_one_request:
                raise ObjectError(FailureKind.CHANGED, _GROWN)
            attempt.ours = Dest(fetched.size, fetched.digests.md5)
            described = await self._headers.fetch(task.source, response, attempt.storage_class)
            headers = [*described, fetched.digests.header]
            answer = await self._conditional.write(
                task.target,
                lambda condition: self._put(task.target, fetched, [*headers, *condition]),
                ours=attempt.written,
            )
        attempt.written = True
        etag = answer.etag
        if etag != attempt.ours.etag:
            etag = await confirm_whole(self._dest, task.target, answer, attempt.ours)
        return Written(etag, answer.attempts)

    async def _put(self, target: str, fetched: FetchedObject, headers: Headers) -> Answer:
        body, payload_hash = fetched.body, fetched.digests.payload_hash
        put = partial(self._dest.put, target, body, payload_hash=payload_hash)
        return await self._headers.send(put, headers)
