"""The headers and tags of objects: those that a run gives, that a copy keeps, and that are stored.

What a copy keeps of its source (API reference, "CopyObject"):

======================  =====================  ==========================  =================
..                      CopyObject             GET and PUT                 unless
======================  =====================  ==========================  =================
type, cache headers …   by the store           from the answer to the GET  directive replace
x-amz-meta-*            by the store           from the answer to the GET  directive replace
website redirect        not                    from the answer to the GET  directive replace
tags                    by the store           requested, sent             --tag
storage class           sent                   sent                        --storage-class
ACL, encryption, locks  not                    not                         --acl, --sse, …
======================  =====================  ==========================  =================

A copy that the store refuses for its tags or its storage class is made without them, with a notice.

Which headers a resumed upload was created with is only visible in the completed object. An ACL, a
KMS key and defaults of the bucket cannot be compared and are ignored. So are headers that a store
may not support or may add by itself: only AWS is known to report all and to add none.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qsl, quote

from s3pp.attributes import Objects
from s3pp.errors import FailureKind
from s3pp.limits import AUTO
from s3pp.s3.answers import content_codings
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response
from s3pp.s3.retry import StoreError
from s3pp.transfer.errors import source_fault
from s3pp.transfer.put.content import by_name

_LABELS = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    }
)
_META, _REDIRECT = "x-amz-meta-", "x-amz-website-redirect-location"
_CLASS, _TAGS = "x-amz-storage-class", "x-amz-tagging"
_TAGS_DIRECTIVE = "x-amz-tagging-directive"
_SDK_CHECKSUM, _COPY_CHECKSUM = "x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"

# The default of every bucket, and classes of kinds of buckets rather than of objects.
_DEFAULT_CLASSES = frozenset(
    {"", "STANDARD", "EXPRESS_ONEZONE", "FSX_ONTAP", "FSX_OPENZFS", "OUTPOSTS", "SNOW"}
)
# What HEAD reports of the headers that an upload is given; ``expires`` may be rewritten.
_REPORTED = (*sorted(_LABELS - {"expires"}), "x-amz-server-side-encryption", _CLASS, _REDIRECT)
# API reference, "HeadObject": the class is returned for all objects except those of this one.
_UNREPORTED = {_CLASS: "STANDARD"}
# Headers that many stores accept and ignore.
_OPTIONAL = (_CLASS, _REDIRECT)
_AWS = ("amazonaws.com", "amazonaws.com.cn")

NO_TAGS = "the tags of some objects cannot be read or written: their copies have none"
NO_CLASS = "the destination refuses the storage class of some objects: their copies have its own"
NO_META = "the source has metadata that no header can hold: some copies lack it"
NO_REPORT = (
    "the store does not report the storage class, or reports other metadata than this run gives, "
    "of some objects that were resumed: if an earlier run gave others, they have those"
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def static_headers(objects: Objects) -> Sequence[tuple[str, str]]:
    """Return the headers common to all objects of a run, with lower-case names."""
    headers = [(k.lower(), v) for k, v in objects.headers if k.lower() != "content-type"]
    headers += [(f"{_META}{k.lower()}", v) for k, v in objects.metadata]
    named = {
        "x-amz-acl": objects.acl,
        _CLASS: objects.storage_class,
        "x-amz-server-side-encryption": objects.sse,
        "x-amz-server-side-encryption-aws-kms-key-id": objects.sse_kms_key_id,
        # As sent by SDKs: some stores keep a checksum only if its algorithm is named.
        _SDK_CHECKSUM: None if objects.checksum in (AUTO, "md5") else objects.checksum.upper(),
    }
    return [*headers, *((k, v) for k, v in named.items() if v), *tag_header(objects.tags)]


def tag_header(tags: Sequence[tuple[str, str]]) -> Headers:
    """Return the header that sets the tags of an object; nothing for no tags."""
    return [(_TAGS, "&".join(f"{quote(k, '')}={quote(v, '')}" for k, v in tags))] if tags else []


class ReducedHeaders(NamedTuple):
    """The headers of a request without those refused, and a notice."""

    headers: Headers
    note: str


class SendHeaders(Protocol[T_co]):
    """Sends a request with ``headers``."""

    def __call__(self, *, headers: Headers) -> Awaitable[T_co]:
        """Return the answer."""


Reduce = Callable[[StoreError, Headers], ReducedHeaders | None]  # None: it would not help


async def send_reduced(
    send: SendHeaders[T],
    headers: Headers,
    reduce: Reduce,
    notify: Callable[[str], None],
) -> T:
    """Call ``send``, repeatedly without refused headers that are optional; report the loss."""
    notes: list[str] = []
    while True:
        try:
            sent = await send(headers=headers)
        except StoreError as error:
            reduced = reduce(error, headers)
            if reduced is None:
                raise
            headers = reduced.headers
            notes.append(reduced.note)
        else:
            for note in notes:
                notify(note)
            return sent


class CopyHeaders:
    """The rules of one run for the headers of copies."""

    def __init__(self, objects: Objects, dest: Endpoint) -> None:
        self._objects = objects
        self._keeps = objects.directive == "copy"
        # Under directive "copy" headers of these names would conflict with the source's.
        own = [(name, value) for name, value in objects.headers if not _is_label(name.lower())]
        given = replace(objects, headers=tuple(own), metadata=()) if self._keeps else objects
        self.given = static_headers(given)  # those that every copy gets
        self._copied = [(_as_copied(name), value) for name, value in self.given]
        self._names = frozenset(name for name, _ in self.given)
        self._classless = objects.storage_class is not None or dest.etags_are_random
        self._fixed_type = _fixed_type(objects)
        self.not_copied = _not_copied(objects)  # a notice of what no copy of this run gets

    def with_copy(self, key: str, storage_class: str) -> Headers:
        """Return the headers of a CopyObject from ``key``, an object of ``storage_class``."""
        headers = [*self._copied]
        if not self._classless and storage_class not in _DEFAULT_CLASSES:
            headers.append((_CLASS, storage_class))
        if self._objects.tags:
            headers.append((_TAGS_DIRECTIVE, "REPLACE"))
        if not self._keeps:
            headers += [("x-amz-metadata-directive", "REPLACE"), *self._type(key)]
        return headers

    def with_put(self, key: str, source: Response, storage_class: str) -> Headers:
        """Return the headers, without tags, of a PUT of the answer ``source`` to a GET of ``key``.

        ``storage_class`` is the listing's, for a store whose answers lack it.
        """
        described = _described(source) if self._keeps else self._type(key)
        described += self._class(source.header(_CLASS.encode()) or storage_class)
        return [*self.given, *(each for each in described if each[0] not in self._names)]

    def wants_tags(self, source: Response) -> bool:
        """Return whether the object of the answer ``source`` has tags that must be requested."""
        return not self._objects.tags and (source.header(b"x-amz-tagging-count") or "0") != "0"

    def without(self, error: StoreError, headers: Headers) -> ReducedHeaders | None:
        """Return what to send instead of a refused PUT or CopyObject; None: nothing would help.

        Settings of the command line are never left out.
        """
        if error.code == "InvalidStorageClass":
            return self._less(_CLASS, headers, NO_CLASS)
        if error.code == "AccessDenied" or error.status == 501:
            return self._less(_TAGS, headers, NO_TAGS)
        return None

    def without_tags(self, error: StoreError, headers: Headers) -> ReducedHeaders | None:
        """Return a CopyObject without tags, if they may be why it was refused; else None.

        The store copies them by itself, and refuses the whole copy if they may not be read.
        """
        if error.code != "AccessDenied" or _TAGS_DIRECTIVE in dict(headers):
            return None
        return ReducedHeaders([*headers, (_TAGS_DIRECTIVE, "REPLACE")], NO_TAGS)

    def _class(self, name: str) -> list[tuple[str, str]]:
        return [] if self._classless or name in _DEFAULT_CLASSES else [(_CLASS, name)]

    def _type(self, key: str) -> list[tuple[str, str]]:
        kind = self._fixed_type or by_name(key).type
        return [("content-type", kind)] if kind else []

    def _less(self, name: str, headers: Headers, note: str) -> ReducedHeaders | None:
        if name in self._names or name not in dict(headers):
            return None
        return ReducedHeaders([each for each in headers if each[0] != name], note)


class SourceHeaders:
    """Headers and tags of the source, for copies by requests other than CopyObject."""

    def __init__(self, source: Bucket, headers: CopyHeaders, notify: Callable[[str], None]) -> None:
        self._source = source
        self._headers = headers
        self._notify = notify

    async def fetch(self, key: str, seen: Response, storage_class: str) -> Headers:
        """Return the headers of a PUT or CreateMultipartUpload for the object in ``seen``.

        ``seen`` is the answer to a GET or HEAD of ``key``; tags are requested if it counts any.
        """
        if seen.header(b"x-amz-missing-meta"):
            self._notify(NO_META)
        headers = self._headers.with_put(key, seen, storage_class)
        tags = await self._fetch_tags(key) if self._headers.wants_tags(seen) else ()
        return [*headers, *tags]

    async def send(self, send: SendHeaders[T], headers: Headers) -> T:
        """Call ``send`` with such headers, as ``send_reduced`` does."""
        return await send_reduced(send, headers, self._headers.without, self._notify)

    async def _fetch_tags(self, key: str) -> Headers:
        try:
            return tag_header(await self._source.tags(key))
        except StoreError as error:
            is_transient = error.kind is FailureKind.STORE and error.status != 501
            if is_transient or error.status == 404:
                raise source_fault(error) from None
        self._notify(NO_TAGS)
        return ()


def _not_copied(objects: Objects) -> str:
    """Return the same notice for all ways to copy: a run that uses two of them shows it once."""
    named = {"ACLs (see --acl)": objects.acl, "encryption settings (see --sse)": objects.sse}
    missing = [what for what, given in named.items() if not given]
    note = ", ".join(["not copied: object locks", *missing])
    return f"{note}, and website redirects where the store itself copies"


def _is_label(name: str) -> bool:
    return name in _LABELS or name.startswith(_META)


def _as_copied(name: str) -> str:
    return _COPY_CHECKSUM if name == _SDK_CHECKSUM else name


def _fixed_type(objects: Objects) -> str | None:
    named = next((v for k, v in objects.headers if k.lower() == "content-type"), None)
    return named or (None if objects.content_type == "guess" else objects.content_type)


def _described(source: Response) -> list[tuple[str, str]]:
    """Return the headers of an answer that describe the object."""
    found: dict[str, str] = {}
    for line in source.lines:
        name, colon, value = line.partition(b":")
        lower = name.decode("latin-1").lower()
        if colon and (_is_label(lower) or lower == _REDIRECT):
            found[lower] = _sendable(value.strip())
    found["content-encoding"] = _sendable(",".join(content_codings(source)).encode("latin-1"))
    return [(name, value) for name, value in found.items() if value or name.startswith(_META)]


def _sendable(value: bytes) -> str:
    """Return a header's value in ASCII; other text is encoded by RFC 2047, as S3 does."""
    if value.isascii() and value.decode("ascii").isprintable():
        return value.decode("ascii")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="


