"""What came of a run: its totals, its exit code, and the summary, its last line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from s3pp.errors import ExitStatus
from s3pp.escaping import printable
from s3pp.job import Job
from s3pp.records import LEFT_OUT, Deleted, Done, Failed, Outcome, Skipped, SkipReason
from s3pp.report.failures import cause_of
from s3pp.report.lines import KeyTotals, as_json, pluralize

if TYPE_CHECKING:
    from s3pp.report.foreseen import ForeseenTotals
    from s3pp.report.verdict_totals import VerdictTotals

_OTHER_SIZE = SkipReason.OTHER_SIZE  # evaluated once: until Python 3.12 it takes 0.25 µs
SILENCE = 5.0  # seconds without an answer after which a display mentions it


class Fact(NamedTuple):
    """A part of a display's text, in two lengths."""

    text: str
    short: str
    rank: int = 0  # the highest is dropped first for lack of space


class Extent(NamedTuple):
    """counter → statter: how much there is to do, as far as is known."""

    objects: int = 0
    bytes: int = 0  # of the sources; 0: they do not matter, or are not known
    complete: bool = False  # False: there may be more


class ActiveObject(NamedTuple):
    """A large object that is being transferred. Producer: its worker; consumer: displays."""

    name: str  # of the source
    size: int  # bytes
    moved: int  # bytes of it that were transferred


class Flow(NamedTuple):
    """The state of the store under a run's load. Producer: the supervisor; consumer: displays."""

    throttled: int = 0  # requests that the store has throttled so far
    rate: float = 0.0  # maximum requests per second sent to it; 0: no limit
    silent: float = 0.0  # seconds without an answer while requests are waiting
    in_flight: int = 0  # requests
    answered: int = 0  # requests so far, throttled or not
    limited: float = 0.0  # seconds so far with a maximum rate
    below: tuple[tuple[str, float], ...] = ()  # likewise of prefixes, ``bucket/logs/``

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The parts of a display's text that describe it."""
        facts = []
        if self.rate:
            rate, refused = f"{self.rate:,.0f}", ""
            if self.throttled:
                refused = f" ({self.throttled:,} throttled)"
            facts.append(Fact(f"limited to {rate} requests/s{refused}", f"limit {rate}/s{refused}"))
        for prefix, below in self.below:
            where = printable(f"s3://{prefix}")
            text = f"{where} limited to {below:,.0f} requests/s"
            facts.append(Fact(text, f"{where} limit {below:,.0f}/s"))
        if self.silent >= SILENCE:
            time = f"{self.silent:.0f} s"
            facts.append(Fact(f"no answer from the store for {time}", f"no answer for {time}"))
        return tuple(facts)


class Retries(NamedTuple):
    """worker, walker → statter: attempts of requests that have failed, to be made again."""

    counts: tuple[tuple[str, int], ...]  # by cause, as users read it, such as ("503", 214)


