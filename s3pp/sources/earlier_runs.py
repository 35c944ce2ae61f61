"""What earlier runs have done: ``--retry-from``, and logs of s3-parallel-put.

* A journal counts with the last outcome that it has for a destination, of several journals that of
  the last one named. The object is done if that outcome is ``done`` or ``skipped``; it is
  transferred if it is ``failed``, ``deleted``, or if there is none. What has changed since: a file
  of another size or time, an object of another size or ETag, is not done. Version 1 has neither:
  there, what was last modified ``MARGIN`` before the run began is unchanged.
* Only entries for the same source and destination count: another store, bucket, prefix or
  DIRECTORY, and another SOURCE, are other objects. Names of files are relative to the directory
  that the run was started in. An entry of another source for the same destination means that the
  destination holds something else by now: nothing is done.
* An entry whose store is unknown may be for the same destination: nothing is done. So it is with
  those of older versions, and of version 1 where two runs wrote to the journal at the same time,
  since its lines do not say which run they are of. Where the keys are of another account than those
  of now, buckets may be others too: nothing is done.
* Dry runs and runs against a sandbox do not count, nor do lines that were cut off.
* A log of s3-parallel-put counts by its lines ``PATH -> KEY`` and ``PATH z> KEY``, which it wrote
  for files that it had sent. Those of files that it skipped do not count: they are compared again.
  Keys are collapsed, as they were on their way: ``/a//b`` is the key ``a/b``; those of copies of
  objects are not. Where a name holds an arrow, the line is split where both sides have the same
  base name.
* A line counts only where it is certain which key it means. Names are as they were in logs of the
  old program, and escaped in those of ours, which mark lines with such names: ``escaped-putter``.
  A line with a backslash and no mark does not count, nor does one that can be split in two ways.

The entries are sorted on disk by destination, and read beside the walk, which has the same order:
memory is constant, whatever their number. A file is read to its end before the first object of a
source is looked at, so that a run may append to the journal that it retries.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from s3pp.errors import FatalError, UsageError
from s3pp.escaping import name_of
from s3pp.facts import mtime_text
from s3pp.job import Choosing, Job
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.localfs.paths import shown
from s3pp.places import Origin
from s3pp.records import Entry, Facts, Failed, Skipped, SkipReason
from s3pp.s3.listing import Listed
from s3pp.s3.timestamps import epoch_nanoseconds
from s3pp.sources.filters import Record, key_bytes
from s3pp.sources.journal_beginning import read_beginning, why_no_journal
from s3pp.sources.journal_reader import LONGEST, JournalLine, JournalReader, JournalRun

_OUTCOMES = {"done": True, "skipped": True, "failed": False}
_SENT = re.compile(r"INFO:[^:\[]+\[(escaped-)?putter-\d+\]:(?!skipping )(.*)")
_LINE = re.compile(rb"[A-Z]+:[^:\[]+\[(escaped-)?(putter|dry-run|walker|statter)-\d+\]:")
_ARROW = re.compile("(?= [z-]> )")  # two may share a blank
# Raised for a line that is not an outcome: no JSON, nested without end, or with other fields.
_NO_OUTCOME = (ValueError, RecursionError, KeyError, TypeError, AttributeError)
MARGIN = 900.0  # seconds that the clock of a store may be apart: S3 refuses requests beyond that


Found = Listed | Skipped | Failed


class Past(NamedTuple):
    """An outcome in an earlier run."""

    order: bytes  # of the destination, as keys sort
    source: str | None  # None: any
    done: bool
    size: int | None = None  # bytes of the source
    version: str = ""  # of the source: the time of a file, the ETag of an object; empty: not known
    before: float = 0.0  # then what was modified before this is unchanged, seconds since the epoch

    def is_of(self, found: Entry | Listed) -> bool:
        """Return whether the source is unchanged."""
        if self.version:
            now = mtime_text(found.mtime_ns) if isinstance(found, Entry) else found.etag
            return (self.size, self.version) == (found.size, now)
        if not self.before:
            return False
        modified = found.mtime_ns if isinstance(found, Entry) else _modified_ns(found)
        return modified is not None and modified < self.before * 1e9


def _modified_ns(found: Listed) -> int | None:
    return epoch_nanoseconds(found.modified)


class EarlierRuns:
    """The outcomes of earlier runs, looked up by destination in ascending order."""

    def __init__(self, found: Iterable[Past]) -> None:
        memory = SortMemory(RICH_RUN_LENGTH)
        self._rows = sort_records(found, key=itemgetter(0), memory=memory)
        self._next = next(self._rows, None)  # by now everything has been read

    @classmethod
    def of(cls, job: Job) -> EarlierRuns | None:
        """Return what the journals and logs of ``job`` hold; None if it names none.

        Raises ``FatalError`` if one cannot be read.
        """
        choosing = job.choosing
        if not choosing.names_earlier_runs:
            return None
        logs = chain.from_iterable(map(_read_log, choosing.resume_logs))
        journals = chain.from_iterable(_read_journal(path, job) for path in choosing.retry_from)
        return cls(chain(logs, journals))

    def covers(self, target: str, source: str, found: Entry | Listed) -> bool:
        """Return whether ``source``, as it is ``found`` now, is at ``target`` already.

        Targets must ascend.
        """
        wanted, last = key_bytes(target), None
        while self._next is not None and self._next.order <= wanted:
            last, self._next = self._next, next(self._rows, None)
        if last is None or last.order != wanted:
            return False
        if last.source is None:  # of a log of s3-parallel-put
            return last.done
        return last.done and last.source == source and last.is_of(found)


def skip_done(records: Iterator[Record], earlier: EarlierRuns | None) -> Iterator[Record]:
    """Yield ``records``, those of files that were sent in an earlier run as skipped."""
    if earlier is None:
        return records
    here = os.getcwd()
    return (
        _skipped_file(each)
        if isinstance(each, Entry)
        and earlier.covers(each.key, os.path.join(here, each.source), each)
        else each
        for each in records
    )


def _skipped_file(entry: Entry) -> Skipped:
    facts = Facts.of_file(entry.mtime_ns)
    return Skipped(entry.source, entry.key, entry.size, SkipReason.DONE_EARLIER, facts=facts)


def skip_done_objects(job: Job, origin: Origin, found: Iterator[Found]) -> Iterator[Found]:
    """Return ``found``, those objects that an earlier run has transferred as skipped."""
    return _skip_done(job, origin, found) if job.choosing.names_earlier_runs else found


def _skip_done(job: Job, origin: Origin, found: Iterator[Found]) -> Iterator[Found]:
    earlier = EarlierRuns.of(job)
    assert earlier is not None
    start, cut = origin.renaming
    below = os.path.join(os.getcwd(), job.directory, "") if job.directory else job.dest.key("")
    top = below + start
    for each in found:
        name = each.key[cut:] if isinstance(each, Listed) else ""
        if isinstance(each, Listed) and earlier.covers(
            top + name, f"s3://{origin.bucket}/{each.key}", each
        ):
            facts = Facts.of_object(each.etag)
            yield Skipped(each.key, name, each.size, SkipReason.DONE_EARLIER, facts=facts)
        else:
            yield each


# Journals


def _read_journal(path: str, job: Job) -> Iterator[Past]:
    for line in JournalReader(path, "--retry-from"):
        if isinstance(line, JournalLine) and line.run.counts:
            with suppress(*_NO_OUTCOME):
                if (past := _past(line.event, line.run, job)) is not None:
                    yield past


def _past(event: dict[str, Any], run: JournalRun, job: Job) -> Past | None:
    """Return the outcome that ``event`` is, if its destination may be one of ``job``."""
    if event["event"] == "deleted":
        return _deleted(event, run, job)
    done = _OUTCOMES.get(event["event"])
    if done is None or event.get("dry_run") or event.get("deleting"):
        return None
    target = (_file if job.verb == "get" else _object)(event, run, job)
    if target is None:
        return None
    source = event["source"]
    if event["verb"] == "put":
        source = os.path.join(run.directory or "", source)
    same = event["verb"] == job.verb and _same_stores(run, job)
    version = event.get("source_mtime") or event.get("source_etag") or ""
    size = event.get("source_size")
    return Past(key_bytes(target), source, done and same, size, version, _before(run))


def _before(run: JournalRun) -> float:
    """Return the time before which what was last modified is unchanged, in version 1."""
    began = epoch_nanoseconds(run.time) if run.accounts is None else None
    return 0.0 if began is None else began / 1e9 - MARGIN


def _deleted(event: dict[str, Any], run: JournalRun, job: Job) -> Past | None:
    """Return that nothing is done of what was deleted, by whichever command and in any store."""
    target = event["key"] if event.get("bucket") == job.dest.bucket else None
    if job.verb == "get":
        target = _file(event, run, job) if "path" in event else None
    return None if target is None else Past(key_bytes(target), None, False)


def _file(event: dict[str, Any], run: JournalRun, _: Job) -> str | None:
    """Return the path of the file that ``event`` is about; None if it is about none."""
    if event["verb"] != "get":
        return None
    return os.path.join(os.getcwd() if run.directory is None else run.directory, event["path"])


def _object(event: dict[str, Any], run: JournalRun, job: Job) -> str | None:
    """Return the key of the object, if it may be in the destination's bucket."""
    ours = event["verb"] in ("put", "copy") and event["bucket"] == job.dest.bucket
    return event["key"] if ours and run.store in ("", job.stores.dest) else None


