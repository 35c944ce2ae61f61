"""Requests for pages of a listing, adapted to what a store supports.

* If a store refuses ListObjectsV2, or answers it with a page of ListObjects, the latter is used.
  Its pages contain no token: the next one is requested with the last key as its marker.
* Pages are requested with ``encoding-type=url``, because XML cannot contain control characters:
  without it S3 and Ceph RGW send invalid XML, and SeaweedFS substitutes another character.
* Some stores encode keys without declaring it, or declare it and do not, and a key such as
  ``a%20b`` looks the same either way. The first page with ambiguous keys is requested once more,
  without ``encoding-type``: if the declaration was wrong, encoding is not requested again.

SeaweedFS treats ``start-after`` as the path of a file: after the name of a directory, it omits
everything in the directory. A listing split at such a name would silently lose those keys, so the
first directory seen is used for a test of whether a store lists all keys after ``start-after``.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from s3pp.errors import ObjectError
from s3pp.s3.listing import Listed, Lister, ListingError, parse_page
from s3pp.s3.retry import Remedy, StoreError

_ENCODED = {"encoding-type": "url"}
_LACKING = frozenset({400, 404, 405, 501})  # answers of servers that do not support ``list-type``
_CODED_KEY = re.compile(rb"<Key>[^<%+]*[%+]")
_CONTROL = re.compile(b"%(?:[01][0-9a-fA-F]|7[fF])")
_DECLARATION, _END = b"<EncodingType>url</EncodingType>", b"</ListBucketResult>"
_ENCODING = re.compile(rb"<EncodingType>[^<]*</EncodingType>")

Parameters = dict[str, str]


class ListRequests:
    """Requests pages of one bucket's listing, adapting to what its answers have shown so far."""

    def __init__(self, send: Callable[[Parameters], Awaitable[bytes]]) -> None:
        """``send`` sends a query to the bucket itself; it raises ``StoreError``."""
        self._send = send
        self._first_version = False  # the store is known to use markers
        self._second_version = False  # the store is known to use tokens
        self._encoded = _ENCODED
        self._checked = False  # whether the store's declaration of its keys' encoding was checked
        self._one_checks = asyncio.Lock()

    async def page(self, parameters: Parameters) -> bytes:
        """Fetch a page as XML, given ListObjectsV2's parameters or a ``marker``."""
        encoded = self._encoded
        body = await self._fetch({**encoded, **parameters})
        if self._checked or not is_ambiguous(body):
            return body if encoded is self._encoded else await self._fetch(parameters)
        async with self._one_checks:
            return await self._check(parameters, body)

    async def _check(self, parameters: Parameters, body: bytes) -> bytes:
        if self._checked:  # meanwhile, by another page
            return body if self._encoded else await self._fetch(parameters)
        try:
            plain = await self._fetch(parameters)
        except StoreError:  # if it refuses, its declaration is trusted
            plain = body
        as_declared = is_encoding_as_declared(body, plain)
        self._checked = as_declared is not None or plain is body
        if as_declared is not False:
            return body
        self._encoded = {}
        return plain

    async def _fetch(self, parameters: Parameters) -> bytes:
        by_token = "continuation-token" in parameters
        if "marker" in parameters or (self._first_version and not by_token):
            return await self._send(_to_first_version(parameters))
        try:
            body = await self._send({"list-type": "2", **parameters})
        except StoreError as refusal:
            if self._second_version or by_token or not lacks_second_version(refusal):
                raise
            return await self._fetch_first_version(parameters, refusal)
        if self._second_version or not is_first_version(body):
            self._second_version = True
            return body
        self._first_version = True
        # ListObjects does not know ``start-after``, so the page includes the keys to leave out.
        return await self._fetch(parameters) if "start-after" in parameters else body

    async def _fetch_first_version(self, parameters: Parameters, refusal: StoreError) -> bytes:
        try:
            body = await self._send(_to_first_version(parameters))
        except StoreError:
            raise refusal from None
        self._first_version = True
        return body