class HeaderMatch(Enum):
    """The result of comparing a stored object's headers with those that it should have."""

    SAME = "it has them"
    UNKNOWN = "it may have them, or those of an earlier run"
    OTHER = "it has others"


async def matches_upload(
    bucket: Bucket, key: str, wanted: Headers, notify: Callable[[str], None]
) -> bool:
    """Return whether the object of an upload has the headers and tags ``wanted``; True if unknown.

    Raises as ``Bucket.look`` does, except for a refusal (403).
    """

    async def compare(response: Response) -> HeaderMatch:
        match = compare_upload(response, wanted, bucket.endpoint)
        has_tags = match is HeaderMatch.OTHER or await _has_tags(bucket, key, wanted, response)
        return match if has_tags else HeaderMatch.OTHER

    return await _matches(bucket, key, compare, notify)


async def matches_copy(
    bucket: Bucket, key: str, wanted: Headers, notify: Callable[[str], None]
) -> bool:
    """Return as ``matches_upload`` does, for a copy: tags and settings are not compared."""

    async def compare(response: Response) -> HeaderMatch:
        return compare_copy(response, wanted, bucket.endpoint)

    return await _matches(bucket, key, compare, notify)


async def _matches(
    bucket: Bucket,
    key: str,
    compare: Callable[[Response], Awaitable[HeaderMatch]],
    notify: Callable[[str], None],
) -> bool:
    try:
        answer = await bucket.look(key)
        if answer is None:
            return True  # deleted since by another client, which is not an error
        match = await compare(answer.response)
    except StoreError as error:
        if error.status == 403:
            return True
        raise
    if match is HeaderMatch.UNKNOWN:
        notify(NO_REPORT)
    return match is not HeaderMatch.OTHER


