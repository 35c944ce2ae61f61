"""What is known of one run: its events, aggregated in memory of a fixed size.

The events are those of a journal, or of the run itself: both give the same. A journal may hold
anything, so each field is looked at: what has another type than it should have counts as missing.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from s3pp.report.page.histogram import Histogram
from s3pp.report.page.timeline import Series, Timeline

SLOWEST = 15  # objects that are named
SAMPLES = 10  # failures of one cause that are named
CAUSES = 40  # the others count as one
REASONS = 40  # likewise
LONGEST_TEXT = 2000  # characters of a name, or of a message
SIZE_STEP = 8  # the factor between two classes of sizes
OTHER = "others"

Event = Mapping[str, Any]


class NamedObject(NamedTuple):
    """An object that is named on the page."""

    name: str
    size: float = 0.0  # bytes
    seconds: float = 0.0
    attempts: int = 0
    message: str = ""


@dataclass
class CauseFacts:
    """The failures of one cause."""

    count: int = 0
    samples: list[NamedObject] = field(default_factory=list)


class SizeClass:
    """The objects of one class of sizes that were transferred."""

    def __init__(self) -> None:
        self.bytes = 0.0
        self.latency = Histogram()  # seconds


class RunAggregate:
    """The facts of one run."""

    def __init__(self) -> None:
        self.start: Event = {}  # the line of the journal
        self.summary: Event | None = None  # None: the run has not come to its end
        self.unbegun = ""  # why the run could not begin; empty: it has begun
        self.counts: Counter[str] = Counter()  # of outcomes
        self.reasons: Counter[tuple[str, str]] = Counter()  # by outcome
        self.bytes = 0.0  # of the sources that are done
        self.sent = 0.0  # bytes transferred for them
        self.again = 0  # objects that needed more than one attempt
        self.latency = Histogram()  # seconds that an object took that was transferred
        self.sizes: dict[int, SizeClass] = {}  # by power of ``SIZE_STEP``
        self.timeline = Timeline()
        self.causes: dict[tuple[str, str], CauseFacts] = {}  # by kind and code
        self.retries: Counter[str] = Counter()  # by cause, as the pace has them
        self._slowest: list[tuple[float, int, NamedObject]] = []  # a heap
        self._began: float | None = None  # seconds since the epoch
        self._latest = 0.0  # likewise
        self._add: Mapping[str, Callable[[Event], None]] = {
            "start": self._take_start,
            "done": self._take_done,
            "skipped": self._take_skipped,
            "deleted": self._take_skipped,
            "failed": self._take_failed,
            "pace": self._take_pace,
            "summary": self._take_summary,
        }

    def add(self, event: Event) -> None:
        """Add an event of the run; one that is not known is ignored."""
        act = self._add.get(text_of(event, "event"))
        if act is not None:
            act(event)

    def add_unchanged(self, count: int) -> None:
        """Add ``count`` objects that are skipped as unchanged, of which nothing else is known."""
        self.counts["skipped"] += count
        self.reasons["skipped", "same etag"] += count

    @property
    def slowest(self) -> list[NamedObject]:
        """The objects that took longest, in descending order."""
        return [found for _, _, found in sorted(self._slowest, reverse=True)]

    @property
    def seconds(self) -> float:
        """How long the run took, as far as known."""
        if self.summary is not None and (seconds := number_of(self.summary, "seconds")):
            return seconds
        return max(0.0, self._latest - self._began) if self._began is not None else 0.0

    @property
    def has_times(self) -> bool:
        """Whether it is known when objects began and ended: not in journals of schema 1."""
        return len(self.timeline) > 0

    @property
    def has_pace(self) -> bool:
        """Whether the run has recorded its pace."""
        return self.timeline.total(Series.COVERED) > 0

    def _take_start(self, event: Event) -> None:
        if not self.start:
            self.start = event
            self._began = moment_of(event, "time")

    def _take_summary(self, event: Event) -> None:
        self.summary = event

    def _take_done(self, event: Event) -> None:
        self._count("done", event)
        size, sent = number_of(event, "source_size", "size"), number_of(event, "sent")
        self.bytes += size
        self.sent += sent
        attempts = int(number_of(event, "attempts"))
        self.again += attempts > 1
        if (span := self._span(event)) is None:
            return
        began, ended = span
        seconds = ended - began
        amounts = ((Series.DONE, 1.0), (Series.BYTES, sent), (Series.BUSY, seconds))
        self._place(began, ended, amounts)
        if attempts or seconds > 0:
            self._measure(event, size, seconds)

    def _measure(self, event: Event, size: float, seconds: float) -> None:
        """Add an object that was transferred, in ``seconds``."""
        self.latency.add(seconds)
        number = math.floor(math.log2(size) / math.log2(SIZE_STEP)) if size >= 1 else -1
        found = self.sizes.setdefault(number, SizeClass())
        found.bytes += size
        found.latency.add(seconds)
        if len(self._slowest) < SLOWEST or seconds > self._slowest[0][0]:
            named = NamedObject(name_of(event), size, seconds, int(number_of(event, "attempts")))
            row = (seconds, -self.latency.count, named)  # of equals the first one stays
            if len(self._slowest) < SLOWEST:
                heapq.heappush(self._slowest, row)
            else:
                heapq.heapreplace(self._slowest, row)

    def _take_skipped(self, event: Event) -> None:
        self._count(text_of(event, "event"), event)
        self._span(event)

    def _take_failed(self, event: Event) -> None:
        self.counts["failed"] += 1
        cause = (text_of(event, "kind")[:40], text_of(event, "code")[:80])
        if cause not in self.causes and len(self.causes) >= CAUSES:
            cause = (OTHER, "")
        facts = self.causes.setdefault(cause, CauseFacts())
        facts.count += 1
        if len(facts.samples) < SAMPLES:
            facts.samples.append(NamedObject(name_of(event), message=text_of(event, "message")))
        if (span := self._span(event)) is not None:
            self._place(span[1], span[1], ((Series.FAILED, 1.0),))

    def _take_pace(self, event: Event) -> None:
        ended, seconds = moment_of(event, "time"), number_of(event, "seconds")
        if ended is None or not seconds:
            return
        retries = event.get("retries")
        counts = retries if isinstance(retries, Mapping) else {}
        for cause in counts:
            known = cause if cause in self.retries or len(self.retries) < CAUSES else OTHER
            self.retries[str(known)[:80]] += int(number_of(counts, cause))
        amounts = [
            (Series.MOVED, number_of(event, "bytes")),
            (Series.RETRIES, math.fsum(number_of(counts, cause) for cause in counts)),
            (Series.THROTTLED, number_of(event, "throttled")),
        ]
        if "in_flight" in event:
            amounts += [
                (Series.IN_FLIGHT, number_of(event, "in_flight") * seconds),
                (Series.COVERED, seconds),
            ]
        self._latest = max(self._latest, ended)
        self._place(ended - seconds, ended, amounts)

    def _count(self, outcome: str, event: Event) -> None:
        self.counts[outcome] += 1
        reason = (outcome, text_of(event, "reason")[:80])
        if reason not in self.reasons and len(self.reasons) >= REASONS:
            reason = (outcome, OTHER)
        self.reasons[reason] += 1

    def _span(self, event: Event) -> tuple[float, float] | None:
        """Return when the object of an event began and ended; None if that is not known."""
        began, ended = moment_of(event, "began"), moment_of(event, "ended")
        if began is None or ended is None:
            return None
        self._latest = max(self._latest, ended)
        return min(began, ended), ended

    def _place(self, began: float, ended: float, amounts: Any) -> None:
        if self._began is not None:
            self.timeline.add(began - self._began, max(0.0, ended - self._began), amounts)


def number_of(event: Event, *names: str) -> float:
    """Return the first of these fields that is a number, and not negative; 0 if none is."""
    for name in names:
        value = event.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e18:
            return float(value)
    return 0.0


def text_of(event: Event, name: str) -> str:
    """Return a field that is a text; empty if it is none."""
    value = event.get(name)
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def moment_of(event: Event, name: str) -> float | None:
    """Return a field that is a time, in seconds since the epoch; None if it is none."""
    text = text_of(event, name)
    try:
        return _second(text[:19]) + float(f"0{text[19:].removesuffix('Z')}")
    except ValueError:
        return None


@lru_cache(64)
def _second(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


def name_of(event: Event) -> str:
    """Return what users call the object of an event."""
    if source := text_of(event, "source"):
        return source
    if path := text_of(event, "path"):
        return path
    return f"s3://{text_of(event, 'bucket')}/{text_of(event, 'key')}"
