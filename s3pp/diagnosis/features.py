"""What the store supports of what s3pp relies on, and what is different where it does not.

Most of it shows only in what is written: conditions, checksums, the order of a listing. Without
that, ``read_features`` finds out what an object that is there shows.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from hashlib import md5
from types import MappingProxyType
from typing import Any

from s3pp.diagnosis.findings import Finding, not_tried, ok, warning
from s3pp.diagnosis.permissions import CONTENT, send_part
from s3pp.diagnosis.probe_keys import ProbeKeys
from s3pp.diagnosis.requests import ExaminedBucket, ask, condition, is_denied
from s3pp.errors import ObjectError
from s3pp.integrity.checksums import ALGORITHMS, checksum
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM, Call
from s3pp.s3.endpoint import query_string
from s3pp.s3.list_requests import is_first_version
from s3pp.s3.listing import parse_page
from s3pp.s3.retry import StoreError

_OTHER = b"s3pp doctor: and this one too.\n"
_ABSENT = ("if-none-match", "*")
_NO_PIN = ("if-match", f'"{"0" * 32}"')
_BOTH_CRCS = ("crc64nvme", "crc32")

# The effect of a condition that is not obeyed.
LACKS: Mapping[str, str] = MappingProxyType(
    {
        "put if absent": "--mode add looks before each write: what another program writes between"
        " look and write is replaced",
        "put if unchanged": "apply looks before it replaces an object, and not at the same moment",
        "complete if absent": "--mode add may replace what another program writes during an upload"
        " in parts",
        "copy if absent": "--mode add may replace what another program writes during a copy",
        "delete if unchanged": "remove, move and --delete look at objects right before they delete"
        " them: what is replaced between look and deletion is deleted",
        "get if unchanged": "what changes while it is fetched is noticed by its ETag alone",
    }
)


async def read_features(target: ExaminedBucket, key: str | None) -> AsyncIterator[Finding]:
    """Yield what can be seen without writing; ``key`` is an object's, if there is one."""
    yield await _find_listing_version(target)
    if key is None:
        return
    yield await _ranges(target, key)
    yield condition(
        "get if unchanged",
        await ask("GetObject", target.bucket.get(key, headers=(_NO_PIN, ("range", "bytes=0-0")))),
        LACKS["get if unchanged"],
    )


async def _find_listing_version(target: ExaminedBucket) -> Finding:
    check = "listing, version 2"
    query = query_string({"list-type": "2", "max-keys": "1", "prefix": target.prefix})
    call = Call("GET", target.bucket.endpoint.path(""), query)
    answer = await ask("ListObjectsV2", target.bucket.call(call))
    if isinstance(answer, ObjectError):
        return not_tried(check, f"refused: {answer}")
    if is_first_version(answer.response.body):
        return ok(check, "no: s3pp uses ListObjects")
    return ok(check, "yes")


async def _ranges(target: ExaminedBucket, key: str) -> Finding:
    check = "ranges"
    answer = await ask("GetObject", target.bucket.get(key, headers=(("range", "bytes=0-0"),)))
    if isinstance(answer, ObjectError):
        return not_tried(check, f"refused: {answer}")
    if answer.response.status == 206:
        return ok(check, "yes")
    found = f"no: answered with status {answer.response.status} in place of 206"
    return warning(check, found, "large objects are fetched in one piece, and not resumed")


