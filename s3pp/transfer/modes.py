"""When an object is sent: pure functions from what is here and what is there to a reason.

========  ===================  =====================  ============
dest      add                  stupid                 update
========  ===================  =====================  ============
absent    send: new            send: always           send: new
present   skip: exists         send: always           see below
========  ===================  =====================  ============

``update``, with an object present: other size, send (size differs); ETag equal to our MD5, skip
(same etag); ETag another MD5, send (etag differs); ETag that of an object in parts, and one that
our body gives in parts too, skip (same etag). Any other ETag tells nothing. Then a checksum of the
whole object may, if one is stored: skip (same checksum), or send (checksum differs). If not, send
(etag unknown), because unknown never means equal. Two that are empty have the same bytes, whatever
their ETags: skip (same etag), or (same checksum) where these differ.

A getter mirrors this, with the file as the dest; a copier compares two objects, so that equal ETags
of any form are the same object. Both say in mode ``add`` where what exists has another size. To a
getter an unknown ETag leaves the time, which it gives to every file it writes: skip (same time), or
send (time differs).
"""

from __future__ import annotations

from typing import NamedTuple

from s3pp.integrity.etag import is_md5
from s3pp.job import Mode
from s3pp.records import Dest, SendReason, SkipReason

SECOND = 1_000_000_000  # nanoseconds
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


class Local(NamedTuple):
    """What would be sent, after any compression."""

    size: int  # bytes
    md5: str  # in hex; empty where ``parted`` made it needless
    parted: str = ""  # the ETag in parts that its bytes were found to give; empty: none


def decide_unread(mode: Mode, dest: Dest | None) -> SkipReason | SendReason | None:
    """Say whether to send, and why, without looking at the source; None: ``decide`` has to."""
    if mode is Mode.STUPID:
        return SendReason.ALWAYS
    if dest is None:
        return SendReason.NEW
    return SkipReason.EXISTS if mode is Mode.ADD else None


def decide(mode: Mode, local: Local, dest: Dest | None) -> SkipReason | SendReason:
    """Say whether to send, and why."""
    reason = decide_unread(mode, dest)
    if reason is not None or dest is None:
        return reason or SendReason.NEW
    if local.size != dest.size:
        return SendReason.SIZE
    if local.size == 0:
        return by_emptiness(dest.etag, EMPTY_MD5)
    return by_etag(local, dest.etag)


def by_etag(local: Local, etag: str) -> SkipReason | SendReason:
    """The verdict on a body by its MD5 and its ETag in parts; of any other ETag it is "unknown"."""
    if etag and etag == local.parted:
        return SkipReason.SAME_ETAG
    return by_content(local.md5, etag) if is_md5(etag) else SendReason.UNKNOWN


def by_emptiness(ours: str, theirs: str) -> SkipReason:
    """The verdict on two that have no bytes, by whether their ETags are equal too.

    An empty object that was sent in parts has an ETag of parts, and under a KMS key any.
    """
    return SkipReason.SAME_ETAG if ours == theirs else SkipReason.SAME_CHECKSUM


def decide_copy(mode: Mode, source: Dest, dest: Dest | None) -> SkipReason | SendReason:
    """Say whether to copy an object, and why, from what two listings have of it."""
    settled = _settled(mode, source.size, dest.size if dest else None)
    if settled is not None or dest is None:
        return settled or SendReason.NEW
    if source.size == 0:
        return by_emptiness(source.etag, dest.etag)
    if source.etag and source.etag == dest.etag:
        return SkipReason.SAME_ETAG
    return SendReason.ETAG if is_md5(source.etag) and is_md5(dest.etag) else SendReason.UNKNOWN


def decide_get(mode: Mode, size: int, here: int | None) -> SkipReason | SendReason | None:
    """Say whether to get an object of ``size`` bytes where a file has ``here``; None: no file.

    Returns None where only the content, or the time, can tell: ``by_emptiness``, ``by_content`` and
    ``by_time`` do.
    """
    return _settled(mode, size, here)


def by_content(md5: str, etag: str) -> SkipReason | SendReason:
    """The verdict on a file with this MD5, of the object's size; ``etag`` must be an MD5."""
    return SkipReason.SAME_ETAG if md5 == etag else SendReason.ETAG


def by_time(modified_ns: int | None, mtime_ns: int) -> SkipReason | SendReason:
    """The verdict on two times in nanoseconds; the coarsest listing tells whole seconds.

    ``modified_ns`` is None where the store told no time.
    """
    same = modified_ns is not None and modified_ns // SECOND == mtime_ns // SECOND
    return SkipReason.SAME_TIME if same else SendReason.TIME


def _settled(mode: Mode, size: int, there: int | None) -> SkipReason | SendReason | None:
    if mode is Mode.STUPID:
        return SendReason.ALWAYS
    if there is None:
        return SendReason.NEW
    if mode is Mode.ADD:
        return SkipReason.EXISTS if there == size else SkipReason.OTHER_SIZE
    return None if there == size else SendReason.SIZE
