"""Rules of the modes: pure functions that compare source and destination and return a reason.

========  ===================  =====================  ============
dest      add                  stupid                 update
========  ===================  =====================  ============
absent    send: new            send: always           send: new
present   skip: exists         send: always           see below
========  ===================  =====================  ============

``update``, with an object present: other size, send (size differs); ETag equal to our MD5, skip
(same etag); ETag another MD5, send (etag differs); a multipart ETag that our body has too, in
parts of some size, skip (same etag). Any other ETag is inconclusive. Then a checksum of the whole
object decides, if one is stored: skip (same checksum), or send (checksum differs). If not, send
(etag unknown), because unknown never means equal. Two empty objects have the same bytes, whatever
their ETags: skip (same etag), or (same checksum) if the ETags differ.

A getter mirrors this, with the file as the dest; a copier compares two objects, so that equal ETags
of any form mean equal objects. In mode ``add`` both report an existing item of another size. If
the ETag is unknown, a getter compares the time, which it sets on every file it writes: skip (same
time), or send (time differs).
"""

from __future__ import annotations

from typing import NamedTuple

from s3pp.integrity.etag import is_md5
from s3pp.job import Mode
from s3pp.records import Dest, SendReason, SkipReason

SECOND = 1_000_000_000  # nanoseconds
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


class Local(NamedTuple):
    """The facts of a body to send, after any compression."""

    size: int  # bytes
    md5: str  # in hex; empty if ``parts_etag`` makes it unnecessary
    parts_etag: str = ""  # the multipart ETag that its bytes were found to have; empty: none


def decide_unread(mode: Mode, dest: Dest | None) -> SkipReason | SendReason | None:
    """Return whether to send, and why, without the source's content; None: use ``decide``."""
    if mode is Mode.STUPID:
        return SendReason.ALWAYS
    if dest is None:
        return SendReason.NEW
    return SkipReason.EXISTS if mode is Mode.ADD else None


def decide(mode: Mode, local: Local, dest: Dest | None) -> SkipReason | SendReason:
    """Return whether to send, and why."""
    reason = decide_unread(mode, dest)
    if reason is not None or dest is None:
        return reason or SendReason.NEW
    if local.size != dest.size:
        return SendReason.SIZE
    if local.size == 0:
        return by_emptiness(dest.etag, EMPTY_MD5)
    return by_etag(local, dest.etag)


def by_etag(local: Local, etag: str) -> SkipReason | SendReason:
    """Return the reason for a body by its MD5 or multipart ETag; UNKNOWN for any other ETag."""
    if etag and etag == local.parts_etag:
        return SkipReason.SAME_ETAG
    return by_content(local.md5, etag) if is_md5(etag) else SendReason.UNKNOWN


def by_emptiness(ours: str, theirs: str) -> SkipReason:
    """Return the reason to skip an empty object, by whether the ETags are equal too.

    An empty object that was sent in parts has a multipart ETag, and under a KMS key any.
    """
    return SkipReason.SAME_ETAG if ours == theirs else SkipReason.SAME_CHECKSUM


def decide_copy(mode: Mode, source: Dest, dest: Dest | None) -> SkipReason | SendReason:
    """Return whether to copy an object, and why, from the entries of two listings."""
    reason = _decide_by_size(mode, source.size, dest.size if dest else None)
    if reason is not None or dest is None:
        return reason or SendReason.NEW
    if source.size == 0:
        return by_emptiness(source.etag, dest.etag)
    if source.etag and source.etag == dest.etag:
        return SkipReason.SAME_ETAG
    return SendReason.ETAG if is_md5(source.etag) and is_md5(dest.etag) else SendReason.UNKNOWN


def decide_get(mode: Mode, size: int, here: int | None) -> SkipReason | SendReason | None:
    """Return whether to get an object of ``size`` bytes over a file of ``here``; None: no file.

    Returns None if only the content or the time can decide: see ``by_emptiness``, ``by_content``
    and ``by_time``.
    """
    return _decide_by_size(mode, size, here)


def by_content(md5: str, etag: str) -> SkipReason | SendReason:
    """Return the reason for a file with this MD5 and the object's size; ``etag`` must be an MD5."""
    return SkipReason.SAME_ETAG if md5 == etag else SendReason.ETAG


def by_time(modified_ns: int | None, mtime_ns: int) -> SkipReason | SendReason:
    """Return the reason from two times in nanoseconds, compared in seconds as in some listings.

    ``modified_ns`` is None if the store returned no time.
    """
    same = modified_ns is not None and modified_ns // SECOND == mtime_ns // SECOND
    return SkipReason.SAME_TIME if same else SendReason.TIME


def _decide_by_size(mode: Mode, size: int, there: int | None) -> SkipReason | SendReason | None:
    if mode is Mode.STUPID:
        return SendReason.ALWAYS
    if there is None:
        return SendReason.NEW
    if mode is Mode.ADD:
        return SkipReason.EXISTS if there == size else SkipReason.OTHER_SIZE
    return None if there == size else SendReason.SIZE
