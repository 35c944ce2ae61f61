"""Where the destinations of a journal are: its buckets, found before the run, and their store."""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from dataclasses import replace
from typing import Any

from s3pp.access import Access
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.localfs.paths import shown
from s3pp.places import Origin, parse_place
from s3pp.s3.endpoint import service_of
from s3pp.sources.journal_beginning import why_no_journal
from s3pp.sources.journal_reader import (
    LONGEST,
    UNKNOWN,
    BadJournalLine,
    JournalRun,
    parse_line,
)
from s3pp.sources.recorded_objects import WRITERS

_TO_BUCKET = frozenset({b"put", b"copy", b"move"})
_EVENT = re.compile(rb'\{"event":"(\w+)"(?:,"run":"([0-9a-f]*)")?')
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
            places = _Places.read(file, path)
    except OSError as error:
        raise UsageError(f"JOURNAL '{shown(path)}' cannot be read: {error.strerror}") from None
    if places.fault:
        raise UsageError(f"JOURNAL '{shown(path)}' {places.fault}")
    given = job.access.endpoint_url
    store = service_of(given) if given else places.run.store or places.run.source_store
    prefixes = places.prefixes(store) or places.prefixes("")
    origins = tuple(Origin(*each) for each in sorted(prefixes.items()) if _is_bucket(each[0]))
    return replace(job, origins=origins, access=_reached(job.access, places.run))


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


class _Places:
    """The buckets of a journal by their stores, what all of their keys begin with, and its runs."""

    def __init__(self) -> None:
        self.run = UNKNOWN  # the last one that has transferred
        self._is_begun = self._names_runs = False
        self._found: dict[tuple[bytes, str], bytes] = {}  # by bucket, and store; empty: unknown
        self._stores: dict[bytes, str] = {}  # of runs that have not ended, by id

    @classmethod
    def read(cls, file: Any, path: str) -> _Places:
        """Read a journal. Raises ``UsageError`` for a file that is none."""
        places = cls()
        while line := file.readline(LONGEST):
            if not places._is_begun and (fault := why_no_journal(line)):
                raise UsageError(f"JOURNAL '{shown(path)}' {fault}")
            places._is_begun = True
            places._add(line)
        return places

    @property
    def fault(self) -> str:
        """Why nothing can be verified; empty if something can."""
        if not self._is_begun:
            return "is empty: there is nothing to verify"
        if self.run is UNKNOWN and self._names_runs:
            return (
                "has no run that has transferred anything: dry runs, runs against a sandbox, and"
                " those of other commands than put, get, copy and move do not count"
            )
        return ""

    def prefixes(self, store: str) -> dict[str, str]:
        """Return what all keys begin with, by bucket, of those that may be in ``store``."""
        found: dict[bytes, bytes] = {}
        for (bucket, where), prefix in self._found.items():
            if not (store and where) or where == store:
                found[bucket] = _common(found.get(bucket, prefix), prefix)
        return {
            bucket.decode("utf-8", "replace"): _directory(prefix)
            for bucket, prefix in found.items()
        }

    def _add(self, line: bytes) -> None:
        if b'"start"' in line:
            self._start(line)
        kind, run = _event_of(line)
        if kind == b"summary" and run:
            self._stores.pop(run, None)
        if (place := _find_place(line)) is None:
            return
        bucket, key = place
        where = bucket, self._stores.get(run, "")
        prefix = self._found.setdefault(where, key)
        if not key.startswith(prefix):
            self._found[where] = _common(prefix, key)

    def _start(self, line: bytes) -> None:
        with suppress(BadJournalLine):
            event = parse_line(line)
            if event.get("event") != "start":
                return
            self._names_runs = True
            run = JournalRun.of(event)
            if run.counts and run.verb in WRITERS:
                self.run = run
                self._stores[_bytes(event.get("run", ""))] = run.store


def _event_of(line: bytes) -> tuple[bytes, bytes]:
    """Return the event of a line, and the id of its run; empty where there is none."""
    if (event := _EVENT.match(line)) is not None:
        return event[1], event[2] or b""
    with suppress(BadJournalLine):  # it was written by others
        found = parse_line(line)
        return _bytes(found.get("event")), _bytes(found.get("run", ""))
    return b"", b""


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
    if _bytes(event.get("verb")) not in _TO_BUCKET:
        return None
    return _bytes(bucket), json.dumps(key)[1:-1].encode()


def _bytes(value: object) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


def _common(one: bytes, other: bytes) -> bytes:
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return one[: min(len(one), len(other)) if length is None else length]


def _directory(escaped: bytes) -> str:
    """Return the keys' common beginning up to its last slash, which is whole in any case."""
    above = escaped[: escaped.rfind(b"/") + 1]
    with suppress(BadJournalLine):
        prefix: str = parse_line(b'{"prefix":"%s"}' % above)["prefix"]
        return prefix
    return ""  # in a line that is no JSON
