"""The table in ``view``'s docstring, row by row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from s3pp.records import Skipped, SkipReason
from s3pp.report.lines import Lines
from s3pp.report.view import Detail, View, names_skips
from s3pp.report.voice import NOTHING, Rendered

from .samples import ALL, FAILED, FIFO, job

PUT = "put a/b.txt -> s3://bkt/p/a/b.txt (new)"
SAME = "skip a/c -> s3://bkt/p/a/c (same etag)"
FIFO_LINE = "skip a/f -> s3://bkt/p/a/f (not a regular file)"
FAILURE = "s3pp: put a/d -> s3://bkt/p/a/d: permission denied"
NOTICE = f"s3pp: {FIFO_LINE}"


def view(*, dry_run: bool = False, verbosity: int = 0, json: bool = False) -> View:
    run = job(dry_run=dry_run, verbosity=verbosity, json=json)
    return View(Lines.of(run), Detail.of(run.output, dry_run=dry_run), json=json)


@pytest.mark.parametrize(
    ("dry_run", "verbosity", "stdout", "stderr"),
    [
        (False, -2, [], []),
        (False, -1, [], [FAILURE]),
        (False, 0, [], [NOTICE, FAILURE]),
        (False, 1, [PUT], [NOTICE, FAILURE]),
        (False, 2, [PUT, SAME, FIFO_LINE], [FAILURE]),
        (False, 3, [PUT, SAME, FIFO_LINE], [FAILURE]),
        (True, -2, [], []),
        (True, -1, [], [FAILURE]),
        (True, 0, [PUT, SAME, FIFO_LINE], [FAILURE]),
        (True, 1, [PUT, SAME, FIFO_LINE], [FAILURE]),
    ],
)
def test_text(dry_run: bool, verbosity: int, stdout: list[str], stderr: list[str]) -> None:
    assert view(dry_run=dry_run, verbosity=verbosity).render(ALL)[:2] == (stdout, stderr)


@pytest.mark.parametrize(
    ("verbosity", "events", "stderr"),
    [
        (-2, [], []),
        (-1, ["failed"], [FAILURE]),
        (0, ["done", "skipped", "skipped", "failed"], [NOTICE, FAILURE]),
        (2, ["done", "skipped", "skipped", "failed"], [NOTICE, FAILURE]),
    ],
)
def test_json(verbosity: int, events: list[str], stderr: list[str]) -> None:
    shown = view(verbosity=verbosity, json=True).render(ALL)
    assert [json.loads(line)["event"] for line in shown.stdout] == events
    assert shown.stderr == stderr


@pytest.mark.parametrize("reason", SkipReason)
def test_skips_nobody_asked_for_are_noticed(reason: SkipReason) -> None:
    surprising = {
        SkipReason.SPECIAL,
        SkipReason.LOOP,
        SkipReason.LINK_MEMBER,
        SkipReason.TEMPORARY,
        SkipReason.OTHER_SIZE,
    }
    shown = view().render([Skipped("a", "b", 0, reason)])
    assert len(shown.stderr) == (reason in surprising)
    assert shown.stdout == []


def test_notices() -> None:
    assert view().notice("a worker died") == Rendered(stderr=["s3pp: a worker died"])
    assert view(verbosity=-1).notice("a worker died") == NOTHING
    assert view(verbosity=-1).render([FIFO]) == Rendered([], [])


@pytest.mark.parametrize("json", [False, True])
def test_what_ends_the_run_is_not_told_of_each_object_too(json: bool) -> None:
    shown = view(json=json)
    other = FAILED._replace(message="another reason")
    shown.hide_message(FAILED.message)
    stdout, stderr, _ = shown.render([FAILED, other, FAILED])
    assert stderr == [FAILURE.replace(FAILED.message, other.message)]
    assert len(stdout) == (3 if json else 0)


def test_a_notice_is_one_line_whatever_it_names() -> None:
    shown = view().notice("s3://bkt/a\nb\x1b is there")
    assert shown.stderr == ["s3pp: s3://bkt/a\\nb\\x1b is there"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, False),
        ({"verbosity": 1}, False),
        ({"verbosity": 2}, True),
        ({"verbosity": 0, "log_file": "log"}, False),
        ({"verbosity": 1, "log_file": "log"}, True),  # it has what -vv prints
        ({"json": True}, True),
        ({"json": True, "verbosity": -1}, False),
        ({"journal": "journal"}, True),
        ({"voice": "module:Voice"}, True),
    ],
)
def test_whether_unchanged_objects_are_named(options: dict[str, Any], named: bool) -> None:
    run = job()
    assert names_skips(replace(run, output=replace(run.output, **options))) == named
    assert names_skips(replace(run, dry_run=True))
