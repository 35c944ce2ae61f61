"""DeletedKey of objects: DeleteObjects, of up to 1,000 keys, and DeleteObject.

::

    delete_many ─▶ Deleted: done                              as the store answers for each key
                   Error ─┬ transient ─▶ sent again, by the usual rules
                          └ lasting ───▶ refused: a ``StoreError`` for the key

Each key may have a pin, the ETag that the object must still have: the element ``ETag`` of
DeleteObjects, and the header ``If-Match`` of DeleteObject (user guide, "How to perform conditional
deletes"; general purpose buckets have both since September 2025). Other stores know both, one or
neither, and what does not know them may ignore them: the answers do not show which. See
``transfer/deleter``, which decides what is sent.

XML cannot carry every key, and a store that trims what it reads would delete another object:
``fits_batch`` says which keys DeleteObjects is not used for.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import md5, sha256
from types import MappingProxyType
from typing import NamedTuple
from xml.parsers import expat

from s3pp.errors import ObjectError
from s3pp.s3.answers import Answer, parse_entries
from s3pp.s3.client import Bucket, Call
from s3pp.s3.listing import UNSENDABLE
from s3pp.s3.retry import Remedy, StoreError, Trouble

MOST_KEYS = 1000  # of one DeleteObjects (API reference)
MISSING = "NoSuchKey"  # the code for a key that is gone, if it had a pin
LATE = 300  # seconds more than any other request: some stores delete one key after another
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# The status that the error of a key would have had alone; of all others 400.
_STATUS = MappingProxyType(
    {
        "AccessDenied": 403,
        "ConditionalRequestConflict": 409,
        "InternalError": 500,
        "InternalServerError": 500,
        "MethodNotAllowed": 405,
        "NoSuchBucket": 404,
        "NoSuchKey": 404,
        "NotImplemented": 501,
        "PreconditionFailed": 412,
        "ServiceUnavailable": 503,
        "SlowDown": 503,
    }
)
_TRANSIENT = (Remedy.WAIT, Remedy.THROTTLE)
# The most common answer for a key, which is read in a tenth of the time.
_PLAIN = re.compile(rb"<Deleted><Key>([^<&\n]*)</Key></Deleted>")


class Pinned(NamedTuple):
    """A key to delete."""

    key: str
    pin: str = ""  # the ETag it must have, in quotes, as ``answers.pin_of``; empty: any


class DeletedKey(NamedTuple):
    """A key that the store has deleted, or that did not exist."""

    marker: str = ""  # id of the delete marker that was made instead
    attempts: int = 1


@dataclass
class BatchAnswer:
    """What the store has answered for the keys of a batch; those that it left out are in none."""

    deleted: dict[str, DeletedKey] = field(default_factory=dict)
    refused: dict[str, StoreError] = field(default_factory=dict)


def fits_batch(key: str) -> bool:
    """Whether DeleteObjects can name ``key``, whatever the store does with space around it."""
    return key == key.strip() and not UNSENDABLE.search(key)


class DeleteRequests:
    """The deletions of one bucket; errors as in ``client``."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def delete_many(self, objects: Sequence[Pinned]) -> BatchAnswer:
        """DeleteObjects of at most ``MOST_KEYS``, each of which ``fits_batch``.

        The errors of the client are raised only where the request as a whole is refused. Keys with
        an error that may pass are sent again; when no attempts are left, they have that error.
        """
        result, trouble, attempts = BatchAnswer(), Trouble(), 0
        left: Sequence[Pinned] = objects
        while left:
            answer = await self._send(left)
            attempts += answer.attempts
            refused = _add(result, answer, left, attempts=attempts)
            passing = {key for key, each in refused.items() if each.remedy in _TRANSIENT}
            left = [each for each in left if each.key in passing]
            if left and not await self._wait(answer, refused[left[0].key], trouble):
                break
        return result

    async def delete(self, key: str, *, pin: str = "") -> DeletedKey:
        """DeleteObject. With ``pin``, a store that knows If-Match refuses another object with 412.

        A key that does not exist counts as deleted; with ``pin``, such a store answers 404.
        """
        headers = (("if-match", pin),) if pin else ()
        path = self._bucket.endpoint.path(key)
        try:
            answer = await self._bucket.call(Call("DELETE", path, headers=headers))
        except StoreError as error:
            if error.code == MISSING and error.attempt > 1:
                return DeletedKey("", error.attempt)
            raise
        marker = answer.response.header(b"x-amz-delete-marker") == "true"
        version = answer.response.header(b"x-amz-version-id") or ""
        return DeletedKey(version if marker else "", answer.attempts)

    async def _send(self, objects: Sequence[Pinned]) -> Answer:
        body = request_body(objects)
        digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        headers = (("content-md5", digest), ("content-type", "application/xml"))
        path, payload_hash = self._bucket.endpoint.path(""), sha256(body).hexdigest()
        return await self._bucket.call(
            Call("POST", path, "delete=", headers, body, payload_hash, late=LATE)
        )

    async def _wait(self, answer: Answer, error: StoreError, trouble: Trouble) -> bool:
        """Wait before some keys are sent again; False: they are not to be."""
        try:
            await self._bucket.recover(answer.response, error, trouble)
        except ObjectError:  # no attempts are left, or the run is ending
            return False
        return True


