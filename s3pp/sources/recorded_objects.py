"""What a journal says of each destination, by the last line about it: the source of a verify.

====================  =============================================================================
the last line is      the object
====================  =============================================================================
done                  has to be there, as recorded
skipped               likewise, if what was skipped was found to be there; by what the line records
                      of it, or else an earlier one. Other skips (a FIFO, a link) say nothing
failed                is not known to be there
deleted               was meant to go: it is not looked at
====================  =============================================================================

Destinations are those of one store: a key in another one of the same name is another object. Dry
runs, runs against a sandbox and verifications do not count. The lines are sorted on disk: memory is
constant, whatever their number.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from s3pp.errors import FailureKind
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.job import STREAM
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.recorded import Recorded
from s3pp.records import SkipReason
from s3pp.s3.timestamps import epoch_nanoseconds
from s3pp.sources.filters import key_bytes
from s3pp.sources.journal_reader import (
    BadJournalLine,
    JournalLine,
    JournalReader,
    JournalRun,
)

MOST_NAMED = 10  # lines that cannot be understood
WRITERS = frozenset({"put", "get", "copy", "move"})
# Skips of what is at the destination.
_THERE = frozenset(
    {
        *(SkipReason.EXISTS, SkipReason.SAME_ETAG, SkipReason.SAME_CHECKSUM, SkipReason.SAME_TIME),
        *(SkipReason.SAME_SIZE, SkipReason.NOT_NEWER, SkipReason.APPLIED, SkipReason.DONE_EARLIER),
    }
)


class State(str, Enum):
    """What the last line about a destination means."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    DELETED = "deleted"


class JournalRow(NamedTuple):
    """A line about a destination, as it is sorted."""

    bucket: str  # empty: it is a file
    order: bytes  # of ``name``, as keys sort
    store: str  # host; empty: unknown, or it is a file
    name: str  # key, or path
    state: State
    recorded: Recorded
    kind: str = ""  # of a failure


class Latest(NamedTuple):
    """What is known of a destination by all of its lines."""

    row: JournalRow  # the last one
    recorded: Recorded
    was_done: bool  # by an earlier one, or this


def sizes_recorded(path: str) -> Iterator[int]:
    """Yield the size, 0 if unknown, of each destination that a verify of a journal reports on.

    All lines are read first. Raises ``FatalError``.
    """
    for latest in RecordedObjects(path):
        if latest.was_done or latest.row.state is not State.DELETED:
            yield latest.recorded.size or 0


class RecordedObjects:
    """The destinations in a journal, sorted: files first, then keys, by bucket."""

    def __init__(self, path: str) -> None:
        self.reader = JournalReader(path)
        self.bad: list[tuple[int, str]] = []  # numbers of lines, and what is wrong with them
        self.bad_count = 0  # of all

    def __iter__(self) -> Iterator[Latest]:
        """Yield each destination once; all lines are read first. Raises ``FatalError``."""
        rows = sort_records(
            self._rows(), key=itemgetter(0, 1, 2), memory=SortMemory(RICH_RUN_LENGTH)
        )
        for _, group in groupby(rows, key=itemgetter(0, 1, 2)):
            latest: Latest | None = None
            for row in group:
                latest = _after(latest, row)
            assert latest is not None
            yield latest

    def _rows(self) -> Iterator[JournalRow]:
        for line in self.reader:
            if not isinstance(line, JournalLine):
                self._note(*line)
                continue
            try:
                if (row := read_row(line.event, line.run)) is not None:
                    yield row
            except BadJournalLine as error:
                self._note(line.number, error)

    def _note(self, number: int, error: BadJournalLine) -> None:
        self.bad_count += 1
        if len(self.bad) < MOST_NAMED:
            self.bad.append((number, str(error)))


