"""The parts of the page, each made of what is known of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from s3pp.report.lines import pluralize
from s3pp.report.page import figures
from s3pp.report.page.advice import EXITS, advice_on
from s3pp.report.page.aggregate import (
    SIZE_STEP,
    CauseFacts,
    RunAggregate,
    number_of,
    text_of,
)
from s3pp.report.page.charts import Chart, Trace
from s3pp.report.page.markup import Column, Content, Markup, code, facts, table, tag
from s3pp.report.page.timeline import Series

PERCENTILES = (("median", 0.5), ("90%", 0.9), ("99%", 0.99), ("99.9%", 0.999))
_NOT_ATTEMPTED = "not_attempted"


class Section(NamedTuple):
    """A part of the page, under a heading of its own."""

    id: str
    title: str
    content: Content

    def render(self) -> Markup:
        """Return it as HTML."""
        heading = tag("h2", self.title, id=f"{self.id}-heading")
        return tag(
            "section", [heading, self.content], id=self.id, aria_labelledby=f"{self.id}-heading"
        )


# What the run is, and how it ended


class EndState(NamedTuple):
    """How a run ended, in words."""

    kind: str  # "good", "warn" or "bad"
    text: str


def state_of(run: RunAggregate) -> EndState:
    """Return how a run ended."""
    if run.summary is None:
        return EndState("warn", "No end: it is still active, or was killed")
    value = run.summary.get("exit_code")
    failed = total(run, "failed")
    exit_code = value if isinstance(value, int) else int(failed > 0)
    if run.unbegun:
        return EndState("bad", f"It did not begin (exit code {exit_code}): {run.unbegun}")
    if exit_code == 0:
        return EndState("good", "Completed (exit code 0)")
    if exit_code == 1 and failed:
        text = f"Completed, {figures.count(failed)} failed (exit code 1)"
        return EndState("bad", text)
    why = EXITS.get(exit_code, "see the messages of the run")
    return EndState("bad", f"Exit code {exit_code}: {why}")


def total(run: RunAggregate, outcome: str) -> float:
    """Return how many objects had an outcome: as the summary counts them, if there is one."""
    if run.summary is not None and outcome in run.summary:
        return number_of(run.summary, outcome)
    return float(run.counts[outcome])


def heading_of(run: RunAggregate) -> tuple[str, str]:
    """Return the title of a run: ``put``, and ``photos → s3://bucket/photos``."""
    verb = text_of(run.start, "verb") or "run"
    sources = run.start.get("sources")
    names = [each for each in sources if isinstance(each, str)] if isinstance(sources, list) else []
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    dest = text_of(run.start, "dest") or text_of(run.start, "plan")
    return verb, f"{shown} → {dest}" if dest else shown


def tiles(run: RunAggregate) -> Markup:
    """Return the figures that matter most."""
    seconds, verb = run.seconds, text_of(run.start, "verb")
    shown: list[tuple[str, str]] = [("duration", figures.duration(seconds))]
    if verb != "remove":
        done = total(run, "done")
        shown += [(_DONE.get(verb, "objects done"), figures.count(done))]
        if run.bytes:
            shown += [("size of these", figures.size(run.bytes))]
    if run.sent and seconds and not _is_dry(run):
        shown.append(("throughput", figures.rate(run.sent / seconds)))
    if total(run, "done") and seconds and not _is_dry(run):
        shown.append(("objects per second", figures.count(round(total(run, "done") / seconds, 1))))
    for outcome in ("deleted", "skipped", "failed", _NOT_ATTEMPTED):
        if (number := total(run, outcome)) or outcome == "failed":
            shown.append((outcome.replace("_", " "), figures.count(number)))
    if retries := retries_of(run):
        shown.append(("attempts that failed", figures.count(sum(retries.values()))))
    return tag("dl", [tag("div", [tag("dt", k), tag("dd", v)]) for k, v in shown], class_="tiles")


_DONE = {"clean": "uploads aborted", "verify": "objects verified"}


def _is_dry(run: RunAggregate) -> bool:
    return run.start.get("dry_run") is True


def notes(run: RunAggregate, faults: int) -> Iterator[Markup]:
    """Yield what a reader has to know before the figures; ``faults``: lines that are not read."""
    said = {
        "This was a dry run: nothing was transferred or deleted.": _is_dry(run),
        "This run was against a sandbox, which is gone.": run.start.get("sandbox") is True,
        "The journal does not have the beginning of this run, which is in an earlier file:"
        " name that one too.": not run.start or run.start.get("continued") is True,
        "The listing did not end: more objects may exist than are counted here.": (
            run.summary is not None and run.summary.get("listing_complete") is False
        ),
        "The journal has no times of objects: it was written by an earlier version of s3pp.": (
            not run.has_times and run.counts.total() > 0 and "schema" not in run.start
        ),
        f"{pluralize(faults, 'line')} of the journal cannot be read, and"
        f" {'is' if faults == 1 else 'are'} left out.": faults > 0,
    }
    for text, applies in said.items():
        if applies:
            yield tag("p", [tag("strong", "Note: "), text])