class WrittenFeatures:
    """Finds out what the store does with what is written; the object ``key`` has ``CONTENT``."""

    def __init__(self, target: ExaminedBucket, keys: ProbeKeys, key: str) -> None:
        self._target = target
        self._bucket = target.bucket
        self._keys = keys
        self._key = key
        self._source = (target.bucket.endpoint.bucket, key)

    async def run(self) -> AsyncIterator[Finding]:
        """Yield a finding for each feature."""
        steps: tuple[Callable[[], Awaitable[Finding]], ...] = (
            *(self._etag, self._put_if_absent, self._put_if_unchanged, self._copy_if_absent),
            *(self._complete_if_absent, self._delete_if_unchanged),
            *(self._content_md5, self._checksum, self._copy, self._tags, self._odd_key),
            *(self._order, self._start_after),
        )
        for step in steps:
            yield await step()

    async def _etag(self) -> Finding:
        check, expected = "ETag", md5(CONTENT, usedforsecurity=False).hexdigest()
        answer = await ask("HeadObject", self._bucket.look(self._key))
        if isinstance(answer, ObjectError) or answer is None:
            return not_tried(check, f"the object that was put is not found: {answer}")
        if answer.etag == expected:
            return ok(check, "the MD5 of the content")
        advice = "contents are compared by other checksums, or sent again: see docs/cli.rst"
        return warning(check, "not the MD5 of the content (encrypted with KMS?)", advice)

    async def _condition(self, check: str, request: Awaitable[object]) -> Finding:
        return condition(check, await ask(check, request), LACKS[check])

    async def _put_if_absent(self) -> Finding:
        request = self._target.put(self._key, _OTHER, (_ABSENT,))
        return await self._condition("put if absent", request)

    async def _put_if_unchanged(self) -> Finding:
        check = "put if unchanged"
        refused = await ask("PutObject", self._put_over())
        if isinstance(refused, ObjectError):
            found = f"no: also an object that has not changed is refused: {refused}"
            return warning(check, found, LACKS[check])
        return await self._condition(check, self._target.put(self._key, _OTHER, (_NO_PIN,)))

    async def _put_over(self) -> None:
        there = await self._bucket.look(self._key)
        pin = there.pin if there is not None else ""
        await self._target.put(self._key, CONTENT, (("if-match", pin),))

    async def _copy_if_absent(self) -> Finding:
        check = "copy if absent"
        # Some stores apply it to the source, which is there.
        new = await ask("CopyObject", self._copy_to("new", _ABSENT))
        if isinstance(new, ObjectError):
            return warning(check, f"no: also a new key is refused: {new}", LACKS[check])
        return await self._condition(check, self._copy_to("object", _ABSENT))

    async def _copy_to(self, name: str, *headers: tuple[str, str]) -> None:
        # A copy of an object to itself has to change something.
        changed = (("x-amz-metadata-directive", "REPLACE"), *headers)
        key = self._keys.key(name)
        await self._bucket.copy(key, self._source, headers=changed, size=len(CONTENT))

    async def _complete_if_absent(self) -> Finding:
        return await self._condition("complete if absent", self._complete(_ABSENT))

    async def _complete(self, header: tuple[str, str]) -> None:
        key, upload_id = await self._keys.create_upload("object")
        etag = await send_part(self._keys, key, upload_id)
        uploads = self._keys.uploads
        await uploads.complete(key, upload_id, [(1, etag)], headers=(header,))
        self._keys.note_completed(upload_id)

    async def _delete_if_unchanged(self) -> Finding:
        call = Call("DELETE", self._bucket.endpoint.path(self._key), headers=(_NO_PIN,))
        finding = await self._condition("delete if unchanged", self._bucket.call(call))
        await ask("PutObject", self._target.put(self._key, CONTENT))  # as others may be ignored too
        return finding

    async def _content_md5(self) -> Finding:
        wrong = b64encode(md5(_OTHER, usedforsecurity=False).digest()).decode()
        key, header = self._keys.key("digest"), ("content-md5", wrong)
        answer = await ask("PutObject", self._target.put(key, CONTENT, (header,)))
        return _verified("Content-MD5", answer)

    async def _checksum(self) -> Finding:
        """Whether a CRC is verified and kept; of the best one that can be computed here."""
        name = next(each for each in _BOTH_CRCS if ALGORITHMS[each].is_available)
        key, header = self._keys.key("checksum"), f"x-amz-checksum-{name}"
        wrong, right = checksum(name, [_OTHER]), checksum(name, [CONTENT])
        refused = await ask("PutObject", self._target.put(key, CONTENT, ((header, wrong),)))
        stored = await ask("PutObject", self._target.put(key, CONTENT, ((header, right),)))
        if isinstance(stored, ObjectError):
            return warning(
                "checksums", f"{name.upper()} is refused: {stored}", "use --checksum md5"
            )
        found = await ask("HeadObject", self._bucket.look(key, headers=(ASK_CHECKSUM,)))
        kept = isinstance(found, Answer) and found.response.header(header.encode()) == right
        verified = "verified" if isinstance(refused, ObjectError) else "not verified"
        text = f"{name.upper()} is {verified}, and {'kept' if kept else 'not given back'}"
        if kept:
            return ok("checksums", text)
        return ok("checksums", text, "large objects are verified by the MD5s in their ETags")

    async def _copy(self) -> Finding:
        answer = await ask("CopyObject", self._copy_to("copy"))
        if not isinstance(answer, ObjectError):
            return ok("copies by the store", "yes")
        found, advice = f"no: {answer}", "copies in one bucket need CopyObject, with s3:GetObject"
        return warning("copies by the store", found, advice)

    async def _tags(self) -> Finding:
        key = self._keys.key("tags")
        answer = await ask("PutObject", self._target.put(key, CONTENT, (("x-amz-tagging", "a=b"),)))
        if isinstance(answer, ObjectError):
            advice = "allow s3:PutObjectTagging" if is_denied(answer) else "do without it"
            return warning("tags", f"refused: {answer}", f"--tag fails: {advice}")
        found = await ask("GetObjectTagging", self._bucket.tags(key))
        if found == [("a", "b")]:
            return ok("tags", "yes")
        return warning("tags", f"not given back: {found}", "--tag has no effect")

    async def _odd_key(self) -> Finding:
        key = self._keys.key("x//..\\y")
        answer = await ask("PutObject", self._target.put(key, CONTENT))
        there = await ask("HeadObject", self._bucket.look(key))
        if isinstance(answer, Answer) and isinstance(there, Answer):
            return ok("odd keys", "keys may have //, .. and backslashes")
        why = answer if isinstance(answer, ObjectError) else "it is stored under another key"
        return warning("odd keys", f"no //, .. or backslash: {why}", "rename such files")

    async def _order(self) -> Finding:
        """Whether keys are listed in the order of their UTF-8 bytes."""
        check, names = "order of listings", ("n/b/c", "n/b-x", "n/\uff5e", "n/\U00010000")
        for name in names:
            await ask("PutObject", self._target.put(self._keys.key(name), CONTENT))
        keys = await ask("ListObjects", self._list())
        if isinstance(keys, ObjectError):
            return not_tried(check, f"refused: {keys}")
        if len(keys) < len(names):
            return warning(check, f"{len(keys)} of {len(names)} keys listed", "see docs/stores.rst")
        if keys == sorted(keys, key=str.encode):
            return ok(check, "by the bytes of the keys")
        by = "directory by directory" if keys.index("b/c") < keys.index("b-x") else "as UTF-16"
        return warning(check, f"not by the bytes of the keys: {by}", "s3pp sorts them itself")

    async def _start_after(self) -> Finding:
        check = "start-after"
        keys = await ask("ListObjects", self._list(**{"start-after": f"{self._keys.base}n/b"}))
        if isinstance(keys, ObjectError):
            return not_tried(check, f"refused: {keys}")
        if "b/c" in keys:
            return ok(check, "yes")
        advice = "listings are read page after page: --listers has no effect"
        return warning(check, "no: keys below the name of a directory are left out", advice)

    async def _list(self, **more: str) -> list[str]:
        prefix = f"{self._keys.base}n/"
        body = await self._bucket.list_page({"prefix": prefix, **more})
        return [each.key.removeprefix(prefix) for each in parse_page(body).objects]


def _verified(check: str, answer: Any) -> Finding:
    """Whether a wrong digest was refused."""
    if isinstance(answer, StoreError) and answer.status < 500:
        return ok(check, "verified")
    found = f"refused: {answer}" if isinstance(answer, ObjectError) else "not verified"
    return warning(check, found, "what is damaged on its way to the store is noticed by its ETag")
