"""The reference has every option, and no other; and every command line in it is one."""

from __future__ import annotations

import ast
import json
import re
import runpy
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from s3pp.args.verbs import VERBS, build_job, parser
from s3pp.cli import completion, config, doctor, merge, report, sandbox
from s3pp.cli.main import COMMANDS
from s3pp.errors import ExitStatus, FailureKind
from s3pp.job import Job
from s3pp.limits import ACLS, CHECKSUMS
from s3pp.places import Place, Source, Stores, parse_origin
from s3pp.records import Done, Failed, Outcome, SendReason, Skipped, SkipReason, UploadFacts
from s3pp.report.lines import KeyTotals, KeyView, Lines, UploadLines
from s3pp.report.run_events import start_event
from s3pp.report.totals import Totals, summary, summary_event
from s3pp.s3.listing import Listed
from s3pp.s3.timestamps import parse_time

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
REFERENCE = (ROOT / "docs" / "cli.rst").read_text()
LITERALS = set(re.findall(r"``(.+?)``", REFERENCE))

GENERAL = {"-h", "--help", "-V", "--version"}  # of every command
ROOMS = sorted(path.parent for path in (ROOT / "s3pp").rglob("*/__init__.py"))
# Of the commands that have no job.
USAGES = {
    each.__name__.rpartition(".")[2]: each.USAGE
    for each in (completion, config, doctor, merge, report, sandbox)
}
OTHERS = {"--port", "--read-only", "--path", "-o", "--output", "--run"}  # their options
REPEATED = {"-", "--", "-qq", "-vv", "--no-NAME"}  # no options by themselves


def accepted(verb: str) -> set[str]:
    """The options that the command takes."""
    return {name for each in parser(verb)._actions for name in each.option_strings}


