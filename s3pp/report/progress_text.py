"""The text of a progress display: what is said of the totals, and what of it there is room for.

::

    63%, 1,239 of 12,345 objects, 5.1 of 8.0 GiB, 0:18 left       ``extent_facts``
    620 objects/s, 2.5 MiB/s, 3 skipped                           ``rate_facts``
    2 failed: access × 2, 214 attempts failed: 503 × 214          ``trouble_facts``

As long as more may be found than is known by now, all of the first line is marked as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from s3pp.job import Job
from s3pp.report.forecast import Rates, Throughput, percentage
from s3pp.report.lines import pluralize
from s3pp.report.totals import Fact, Totals

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


class Forecast(NamedTuple):
    """What a display says of a run besides its totals."""

    rates: Rates
    left: float | None  # seconds; None: not known
    noun: str = "objects"  # what the run is about
    is_open: bool = False  # how much there is to do is never known: what is found is done

    @classmethod
    def of(cls, job: Job, totals: Totals, throughput: Throughput) -> Forecast:
        """Return the forecast for a run of ``job``."""
        noun = "uploads" if job.verb == "clean" else "objects"
        left = throughput.seconds_left(totals)
        return cls(throughput.rates(), left, noun, is_open=job.verb in ("list", "du"))


def extent_facts(totals: Totals, forecast: Forecast) -> list[Fact]:
    """Return how much has ended, of how much."""
    extent, ended = totals.extent, f"{totals.finished:,}"
    if forecast.is_open:
        return [Fact(f"{ended} {forecast.noun}", ended), _size(binary(totals.ended_bytes))]
    if not (extent.objects or extent.complete):
        return [Fact(f"no {forecast.noun} found yet", "none found yet")]
    of, plus = ("of", "") if extent.complete else ("of at least", "+")
    facts, percent = [], percentage(totals)
    if percent is not None:
        at_most, less = ("", "") if extent.complete else ("at most ", "≤")
        facts.append(Fact(f"{at_most}{percent}%", f"{less}{percent}%"))
    all_of = f"{max(extent.objects, totals.finished):,}"
    facts.append(Fact(f"{ended} {of} {all_of} {forecast.noun}", f"{ended} of {all_of}{plus}"))
    sizes = binary(totals.ended_bytes), binary(max(extent.bytes, totals.ended_bytes))
    if extent.bytes:
        first = sizes[0].removesuffix(sizes[1][sizes[1].index(" ") :])
        facts.append(_size(f"{first} {of} {sizes[1]}", f"{first} of {sizes[1]}{plus}"))
    elif totals.ended_bytes:
        facts.append(_size(sizes[0]))
    if _has_left(totals, forecast):
        left = clock(forecast.left or 0.0)
        least = "" if extent.complete else "at least "
        facts.append(Fact(f"{least}{left} left", f"{left}{plus} left", rank=1))
    return facts


def _has_left(totals: Totals, forecast: Forecast) -> bool:
    """Whether the time that is left is known, and not over."""
    return forecast.left is not None and not forecast.is_open and percentage(totals) != 100


def rate_facts(totals: Totals, forecast: Forecast) -> list[Fact]:
    """Return how fast that goes, and what needed no transfer."""
    rates = forecast.rates
    if not (totals.finished or totals.moved):
        return []
    moving = f"{binary(rates.bytes)}/s"
    facts = [Fact(f"{rates.objects:,.0f} {forecast.noun}/s", f"{rates.objects:,.0f}/s", rank=5)]
    if totals.moved:
        facts.append(Fact(moving, moving, rank=4))
    if totals.skipped:
        skipped = f"{totals.skipped:,} skipped"
        facts.append(Fact(skipped, skipped, rank=3))
    return facts


def trouble_facts(totals: Totals) -> list[Fact]:
    """Return what goes wrong: failed objects and requests by cause, throttling, silence."""
    facts = []
    if totals.failed:
        failed = f"{totals.failed:,} failed"
        facts.append(Fact(f"{failed}{_by_cause(totals.causes)}", failed, rank=2))
    facts += totals.flow.facts
    if totals.standstill:
        facts.append(Fact(totals.standstill, totals.standstill))
    elif count := sum(totals.retries.values()):
        retried = f"{count:,} {'attempt' if count == 1 else 'attempts'} failed"
        facts.append(Fact(f"{retried}{_by_cause(totals.retries)}", f"{count:,} retried", rank=3))
    return facts


def line(totals: Totals, forecast: Forecast) -> str:
    """Return all facts in one line."""
    extent = extent_facts(totals, forecast)
    left = extent[-1:] if _has_left(totals, forecast) else []
    first = extent[: len(extent) - len(left)]
    facts = [*first, *rate_facts(totals, forecast), *trouble_facts(totals), *left]
    return ", ".join(each.text for each in facts)


def event(totals: Totals, forecast: Forecast, verb: str) -> dict[str, Any]:
    """Return the progress as an event for programs; bytes are exact, times in seconds."""
    extent = totals.extent
    left = None if forecast.left is None or forecast.is_open else round(forecast.left, 1)
    return {
        "event": "progress",
        "verb": verb,
        "objects": totals.finished,
        "bytes": totals.ended_bytes,
        "skipped": totals.skipped,
        "failed": totals.failed,
        "total_objects": extent.objects,
        "total_bytes": extent.bytes,
        "total_complete": extent.complete,
        "percent": None if forecast.is_open else percentage(totals),
        "objects_per_second": round(forecast.rates.objects, 1),
        "bytes_per_second": round(forecast.rates.bytes),
        "seconds_left": left,
        "failures": dict(totals.causes),
        "retries": dict(totals.retries),
        "throttled": totals.flow.throttled,
    }


def fit(facts: Sequence[Fact], width: int) -> str:
    """Return text for ``width`` columns: all facts, all shortened, or the most important ones."""
    text = ", ".join(each.text for each in facts)
    by_rank = sorted(range(len(facts)), key=lambda at: facts[at].rank)
    for count in range(len(facts), 0, -1):
        if len(text) <= width:
            break
        text = ", ".join(facts[at].short for at in sorted(by_rank[:count]))
    return text


def binary(size: float) -> str:
    """Format ``size`` bytes in the units that the command line accepts."""
    at = 0
    while size >= 1024 and at < len(_UNITS) - 1:
        size, at = size / 1024, at + 1
    return f"{size:.1f} {_UNITS[at]}" if at else pluralize(round(size), "byte")


def clock(seconds: float) -> str:
    """Format a time as ``1:23`` or ``2:13:19``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _size(text: str, short: str = "") -> Fact:
    return Fact(text, short or text, rank=6)


def _by_cause(counts: Mapping[str, int]) -> str:
    ranked = sorted((-count, cause) for cause, count in counts.items())
    return ": " + ", ".join(f"{cause} × {-count:,}" for count, cause in ranked)
