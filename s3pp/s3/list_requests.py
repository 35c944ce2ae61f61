"""How a store is asked for pages of a listing, as far as stores differ in what they understand.

* A store that refuses ListObjectsV2, or answers it with a page of ListObjects, is asked for the
  latter. Its pages name no token: the next one is asked for with the last key as its marker.
* Pages are asked for with ``encoding-type=url``, for XML cannot carry control characters: without
  it S3 and Ceph RGW send pages that are no XML, and SeaweedFS sends another character instead.
* Some stores encode keys without saying so, or say so and do not, and a key such as ``a%20b`` looks
  the same either way. The first page whose keys could be meant in two ways is asked for once more,
  without ``encoding-type``: a store that was not honest is never asked for encoded keys again.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable

from s3pp.s3.listing import ListingError, parse_page
from s3pp.s3.retry import Remedy, StoreError

_ENCODED = {"encoding-type": "url"}
_LACKING = frozenset({400, 404, 405, 501})  # what servers answer that do not know ``list-type``
_CODED_KEY = re.compile(rb"<Key>[^<%+]*[%+]")
_CONTROL = re.compile(b"%(?:[01][0-9a-fA-F]|7[fF])")
_SAYING, _END = b"<EncodingType>url</EncodingType>", b"</ListBucketResult>"
_ENCODING = re.compile(rb"<EncodingType>[^<]*</EncodingType>")

Parameters = dict[str, str]


class ListRequests:
    """The requests for pages of one bucket, by what its answers have shown so far."""

    def __init__(self, send: Callable[[Parameters], Awaitable[bytes]]) -> None:
        """``send`` asks the bucket itself with a query; it raises ``StoreError``."""
        self._send = send
        self._first_version = False  # the store lists by markers
        self._second_version = False  # it is known to list by tokens
        self._encoded = _ENCODED
        self._checked = False  # whether the store means what it says of its keys' encoding
        self._one_checks = asyncio.Lock()

    async def page(self, parameters: Parameters) -> bytes:
        """A page as XML, asked for with ListObjectsV2's parameters or with a ``marker``."""
        encoded = self._encoded
        body = await self._ask({**encoded, **parameters})
        if self._checked or not is_doubtful(body):
            return body if encoded is self._encoded else await self._ask(parameters)
        async with self._one_checks:
            return await self._check(parameters, body)

    async def _check(self, parameters: Parameters, body: bytes) -> bytes:
        if self._checked:  # meanwhile, by another page
            return body if self._encoded else await self._ask(parameters)
        try:
            plain = await self._ask(parameters)
        except StoreError:  # a store that cannot be asked so is believed
            plain = body
        honest = is_honest(body, plain)
        self._checked = honest is not None or plain is body
        if honest is not False:
            return body
        self._encoded = {}
        return plain

    async def _ask(self, parameters: Parameters) -> bytes:
        by_token = "continuation-token" in parameters
        if "marker" in parameters or (self._first_version and not by_token):
            return await self._send(_of_first_version(parameters))
        try:
            body = await self._send({"list-type": "2", **parameters})
        except StoreError as refusal:
            if self._second_version or by_token or not lacks_second_version(refusal):
                raise
            return await self._instead(parameters, refusal)
        if self._second_version or not is_first_version(body):
            self._second_version = True
            return body
        self._first_version = True
        # What was asked to be left out is in the page: ListObjects does not know ``start-after``.
        return await self._ask(parameters) if "start-after" in parameters else body

    async def _instead(self, parameters: Parameters, refusal: StoreError) -> bytes:
        try:
            body = await self._send(_of_first_version(parameters))
        except StoreError:
            raise refusal from None
        self._first_version = True
        return body


def _of_first_version(parameters: Parameters) -> Parameters:
    """The parameters of ListObjects: ``marker`` is what ``start-after`` is to its successor."""
    return {
        ("marker" if name == "start-after" else name): what for name, what in parameters.items()
    }


def lacks_second_version(refusal: StoreError) -> bool:
    """Whether ListObjectsV2 may be what was refused, rather than this bucket or this caller."""
    return (
        refusal.status in _LACKING
        and refusal.code != "NoSuchBucket"
        and refusal.remedy is Remedy.NONE
        and not refusal.keys_refused
    )


def is_first_version(body: bytes) -> bool:
    """Whether a page is ListObjects', which echoes a marker and counts no keys."""
    newer = b"<KeyCount>" in body or b"ContinuationToken>" in body
    return not newer and (b"<Marker" in body or b"<NextMarker" in body)


def is_doubtful(body: bytes) -> bool:
    """Whether some key of a page would be another one if the store said otherwise of encoding.

    A page said to be encoded that has control characters is believed: without encoding it would be
    no XML, and Swift answers 500.
    """
    # Tokens are full of these characters, and looking at every key takes a while.
    start, end = body.find(b"<Contents>"), body.rfind(b"</Contents>")
    coded = body.find(b"%", start, end) >= 0 or body.find(b"+", start, end) >= 0
    if not coded or _CODED_KEY.search(body, start) is None:
        return False
    return _ENCODING.search(body) is None or _CONTROL.search(body, start, end) is None


def is_honest(asked: bytes, plain: bytes) -> bool | None:
    """Whether a page asked for with ``encoding-type`` means the keys that ``plain`` has.

    ``plain`` is the same page asked for without. What was written or deleted in between makes them
    differ as well, so that the reading decides of which more keys are in ``plain``; None: neither.
    """
    says = _ENCODING.search(asked) is not None
    other = _ENCODING.sub(b"", asked) if says else asked.replace(_END, _SAYING + _END)
    truly, meant, otherwise = _keys(plain), _keys(asked), _keys(other)
    if truly is None:  # characters that only an encoded page can carry
        return says or meant is None
    as_meant, as_not = _common(meant, truly), _common(otherwise, truly)
    return None if as_meant == as_not else as_meant > as_not


def _common(some: list[str] | None, others: list[str]) -> int:
    """How many keys are in both; -1 where one of them could not be read."""
    return -1 if some is None else (Counter(some) & Counter(others)).total()


def _keys(body: bytes) -> list[str] | None:
    try:
        return [each.key for each in parse_page(body).objects]
    except ListingError:
        return None
