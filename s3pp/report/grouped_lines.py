"""The lines of listings that are more than a line for each key.

::

    list --delimiter /                               -          PRE -           photos/2025/
                              2026-11-20T08:00:00.000Z         4096 620f0b67…   photos/1.jpg
    list --buckets            2026-11-20T08:00:00.000Z photos
    du --depth 1              104857600         7 s3://bucket/photos/2025/
                              104861696         8 s3://bucket/photos
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from s3pp.escaping import one_line, printable
from s3pp.job import Job
from s3pp.report.lines import Found, KeyTotals, KeyView, as_json, pluralize
from s3pp.report.progress_text import binary
from s3pp.report.sums import PrefixSum, PrefixSums
from s3pp.s3.bucket_list import BucketEntry
from s3pp.s3.listing import CommonPrefix, Listed

_KEY = "%-24s %12s %-34s %s"
_SUM = "%14s %12d %s"


def view_of(job: Job) -> KeyView:
    """Return the view for the settings of ``job``, which are not those of a plain list."""
    listing = job.listing
    if listing.buckets:
        return BucketView.of(job)
    size = _binary if listing.human_readable else str
    if job.verb == "du":
        sums = PrefixSums(job.origin.prefix, listing.delimiter or "/", listing.depth)
        return replace(SumView.of(job), size=size, place=str(job.origin), sums=sums)
    return replace(LevelView.of(job), size=size, delimited=listing.delimiter is not None)


def _binary(size: int) -> str:
    return binary(size).replace("bytes", "B").replace("byte", "B")


@dataclass(frozen=True)
class LevelView(KeyView):
    """Lines of keys, and of what several keys begin with."""

    size: Callable[[int], str] = str
    delimited: bool = False

    def lines(self, page: Iterable[Found]) -> list[str]:
        """As ``KeyView.lines``."""
        if self.verbosity < 0:
            return []
        make = self._event if self.json else self._text
        return [make(each) for each in page if isinstance(each, Listed | CommonPrefix)]

    def _summary_event(self, totals: KeyTotals) -> dict[str, Any]:
        prefixes = {"prefixes": totals.prefixes} if self.delimited else {}
        return super()._summary_event(totals) | prefixes

    def _summary_text(self, totals: KeyTotals) -> str:
        size = self.size(totals.bytes) if self.size is not str else f"{totals.bytes} bytes"
        groups = f" and {_prefixes(totals.prefixes)}" if self.delimited else ""
        line = f"list {size} in {totals.keys} objects{groups} in {totals.seconds:.1f} seconds"
        return f"{line}, {totals.failed} failed" if totals.failed else line

    def _event(self, entry: Listed | CommonPrefix) -> str:
        if isinstance(entry, Listed):
            return self._json(entry)
        return as_json({"event": "prefix", "bucket": self.bucket, "prefix": entry.name})

    def _text(self, entry: Listed | CommonPrefix) -> str:
        if isinstance(entry, CommonPrefix):
            return _KEY % ("-", "PRE", "-", printable(entry.name))
        key, size, etag, modified, _ = entry
        begin = one_line(_KEY % (modified or "-", self.size(size), etag or "-", ""))
        return begin + printable(key)


def _prefixes(number: int) -> str:
    return "1 prefix" if number == 1 else f"{number} prefixes"


@dataclass(frozen=True)
class SumView(KeyView):
    """Sums of prefixes, each when the last of its keys is listed, and of all."""

    verb: ClassVar[str] = "du"
    size: Callable[[int], str] = str
    place: str = ""
    sums: PrefixSums = field(default_factory=PrefixSums)

    def lines(self, page: Iterable[Found]) -> list[str]:
        """As ``KeyView.lines``."""
        return self._shown(self.sums.add(each for each in page if isinstance(each, Listed)))

    def rest(self) -> list[str]:
        """As ``KeyView.rest``: the sums of the last prefixes."""
        return self._shown(self.sums.end())

    def _summary_text(self, totals: KeyTotals) -> str:
        return _SUM % (self.size(totals.bytes), totals.keys, printable(self.place))

    def _shown(self, found: Sequence[PrefixSum]) -> list[str]:
        if self.verbosity < 0:
            return []
        return [self._event(each) if self.json else self._text(each) for each in found]

    def _event(self, found: PrefixSum) -> str:
        event: dict[str, Any] = {"event": "prefix", "bucket": self.bucket, "prefix": found.prefix}
        return as_json(event | {"objects": found.objects, "bytes": found.bytes})

    def _text(self, found: PrefixSum) -> str:
        place = printable(f"s3://{self.bucket}/{found.prefix}")
        return _SUM % (self.size(found.bytes), found.objects, place)


@dataclass(frozen=True)
class BucketView(KeyView):
    """Names of buckets, and when they were created."""

    def bucket_lines(self, page: Iterable[BucketEntry]) -> list[str]:
        """Return the lines on stdout for a page; none with ``-q``."""
        if self.verbosity < 0:
            return []
        return [self._bucket_event(each) if self.json else _bucket_text(each) for each in page]

    def _summary_event(self, totals: KeyTotals) -> dict[str, Any]:
        event = super()._summary_event(totals)
        del event["bytes"]
        return event

    def _summary_text(self, totals: KeyTotals) -> str:
        return f"list {pluralize(totals.keys, 'bucket')} in {totals.seconds:.1f} seconds"

    def _bucket_event(self, bucket: BucketEntry) -> str:
        region = {"region": bucket.region} if bucket.region else {}
        event = {"event": "bucket", "bucket": bucket.name, "created": bucket.created}
        return as_json(event | region)


def _bucket_text(bucket: BucketEntry) -> str:
    return one_line(f"{bucket.created or '-':<24} {bucket.name}")
