"""``s3pp report``: a page about a run, made from its journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from s3pp.args.parser import VerbParser, add_output
from s3pp.cli.journal_arguments import check_journals
from s3pp.errors import ExitStatus, FatalError, UsageError
from s3pp.escaping import printable
from s3pp.job import STREAM
from s3pp.localfs.paths import shown

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams
    from s3pp.report.page.render import ReportPage

USAGE = "[-o FILE.html] [--run ID] JOURNAL..."
ABOUT = (
    "Write a page in HTML about the last run in JOURNAL, a file of --journal: throughput, requests"
    " in flight, latencies, sizes, slow objects, failures with advice, settings; and its difference"
    " from the run before, in the same journal or in another one that is named. What was rotated in"
    " the middle of a run is one run, where all of its files are named."
)


class ReportArguments(NamedTuple):
    """The arguments of the command, parsed."""

    journals: list[str]
    output: str  # path of the page; "-": standard output
    run: str  # the beginning of an id; empty: the last run


def main(argv: Sequence[str], streams: Streams) -> int:
    """Run the command and return its exit code; raises ``S3ppError``."""
    given = parse(argv)
    _check_output(given)
    page = _read(given)
    if given.output == STREAM:
        from s3pp.report.page.render import render

        streams.stdout.write(render(page))
        return ExitStatus.OK
    _write(given.output, page)
    streams.stdout.lines([f"report: {printable(given.output)}"])
    return ExitStatus.OK


def parser() -> VerbParser:
    """Create the parser of the command line."""
    made = VerbParser("report", USAGE, ABOUT)
    made.add_argument("arguments", nargs="*", metavar="JOURNAL", help="a file of --journal")
    group = made.add_argument_group("output")
    page = "the page; -: standard output (default: JOURNAL.html, of the first JOURNAL)"
    add_output(group, "FILE.html", page)
    group.add_argument(
        "--run",
        metavar="ID",
        help="the run whose id begins so (default: the last one)",
    )
    return made


def parse(argv: Sequence[str]) -> ReportArguments:
    """Parse the arguments. Raises ``UsageError``."""
    journals, given = parser().parse(argv)
    if not journals:
        raise UsageError("report: name a JOURNAL, a file that a run has written with --journal")
    output = given.get("output")
    run = given.get("run") or ""
    return ReportArguments(journals, f"{journals[0]}.html" if output is None else output, run)


def _check_output(given: ReportArguments) -> None:
    from s3pp.report.own_files import REPORT_BEGINS, check_named, check_replaceable

    check_named(given.output, "--output")
    if given.output != STREAM:
        check_replaceable(given.output, "--output", REPORT_BEGINS, "report of s3pp")
    check_journals("report", given.journals)


def _read(given: ReportArguments) -> ReportPage:
    from s3pp.report.page.journals import Journals, choose
    from s3pp.report.page.render import ReportPage

    journals = Journals(list(dict.fromkeys(given.journals)))
    runs = journals.find()
    run, before = choose(runs, given.run)
    found = journals.aggregate([run] if before is None else [run, before])
    return ReportPage(
        found[0], found[1] if before is not None else None, runs, run, journals.faults
    )


def _write(path: str, page: ReportPage) -> None:
    from s3pp.report.page.writer import write_page

    try:
        write_page(path, page)
    except OSError as error:
        raise FatalError(f"report: '{shown(path)}' cannot be written: {error.strerror}") from None