@dataclass(slots=True)
class Totals:
    """Counts of a run so far. Producer: the statter's ``Recorder``; consumer: supervisor, views."""

    listed: int = 0  # objects found by the walker
    listed_bytes: int = 0  # of them
    walk_done: bool = False  # the walker has finished
    done: int = 0
    skipped: int = 0
    skipped_bytes: int = 0
    failed: int = 0
    not_attempted: int = 0  # of an interrupted run: listed, but not started
    bytes: int = 0  # of the sources that are done
    sent: int = 0  # bytes transferred for them: fewer if compressed or resumed
    requests: int = 0  # to the store, listings included; in a dry run, those that would be
    in_parts: int = 0  # bytes of parts transferred, of objects that are not done
    seconds: float = 0.0  # since the start of the run
    counted: Extent = field(default_factory=Extent)  # of the whole, counted ahead of the walker
    active: tuple[ActiveObject, ...] = ()  # large objects, the largest first
    flow: Flow = field(default_factory=Flow)
    retries: dict[str, int] = field(default_factory=dict)  # failed attempts, by cause
    causes: dict[str, int] = field(default_factory=dict)  # failed objects, by cause
    standstill: str = ""  # why nothing moves, while nothing does
    other_size: int = 0  # of mode add: skipped, and another size than what exists
    left_out: int = 0  # skipped, and no file that can be sent: a FIFO, a loop of links
    young: int = 0  # of a clean: uploads skipped that may be in use
    unknown_sizes: int = 0  # of a clean: uploads done with an unknown number of bytes
    deleted: int = 0  # objects, or files
    deleted_bytes: int = 0  # of them
    not_deleted: str = ""  # why nothing was deleted, or could be, where that was refused
    foreseen: ForeseenTotals | None = None  # of a dry run that would transfer objects
    verdicts: VerdictTotals | None = None  # of a verify

    @classmethod
    def of(cls, job: Job) -> Totals:
        """Return the totals of a run of ``job`` that begins."""
        return cls(foreseen=_foreseen_totals(job), verdicts=_verdict_totals(job))

    def fold(self, outcome: Outcome) -> None:
        """Add one outcome."""
        self.fold_all((outcome,))

    def fold_all(self, outcomes: Iterable[Outcome]) -> None:
        """Add a batch. Runs for every object, hence local variables and one pass."""
        done = skipped = size = sent = other = left_out = kept = 0
        for outcome in outcomes:
            if isinstance(outcome, Done):
                done += 1
                size += outcome.size
                sent += outcome.sent
            elif isinstance(outcome, Skipped):
                skipped += 1
                kept += outcome.size
                other += outcome.reason is _OTHER_SIZE
                if not outcome.size:
                    left_out += outcome.reason in LEFT_OUT
            elif isinstance(outcome, Deleted):
                self.deleted += 1
                self.deleted_bytes += outcome.size
            else:
                self._fold_failure(outcome)
        self.done += done
        self.skipped += skipped
        self.skipped_bytes += kept
        self.bytes += size
        self.sent += sent
        self.other_size += other
        self.left_out += left_out

    def _fold_failure(self, failed: Failed) -> None:
        cause = str(cause_of(failed))
        self.failed += 1
        self.causes[cause] = self.causes.get(cause, 0) + 1

    def fold_uploads(self, outcomes: Iterable[Outcome]) -> None:
        """Add what only the outcomes of a clean have, besides ``fold_all``."""
        for outcome in outcomes:
            upload = outcome.upload if isinstance(outcome, Done) else None
            self.unknown_sizes += upload is not None and upload.parts is None
            self.young += isinstance(outcome, Skipped) and outcome.reason is SkipReason.YOUNG

    @property
    def there(self) -> int:
        """Bytes at the destination, including those sent of unfinished objects."""
        return self.bytes + self.in_parts

    @property
    def moved(self) -> int:
        """Bytes transferred, from which rates are computed: resumed bytes took no time."""
        return self.sent + self.in_parts

    @property
    def finished(self) -> int:
        """The number of objects that have their outcome."""
        return self.done + self.skipped + self.failed + self.deleted

    @property
    def ended_bytes(self) -> int:
        """Bytes of the sources that need nothing more, including those of unfinished objects."""
        return self.there + self.skipped_bytes

    @property
    def extent(self) -> Extent:
        """How much there is to do: what was listed, or more where that was counted ahead."""
        if self.walk_done:
            return Extent(self.listed, self.listed_bytes, complete=True)
        ahead = self.counted
        size = max(ahead.bytes, self.listed_bytes)
        return Extent(max(ahead.objects, self.listed), size, ahead.complete)

    @property
    def balanced(self) -> bool:
        """Whether every object listed is accounted for exactly once."""
        return self.listed == self.finished + self.not_attempted


