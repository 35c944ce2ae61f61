"""What became of unfinished uploads under ``s3pp clean``, and the lines that tell it.

::

    abort s3://bucket/p/film.mp4 (12 parts, 201326592 bytes, begun 2026-11-17T08:30:00.000Z: 3d ago)
    skip s3://bucket/p/new.mp4 (begun less than a day ago)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.records import SkipReason
from s3pp.report.escape import one_line, printable
from s3pp.report.failures import Cause, CauseCounts
from s3pp.report.lines import as_json
from s3pp.report.summary import besides, summary_event
from s3pp.report.totals import Totals
from s3pp.report.view import Detail, Rendered
from s3pp.s3.uploads import Upload


class Weight(NamedTuple):
    """What the store holds for an upload."""

    parts: int
    bytes: int


class Aborted(NamedTuple):
    """The store says that it is gone (or would have been asked to, in a dry run)."""

    upload: Upload
    weight: Weight | None  # None: the store does not tell


class Spared(NamedTuple):
    """Deliberately not aborted, or nothing left to abort."""

    upload: Upload
    reason: SkipReason


class Refused(NamedTuple):
    """It should be gone, and is not known to be."""

    upload: Upload
    kind: FailureKind
    message: str  # one line
    code: str = ""  # what the store calls the cause, where it is the store's

    @property
    def cause(self) -> Cause:
        """Why it failed: alike, if kind and code are the same."""
        return Cause(self.kind, self.code)


Fate = Aborted | Spared | Refused


@dataclass(slots=True)
class AbortTotals(Totals):
    """Counts of a clean so far."""

    young: int = 0  # of those skipped
    unweighed: int = 0  # of those done: their bytes are not known

    def count(self, fate: Fate) -> None:
        """Add one fate."""
        if isinstance(fate, Aborted):
            self.done += 1
            self.bytes += fate.weight.bytes if fate.weight else 0
            self.unweighed += fate.weight is None
        elif isinstance(fate, Spared):
            self.skipped += 1
            self.young += fate.reason is SkipReason.YOUNG
        else:
            self.failed += 1


class AbortView:
    """The lines of one clean: decides, writes nothing."""

    def __init__(self, job: Job, now: float) -> None:
        """``now``, seconds since the epoch, is what ages count from."""
        assert job.origin is not None
        self._bucket = job.origin.bucket
        self._dry_run = job.dry_run
        self._json = job.output.json
        self._detail = Detail.of(job.output, dry_run=job.dry_run)
        self._now = now
        self._causes = CauseCounts()

    def render(self, fates: Sequence[Fate]) -> Rendered:
        """The lines for some fates."""
        results = [fate for fate in fates if self._wanted(fate)]
        failures = [
            f"s3pp: {self._text(fate)}"
            for fate in results
            if isinstance(fate, Refused) and self._causes.add(fate.cause)
        ]
        if self._json:
            return Rendered([self.json(fate) for fate in results], failures)
        return Rendered(
            [self._text(fate) for fate in results if not isinstance(fate, Refused)], failures
        )

    def closing(self) -> list[str]:
        """The last lines on stderr: the causes of what was only counted."""
        return [f"s3pp: {line}" for line in self._causes.table()]

    def notice(self, text: str) -> list[str]:
        """What goes to stderr for something that concerns no one upload."""
        return [f"s3pp: {text}"] if self._detail.notices else []

    def json(self, fate: Fate) -> str:
        """The fate as an event, as ``--json`` and the journal have it."""
        key, upload_id, initiated = fate.upload
        event: dict[str, Any] = {
            "event": _event(fate),
            "verb": "clean",
            "bucket": self._bucket,
            "key": key,
            "upload_id": upload_id,
            "initiated": initiated,
        }
        event |= _particulars(fate)
        return as_json(event | ({"dry_run": True} if self._dry_run else {}))

    def _wanted(self, fate: Fate) -> bool:
        if isinstance(fate, Aborted):
            return self._detail.done
        return self._detail.skipped if isinstance(fate, Spared) else self._detail.failed

    def _text(self, fate: Fate) -> str:
        place = printable(f"s3://{self._bucket}/{fate.upload.key}")
        if isinstance(fate, Refused):
            return f"abort {place}: {one_line(fate.message)}"
        if isinstance(fate, Spared):
            return f"skip {place} ({fate.reason.value})"
        return f"abort {place} ({_held(fate.weight)}, {self._begun(fate.upload)})"

    def _begun(self, upload: Upload) -> str:
        return f"begun {printable(upload.initiated)}: {age(self._now - upload.begun)} ago"


def _held(weight: Weight | None) -> str:
    return f"{weight.parts} parts, {weight.bytes} bytes" if weight else "parts unknown"


def age(seconds: float) -> str:
    """An age as the options take it, rounded down to one unit: ``3d``, ``26h``, ``12m``, ``5s``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def abort_summary(totals: AbortTotals, job: Job) -> str:
    """The last line of a clean, as text or, with ``--json``, as an event; no line end."""
    return as_json(summary_event(totals, job)) if job.output.json else _summary_text(totals, job)


def _summary_text(totals: AbortTotals, job: Job) -> str:
    """``clean 3 uploads (31457280 bytes) in 0.4 seconds, 2 skipped``."""
    least = "at least " if totals.unweighed else ""
    line = (
        f"{'would abort' if job.dry_run else 'clean'} {totals.done} uploads"
        f" ({least}{totals.bytes} bytes) in {totals.seconds:.1f} seconds"
    )
    if job.dry_run:
        line += f", with {totals.requests} requests"
    return line + besides(totals)


def _event(fate: Fate) -> str:
    if isinstance(fate, Aborted):
        return "done"
    return "skipped" if isinstance(fate, Spared) else "failed"


def _particulars(fate: Fate) -> dict[str, Any]:
    if isinstance(fate, Refused):
        code = {"code": fate.code} if fate.code else {}
        return {"kind": fate.kind.value, "message": fate.message} | code
    if isinstance(fate, Spared):
        return {"reason": fate.reason.value}
    parts, size = fate.weight or (None, None)
    return {"parts": parts, "size": size}