def compare_upload(response: Response, wanted: Headers, endpoint: Endpoint) -> HeaderMatch:
    """Compare a HEAD's answer with the headers ``wanted``; other metadata also counts."""
    compared = (name for name, _ in wanted if name in _REPORTED or name.startswith(_META))
    there = {name: response.header(name.encode()) for name in compared}
    differing = [
        (name, there[name])
        for name, value in wanted
        if name in there and (there[name] or _UNREPORTED.get(name, there[name])) != value
    ]
    names = (line.partition(b":")[0].decode("latin-1").lower() for line in response.lines)
    more = {name for name in names if name.startswith(_META)} - there.keys()
    return _match(differing, more, endpoint)


def compare_copy(response: Response, wanted: Headers, endpoint: Endpoint) -> HeaderMatch:
    """Compare a HEAD's answer with the type, headers and metadata ``wanted``.

    Other headers, except metadata, may be the store's defaults and are ignored.
    """
    there = dict(_described(response))
    given = {name: value for name, value in wanted if _is_label(name) or name == _REDIRECT}
    more = {name for name in there if name.startswith(_META)} - given.keys()
    differing = [
        (name, there.get(name)) for name, value in given.items() if there.get(name, "") != value
    ]
    return _match(differing, more, endpoint)


def _match(
    differing: Collection[tuple[str, str | None]], more: Collection[str], endpoint: Endpoint
) -> HeaderMatch:
    """Return what differences between actual and expected headers mean.

    ``differing``: names of the headers, with the actual values, if any. ``more``: unexpected
    metadata, which sending again does not remove if the store adds it by itself.
    """
    if not differing and not more:
        return HeaderMatch.SAME
    is_certain = any(there or name not in _OPTIONAL for name, there in differing)
    is_other = is_certain or endpoint.service in _AWS
    return HeaderMatch.OTHER if is_other else HeaderMatch.UNKNOWN


async def _has_tags(bucket: Bucket, key: str, wanted: Headers, response: Response) -> bool:
    tags = parse_qsl(dict(wanted).get(_TAGS, ""), keep_blank_values=True)
    if not tags:
        return (response.header(b"x-amz-tagging-count") or "0") == "0"
    try:
        return sorted(await bucket.tags(key)) == sorted(tags)
    except StoreError as error:
        if error.status in (403, 501):
            return True
        raise