def request_body(objects: Iterable[Pinned]) -> bytes:
    """The XML document that names ``objects``; the answer is to name each of them."""
    rows = "\n".join([f"{key}\n{pin}" for key, pin in objects])  # neither has a line end
    fields = _escape(rows).split("\n")  # all at once
    elements = "".join(
        [
            f"<Object><Key>{key}</Key><ETag>{pin}</ETag></Object>"
            if pin
            else f"<Object><Key>{key}</Key></Object>"
            for key, pin in zip(fields[::2], fields[1::2], strict=True)
        ]
    )
    return f'<Delete xmlns="{_NAMESPACE}">{elements}<Quiet>false</Quiet></Delete>'.encode()


def _escape(text: str) -> str:
    """``html.escape``, which takes long to import."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _add(
    result: BatchAnswer, answer: Answer, asked: Sequence[Pinned], *, attempts: int
) -> Mapping[str, StoreError]:
    """Add what an answer says of the keys it was ``asked`` to delete; returns those refused now.

    A key that it names in both ways counts as refused. Others that it names were not asked for.
    """
    keys = {each.key for each in asked}
    found = _deleted(answer.response.body)
    same = {version: DeletedKey(version, attempts) for version in set(found.values())}
    result.deleted.update([(key, same[v]) for key, v in found.items() if key in keys])
    refused = {key: error for key, error in _errors(answer) if key in keys}
    if attempts > 1:  # an earlier one, whose answer was lost, may have deleted what is gone
        for key in [key for key, error in refused.items() if error.code == MISSING]:
            result.deleted[key] = DeletedKey("", attempts)
            del refused[key]
    for key in refused:
        result.deleted.pop(key, None)
    for key in keys & result.refused.keys() - refused.keys():
        del result.refused[key]  # it was to be sent again, and was
    result.refused.update(refused)
    return refused


def _deleted(body: bytes) -> dict[str, str]:
    """Return each key that was deleted, with the id of its delete marker, which may be empty."""
    plain = _PLAIN.findall(body)
    if plain and len(plain) == body.count(b"<Deleted"):
        with suppress(UnicodeDecodeError):  # which is reported as what it is, below
            return dict.fromkeys(b"\n".join(plain).decode().split("\n"), "")
    found = {}
    for fields in _entries(body, "Deleted"):
        marks = fields.get("DeleteMarker", "").strip().lower() == "true"
        found[fields["Key"]] = fields.get("DeleteMarkerVersionId", "") if marks else ""
    return found


def _errors(answer: Answer) -> Iterator[tuple[str, StoreError]]:
    body = answer.response.body
    for fields in _entries(body, "Error") if b"<Error" in body else ():
        code = fields.get("Code", "").strip() or "UnknownError"
        message = " ".join(fields.get("Message", "").split())
        yield fields.get("Key", ""), StoreError(_STATUS.get(code, 400), code, message)


def _entries(body: bytes, name: str) -> Iterator[dict[str, str]]:
    """Yield the entries of an answer; raises ``StoreError`` if it cannot be read."""
    try:
        document = parse_entries(body, name)
        yield from (each for each in document.entries if "Key" in each)
    except (expat.ExpatError, LookupError, ValueError) as error:
        message = f"the answer to DeleteObjects cannot be read: {error}"
        raise StoreError(500, "UnreadableAnswer", message) from None
