"""The permissions that the verbs need, each tried by a request of the kind that they send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

from s3pp.diagnosis.findings import Finding, not_tried, ok
from s3pp.diagnosis.probe_keys import NAME, ProbeKeys
from s3pp.diagnosis.requests import ExaminedBucket, Need, ask, is_denied, is_unsupported, permission
from s3pp.errors import ObjectError
from s3pp.s3.listing import Listed, parse_page
from s3pp.s3.multipart import PartTarget
from s3pp.s3.retry import StoreError

CONTENT = b"s3pp doctor: this object may be deleted.\n"
READ_ONLY = "--read-only"

LIST = Need("list objects", "s3:ListBucket", "get, copy, list, verify, and put --mode update")
GET = Need("get object", "s3:GetObject", "get, copy, verify --deep")
HEAD = Need("head object", "s3:GetObject", "get, copy, verify, and put of large objects")
TAGS = Need("get tags", "s3:GetObjectTagging", "copies through this machine", optional=True)
UPLOADS = Need("list uploads", "s3:ListBucketMultipartUploads", "clean, and resumed uploads")
CREATE = Need("upload in parts", "s3:PutObject", "put, copy and move of large objects")
PARTS = Need("list parts", "s3:ListMultipartUploadParts", "resumed uploads")
ABORT = Need("abort upload", "s3:AbortMultipartUpload", "clean, and uploads that fail")
DELETE = Need("delete object", "s3:DeleteObject", "remove, move, and --delete")
DELETE_OWN = DELETE._replace(check="delete what was put")
PUT = Need("put object", "s3:PutObject", "put, copy, move")
WRITES = (CREATE, PARTS, ABORT, DELETE, PUT)


class ReadPermissions:
    """Finds out what may be read; ``sample`` is the first object listed, if any."""

    def __init__(self, target: ExaminedBucket) -> None:
        self._target = target
        self.sample: Listed | None = None

    async def run(self) -> AsyncIterator[Finding]:
        """Yield a finding for each permission."""
        target = self._target
        answer = await ask("ListObjects", self._list())
        yield permission(LIST, answer, target.place())
        if self.sample is not None:
            async for finding in read_object(target, self.sample.key):
                yield finding
        uploads = await ask("ListMultipartUploads", self._list_uploads())
        yield permission(UPLOADS, uploads, target.place(""))

    async def _list(self) -> None:
        query = {"prefix": self._target.prefix, "max-keys": "1"}
        page = parse_page(await self._target.bucket.list_page(query))
        found = page.objects[0] if page.objects else None
        # What another doctor has written is about to be deleted.
        self.sample = None if found and f"/{NAME}" in f"/{found.key}" else found

    async def _list_uploads(self) -> None:
        await self._target.query("uploads", prefix=self._target.prefix, max_uploads="1")


def no_object(target: ExaminedBucket) -> Iterator[Finding]:
    """Findings where there is nothing to read."""
    for need in (GET, HEAD, TAGS):
        yield not_tried(need.check, f"there is no object below {target.place('')}")


async def read_object(target: ExaminedBucket, key: str) -> AsyncIterator[Finding]:
    """Yield what may be read of one object."""
    bucket, place = target.bucket, target.place()
    answer = await ask("GetObject", bucket.get(key, headers=(("range", "bytes=0-0"),)))
    if isinstance(answer, StoreError) and answer.status == 416:
        yield ok(GET.check, "allowed")  # it is empty
    else:
        yield permission(GET, answer, place)
    yield permission(HEAD, await ask("HeadObject", bucket.look(key)), place)
    tags = await ask("GetObjectTagging", bucket.tags(key))
    if is_unsupported(tags):
        yield ok(TAGS.check, "the store has no tags")
    else:
        yield permission(TAGS, tags, place)


class WritePermissions:
    """Finds out what may be written, with as little as possible.

    First an upload in parts, which is aborted; then the deletion of a key that does not exist, as
    what cannot be deleted is not to be written; then one object. ``written`` is its key.
    """

    def __init__(self, target: ExaminedBucket, keys: ProbeKeys) -> None:
        self._target = target
        self._keys = keys
        self.written: str | None = None

    async def run(self) -> AsyncIterator[Finding]:
        """Yield a finding for each permission."""
        async for finding in self._try_upload():
            yield finding
        place = self._target.place()
        absent = self._keys.name("object")
        deleted = await ask("DeleteObject", self._keys.delete(absent))
        yield permission(DELETE, deleted, place)
        if is_denied(deleted):
            yield not_tried(PUT.check, "it could not be deleted again; see 'upload in parts'")
            return
        key = self._keys.key("object")
        answer = await ask("PutObject", self._target.put(key, CONTENT))
        yield permission(PUT, answer, place)
        if isinstance(answer, ObjectError):
            return
        # A store may allow it for a key that does not exist, and refuse it for an object.
        deleted = await ask("DeleteObject", self._keys.delete(key))
        if isinstance(deleted, ObjectError):
            yield permission(DELETE_OWN, deleted, place)
            return
        answer = await ask("PutObject", self._target.put(key, CONTENT))
        self.written = None if isinstance(answer, ObjectError) else key

    async def _try_upload(self) -> AsyncIterator[Finding]:
        place = self._target.place()
        created = await ask("CreateMultipartUpload", self._keys.create_upload("upload"))
        if isinstance(created, ObjectError):
            yield permission(CREATE, created, place)
            for need in (PARTS, ABORT):
                yield not_tried(need.check, "no upload could be created")
            return
        key, upload_id = created
        yield permission(CREATE, await ask("UploadPart", self._send(key, upload_id)), place)
        parts = await ask("ListParts", self._keys.uploads.fetch_parts(key, upload_id))
        yield permission(PARTS, parts, place)
        yield permission(ABORT, await ask("abort", self._keys.abort(upload_id)), place)

    async def _send(self, key: str, upload_id: str) -> None:
        await send_part(self._keys, key, upload_id)


async def send_part(keys: ProbeKeys, key: str, upload_id: str) -> str:
    """Send the only part of an upload; its ETag. Raises as ``client``."""
    slot = PartTarget(key, upload_id, 1)
    answer = await keys.uploads.send(
        slot, body=CONTENT, headers=(), payload_hash=sha256(CONTENT).hexdigest()
    )
    return answer.etag
