"""The output of ``s3pp list``: a line for each key, and a summary.

::

    2026-11-20T08:00:00.000Z         4096 620f0b67a91f7f74151bc5be745b7110   photos/1.jpg
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from s3pp.job import Job
from s3pp.records import Failed
from s3pp.report.escape import one_line, printable
from s3pp.report.lines import as_json
from s3pp.s3.listing import Listed

Found = Listed | Failed


@dataclass(slots=True)
class KeyTotals:
    """Counts of a listing so far."""

    keys: int = 0
    failed: int = 0  # names of --files-from without an object
    bytes: int = 0
    seconds: float = 0.0

    def fold(self, found: Sequence[Found]) -> None:
        """Add a page to the counts."""
        sizes = [each.size for each in found if isinstance(each, Listed)]
        self.keys += len(sizes)
        self.bytes += sum(sizes)
        self.failed += len(found) - len(sizes)


@dataclass(frozen=True)
class KeyView:
    """The lines of one listing; writes nothing."""

    bucket: str
    json: bool = False
    verbosity: int = 0

    @classmethod
    def of(cls, job: Job) -> KeyView:
        """Return the view for the settings of ``job``."""
        assert job.origin is not None
        return cls(job.origin.bucket, job.output.json, job.output.verbosity)

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
        return [
            f"s3pp: list s3://{self.bucket}/{printable(each.source)}: {one_line(each.message)}"
            for each in page
            if isinstance(each, Failed)
        ]

    def notice(self, text: str) -> list[str]:
        """Return the lines on stderr for a notice, which concerns no single key."""
        return [f"s3pp: {one_line(text)}"] if self.verbosity >= 0 else []

    def summary(self, totals: KeyTotals) -> str:
        """Return the last line, for ``--summarize``."""
        if self.json:
            return as_json(_summary_event(totals))
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
    return [
        _TEXT % (modified or "-", size, etag or "-", printable(key))
        for key, size, etag, modified, _ in page
    ]


def _summary_event(totals: KeyTotals) -> dict[str, Any]:
    return {
        "event": "summary",
        "verb": "list",
        "listed": totals.keys,
        "failed": totals.failed,
        "bytes": totals.bytes,
        "seconds": round(totals.seconds, 3),
    }
