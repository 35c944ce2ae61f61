from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import ExitStatus
from s3pp.report.totals import Totals, summary, wants_summary

from .samples import job


def totals(**counts: Any) -> Totals:
    usual = Totals(done=10_000, bytes=40_960_000, sent=40_960_000, seconds=1.2, requests=10_011)
    return replace(usual, **counts)


RATES = "40960000 bytes in 10000 files in 1.2 seconds (34133333 bytes/s, 8333.3 files/s)"


@pytest.mark.parametrize(
    ("counts", "tail"),
    [
        ({}, ""),
        ({"skipped": 3}, ", 3 skipped"),
        ({"failed": 1}, ", 1 failed"),
        ({"skipped": 3, "failed": 1}, ", 3 skipped, 1 failed"),
        ({"failed": 2, "not_attempted": 70, "walk_done": True}, ", 2 failed, 70 not attempted"),
        ({"failed": 2, "not_attempted": 70}, ", 2 failed, at least 70 not attempted"),
    ],
)
def test_text(counts: dict[str, int], tail: str) -> None:
    assert summary(totals(**counts), job()) == f"put {RATES}{tail}"


@given(st.integers(-4, 4), st.booleans(), st.booleans(), st.sampled_from(ExitStatus))
def test_who_waits_for_it_gets_it(
    verbosity: int, as_json: bool, dry_run: bool, status: ExitStatus
) -> None:
    wanted = wants_summary(job(dry_run=dry_run, verbosity=verbosity, json=as_json), status)
    if status is ExitStatus.READER_GONE:
        assert not wanted
    elif verbosity == -1:
        assert wanted == (as_json or dry_run or bool(status))
    else:
        assert wanted == (verbosity >= 0)


def test_the_rate_is_of_what_moved() -> None:
    line = summary(totals(sent=1_200_000), job())
    assert line == f"put {RATES}".replace("34133333 bytes/s", "1000000 bytes/s")


def test_a_dry_run() -> None:
    line = summary(totals(skipped=3), job(dry_run=True))
    assert line == "would put 40960000 bytes in 10000 files, with 10011 requests, 3 skipped"


def test_nothing_in_no_time() -> None:
    nothing = "put 0 bytes in 0 files in 0.0 seconds (0 bytes/s, 0.0 files/s)"
    assert summary(Totals(walk_done=True), job()) == nothing
    assert summary(Totals(), job()) == nothing, "the message that ended the run says why"


def test_json() -> None:
    counts = totals(listed=10_004, skipped=3, failed=1, seconds=1.23456, walk_done=True)
    line = summary(counts, job(json=True))
    assert line.startswith('{"event":"summary","verb":"put","listed":10004,')
    assert json.loads(line) == {
        "event": "summary",
        "verb": "put",
        "listed": 10_004,
        "done": 10_000,
        "skipped": 3,
        "failed": 1,
        "bytes": 40_960_000,
        "seconds": 1.235,
    }


def test_json_of_a_run_that_was_stopped_while_it_listed() -> None:
    assert json.loads(summary(Totals(), job(json=True)))["listing_complete"] is False


def test_json_of_a_dry_run_that_was_stopped() -> None:
    event = json.loads(summary(totals(not_attempted=5), job(json=True, dry_run=True)))
    assert (event["dry_run"], event["requests"], event["not_attempted"]) == (True, 10_011, 5)