def _foreseen_totals(job: Job) -> ForeseenTotals | None:
    if not job.dry_run or job.verb == "clean":
        return None
    from s3pp.report.foreseen import ForeseenTotals

    return ForeseenTotals(job.title)


def _verdict_totals(job: Job) -> VerdictTotals | None:
    if not job.verifies:
        return None
    from s3pp.report.verdict_totals import VerdictTotals

    return VerdictTotals()


class RunReport(NamedTuple):
    """The result of a run."""

    status: ExitStatus
    totals: Totals | KeyTotals | None  # None: nothing was done, or the statter was killed
    error: str | None = None  # why the run was aborted, one line

    @property
    def transferred(self) -> bool:
        """Whether anything was transferred or deleted or, in a dry run, would have been."""
        return isinstance(self.totals, Totals) and self.totals.done + self.totals.deleted > 0

    @property
    def differs(self) -> bool:
        """Whether mode ``add`` has left something as it is that has another size."""
        return isinstance(self.totals, Totals) and self.totals.other_size > 0


def run_report(
    totals: Totals | KeyTotals | None,
    *,
    refusal: str | None = None,
    error: str | None = None,
    signal: ExitStatus | None = None,
) -> RunReport:
    """Return the result of a run that has ended.

    ``totals`` is None where the statter was killed; ``refusal`` is ``Recorder.refusal``, ``error``
    what aborted the run, ``signal`` the exit code of the signal that stopped it.
    """
    if totals is None:
        why = error or "stopped twice: what was done is unknown; run the same command again"
        return RunReport(signal or ExitStatus.ABORTED, None, why)
    error = error or refusal
    if error is None and not totals.balanced:
        error = "the counts do not add up: please report this"
    if error is not None:
        return RunReport(ExitStatus.ABORTED, totals, error)
    failed = ExitStatus.SOME_FAILED if totals.failed else ExitStatus.OK
    return RunReport(signal or failed, totals)


def settled(result: RunReport, job: Job) -> RunReport:
    """Return ``result`` with the exit code that options of ``job`` make of it."""
    differs = result.differs or (job.dry_run and result.transferred)
    if job.exit_code and result.status is ExitStatus.OK and differs:
        result = result._replace(status=ExitStatus.SOME_FAILED)
    if not job.choosing.fail_if_empty:
        return result
    from s3pp.report.emptiness import fail_if_empty  # what few runs need

    return fail_if_empty(result, job)


def wants_summary(job: Job, status: ExitStatus) -> bool:
    """Return whether to print the summary on stdout; ``status`` is the run's exit status.

    With ``-q`` only if it matters: after a run with any fault, for a dry run, which has no other
    result, and for programs that read ``--json``. Never where the reader of an object has left.
    """
    if status is ExitStatus.READER_GONE:
        return False
    level = job.output.verbosity
    asked = job.output.json or job.dry_run or status is not ExitStatus.OK
    return level >= 0 or (level == -1 and asked)


def summary(totals: Totals, job: Job) -> str:
    """Return the summary as text or, with ``--json``, as an event; no line end."""
    return as_json(summary_event(totals, job)) if job.output.json else summary_text(totals, job)


def left_alone_notice(young: int) -> str:
    """Return the notice of a clean that skipped ``young`` uploads, which may be in use."""
    begun = "begun less than a day ago"
    if young == 1:
        return f"1 upload {begun} is skipped: --older-than 0s aborts it too"
    return f"{young} uploads {begun} are skipped: --older-than 0s aborts them too"


def summary_text(totals: Totals, job: Job) -> str:
    """Return ``put 4096 bytes in 1 files in 0.1 seconds (40960 bytes/s, 10.0 files/s), 3 skipped``.

    The first number counts the bytes of the sources, the rate those transferred. For a clean:
    ``clean 3 uploads (31457280 bytes) in 0.4 seconds, 2 skipped``; for a remove: ``remove 3 objects
    (4096 bytes) in 0.4 seconds (7.5 objects/s)``.
    """
    line = _FIRST_COUNTS.get(job.verb, _objects)(totals, job)
    if job.dry_run:
        line += f", with {pluralize(totals.requests, 'request')}"
    line += _not_done(totals, job)
    return line if job.choosing.shard is None else f"{line}, shard {job.choosing.shard}"


