"""The whole page: its head, its parts, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from s3pp import __version__
from s3pp.report.own_files import REPORT_BEGINS
from s3pp.report.page import figures, sections
from s3pp.report.page.aggregate import RunAggregate, text_of
from s3pp.report.page.comparison import difference, other_runs
from s3pp.report.page.markup import Markup, code, html, tag
from s3pp.report.page.sections import Section
from s3pp.report.page.style import STYLE

if TYPE_CHECKING:
    from s3pp.report.page.journals import FoundRun

# Nothing is loaded and no script runs, whatever a name on the page may contain.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class ReportPage(NamedTuple):
    """What a page is made of."""

    run: RunAggregate
    before: RunAggregate | None = None
    runs: Sequence[FoundRun] = ()  # in the journals
    shown: FoundRun | None = None  # the one of them that the page is about
    faults: int = 0  # lines of the journals that cannot be read


def render(page: ReportPage) -> str:
    """Return the page as HTML."""
    verb, places = sections.heading_of(page.run)
    title = f"s3pp {verb}: {places}"
    head = [
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{html(POLICY)}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="referrer" content="no-referrer">'),
        tag("title", title),
        Markup(f"<style>{STYLE}</style>"),
    ]
    parts = _parts(page)
    body = [
        tag("a", "Skip to the report", href="#report", class_="skip"),
        _header(page, parts),
        tag("main", [each.render() for each in parts], id="report"),
        tag(
            "footer",
            tag("p", f"Written by s3pp {__version__}. It names objects."),
        ),
    ]
    whole = Markup(tag("html", [tag("head", head), tag("body", body)], lang="en"))
    return f"{REPORT_BEGINS.decode()}\n{whole}\n"


def _parts(page: ReportPage) -> list[Section]:
    run = page.run
    found = (
        sections.failures(run),
        sections.over_time(run),
        sections.latency(run),
        sections.sizes(run),
        sections.slowest(run),
        sections.reasons(run),
        difference(run, page.before),
        sections.settings(run),
        other_runs(page.runs, page.shown) if page.shown is not None else None,
    )
    return [each for each in found if each is not None]


def _header(page: ReportPage, parts: Sequence[Section]) -> Markup:
    verb, places = sections.heading_of(page.run)
    state = sections.state_of(page.run)
    began = figures.moment(text_of(page.run.start, "time"))
    links = [tag("li", tag("a", each.title, href=f"#{each.id}")) for each in parts]
    return tag(
        "header",
        [
            tag("h1", [f"s3pp {verb}: ", code(places)]),
            tag("p", f"Began {began}", class_="soft"),
            tag("p", state.text, class_=f"state {state.kind}"),
            *sections.notes(page.run, page.faults),
            *([] if page.run.unbegun else [sections.tiles(page.run)]),
            tag("nav", tag("ul", links), aria_label="Contents"),
        ],
    )
