"""Headers and tags of the source, for copies by requests other than CopyObject."""

from __future__ import annotations

from collections.abc import Callable

from s3pp.errors import FailureKind
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.retry import StoreError
from s3pp.s3.wire import Response
from s3pp.transfer.copy.carry import NO_META, NO_TAGS, Carrier, Lightening, tag_header
from s3pp.transfer.copy.course import Course
from s3pp.transfer.refused import source_fault


class Labels:
    """Headers from the answer to a GET or HEAD, and tags, requested if that counts any."""

    def __init__(self, source: Bucket, carrier: Carrier, tell: Callable[[str], None]) -> None:
        self.lightening = Lightening(carrier.without, tell)  # for requests with them
        self._source = source
        self._carrier = carrier
        self._tell = tell

    async def of(self, course: Course, seen: Response) -> Headers:
        """Return the headers of a PUT or CreateMultipartUpload for the object in ``seen``."""
        key = course.task.source
        if seen.header(b"x-amz-missing-meta"):
            self._tell(NO_META)
        carried = self._carrier.with_put(key, seen, course.storage_class)
        tags = await self._tags(key) if self._carrier.wants_tags(seen) else ()
        return [*carried, *tags]

    async def _tags(self, key: str) -> Headers:
        try:
            return tag_header(await self._source.tags(key))
        except StoreError as error:
            passes = error.kind is FailureKind.STORE and error.status != 501
            if passes or error.status == 404:
                raise source_fault(error) from None
        self._tell(NO_TAGS)
        return ()
