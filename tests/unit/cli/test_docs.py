"""The reference tells of every option, and of no other."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from s3pp.cli import put
from s3pp.errors import ExitStatus, FailureKind
from s3pp.job import ACLS, CHECKSUMS
from s3pp.records import SendReason, SkipReason
from s3pp.report.lines import Lines
from s3pp.report.summary import summary_event
from s3pp.report.totals import Totals

ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "docs" / "cli.rst").read_text()
LITERALS = set(re.findall(r"``(.+?)``", REFERENCE))


def test_every_option_and_no_other():
    parser = put._parser()
    known = {name for action in parser._actions for name in action.option_strings}
    told = {re.split("[ =]", literal)[0] for literal in LITERALS if literal.startswith("-")}
    assert known - told == set()
    assert told - known <= {"-", "--", "--port", "-qq", "-vv"}


@pytest.mark.parametrize("values", [FailureKind, SkipReason, SendReason, ACLS, CHECKSUMS])
def test_every_value(values):
    assert {getattr(value, "value", value) for value in values} <= LITERALS


def test_every_exit_code():
    table = re.findall(r"^(\d+) {2,}", REFERENCE, re.MULTILINE)
    assert [int(code) for code in table] == sorted(ExitStatus)


def test_the_events_are_those_that_are_printed():
    from report.samples import DONE, FAILED, SAME, job

    told = {}
    for line in re.findall(r"^    (\{.*\})$", REFERENCE, re.MULTILINE):
        event = json.loads(line)
        told[event["event"]] = list(event)
    events = [Lines.of(job()).event(outcome) for outcome in (DONE, SAME, FAILED)]
    for event in [*events, summary_event(Totals(), job())]:
        assert told[event["event"]] == list(event)


def test_the_readmes_command_lines_are_accepted():
    readme = (ROOT / "README.rst").read_text()
    lines = re.findall(r"^ .*?\bs3pp put (.*?)(?: \|.*)?$", readme, re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        job = put.build_job(put._parser().parse(shlex.split(line)))
        assert job.dest.bucket