def _same_stores(run: JournalRun, job: Job) -> bool:
    """Return whether ``run`` is known to have had the stores of ``job``."""
    known = any(job.stores) and (job.verb == "copy" or run.directory is not None)
    same = (run.source_store, run.store) == job.stores
    return known and same and run.accounts in (None, job.accounts)


# Logs of s3-parallel-put


def _read_log(path: str) -> Iterator[Past]:
    for line in _lines(path, "--resume"):
        if line.endswith(b"\n") and (key := sent_key(os.fsdecode(line).rstrip("\r\n"))):
            yield Past(key_bytes(key), None, True)


def sent_key(line: str) -> str | None:
    """Return the key of a file that was sent, from a line of a log.

    None for any other line, and where it is not certain which key is meant.
    """
    found = _SENT.fullmatch(line)
    if found is None:
        return None
    escaped, text = found[1], found[2]
    if "\\" in text and not escaped:  # an escape, or in an old log a name with a backslash
        return None
    places = [each.start() for each in _ARROW.finditer(text)]
    keys = [key for at in places if (key := _key(text[:at], text[at + len(" -> ") :]))]
    if len(keys) != 1:
        return None
    try:
        return name_of(keys[0]) if escaped else keys[0]
    except ValueError:
        return None


def _key(path: str, key: str) -> str | None:
    """Return the key if ``path`` may have been sent to it: both have the same base name."""
    name, base = os.path.basename(path), os.path.basename(key)
    at_top = base and name.endswith(f":{base}")  # a member at the top of an archive
    if name != base and not at_top:
        return None
    if path.startswith("s3://"):  # a copy, which keeps the key
        return key
    return re.sub("/+", "/", key).removeprefix("/")