def _to_first_version(parameters: Parameters) -> Parameters:
    """Convert to the parameters of ListObjects, where ``start-after`` is called ``marker``."""
    return {
        ("marker" if name == "start-after" else name): what for name, what in parameters.items()
    }


def lacks_second_version(refusal: StoreError) -> bool:
    """Whether the store may have refused ListObjectsV2, rather than this bucket or caller."""
    return (
        refusal.status in _LACKING
        and refusal.code != "NoSuchBucket"
        and refusal.remedy is Remedy.NONE
        and not refusal.keys_refused
    )


def is_first_version(body: bytes) -> bool:
    """Whether a page is from ListObjects, which echoes a marker and has no key count."""
    newer = b"<KeyCount>" in body or b"ContinuationToken>" in body
    return not newer and (b"<Marker" in body or b"<NextMarker" in body)


def is_ambiguous(body: bytes) -> bool:
    """Whether the meaning of some key of a page depends on the store's encoding declaration.

    A page declared as encoded that has encoded control characters is trusted: without encoding it
    would be invalid XML, and Swift answers 500.
    """
    # Tokens are full of these characters, and searching every key is slow.
    start, end = body.find(b"<Contents>"), body.rfind(b"</Contents>")
    coded = body.find(b"%", start, end) >= 0 or body.find(b"+", start, end) >= 0
    if not coded or _CODED_KEY.search(body, start) is None:
        return False
    return _ENCODING.search(body) is None or _CONTROL.search(body, start, end) is None


def is_encoding_as_declared(asked: bytes, plain: bytes) -> bool | None:
    """Whether the encoding declared in a page requested with ``encoding-type`` is correct.

    ``plain`` is the same page requested without. Concurrent writes and deletions make them differ
    too, so the reading that has more keys in common with ``plain`` decides; None: neither has.
    """
    says = _ENCODING.search(asked) is not None
    other = _ENCODING.sub(b"", asked) if says else asked.replace(_END, _DECLARATION + _END)
    truly, meant, otherwise = _keys(plain), _keys(asked), _keys(other)
    if truly is None:  # characters that only an encoded page can contain
        return says or meant is None
    as_meant, as_not = _common(meant, truly), _common(otherwise, truly)
    return None if as_meant == as_not else as_meant > as_not


def _common(some: list[str] | None, others: list[str]) -> int:
    """The number of keys in both lists; -1 if the first is None, for a page that is unreadable."""
    return -1 if some is None else (Counter(some) & Counter(others)).total()


def _keys(body: bytes) -> list[str] | None:
    try:
        return [each.key for each in parse_page(body).objects]
    except ListingError:
        return None


LOSES_KEYS = "the store leaves out keys after start-after"


class StartAfterTest(NamedTuple):
    """A test of a store: whether ``first`` is the first key that it lists after ``after``."""

    after: str  # the name of a directory
    first: str  # key

    @classmethod
    def find(cls, objects: Sequence[Listed], prefix: str, *, first: bool) -> StartAfterTest | None:
        """The first directory that begins in a page; ``first``: no keys precede the page."""
        before = "" if first else None
        for key in (each.key for each in objects):
            directory = key[: max(0, key.rfind("/"))]
            begins = before is not None and before < directory
            if begins and len(directory) > len(prefix) and directory.isprintable():
                return cls(directory, key)
            before = key
        return None

    async def passes(self, lister: Lister, prefix: str) -> bool:
        """Whether the store passes the test; a refusal of ``start-after`` is handled elsewhere.

        Raises ``ListingError``.
        """
        parameters = {"prefix": prefix, "start-after": self.after, "max-keys": "1"}
        try:
            page = await lister.list_page(parameters)
        except ObjectError:
            return True
        objects = parse_page(page).objects
        return bool(objects) and objects[0].key == self.first
