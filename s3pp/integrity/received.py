"""Whether the body that came is the object: its length, its MD5, or the checksum it is stored with.

::

    length    the one the answer declares; under the listed ETag the listed one too
    MD5       where the ETag is one
    ETag      of parts, where what came was digested in parts and makes it
    checksum  x-amz-checksum-*, where the ETag is none and the answer has one of the whole object

An answer under another ETag than the listed one is the object that took its place, and is held
against its own ETag. Where an answer has neither MD5 nor checksum only its length is known here:
whether an ETag of parts is that of the body may have to be asked, see ``get.parted``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import checksum, digest
from s3pp.integrity.etag import is_md5, proves_content
from s3pp.integrity.stored_object import stored_checksum
from s3pp.records import Dest
from s3pp.s3.answers import Answer, is_gzip, no_store_message
from s3pp.s3.client import Coding
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.wire import Response


class Corrupt(ObjectError):
    """What came is not the object; asking again may help, if need be in another ``coding``."""

    def __init__(self, what: str, coding: Coding | None = None) -> None:
        super().__init__(FailureKind.INTEGRITY, f"the body is not the object's: {what}")
        self.coding = coding


class Arrived(NamedTuple):
    """A body as it came."""

    size: int  # bytes
    etag: str  # that it makes: the MD5 in hex, or one of parts; empty where none was computed
    pieces: Callable[[], Iterable[bytes]]  # the body once more, for what only the answer asks for


class Expected(NamedTuple):
    """What the body is held against."""

    listed: Dest  # as the listing has the object; an empty ETag: it did not say
    answer: Answer  # of the GET
    endpoint: Endpoint  # of the source


def held(body: bytes) -> Arrived:
    """A body that came into memory."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return Arrived(len(body), md5, lambda: (body,))


def fault(arrived: Arrived, expected: Expected) -> Corrupt | None:
    """Why a body is not the object; None if nothing speaks against it.

    Reads the body where its MD5 is needed and not known, or a checksum is: not on an event loop,
    unless it is small.
    """
    listed, answer, endpoint = expected
    etag, response = answer.etag, answer.response
    if etag and etag == arrived.etag and (etag != listed.etag or arrived.size == listed.size):
        return None  # the way of nearly all
    if not answer.is_store:
        return Corrupt(no_store_message(endpoint.origin))
    if why := _length_fault(arrived.size, etag, expected) or _packed_fault(expected):
        return _changed_on_the_way(why, arrived.size, expected)
    if proves_content(etag, response, endpoint):
        known = arrived.etag if is_md5(arrived.etag) else ""
        md5 = known or digest("md5", arrived.pieces()).hex()
        return None if md5 == etag else Corrupt(f"its MD5 is {md5}, and its ETag says {etag}")
    return _checksum_fault(arrived, response)


def _length_fault(size: int, etag: str, expected: Expected) -> str | None:
    declared = expected.answer.declared
    if declared is not None and declared != size:
        return f"{size} bytes came, and {declared} were announced"
    listed = expected.listed
    # An object whose ETag nobody knows could be another one by now: then its ETag has to prove it.
    known = etag == listed.etag or not (etag and listed.etag)
    proven = proves_content(etag, expected.answer.response, expected.endpoint)
    if known and size != listed.size and (etag == listed.etag or not proven):
        return f"{size} bytes came, and the listing has {listed.size} under the same ETag"
    return None


def _packed_fault(expected: Expected) -> str | None:
    """Of an ETag that a proxy gave to what it packed: that of the object, and a word behind it."""
    etag, listed = expected.answer.etag, expected.listed.etag
    packed = listed and etag != listed and is_gzip(expected.answer.response)
    if packed and etag in (listed + "-gzip", listed + "--gzip", listed + ";gzip"):
        return f"its ETag is {etag}, and the listing has {listed}"
    return None


def _changed_on_the_way(why: str, size: int, expected: Expected) -> Corrupt:
    """The fault, and where it looks as if a proxy packed or unpacked the body, that."""
    answer, host = expected.answer, expected.endpoint.host
    response = answer.response
    if is_gzip(response):
        what = f"if {host}, or a proxy before it, compresses what it passes on, turn that off there"
        return Corrupt(f"{why}; {what}", Coding.IDENTITY)
    untold = answer.declared is None
    warned = "214" in (response.header(b"warning") or "")
    stored = "gzip" in (response.header(b"x-goog-stored-content-encoding") or "")
    if untold or warned or stored or size > expected.listed.size:
        what = f"if {host}, or a proxy before it, unpacks what is stored with Content-Encoding gzip"
        advice = "turn that off there, or store it with Cache-Control: no-transform"
        return Corrupt(f"{why}; {what}, {advice}", Coding.GZIP)
    return Corrupt(why)


def _checksum_fault(arrived: Arrived, response: Response) -> Corrupt | None:
    stored = stored_checksum(response)
    if stored is None:
        return None
    name, value = stored
    ours = checksum(name, arrived.pieces())
    return None if ours == value else Corrupt(f"its {name} is {ours}, and {value} is stored")
