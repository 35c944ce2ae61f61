from __future__ import annotations

import json

from s3pp.errors import FailureKind
from s3pp.records import Done, Failed, SendReason
from s3pp.report.lines import Lines

from .samples import DONE, FAILED, SAME, job

LINES = Lines.of(job())


def test_text():
    assert LINES.text(DONE) == "put a/b.txt -> s3://bkt/p/a/b.txt (new)"
    assert LINES.text(SAME) == "skip a/c -> s3://bkt/p/a/c (same etag)"
    assert LINES.text(FAILED) == "put a/d -> s3://bkt/p/a/d: permission denied"


def test_text_is_one_line_whatever_the_name():
    failed = Failed("a\n\x1b[2J", "k\n\udcff", FailureKind.NAME, "not UTF-8:\n\x07")
    assert LINES.text(failed) == r"put a\n\x1b[2J -> s3://bkt/k\n\xff: not UTF-8:\n\x07"


def test_events():
    assert LINES.event(DONE) == {
        "event": "done",
        "verb": "put",
        "source": "a/b.txt",
        "bucket": "bkt",
        "key": "p/a/b.txt",
        "size": 5,
        "sent": 4,
        "etag": "0cc1",
        "reason": "new",
        "attempts": 1,
    }
    assert LINES.event(SAME) == {
        "event": "skipped",
        "verb": "put",
        "source": "a/c",
        "bucket": "bkt",
        "key": "p/a/c",
        "size": 7,
        "reason": "same etag",
    }
    assert LINES.event(FAILED) == {
        "event": "failed",
        "verb": "put",
        "source": "a/d",
        "bucket": "bkt",
        "key": "p/a/d",
        "kind": "unreadable",
        "message": "permission denied",
    }


def test_a_dry_run_says_so_in_every_event():
    lines = Lines.of(job(dry_run=True))
    assert [lines.event(outcome)["dry_run"] for outcome in (DONE, SAME, FAILED)] == [True] * 3


def test_json_is_one_ascii_line_and_gives_the_name_back():
    name = "ü\n\udcff\u2028"
    line = LINES.json(Done(name, name, 1, 1, "", SendReason.ALWAYS))
    assert line.isascii()
    assert "\n" not in line
    event = json.loads(line)
    assert (event["source"], event["key"]) == (name, name)
