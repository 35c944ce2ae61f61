"""Where the destinations of a journal are: its buckets, found before the run, and their store."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import replace
from typing import Any

from s3pp.access import Access
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.localfs.paths import shown
from s3pp.places import Origin, parse_place
from s3pp.sources.journal_reader import (
    LONGEST,
    UNKNOWN,
    BadJournalLine,
    JournalRun,
    parse_line,
)
from s3pp.sources.recorded_objects import WRITERS

_TO_BUCKET = frozenset({b"put", b"copy", b"move"})
_PLACE = re.compile(rb'"bucket":"([^"\\]+)","key":"((?:[^"\\]|\\.)*)"')
_OUTCOME = re.compile(rb'\{"event":"(?:done|skipped|failed)",(?:"run":"[0-9a-f]*",)?"verb":"(\w+)"')


def settle_journal(job: Job) -> Job:
    """Return ``job``, which names a journal, with the buckets of its destinations.

    Raises ``UsageError`` for a file that is no journal, or cannot be read twice.
    """
    path = str(job.verified)
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # which would block
            raise UsageError(f"JOURNAL '{shown(path)}' is a pipe, and is read twice: name a file")
        with open(path, "rb") as file:
            prefixes, run = _find_places(file, path)
    except OSError as error:
        raise UsageError(f"JOURNAL '{shown(path)}' cannot be read: {error.strerror}") from None
    origins = tuple(Origin(*each) for each in sorted(prefixes.items()) if _is_bucket(each[0]))
    return replace(job, origins=origins, access=_reached(job.access, run))


def _is_bucket(name: str) -> bool:
    """Return whether a bucket may have the name: a journal may have been written by others."""
    try:
        return parse_place(f"s3://{name}").bucket == name
    except UsageError:
        return False


# How a store was reached: the names of options, and the fields that they set.
_REACHED = {
    **{"endpoint-url": "endpoint_url", "region": "region", "profile": "profile"},
    **{"sign-request": "sign", "request-payer": "request_payer", "addressing": "addressing"},
    **{"ca-bundle": "ca_bundle", "verify-ssl": "verify_ssl"},
}


def _reached(given: Access, run: JournalRun) -> Access:
    """Return how the stores of ``run`` were reached, as far as ``given`` does not say it."""
    usual, found = Access(), dict[str, Any]()
    for option, name in _REACHED.items():
        value, default = run.settings.get(option), getattr(usual, name)
        fits = isinstance(value, str if default is None else type(default))
        if fits and getattr(given, name) == default:
            found[name] = value
    if "ca_bundle" in found and run.directory is not None:
        found["ca_bundle"] = os.path.join(run.directory, found["ca_bundle"])
    return replace(given, **found)


def _find_places(file: Any, path: str) -> tuple[dict[str, str], JournalRun]:
    """Return the buckets of a journal, what all of their keys begin with, and its last run."""
    found: dict[bytes, bytes] = {}
    is_first, run = True, UNKNOWN
    while line := file.readline(LONGEST):
        if is_first:
            _check_first(line, path)
        is_first = False
        if b'"start"' in line:
            run = _last_run(line, run)
        place = _find_place(line)
        if place is None:
            continue
        bucket, key = place
        prefix = found.setdefault(bucket, key)
        if not key.startswith(prefix):
            found[bucket] = _common(prefix, key)
    if is_first:
        raise UsageError(f"JOURNAL '{shown(path)}' is empty: there is nothing to verify")
    return {bucket.decode(): _directory(prefix) for bucket, prefix in found.items()}, run


def _last_run(line: bytes, before: JournalRun) -> JournalRun:
    """Return the run that a line begins; ``before`` if it begins none that has transferred."""
    try:
        event = parse_line(line)
    except BadJournalLine:
        return before
    run = JournalRun.of(event)
    begins = event.get("event") == "start" and run.counts and run.verb in WRITERS
    return run if begins else before


def _find_place(line: bytes) -> tuple[bytes, bytes] | None:
    """Return the bucket and the key, as in JSON, of the object that a line may be about."""
    verb = _OUTCOME.match(line)
    place = _PLACE.search(line) if verb else None
    if verb is None or place is None:  # it is about none, or was written by others
        return _parse_place(line)
    if verb[1] not in _TO_BUCKET or b',"path":"' in line:
        return None
    return place[1], place[2]


def _parse_place(line: bytes) -> tuple[bytes, bytes] | None:
    try:
        event = parse_line(line)
    except BadJournalLine:
        return None
    bucket, key = event.get("bucket"), event.get("key")
    names_key = isinstance(bucket, str) and isinstance(key, str) and "path" not in event
    if not names_key or str(event.get("event")) not in ("done", "skipped", "failed"):
        return None
    if str(event.get("verb")).encode() not in _TO_BUCKET:
        return None
    return str(bucket).encode(), json.dumps(key)[1:-1].encode()


def _common(one: bytes, other: bytes) -> bytes:
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return one[: min(len(one), len(other)) if length is None else length]


def _directory(escaped: bytes) -> str:
    """Return the keys' common beginning up to its last slash, which is whole in any case."""
    above = escaped[: escaped.rfind(b"/") + 1]
    prefix: str = parse_line(b'{"prefix":"%s"}' % above)["prefix"]
    return prefix


def _check_first(line: bytes, path: str) -> None:
    try:
        event = parse_line(line)
        if isinstance(event.get("event"), str):
            return
    except BadJournalLine:
        pass
    raise UsageError(f"'{shown(path)}' is not a journal: name a file of --journal")