def _after(before: Latest | None, row: JournalRow) -> Latest:
    """Return what is known of a destination after one more line."""
    recorded, was_done = row.recorded, row.state is State.DONE
    if before is not None and before.was_done and _has_no_effect(row):
        return before
    if before is not None and before.row.state is not State.DELETED:
        was_done = was_done or before.was_done
        bare = not recorded.etag and recorded.checksum is None
        if row.state is State.SKIPPED and bare and before.was_done:
            modified = recorded.modified_ns or before.recorded.modified_ns
            recorded = before.recorded._replace(modified_ns=modified)
    elif before is not None:
        was_done = was_done or before.was_done
    return Latest(row, recorded, was_done)


def _has_no_effect(row: JournalRow) -> bool:
    """Return whether a line is of a source that did not get the name: another one had it."""
    return row.state is State.FAILED and row.kind == FailureKind.CONFLICT.value


def read_row(event: Mapping[str, Any], run: JournalRun) -> JournalRow | None:
    """Return what a line says of a destination; None: nothing. Raises ``BadJournalLine``."""
    verb = _text(event, "verb")
    is_deletion = event["event"] == "deleted" or event.get("deleting") is True
    if event.get("dry_run") or not run.counts or "upload_id" in event:
        return None
    if verb not in WRITERS and not (verb == "remove" and is_deletion):
        return None
    if is_deletion and event["event"] != "deleted":  # it was to be deleted, and was not
        return None
    state = State(event["event"])
    if state is State.SKIPPED and str(event.get("reason")) not in _THERE:
        return None
    recorded = _recorded(event, run) if state in (State.DONE, State.SKIPPED) else Recorded()
    kind = str(event.get("kind", ""))
    if "path" in event:
        name = _absolute(_text(event, "path"), run)
        return JournalRow("", _order(name), "", name, state, recorded, kind)
    bucket, key = _text(event, "bucket"), _text(event, "key")
    at_source = is_deletion and verb in ("remove", "move")
    store = run.source_store if at_source else run.store
    return JournalRow(bucket, _order(key), store, key, state, recorded, kind)


def _order(name: str) -> bytes:
    try:
        return key_bytes(name)
    except UnicodeEncodeError:
        raise BadJournalLine(f"nothing can have the name {name!r}") from None


def _absolute(path: str, run: JournalRun) -> str:
    if os.path.isabs(path) or path == STREAM:
        return path
    if run.directory is None:
        raise BadJournalLine(f"the directory that {path!r} is relative to is not known")
    return os.path.join(run.directory, path)


def _recorded(event: Mapping[str, Any], run: JournalRun) -> Recorded:
    etag, version = _optional(event, "etag"), _optional(event, "version_id")
    checksum = _checksum(_optional(event, "checksum"))
    size = event.get("size")
    if type(size) is not int or size < 0:
        raise BadJournalLine(f"its 'size' is {size!r}, and has to be a number")
    packed = "encoding" in event and "source_size" not in event
    modified = epoch_nanoseconds(_optional(event, "mtime")) if "mtime" in event else None
    if "path" in event and _is_repacked(event, run):
        return Recorded(size, "", checksum, "", modified)  # the ETag is that of other bytes
    return Recorded(None if packed else size, etag, checksum, version, modified)


def _is_repacked(event: Mapping[str, Any], run: JournalRun) -> bool:
    """Return whether a file may have other bytes than its object."""
    settings = run.settings
    unpacked = settings.get("gunzip") or settings.get("gzip-suffix")
    return bool(unpacked) or event.get("source_size", event["size"]) != event["size"]


def _checksum(text: str) -> tuple[str, str] | None:
    """Return a checksum by its name, in base64; None: there is none, or none that is known."""
    name, colon, value = text.partition(":")
    if not colon or name not in ALGORITHMS:
        return None
    if name != "md5":
        return name, value
    try:
        return name, b64encode(bytes.fromhex(value)).decode()
    except ValueError:
        raise BadJournalLine(f"its 'checksum' is {text!r}") from None


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        what = "is missing" if value is None else f"is {value!r}"
        raise BadJournalLine(f"its {name!r} {what}, and has to be text")
    return value


def _optional(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name, "")
    if not isinstance(value, str):
        raise BadJournalLine(f"its {name!r} is {value!r}, and has to be text")
    return value
