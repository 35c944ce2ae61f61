"""The keys that the checks write, below a random name, and their removal."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from xml.parsers import expat

from s3pp.diagnosis.findings import Finding, ok, warning
from s3pp.diagnosis.requests import ExaminedBucket, ask
from s3pp.errors import ObjectError
from s3pp.s3.answers import Answer, parse_entries
from s3pp.s3.client import Call
from s3pp.s3.deletes import DeleteRequests
from s3pp.s3.endpoint import query_string
from s3pp.s3.listing import parse_page
from s3pp.s3.multipart import Uploads

NAME = ".s3pp-doctor-"
CHECK = "probe objects"


class ProbeKeys:
    """Names keys, and removes what was written under them."""

    def __init__(self, target: ExaminedBucket) -> None:
        self.base = f"{target.prefix}{NAME}{secrets.token_hex(8)}/"
        self.uploads = Uploads(target.bucket)
        self._target = target
        self._deletes = DeleteRequests(target.bucket)
        self._keys: dict[str, None] = {}  # that may have been written, in this order
        self._open: dict[str, str] = {}  # key by upload id, of uploads that were created

    def name(self, name: str) -> str:
        """The key called ``name``, at which no object is about to be written."""
        return self.base + name

    def key(self, name: str) -> str:
        """The key called ``name``, which is about to be written."""
        key = self.name(name)
        self._keys[key] = None
        return key

    async def create_upload(self, name: str) -> tuple[str, str]:
        """Create an upload; its key and its id. Raises as ``client``."""
        key = self.name(name)
        upload_id = (await self.uploads.create(key)).id
        self._open[upload_id] = key
        return key, upload_id

    async def abort(self, upload_id: str) -> None:
        """Abort an upload. Raises as ``client``."""
        await self.uploads.abort(self._open[upload_id], upload_id)
        del self._open[upload_id]

    def note_completed(self, upload_id: str) -> None:
        """Note that an upload has become an object."""
        self._keys[self._open.pop(upload_id)] = None

    async def delete(self, key: str) -> None:
        """Delete one of the keys. Raises as ``client``."""
        await self._deletes.delete(key)

    async def remove(self) -> Finding:
        """Remove everything; says what could not be. Raises as ``ask``."""
        left: dict[str, ObjectError] = {}
        for upload_id, key in [*self._open.items()]:
            if isinstance(why := await ask("abort", self.abort(upload_id)), ObjectError):
                left[f"an upload of {key}"] = why
        for key in self._keys:
            if isinstance(why := await ask("delete", self.delete(key)), ObjectError):
                left[key] = why
        await self._remove_versions(left)
        there = await ask("list", self._list())
        if not isinstance(there, ObjectError):  # what was never stored could not be deleted either
            left = {what: why for what, why in left.items() if what in there or " of " in what}
        return self._describe(left)

    async def _list(self) -> set[str]:
        body = await self._target.bucket.list_page({"prefix": self.base})
        return {each.key for each in parse_page(body).objects}

    async def _remove_versions(self, left: dict[str, ObjectError]) -> None:
        """Remove what a bucket with versions keeps of them, delete markers included."""
        answer = await ask("list versions", self._target.query("versions", prefix=self.base))
        if isinstance(answer, ObjectError):  # denied, or a store without versions
            return
        for key, version in _versions(answer):
            if not key.startswith(self.base) or version in ("", "null"):
                continue
            path = self._target.bucket.endpoint.path(key)
            call = Call("DELETE", path, query_string({"versionId": version}))
            why = await ask("delete a version", self._target.bucket.call(call))
            if isinstance(why, ObjectError):
                left[f"a version of {key}"] = why

    def _describe(self, left: dict[str, ObjectError]) -> Finding:
        if not left:
            return ok(CHECK, "removed" if self._keys else "none were written")
        (what, why), *others = left.items()
        more = f", and {len(others)} more" if others else ""
        bucket = self._target.bucket.endpoint.bucket
        advice = f"s3pp remove 's3://{bucket}/{self.base}*', and s3pp clean, with more permissions"
        return warning(CHECK, f"{what} is left{more}: {why}", advice)


def _versions(answer: Answer) -> Iterator[tuple[str, str]]:
    """Yield key and version id of each version and each delete marker."""
    for entry in ("Version", "DeleteMarker"):
        try:
            document = parse_entries(answer.response.body, entry)
        except (expat.ExpatError, LookupError, ValueError):
            return
        for fields in document.entries:
            yield fields.get("Key", ""), fields.get("VersionId", "")
