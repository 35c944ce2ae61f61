"""The difference from the run before, and the other runs of the journals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from s3pp.report.page import figures
from s3pp.report.page.aggregate import RunAggregate, text_of
from s3pp.report.page.markup import Column, Content, Markup, code, table, tag
from s3pp.report.page.sections import (
    PERCENTILES,
    Section,
    retries_of,
    settings_of,
    state_of,
    total,
)

if TYPE_CHECKING:
    from s3pp.report.page.journals import FoundRun

SHOWN = 20  # other runs


def difference(run: RunAggregate, before: RunAggregate | None) -> Section | None:
    """Return what differs from the run before; None if there is none."""
    if before is None:
        return None
    when = figures.moment(text_of(before.start, "time"))
    intro = f"The run before began at {when}. {state_of(before).text}."
    columns = [Column("figure"), Column("before"), Column("now"), Column("change")]
    content: list[Content] = [tag("p", intro)]
    content.append(table("Figures of both runs", columns, list(_figures(before, run))))
    causes = _causes(before, run)
    content += [causes or (), _settings(before, run)]
    return Section("difference", "Difference from the run before", content)


def _figures(before: RunAggregate, now: RunAggregate) -> Iterator[Sequence[str]]:
    for name, read, form in _FIGURES:
        one, other = read(before), read(now)
        if one or other:
            yield name, form(one), form(other), figures.change(one, other)
    for name, share in PERCENTILES:
        one, other = before.latency.percentile(share), now.latency.percentile(share)
        if one and other:  # of a run that transferred nothing there is none
            change = figures.change(one, other)
            yield f"latency, {name}", figures.duration(one), figures.duration(other), change


def _per_second(number: float, run: RunAggregate) -> float:
    return number / run.seconds if run.seconds else 0.0


_FIGURES: Sequence[tuple[str, Callable[[RunAggregate], float], Callable[[float], str]]] = (
    ("duration", lambda run: run.seconds, figures.duration),
    ("objects done", lambda run: total(run, "done"), figures.count),
    ("bytes", lambda run: run.bytes, figures.size),
    ("throughput", lambda run: _per_second(run.sent, run), figures.rate),
    (
        "objects per second",
        lambda run: round(_per_second(total(run, "done"), run), 1),
        figures.count,
    ),
    ("skipped", lambda run: total(run, "skipped"), figures.count),
    ("deleted", lambda run: total(run, "deleted"), figures.count),
    ("failed", lambda run: total(run, "failed"), figures.count),
    ("not attempted", lambda run: total(run, "not_attempted"), figures.count),
    ("attempts that failed", lambda run: sum(retries_of(run).values()), figures.count),
)


def _causes(before: RunAggregate, now: RunAggregate) -> Markup | None:
    rows = []
    for kind, cause in sorted({*before.causes, *now.causes}):
        counts = [
            float(run.causes[kind, cause].count) if (kind, cause) in run.causes else 0.0
            for run in (before, now)
        ]
        name = f"{kind} ({cause})" if cause else kind
        rows.append([name, *map(figures.count, counts), figures.change(*counts)])
    columns = [Column("cause"), Column("before"), Column("now"), Column("change")]
    return table("Failures by cause", columns, rows) if rows else None


def _settings(before: RunAggregate, now: RunAggregate) -> Markup:
    one, other = _describe(before), _describe(now)
    rows = [
        [name, code(one.get(name, "—")), code(other.get(name, "—"))]
        for name in {**one, **other}
        if one.get(name) != other.get(name)
    ]
    if not rows:
        return tag("p", "Both runs had the same settings.")
    columns = [Column(title, False) for title in ("setting", "before", "now")]
    return table("Settings that differ", columns, rows)


def _describe(run: RunAggregate) -> dict[str, str]:
    names = ("verb", "dest", "source_endpoint", "dest_endpoint", "directory", "version")
    sources = run.start.get("sources")
    found = {name.replace("_", " "): text_of(run.start, name) or "—" for name in names}
    found["sources"] = " ".join(map(str, sources)) if isinstance(sources, list) else "—"
    return found | {f"--{name}": text for name, text in settings_of(run).items()}


def other_runs(runs: Sequence[FoundRun], shown: FoundRun) -> Section | None:
    """Return the last runs in the journals, if there are others than the one that is ``shown``."""
    others = [run for run in runs if run.id != shown.id][-SHOWN:][::-1]
    if not others:
        return None
    rows = [
        [
            figures.moment(run.began),
            run.verb,
            code("" if ":" in run.id else run.id),
            "none" if run.exit_code is None else str(run.exit_code),
            figures.count(run.done),
            figures.count(run.failed),
            figures.duration(run.seconds) if run.seconds else "",
        ]
        for run in others
    ]
    titles = ("began", "command", "id", "exit code", "done", "failed", "duration")
    columns = [Column(title, title not in ("began", "command", "id")) for title in titles]
    about = tag("p", ["For a report on one of them: ", code("s3pp report --run ID JOURNAL"), "."])
    caption = f"The last of {len(runs) - 1} other runs" if len(runs) - 1 > SHOWN else "Other runs"
    return Section("runs", "Other runs in the journal", [about, table(caption, columns, rows)])