def has_nothing_sent(path: str) -> bool:
    """Return whether the file is empty, or a log that has no file as sent.

    False for what cannot be read, or only once.
    """
    try:
        if not os.path.isfile(path):
            return False
        return not os.path.getsize(path) or (_is_log(path) and not any(_read_log(path)))
    except (OSError, FatalError):
        return False


def _is_log(path: str) -> bool:
    return any(_LINE.match(line) for line in _lines(path, "--resume"))


# Files


def check_earlier_runs(choosing: Choosing) -> None:
    """Raise ``UsageError`` for a file that cannot be read, or is no journal."""
    for path in choosing.retry_from:
        if fault := why_no_journal(read_beginning(path, "--retry-from")):
            raise UsageError(f"--retry-from '{shown(path)}' {fault}")
    for path in choosing.resume_logs:
        if read_beginning(path, "--resume") and not _is_log(path):
            raise UsageError(
                f"--resume '{shown(path)}' is not a log of s3-parallel-put: it has no line of one"
            )


def unknown_runs(choosing: Choosing) -> Iterator[str]:
    """Yield a notice for each journal that begins with a run whose store it does not name."""
    for path in choosing.retry_from:
        beginning = read_beginning(path, "--retry-from")
        with suppress(*_NO_OUTCOME):  # empty, or a pipe
            start = json.loads(beginning.split(b"\n", 1)[0])
            if start.get("verb") in ("put", "get", "copy") and _names_no_store(start):
                yield (
                    f"--retry-from '{shown(path)}' has runs of an older version, which did not"
                    " record their store: what they transferred is compared again"
                )


def _names_no_store(event: dict[str, Any]) -> bool:
    run = JournalRun.of(event)
    return event["event"] == "start" and not (run.source_store or run.store)


def _lines(path: str, argument: str) -> Iterator[bytes]:
    """Yield the lines of a file; raises ``FatalError``, as what it holds is then unknown."""
    try:
        with open(path, "rb") as file:
            while line := file.readline(LONGEST):
                yield line
    except OSError as error:
        message = f"{argument} '{shown(path)}' cannot be read: {error.strerror}"
        raise FatalError(message) from None
