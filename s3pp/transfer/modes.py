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

``--compare`` replaces the comparison of content in ``update`` by one of facts that the listings and
a ``stat`` have, so that no file is opened, and no object asked for:

==================  ==================  ===========================  =========================
both sides          size                mtime, of put and copy       mtime, of get
==================  ==================  ===========================  =========================
sizes differ        send: size differs  send: size differs           send: size differs
source is newer     skip: same size     send: newer                  send: time differs
times are equal     skip: same size     skip: not newer              skip: same time
source is older     skip: same size     skip: not newer              send: time differs
a time is unknown   skip: same size     send: time unknown           send: time differs
==================  ==================  ===========================  =========================

Of put and copy this is the rule of ``aws s3 sync``. Of a get it is that of its option
``--exact-timestamps``: without it, a file that is older than the object counts as up to date there,
so that an object which was replaced by one of the same size would never be fetched. Times of put
and copy are compared as precisely as they are known. S3 lists whole seconds, rounded down: a file
changed in the second of its upload is sent again, whatever came first. Of two objects of the same
second it is not known which came first, and the source counts as not newer.
"""

from __future__ import annotations

from typing import NamedTuple

from s3pp.integrity.etag import is_md5
from s3pp.job import Compare, Job, Mode
from s3pp.records import Dest, SendReason, SkipReason

SECOND = 1_000_000_000  # nanoseconds
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"

# Until Python 3.12 it takes 0.25 µs to evaluate ``Mode.ADD``: these are for every object.
_ADD, _STUPID, _BY_ETAG = Mode.ADD, Mode.STUPID, Compare.ETAG
_NEW, _ALWAYS, _SAME_ETAG = SendReason.NEW, SendReason.ALWAYS, SkipReason.SAME_ETAG


class Local(NamedTuple):
    """The facts of a body to send, after any compression."""

    size: int  # bytes
    md5: str  # in hex; empty if ``parts_etag`` makes it unnecessary
    parts_etag: str = ""  # the multipart ETag that its bytes were found to have; empty: none


class SendRule(NamedTuple):
    """When an object is sent."""

    mode: Mode
    compare: Compare = Compare.ETAG

    @classmethod
    def of(cls, job: Job) -> SendRule:
        """Return the rule of ``job``."""
        return cls(job.mode, job.compare)


def decide_unread(
    rule: SendRule, dest: Dest | None, *, size: int, modified_ns: int
) -> SkipReason | SendReason | None:
    """Return whether to send a file, and why, without its content; None: use ``decide``.

    ``size`` in bytes and ``modified_ns``, in nanoseconds since the epoch, are the file's.
    """
    mode, compare = rule
    if mode is _STUPID:
        return _ALWAYS
    if dest is None:
        return _NEW
    if mode is _ADD:
        return SkipReason.EXISTS
    if compare is _BY_ETAG:
        return None
    return SendReason.SIZE if size != dest.size else _by_age(compare, modified_ns, dest.modified_ns)


def decide(local: Local, dest: Dest) -> SkipReason | SendReason:
    """Return whether mode ``update`` sends a body over an object, and why, by their content."""
    if local.size != dest.size:
        return SendReason.SIZE
    if local.size == 0:
        return by_emptiness(dest.etag, EMPTY_MD5)
    return by_etag(local, dest.etag)


def by_etag(local: Local, etag: str) -> SkipReason | SendReason:
    """Return the reason for a body by its MD5 or multipart ETag; UNKNOWN for any other ETag."""
    if etag and etag == local.parts_etag:
        return _SAME_ETAG
    return by_content(local.md5, etag) if is_md5(etag) else SendReason.UNKNOWN


def by_emptiness(ours: str, theirs: str) -> SkipReason:
    """Return the reason to skip an empty object, by whether the ETags are equal too.

    An empty object that was sent in parts has a multipart ETag, and under a KMS key any.
    """
    return _SAME_ETAG if ours == theirs else SkipReason.SAME_CHECKSUM


def equal_etags_suffice(rule: SendRule) -> bool:
    """Return whether an object of the same size (not 0) and ETag is skipped as ``SAME_ETAG``."""
    return rule.mode is Mode.UPDATE and rule.compare is _BY_ETAG


def decide_copy(
    rule: SendRule, source: Dest, dest: Dest | None, *, modified_ns: int | None = None
) -> SkipReason | SendReason:
    """Return whether to copy an object, and why, from the entries of two listings.

    ``modified_ns`` is the source's time; only ``--compare mtime`` needs it.
    """
    reason = _decide_by_size(rule.mode, source.size, dest.size if dest else None)
    if reason is not None or dest is None:
        return reason or _NEW
    if rule.compare is not _BY_ETAG:
        return _by_age(rule.compare, modified_ns, dest.modified_ns)
    if source.size == 0:
        return by_emptiness(source.etag, dest.etag)
    if source.etag and source.etag == dest.etag:
        return _SAME_ETAG
    return SendReason.ETAG if is_md5(source.etag) and is_md5(dest.etag) else SendReason.UNKNOWN


def decide_get(rule: SendRule, size: int, here: int | None) -> SkipReason | SendReason | None:
    """Return whether to get an object of ``size`` bytes over a file of ``here``; None: no file.

    Returns None if only the content or the time can decide: see ``by_emptiness``, ``by_content``
    and ``by_time``.
    """
    reason = _decide_by_size(rule.mode, size, here)
    if reason is None and rule.compare is Compare.SIZE:
        return SkipReason.SAME_SIZE
    return reason


def by_content(md5: str, etag: str) -> SkipReason | SendReason:
    """Return the reason for a file with this MD5 and the object's size; ``etag`` must be an MD5."""
    return _SAME_ETAG if md5 == etag else SendReason.ETAG


def by_time(modified_ns: int | None, mtime_ns: int) -> SkipReason | SendReason:
    """Return the reason from two times in nanoseconds, compared in seconds as in some listings.

    ``modified_ns`` is None if the store returned no time.
    """
    same = modified_ns is not None and modified_ns // SECOND == mtime_ns // SECOND
    return SkipReason.SAME_TIME if same else SendReason.TIME


def _by_age(
    compare: Compare, source_ns: int | None, dest_ns: int | None
) -> SkipReason | SendReason:
    """Return the reason for a source and an object of its size, without regard to content."""
    if compare is Compare.SIZE:
        return SkipReason.SAME_SIZE
    if source_ns is None or dest_ns is None:
        return SendReason.UNKNOWN_TIME
    return SendReason.NEWER if source_ns > dest_ns else SkipReason.NOT_NEWER


def _decide_by_size(mode: Mode, size: int, there: int | None) -> SkipReason | SendReason | None:
    if mode is _STUPID:
        return _ALWAYS
    if there is None:
        return _NEW
    if mode is _ADD:
        return SkipReason.EXISTS if there == size else SkipReason.OTHER_SIZE
    return None if there == size else SendReason.SIZE
