"""The lines of a run: outcomes and keys as text for users and as events for programs.

``Lines`` formats the outcomes of a transfer, ``UploadLines`` those of a clean, ``KeyView`` the keys
of a list::

    2026-11-20T08:00:00.000Z         4096 620f0b67a91f7f74151bc5be745b7110   photos/1.jpg
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar

from s3pp.escaping import one_line, printable
from s3pp.job import Job
from s3pp.records import Deleted, Done, Failed, Outcome, Skipped, UploadFacts
from s3pp.report.failures import explain
from s3pp.report.outlet import message
from s3pp.s3.listing import CommonPrefix, Listed
from s3pp.s3.timestamps import parse_time


@cache
def _encoder() -> Callable[[Any], str]:
    import json  # which most runs do without

    # ASCII only: lone surrogates are preserved, and every stream's encoding accepts the line.
    return json.JSONEncoder(separators=(",", ":")).encode


def as_json(event: dict[str, Any]) -> str:
    """Return ``event`` as one line of JSON, without the line end."""
    return _encoder()(event)


@dataclass(frozen=True)
class Lines:
    """Formatter of the outcomes of one job.

    ``source`` and ``target`` are prefixes of the names, ``s3://bucket/`` or ``DIRECTORY/``, and
    ``deletes`` is that of what is deleted.
    """

    verb: str
    source: str
    target: str
    dry_run: bool = False
    buckets: tuple[str, ...] = ()  # that are read, if there are several
    deletes: str = ""
    title: str = ""  # what events and lines call the verb; empty: as it is

    @classmethod
    def of(cls, job: Job) -> Lines:
        """Return the formatter for ``job``."""
        source = f"s3://{job.buckets[0]}/" if job.buckets else ""
        if job.verb == "clean":
            return UploadLines(job.verb, source, source, job.dry_run, now=time.time())
        if job.verifies:
            from s3pp.report.verify_lines import lines_of

            return lines_of(job, source)
        if job.verb == "remove":
            return cls(job.verb, source, source, job.dry_run, deletes=source)
        target = f"s3://{job.dest.bucket}/"
        if job.verb == "get":
            target = "" if job.is_stream else os.path.join(job.directory, "")
        if len(job.buckets) > 1:  # then outcomes name the bucket, too
            return cls(job.verb, "s3://", target, job.dry_run, job.buckets, deletes=target)
        deletes = source if job.moves else target
        return cls(job.verb, source, target, job.dry_run, deletes=deletes, title=job.title)

    def text(self, outcome: Outcome) -> str:
        """Return ``put a/b.txt -> s3://b/p/a/b.txt (new)``, without the line end.

        A failure ends with its cause: ``put a/b.txt -> s3://b/p/a/b.txt: permission denied``. What
        is deleted has one name: ``delete s3://b/p/a/b.txt (not in source)``.
        """
        kind = type(outcome)
        if is_deletion(outcome):
            return self._deletion_text(outcome)
        verb = "skip" if kind is Skipped else self.title or self.verb
        source = printable(self.source + outcome.source)
        line = f"{verb} {source} -> {printable(self.target + outcome.target)}"
        if isinstance(outcome, Failed):
            return f"{line}: {one_line(explain(outcome))}"
        return f"{line} ({outcome.reason.value})"

    def event(self, outcome: Outcome) -> dict[str, Any]:
        """Return the outcome as an event of ``--json`` and the journal."""
        verb = self.title or self.verb
        event: dict[str, Any] = {"event": type(outcome).__name__.lower(), "verb": verb}
        event |= self._place(outcome)
        event |= self._particulars(outcome)
        if self.dry_run:
            event |= {"dry_run": True} | ({"sent": 0} if "sent" in event else {})
        return event

    def json(self, outcome: Outcome) -> str:
        """Return ``event(outcome)`` as one line of JSON, without the line end."""
        return as_json(self.event(outcome))

    def _deletion_text(self, outcome: Outcome) -> str:
        place = printable(self.deletes + outcome.target)
        if isinstance(outcome, Failed):
            return f"delete {place}: {one_line(explain(outcome))}"
        verb = "skip" if isinstance(outcome, Skipped) else "delete"
        return f"{verb} {place} ({outcome.reason.value})"

    def _deletion_place(self, target: str) -> dict[str, str]:
        """Return the location of what is deleted: its bucket and key, or the path of a file."""
        bucket, _, key = (self.deletes + target).removeprefix("s3://").partition("/")
        if self.deletes.startswith("s3://"):
            return {"bucket": bucket, "key": key}
        return {"path": self.deletes + target}

    def _place(self, outcome: Outcome) -> dict[str, str]:
        """Return the location of the object: its bucket and key, and for a get the file."""
        if is_deletion(outcome):
            return self._deletion_place(outcome.target)
        source, target = self.source + outcome.source, self.target + outcome.target
        if self.verb == "get":
            bucket, key = self._split(outcome.source)
            return {"source": source, "bucket": bucket, "key": key, "path": target}
        if self.verb in ("list", "du"):
            return {"source": source, "bucket": _bucket(self.source), "key": outcome.source}
        return {"source": source, "bucket": _bucket(self.target), "key": outcome.target}

    def _split(self, source: str) -> tuple[str, str]:
        for bucket in self.buckets:
            if source.startswith(f"{bucket}/"):
                return bucket, source[len(bucket) + 1 :]
        return _bucket(self.source), source

    def _particulars(self, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Failed):
            code = {"code": outcome.code} if outcome.code else {}
            deleting = {"deleting": True} if outcome.deleting else {}
            attempts = {"attempts": outcome.attempts} if outcome.attempts else {}
            found = {"kind": outcome.kind.value, "message": explain(outcome)}
            return found | code | deleting | attempts
        facts: dict[str, Any] = {"size": outcome.size, "reason": outcome.reason.value}
        if isinstance(outcome, Deleted):
            return facts | _deletion_facts(outcome)
        if isinstance(outcome, Done):
            facts |= {"sent": outcome.sent, "etag": outcome.etag, "attempts": outcome.attempts}
            if outcome.checksum:
                facts["checksum_algorithm"] = outcome.checksum
            if outcome.encoding:
                facts["encoding"] = outcome.encoding
        elif outcome.deleting:
            facts["deleting"] = True
        elif outcome.dest_size is not None:
            facts["dest_size"] = outcome.dest_size
        return facts


@dataclass(frozen=True)
class UploadLines(Lines):
    """Formatter of the outcomes of a clean. Ages are relative to ``now``, in seconds (epoch)."""

    now: float = 0.0

    def text(self, outcome: Outcome) -> str:
        """Return ``abort s3://b/a (2 parts, 4096 bytes, begun 2026-11-17T08:30:00Z: 3d ago)``.

        Like ``Lines.text``; the line of a skipped upload begins with ``skip``.
        """
        place = printable(self.target + outcome.target)
        if isinstance(outcome, Failed):
            return f"abort {place}: {one_line(explain(outcome))}"
        if isinstance(outcome, Skipped):
            return f"skip {place} ({outcome.reason.value})"
        _, initiated, parts = _upload(outcome)
        held = "parts unknown"
        if parts is not None:
            held = f"{pluralize(parts, 'part')}, {pluralize(outcome.size, 'byte')}"
        ago = age(self.now - parse_time(initiated).timestamp())
        return f"abort {place} ({held}, begun {printable(initiated)}: {ago} ago)"

    def _place(self, outcome: Outcome) -> dict[str, str]:
        upload = _upload(outcome)
        key = {"bucket": _bucket(self.target), "key": outcome.target}
        return {**key, "upload_id": upload.id, "initiated": upload.initiated}

    def _particulars(self, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Done):
            parts = _upload(outcome).parts
            return {"parts": parts, "size": None if parts is None else outcome.size}
        if isinstance(outcome, Skipped):
            return {"reason": outcome.reason.value}
        return super()._particulars(outcome)


def is_deletion(outcome: Outcome) -> bool:
    """Return whether an outcome is that of a ``DeleteTask``."""
    if isinstance(outcome, Done):
        return False
    return isinstance(outcome, Deleted) or outcome.deleting


def _deletion_facts(outcome: Deleted) -> dict[str, Any]:
    facts = {"etag": outcome.etag, "version_id": outcome.version}
    return {name: value for name, value in facts.items() if value} | {"attempts": outcome.attempts}


def pluralize(number: int, noun: str) -> str:
    """Return ``1 part``, ``2 parts``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def age(seconds: float) -> str:
    """Format an age as in options, rounded down to one unit: ``3d``, ``26h``, ``12m``, ``5s``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def _upload(outcome: Outcome) -> UploadFacts:
    upload = None if isinstance(outcome, Deleted) else outcome.upload
    assert upload is not None, "a clean has outcomes of uploads only"
    return upload


def _bucket(place: str) -> str:
    return place.removeprefix("s3://").removesuffix("/")


# Skipped is in no list: its jobs name no earlier runs.
Found = Listed | CommonPrefix | Skipped | Failed


@dataclass(slots=True)
class KeyTotals:
    """Counts of a listing so far."""

    keys: int = 0
    requests: int = 0  # to the store
    failed: int = 0  # names of --files-from without an object
    bytes: int = 0
    seconds: float = 0.0
    complete: bool = True  # False: the listing did not end, and more keys may exist
    prefixes: int = 0  # of one level

    @property
    def balanced(self) -> bool:
        """True: every key counts when it is printed, see ``Totals.balanced``."""
        return True

    def fold(self, found: Sequence[Found]) -> None:
        """Add a page to the counts."""
        sizes = [each.size for each in found if isinstance(each, Listed)]
        self.keys += len(sizes)
        self.bytes += sum(sizes)
        if others := len(found) - len(sizes):
            prefixes = sum(isinstance(each, CommonPrefix) for each in found)
            self.prefixes += prefixes
            self.failed += others - prefixes


_View = TypeVar("_View", bound="KeyView")


@dataclass(frozen=True)
class KeyView:
    """The lines of one listing; writes nothing."""

    bucket: str
    json: bool = False
    verbosity: int = 0
    program: str = "s3pp"
    shard: str = ""  # that it is the listing of; empty: of all keys
    verb: ClassVar[str] = "list"

    @classmethod
    def of(cls: type[_View], job: Job) -> _View:
        """Return the view for the settings of ``job``."""
        output = job.output
        bucket = job.origin.bucket if job.origins else ""
        shard = str(job.choosing.shard or "")
        return cls(bucket, output.json, output.verbosity, output.program, shard)

    def lines(self, page: Iterable[Found]) -> list[str]:
        """Return the lines on stdout for a page; none with ``-q``."""
        if self.verbosity < 0:
            return []
        listed = [each for each in page if isinstance(each, Listed)]
        return [self._json(each) for each in listed] if self.json else _texts(listed)

    def remarks(self, page: Iterable[Found]) -> list[str]:
        """Return the lines on stderr for a page."""
        if self.verbosity < -1:
            return []
        place = f"s3://{self.bucket}/"
        return [
            message(self.program, f"{self.verb} {place}{printable(each.source)}: {each.message}")
            for each in page
            if isinstance(each, Failed)
        ]

    def summary(self, totals: KeyTotals) -> str:
        """Return the last line, for ``--summarize``, which names the shard."""
        if self.json:
            shard = {"shard": self.shard} if self.shard else {}
            return as_json(self._summary_event(totals) | shard)
        line = self._summary_text(totals)
        return f"{line}, shard {self.shard}" if self.shard else line

    def rest(self) -> list[str]:
        """Return the lines that are due when all is listed."""
        return []

    def _summary_event(self, totals: KeyTotals) -> dict[str, Any]:
        event = {
            "event": "summary",
            "verb": self.verb,
            "listed": totals.keys,
            "failed": totals.failed,
            "bytes": totals.bytes,
            "seconds": round(totals.seconds, 3),
        }
        return event if totals.complete else event | {"listing_complete": False}

    def _summary_text(self, totals: KeyTotals) -> str:
        rate = totals.keys / totals.seconds if totals.seconds > 0 else 0.0
        line = f"list {totals.bytes} bytes in {totals.keys} objects in {totals.seconds:.1f} seconds"
        failed = f", {totals.failed} failed" if totals.failed else ""
        return f"{line} ({rate:.1f} objects/s){failed}"

    def _json(self, listed: Listed) -> str:
        key, size, etag, modified, storage_class = listed
        return as_json(
            {
                "event": "object",
                "bucket": self.bucket,
                "key": key,
                "size": size,
                "etag": etag,
                "modified": modified,
                "storage_class": storage_class,
            }
        )


_TEXT = "%-24s %12d %-34s %s"  # faster than an f-string with padding


def _texts(page: list[Listed]) -> list[str]:
    lines = [
        _TEXT % (modified or "-", size, etag or "-", printable(key))
        for key, size, etag, modified, _ in page
    ]
    # Times and ETags are the store's: looked at for all at once.
    return lines if "".join(lines).isprintable() else list(map(one_line, lines))


def throttled_notice(prefix: str) -> str:
    """What users are told of a limit below ``prefix``, as in ``bucket/logs/``; empty: of all."""
    if prefix:
        return (
            f"{printable(f's3://{prefix}')} throttles requests: those below it are sent as fast as"
            " the store accepts them, all others without a limit"
        )
    return (
        "the store throttles requests, or does not answer them:"
        " they are sent as fast as it accepts them"
    )
