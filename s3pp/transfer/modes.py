"""When an object is sent: pure functions from what is here and what is there to a reason.

========  ===================  =====================  ============
dest      add                  stupid                 update
========  ===================  =====================  ============
absent    send: new            send: always           send: new
present   skip: exists         send: always           see below
========  ===================  =====================  ============

``update``, with an object present: other size, send (size differs); ETag equal to our MD5, skip
(same etag); ETag another MD5, send (etag differs); ETag no MD5, send (etag unknown), because
unknown never means equal.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from s3pp.job import Mode
from s3pp.records import Dest, SendReason, SkipReason

_MD5 = re.compile(r"[0-9a-f]{32}\Z")


class Local(NamedTuple):
    """What would be sent: the body's size in bytes and its MD5 in hex, after any compression."""

    size: int
    md5: str


class Equality(Enum):
    """The three answers to "is it the same?"."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


def compare(md5: str, etag: str) -> Equality:
    """Compare an MD5 with an ETag, which is one only for single-part, unencrypted objects."""
    if not is_md5(etag):
        return Equality.UNKNOWN
    return Equality.EQUAL if md5 == etag else Equality.DIFFERENT


def is_md5(etag: str) -> bool:
    """Whether an ETag has the form of an MD5; those of multipart uploads end in ``-N``."""
    return _MD5.match(etag) is not None


def needs_content(mode: Mode) -> bool:
    """Whether ``decide`` looks at the source at all once an object is present."""
    return mode is Mode.UPDATE


def decide(mode: Mode, local: Local | None, dest: Dest | None) -> SkipReason | SendReason:
    """Say whether to send, and why. ``local`` may be None where ``needs_content`` is False."""
    if mode is Mode.STUPID:
        return SendReason.ALWAYS
    if dest is None:
        return SendReason.NEW
    if mode is Mode.ADD:
        return SkipReason.EXISTS
    assert local is not None, "update compares contents"
    if local.size != dest.size:
        return SendReason.SIZE
    return _BY_EQUALITY[compare(local.md5, dest.etag)]


_BY_EQUALITY: dict[Equality, SkipReason | SendReason] = {
    Equality.EQUAL: SkipReason.SAME_ETAG,
    Equality.DIFFERENT: SendReason.ETAG,
    Equality.UNKNOWN: SendReason.UNKNOWN,
}