def dry_run_table(totals: Totals) -> list[str]:
    """Return the lines that go before the summary of a dry run; none of another run."""
    if totals.foreseen is None:
        return []
    from s3pp.report.foreseen import table  # which only dry runs need

    return table(totals.foreseen, totals.requests)


def _objects(totals: Totals, job: Job) -> str:
    size = f"{totals.bytes} bytes in {totals.done} files"
    if job.dry_run:  # how long it took shows nothing of how long the transfer takes
        return f"would {job.title} {size}"
    per_second = 1 / totals.seconds if totals.seconds > 0 else 0.0
    return (
        f"{job.title} {size} in {totals.seconds:.1f} seconds"
        f" ({totals.sent * per_second:.0f} bytes/s, {totals.done * per_second:.1f} files/s)"
    )


def _uploads(totals: Totals, job: Job) -> str:
    verb = "would abort" if job.dry_run else "clean"
    least = "at least " if totals.unknown_sizes else ""
    size = f"{least}{totals.bytes} bytes"
    return f"{verb} {pluralize(totals.done, 'upload')} ({size}) in {totals.seconds:.1f} seconds"


def _deletions(totals: Totals, job: Job) -> str:
    count = f"{pluralize(totals.deleted, 'object')} ({pluralize(totals.deleted_bytes, 'byte')})"
    if job.dry_run:
        return f"would remove {count}"
    rate = totals.deleted / totals.seconds if totals.seconds > 0 else 0.0
    return f"remove {count} in {totals.seconds:.1f} seconds ({rate:.1f} objects/s)"


_FIRST_COUNTS: Mapping[str, Callable[[Totals, Job], str]] = MappingProxyType(
    {"clean": _uploads, "remove": _deletions}
)


def _not_done(totals: Totals, job: Job) -> str:
    """Return the other counts, to end a line: ``, 2 deleted, 3 skipped, 1 failed``."""
    least = "" if totals.walk_done else "at least "
    verdicts = {} if totals.verdicts is None else totals.verdicts.counts
    counts = {
        **verdicts,
        "to delete" if job.dry_run else "deleted": 0 if job.verb == "remove" else totals.deleted,
        "skipped": totals.skipped,
        "failed": totals.failed,
        "not attempted": totals.not_attempted,
    }
    return "".join(
        f", {least if what == 'not attempted' else ''}{count} {what}"
        for what, count in counts.items()
        if count
    )


def summary_event(totals: Totals, job: Job) -> dict[str, Any]:
    """Return the summary as an event for programs; seconds to the millisecond."""
    event: dict[str, Any] = {
        "event": "summary",
        "verb": job.title,
        "listed": totals.listed,
        "done": totals.done,
        "skipped": totals.skipped,
        "failed": totals.failed,
        "bytes": totals.bytes,
        "seconds": round(totals.seconds, 3),
    }
    if job.choosing.shard is not None:
        event["shard"] = str(job.choosing.shard)
    if job.deletes or totals.deleted:
        event |= {"deleted": totals.deleted, "deleted_bytes": totals.deleted_bytes}
    if totals.not_deleted:
        event["not_deleted"] = totals.not_deleted
    if job.dry_run:
        event |= {"dry_run": True, "requests": totals.requests}
    if totals.foreseen is not None:
        event |= totals.foreseen.facts
    if totals.verdicts is not None:
        event |= totals.verdicts.facts
    if totals.not_attempted:
        event["not_attempted"] = totals.not_attempted
    if not totals.walk_done:  # more may be there, which nothing counts
        event["listing_complete"] = False
    return event