# Failures


def failures(run: RunAggregate) -> Section | None:
    """Return the failures by cause, with advice."""
    if not run.causes:
        return None
    ordered = sorted(run.causes.items(), key=lambda each: -each[1].count)
    return Section("failures", "Failures by cause", [_cause(*each) for each in ordered])


def _cause(cause: tuple[str, str], found: CauseFacts) -> Markup:
    kind, about = cause[0], advice_on(cause[0])
    title = f"{figures.count(found.count)} × {kind}{f' ({cause[1]})' if cause[1] else ''}"
    said: dict[str, list[Markup]] = {}
    for each in found.samples:
        said.setdefault(each.message, []).append(tag("li", code(each.name)))
    named = [
        [tag("p", message or "without a message"), tag("ul", names, class_="names")]
        for message, names in said.items()
    ]
    left = found.count - len(found.samples)
    more = [tag("p", f"and {figures.count(left)} more", class_="soft")] if left else []
    advice = tag("p", [about.meaning, " ", tag("strong", "What to do: "), about.remedy])
    return tag("div", [tag("h3", title), advice, named, *more], class_="cause")


# Over time


def over_time(run: RunAggregate) -> Section | None:
    """Return the charts over time."""
    line = run.timeline
    if not len(line) or run.seconds <= 0 or _is_dry(run):
        return None
    charts = [each.render() for each in _charts(run)]
    if not charts:
        return None
    about = f"Each value is of {line.width:g} s, by the time since the start."
    if not run.has_pace:
        about += " The run was too short to have recorded its requests, or has no other processes."
    return Section("time", "Over time", [tag("p", about, class_="soft"), *charts])


def _charts(run: RunAggregate) -> Iterator[Chart]:
    line, seconds = run.timeline, run.seconds
    moved = Series.MOVED if line.total(Series.MOVED) > 0 else Series.BYTES
    if line.total(moved):
        trace = Trace("throughput", line.rates(moved, seconds))
        chart = Chart("bytes", "Throughput", "bytes per second", [trace], line.width, figures.rate)
        yield chart._replace(step=1024, tick=figures.brief_size)
    if line.total(Series.DONE):
        trace = Trace("objects", line.rates(Series.DONE, seconds), color=3)
        yield Chart("objects", "Objects done", "objects per second", [trace], line.width)
    if line.total(Series.BUSY):
        yield Chart("flight", "In flight", "at the same time", _in_flight(run), line.width)
    if line.total(Series.RETRIES) or line.total(Series.THROTTLED):
        traces = [
            Trace("failed attempts", line.rates(Series.RETRIES, seconds), "bars", 2),
            Trace("throttled requests", line.rates(Series.THROTTLED, seconds), "line", 3),
        ]
        title = "Retries and throttling"
        yield Chart("retries", title, "per second", traces, line.width)
    if line.total(Series.FAILED):
        trace = Trace("failed", line.values(Series.FAILED), "bars", 4)
        unit = f"objects in {line.width:g} s"
        yield Chart("failed", "Objects failed", unit, [trace], line.width, least=4.0)


def _in_flight(run: RunAggregate) -> list[Trace]:
    traces = [Trace("objects", run.timeline.rates(Series.BUSY, run.seconds), "line", 3)]
    if run.has_pace:
        traces.insert(0, Trace("requests", run.timeline.means()))
    return traces


# How long, and how large


def latency(run: RunAggregate) -> Section | None:
    """Return how long objects took."""
    found = run.latency
    if not found.count or _is_dry(run):
        return None
    rows = [[name, figures.duration(found.percentile(share))] for name, share in PERCENTILES]
    rows += [["longest", figures.duration(found.largest)]]
    rows += [["mean", figures.duration(found.sum / found.count)]]
    about = (
        f"From when this machine began with an object until it was done, attempts and waiting"
        f" included, of {figures.count(found.count)} that had a request. Half of them took no"
        " longer than the median, 99% no longer than the third line says."
    )
    columns = [Column("share"), Column("took at most")]
    content: list[Content] = [
        tag("p", about, class_="soft"),
        table("How long objects took", columns, rows),
    ]
    if run.again:
        content.append(tag("p", f"{pluralize(run.again, 'object')} needed more than one attempt."))
    return Section("latency", "Latency", [*content, _retry_table(run)])


