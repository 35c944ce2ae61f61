"""The headers and tags of a source object that its copy keeps.

======================  =====================  ==========================  =================
..                      CopyObject             GET and PUT                 unless
======================  =====================  ==========================  =================
type, cache headers …   by the store           from the answer to the GET  directive replace
x-amz-meta-*            by the store           from the answer to the GET  directive replace
website redirect        not                    from the answer to the GET  directive replace
tags                    by the store           asked for, sent             --tag
storage class           sent                   sent                        --storage-class
ACL, encryption, locks  not                    not                         --acl, --sse, …
======================  =====================  ==========================  =================

(API reference, "CopyObject".) A copy that the store refuses for its tags or its storage class is
made without them, with a notice: an object without its labels is better than none.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from s3pp.job import Objects
from s3pp.s3.answers import content_codings
from s3pp.s3.client import Headers
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.retry import StoreError
from s3pp.s3.wire import Response
from s3pp.transfer.put.content import by_name
from s3pp.transfer.put.given import Likeness, judged
from s3pp.transfer.put.putter import static_headers

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

T = TypeVar("T")

NO_TAGS = "the tags of some objects cannot be read or written: their copies have none"
NO_CLASS = "the destination refuses the storage class of some objects: their copies have its own"
NO_META = "the source keeps back metadata that no header can hold: some copies lack it"


class Loss(NamedTuple):
    """The headers of a request without those refused, and a notice."""

    headers: Headers
    note: str


class Lightening(NamedTuple):
    """Repetition of a refused request with fewer headers."""

    lighter: Callable[[StoreError, Headers], Loss | None]  # None: it cannot be helped
    tell: Callable[[str], None]

    async def send(self, send: Callable[[Headers], Awaitable[T]], headers: Headers) -> T:
        """Call ``send``, repeatedly without refused headers that are optional; reports the loss."""
        notes: list[str] = []
        while True:
            try:
                sent = await send(headers)
            except StoreError as error:
                loss = self.lighter(error, headers)
                if loss is None:
                    raise
                headers = loss.headers
                notes.append(loss.note)
            else:
                for note in notes:
                    self.tell(note)
                return sent


class Carrier:
    """The rules of one run for the headers of copies."""

    def __init__(self, objects: Objects, dest: Endpoint) -> None:
        self._objects = objects
        self._keeps = objects.directive == "copy"
        # Under directive "copy" headers of these names would conflict with the source's.
        own = [(name, value) for name, value in objects.headers if not _is_label(name.lower())]
        given = replace(objects, headers=tuple(own), metadata=()) if self._keeps else objects
        self._given = static_headers(given)
        self._names = frozenset(name for name, _ in self._given)
        self._classless = objects.storage_class is not None or dest.etags_are_random
        self._fixed_type = _fixed_type(objects)
        self.left_behind = _left_behind(objects)  # a notice of what no copy of this run gets

    @property
    def given(self) -> Headers:
        """The headers that every copy gets."""
        return self._given

    def with_copy(self, key: str, storage_class: str) -> Headers:
        """Return the headers of a CopyObject from ``key``, an object of ``storage_class``."""
        headers = [(_as_copied(name), value) for name, value in self._given]
        headers += self._class(storage_class)
        if self._objects.tags:
            headers.append((_TAGS_DIRECTIVE, "REPLACE"))
        if not self._keeps:
            headers += [("x-amz-metadata-directive", "REPLACE"), *self._type(key)]
        return headers

    def with_put(self, key: str, source: Response, storage_class: str) -> Headers:
        """Return the headers, without tags, of a PUT of the answer ``source`` to a GET of ``key``.

        ``storage_class`` is the listing's, for a store whose answers lack it.
        """
        carried = _described(source) if self._keeps else self._type(key)
        carried += self._class(source.header(_CLASS.encode()) or storage_class)
        return [*self._given, *(each for each in carried if each[0] not in self._names)]

    def wants_tags(self, source: Response) -> bool:
        """Return whether the object of the answer ``source`` has tags that must be requested."""
        return not self._objects.tags and (source.header(b"x-amz-tagging-count") or "0") != "0"

    def without(self, error: StoreError, headers: Headers) -> Loss | None:
        """Return what to send instead of a refused PUT or CopyObject; None: it cannot be helped.

        Settings of the command line are never left out.
        """
        if error.code == "InvalidStorageClass":
            return self._less(_CLASS, headers, NO_CLASS)
        if error.code == "AccessDenied" or error.status == 501:
            return self._less(_TAGS, headers, NO_TAGS)
        return None

    def without_tags(self, error: StoreError, headers: Headers) -> Loss | None:
        """Return a CopyObject without tags, if they may be why it was refused; else None.

        The store copies them by itself, and refuses the whole copy if they may not be read.
        """
        if error.code != "AccessDenied" or _TAGS_DIRECTIVE in dict(headers):
            return None
        return Loss([*headers, (_TAGS_DIRECTIVE, "REPLACE")], NO_TAGS)

    def _class(self, name: str) -> list[tuple[str, str]]:
        return [] if self._classless or name in _DEFAULT_CLASSES else [(_CLASS, name)]

    def _type(self, key: str) -> list[tuple[str, str]]:
        kind = self._fixed_type or by_name(key).type
        return [("content-type", kind)] if kind else []

    def _less(self, name: str, headers: Headers, note: str) -> Loss | None:
        if name in self._names or name not in dict(headers):
            return None
        return Loss([each for each in headers if each[0] != name], note)


def tag_header(tags: Sequence[tuple[str, str]]) -> Headers:
    """Return the header that sets the tags of an object."""
    return [(_TAGS, "&".join(f"{quote(k, '')}={quote(v, '')}" for k, v in tags))] if tags else []


def likeness(response: Response, wanted: Headers, endpoint: Endpoint) -> Likeness:
    """Compare a HEAD's answer with the type, headers and metadata ``wanted``.

    Other headers, except metadata, may be the store's defaults and are ignored.
    """
    there = dict(_described(response))
    given = {name: value for name, value in wanted if _is_label(name) or name == _REDIRECT}
    more = {name for name in there if name.startswith(_META)} - given.keys()
    differing = [
        (name, there.get(name)) for name, value in given.items() if there.get(name, "") != value
    ]
    return judged(differing, more, endpoint)


def _left_behind(objects: Objects) -> str:
    """Return the same notice for all ways to copy: a run that uses two of them shows it once."""
    named = {"ACLs (see --acl)": objects.acl, "encryption settings (see --sse)": objects.sse}
    left = [what for what, carried in named.items() if not carried]
    told = f"copies do not get the source's {', '.join([*left, 'object locks'])}"
    return f"{told}; nor, where the store copies by itself, website redirects"


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
    text = value.decode("utf-8") if _is_utf8(value) else value.decode("latin-1")
    return f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