@cache
def sections() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Of each group of options: the verbs that have it, and its options."""
    parts = re.split(r"^([^\n]+)\n([~-])\2+\n", REFERENCE, flags=re.MULTILINE)
    groups = zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    return {title: options_of(title, body) for title, line, body in groups if line == "~"}


def options_of(title: str, body: str) -> tuple[frozenset[str], frozenset[str]]:
    verbs = re.match(r"\s+Of ([a-z, ]+)\.", body)
    assert verbs, f"whose are the options under {title!r}?"
    terms = "\n".join(re.findall(r"^``-.*$(?=\n +)", body, re.MULTILINE))
    names = frozenset(name(literal) for literal in re.findall(r"``(.+?)``", terms))
    return frozenset(re.findall(r"\w+", verbs[1])) - {"and"}, names


def name(literal: str) -> str:
    return re.split("[ =]", literal)[0]


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_and_no_other(verb: str) -> None:
    told = [options for verbs, options in sections().values() if verb in verbs]
    assert set().union(*told) | GENERAL == accepted(verb)


def test_every_verb_is_a_command() -> None:
    assert [*VERBS, *USAGES] == list(COMMANDS)


def test_every_section_has_verbs_and_options() -> None:
    for title, (verbs, options) in sections().items():
        assert verbs, title
        assert verbs <= set(VERBS), title
        assert options, title


def test_no_option_is_made_up_in_passing() -> None:
    known = set().union(OTHERS, REPEATED, *(accepted(verb) for verb in VERBS))
    assert {name(each) for each in LITERALS if each.startswith("-")} <= known


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_usage(verb: str) -> None:
    assert f"s3pp {verb} " in re.sub(" +", " ", REFERENCE.split("Names\n-----")[0])
    usage = USAGES[verb] if verb in USAGES else VERBS[verb].usage
    assert f"s3pp {verb} {usage}" in re.sub(" +", " ", REFERENCE)


@pytest.mark.parametrize("values", [FailureKind, SkipReason, SendReason, ACLS, CHECKSUMS])
def test_every_value(
    values: tuple[str, ...] | type[FailureKind] | type[SendReason] | type[SkipReason],
) -> None:
    assert {getattr(value, "value", value) for value in values} <= LITERALS


@pytest.mark.parametrize("values", [FailureKind, SkipReason])
def test_every_value_is_among_the_guarantees(values: type[FailureKind] | type[SkipReason]) -> None:
    guarantees = (ROOT / "docs" / "guarantees.rst").read_text()
    assert {value.value for value in values} <= set(re.findall(r"``(.+?)``", guarantees))


def test_every_exit_code() -> None:
    table = re.findall(r"^(\d+) {2,}", REFERENCE, re.MULTILINE)
    assert [int(code) for code in table] == sorted(ExitStatus)


JOBS = {
    "put": Job("put", sources=(Source("a"),), dest=Place("bucket", "p")),
    "get": Job("get", origins=(parse_origin("s3://bucket/p"),), directory="photos"),
    "copy": Job("copy", origins=(parse_origin("s3://bucket/p"),), dest=Place("archive")),
}
DONE = Done("a", "b", 5, 5, "5d41402abc4b2a76b9719d911017c592", SendReason.NEW)
OUTCOMES: list[Outcome] = [
    DONE,
    Skipped("a", "b", 7, SkipReason.SAME_ETAG),
    Failed("a", "b", FailureKind.NAME, "why"),
]


def told_events() -> dict[tuple[str, str], list[str]]:
    """The names in each event that the reference shows, by verb and kind."""
    lines = map(json.loads, re.findall(r"^    (\{.*\})$", REFERENCE, re.MULTILINE))
    return {(each.get("verb", "list"), each["event"]): list(each) for each in lines}


@pytest.mark.parametrize("verb", JOBS)
def test_the_events_are_those_that_are_printed(verb: str) -> None:
    job = JOBS[verb]
    events = [Lines.of(job).event(outcome) for outcome in OUTCOMES]
    for event in [*events, summary_event(Totals(walk_done=True), job)]:
        assert told_events()[verb, event["event"]] == list(event)


def test_the_lines_of_a_list_are_those_that_are_printed() -> None:
    listed = Listed("p/a/b.txt", 5, DONE.etag, "2026-11-20T08:30:00.000Z", "STANDARD")
    for view in (KeyView("bucket"), KeyView("bucket", json=True)):
        assert f"    {view.lines([listed])[0]}\n" in REFERENCE
    summary = json.loads(KeyView("bucket", json=True).summary(KeyTotals()))
    assert told_events()["list", "summary"] == list(summary)


FILM, NEW = "p/film.mp4", "p/new.mp4"
UPLOAD = UploadFacts("VXBsb2FkIDE", "2026-11-17T08:30:00.000Z", 12)
CLEANED: list[Outcome] = [
    Done(FILM, FILM, 201326592, 0, "", SendReason.ALWAYS, upload=UPLOAD),
    Skipped(NEW, NEW, 0, SkipReason.YOUNG, UPLOAD),
    Failed(FILM, FILM, FailureKind.ACCESS, "why", "AccessDenied", UPLOAD),
]
CLEAN = Job("clean", origins=(parse_origin("s3://bucket/p"),))


def test_the_events_of_a_clean_are_those_that_are_printed() -> None:
    events = [Lines.of(CLEAN).event(outcome) for outcome in CLEANED]
    for event in [*events, summary_event(Totals(walk_done=True), CLEAN)]:
        assert told_events()["clean", event["event"]] == list(event)


def test_the_lines_of_a_clean_are_those_that_are_printed() -> None:
    now = parse_time(UPLOAD.initiated).timestamp() + 3 * 86400
    lines = UploadLines("clean", "s3://bucket/", "s3://bucket/", now=now)
    for outcome in CLEANED[:2]:
        assert f"    {lines.text(outcome)}\n" in REFERENCE
    totals = Totals(done=1, bytes=201326592, skipped=1, seconds=0.4)
    assert f"    {summary(totals, CLEAN)}\n" in REFERENCE


def test_the_start_is_the_journals() -> None:
    found = replace(JOBS["put"], stores=Stores(dest="h"))
    assert told_events()["put", "start"] == list(start_event(found, "5ca1ab1e0000"))


# Those written to be read from top to bottom are run as a whole by docs/test_docs_commands.py.
TABLES = [page for page in PAGES if page.parent.name != "howto" and page.stem != "tutorial"]


@pytest.mark.parametrize("page", TABLES, ids=lambda page: page.name)
def test_the_command_lines_are_accepted(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")  # for those of a scheduler's tasks
    for verb, rest in commands(page):
        if verb != "retry":  # whose options are in a file
            build_job(verb, shlex.split(rest.replace("{}", "1"), comments=True))


def commands(page: Path) -> list[tuple[str, str]]:
    """The verb and the arguments of every command line on a page that stands for itself."""
    pattern = rf"^ +(?:.* )?s3pp ({'|'.join(VERBS)}) (.*?)(?: \| .*)?$"
    found = re.findall(pattern, page.read_text(), re.MULTILINE)
    return [(verb, rest) for verb, rest in found if "OPTIONS" not in rest and "``" not in rest]


def test_the_readme_shows_every_verb() -> None:
    assert {verb for verb, _ in commands(PAGES[0])} == set(VERBS)
    assert len(commands(PAGES[0])) > 15


def test_the_architecture_is_short_and_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.rst").read_text()
    assert len(text.splitlines()) <= 200
    rooms = {path.parent.name for path in (ROOT / "s3pp").glob("*/__init__.py")}
    assert {room for room in rooms if f"``{room}/``" not in text} == set()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_each_room_says_what_its_files_are_for(room: Path) -> None:
    doc = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    files = {path.stem for path in room.glob("*.py")} - {"__init__"}
    assert files - set(re.findall(r"``(\w+)``", doc)) == set()


def test_every_page_is_in_the_index() -> None:
    """And so in the contents, which the build makes from it (docs/extensions/contents.py)."""
    docs = ROOT / "docs"
    linked = set(re.findall(r"<([\w./-]+\.rst)>", (docs / "index.rst").read_text()))
    included = {"changes.rst": "../CHANGELOG.rst", "contributing.rst": "../CONTRIBUTING.rst"}
    names = {path.relative_to(docs).as_posix() for path in PAGES[1:]} - {"index.rst"}
    assert {included.get(name, name) for name in names} == linked


def test_the_site_shows_the_contents_of_a_page_once() -> None:
    """Beside it: the theme marks a second table as an error, on the page itself."""
    extension = runpy.run_path(str(ROOT / "docs" / "extensions" / "contents.py"))
    for page in PAGES[1:]:
        text = page.read_text()
        shown = extension["without_local_contents"](text)
        assert "contents::" not in shown
        assert ":local:" not in shown
        assert len(shown.splitlines()) == len(text.splitlines()), "warnings name the line"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_pages(page: Path) -> None:
    for target in re.findall(r"<([\w./-]+\.rst)(?:#[\w-]+)?>", page.read_text()):
        assert (page.parent / target).is_file(), target