def retries_of(run: RunAggregate) -> dict[str, float]:
    """Return the attempts that failed, by cause: of the summary if it has them."""
    found: Any = run.summary.get("retries") if run.summary is not None else None
    counts: Mapping[str, Any] = found if isinstance(found, Mapping) else run.retries
    return {cause[:80]: number_of(counts, cause) for cause in [*counts][:40]}


def _retry_table(run: RunAggregate) -> Content:
    rows = sorted(retries_of(run).items(), key=lambda each: -each[1])
    if not rows:
        return ()
    columns = [Column("cause"), Column("attempts")]
    shown = [[cause, figures.count(count)] for cause, count in rows]
    return table("Attempts that failed and were made again", columns, shown)


def sizes(run: RunAggregate) -> Section | None:
    """Return the objects by size, and how long each class took."""
    if not run.sizes:
        return None
    most = max(each.latency.count for each in run.sizes.values())
    rows = [
        [
            _size_class(number),
            figures.count(found.latency.count),
            tag("span", (), class_="bar", style=f"width:{100 * found.latency.count / most:.1f}%"),
            figures.size(found.bytes),
            figures.duration(found.latency.percentile(0.5)),
            figures.duration(found.latency.percentile(0.99)),
        ]
        for number, found in sorted(run.sizes.items())
    ]
    titles = ("size", "objects", "share", "bytes", "median", "99%")
    columns = [Column(title, title != "share") for title in titles]
    return Section(
        "sizes", "Sizes", table("Objects by size, and how long they took", columns, rows)
    )


def _size_class(number: int) -> str:
    if number < 0:
        return "empty"
    low, high = float(SIZE_STEP) ** number, float(SIZE_STEP) ** (number + 1)
    return f"{figures.size(low)} to {figures.size(high)}"


def slowest(run: RunAggregate) -> Section | None:
    """Return the objects that took longest."""
    if not run.slowest or _is_dry(run):
        return None
    rows = [
        [
            code(each.name),
            figures.duration(each.seconds),
            figures.size(each.size),
            figures.rate(each.size / each.seconds) if each.seconds else "",
            str(each.attempts or ""),
        ]
        for each in run.slowest
    ]
    columns = [Column(title) for title in ("object", "time", "size", "rate", "attempts")]
    about = table("The objects that took longest", columns, rows)
    return Section("slowest", "Slowest objects", about)


def reasons(run: RunAggregate) -> Section | None:
    """Return what was decided, and why."""
    rows = [
        [reason or "unknown", outcome, figures.count(count)]
        for (outcome, reason), count in run.reasons.most_common()
    ]
    if not rows:
        return None
    columns = [Column("reason", False), Column("outcome", False), Column("objects")]
    return Section(
        "reasons", "Decisions", table("Why objects were transferred or not", columns, rows)
    )


# How it was called


def settings(run: RunAggregate) -> Section:
    """Return the command and the settings of the run."""
    start = run.start
    words = start.get("command")
    known: list[tuple[str, Content]] = []
    if isinstance(words, list) and words:
        from shlex import join

        known.append(("command", code(join(str(word) for word in words))))
    labels = {
        "directory": "in directory",
        "source_endpoint": "store of the source",
        "dest_endpoint": "store of the destination",
        "version": "version of s3pp",
        "run": "id of the run",
    }
    known += [
        (label, code(text_of(start, name))) for name, label in labels.items() if start.get(name)
    ]
    known.append(("began", figures.moment(text_of(start, "time"))))
    if run.summary is not None and (ended := text_of(run.summary, "time")):
        known.append(("ended", figures.moment(ended)))
    content: list[Content] = [_facts(known)]
    if rows := [[code(f"--{name}"), code(text)] for name, text in settings_of(run).items()]:
        columns = [Column("option", False), Column("value", False)]
        inner = table("Every option of the command, given or not", columns, rows)
        content.append(tag("details", [tag("summary", f"All {len(rows)} settings"), inner]))
    return Section("settings", "Settings", content)


def _facts(rows: list[tuple[str, Content]]) -> Markup:
    return Markup(facts(rows).replace("<dl>", '<dl class="list">', 1))


def settings_of(run: RunAggregate) -> dict[str, str]:
    """Return the settings of a run as texts, by the names of the options."""
    found = run.start.get("settings")
    values = found if isinstance(found, Mapping) else {}
    return {str(name): _setting(value) for name, value in [*values.items()][:200]}


def _setting(value: object) -> str:
    if value is None or value == []:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(str(each) for each in value)[:1000]
    return str(value)[:1000]
