"""Deletions in lines, events, totals, summaries and at each verbosity."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from s3pp.deletion import Deletion
from s3pp.job import Job
from s3pp.output import Output
from s3pp.places import parse_origin, parse_place
from s3pp.records import Outcome
from s3pp.report.failures import ENOUGH_REFUSALS, GiveUpRule, accepted
from s3pp.report.lines import Lines
from s3pp.report.totals import Totals, run_report, summary, summary_event
from s3pp.report.view import Detail, View

from .samples import DELETED, DONE, GONE, KEPT, job

REMOVE = Job("remove", origins=(parse_origin("s3://bkt/p"),))
GET = Job("get", origins=(parse_origin("s3://bkt/p"),), directory="dir")
COPY = Job("copy", origins=(parse_origin("s3://aaa/p"),), dest=parse_place("s3://bkt"))
OUTCOMES: list[Outcome] = [DELETED, KEPT, GONE]


@pytest.mark.parametrize(
    ("run", "place"),
    [(job(), "s3://bkt/"), (COPY, "s3://bkt/"), (GET, "dir/"), (REMOVE, "s3://bkt/")],
)
def test_text_names_what_is_deleted_once(run: Job, place: str) -> None:
    assert list(map(Lines.of(run).text, OUTCOMES)) == [
        f"delete {place}p/x (not in source)",
        f"delete {place}p/y: AccessDenied",
        f"skip {place}p/z (gone already)",
    ]


def test_events_name_the_object() -> None:
    deleted, kept, gone = map(Lines.of(job()).event, OUTCOMES)
    assert deleted == {
        "event": "deleted",
        "verb": "put",
        "bucket": "bkt",
        "key": "p/x",
        "size": 9,
        "reason": "not in source",
        "etag": "0cc2",
        "version_id": "marker",
        "attempts": 1,
    }
    assert kept == {
        "event": "failed",
        "verb": "put",
        "bucket": "bkt",
        "key": "p/y",
        "kind": "access",
        "message": "AccessDenied",
        "code": "AccessDenied",
        "deleting": True,
    }
    place = {"bucket": "bkt", "key": "p/z"}
    assert gone == {
        **{"event": "skipped", "verb": "put"},
        **place,
        **{"size": 3, "reason": "gone already", "deleting": True},
    }


def test_events_name_the_file() -> None:
    event = Lines.of(replace(GET, dry_run=True)).event(DELETED._replace(etag="", version=""))
    assert event == {
        "event": "deleted",
        "verb": "get",
        "path": "dir/p/x",
        "size": 9,
        "reason": "not in source",
        "attempts": 1,
        "dry_run": True,
    }


@pytest.mark.parametrize(
    ("verbosity", "as_json", "count"), [(-1, False, 0), (0, False, 0), (1, False, 1), (0, True, 3)]
)
def test_they_are_printed_as_transfers_are(verbosity: int, as_json: bool, count: int) -> None:
    output = Output(verbosity=verbosity, json=as_json)
    view = View(Lines.of(REMOVE), Detail.of(output, dry_run=False), json=as_json)
    rendered = view.render(OUTCOMES)
    assert len(rendered.stdout) == count
    assert rendered.stderr == ["s3pp: delete s3://bkt/p/y: AccessDenied"]


def test_they_count() -> None:
    totals = Totals(listed=4, walk_done=True, seconds=2.0)
    totals.fold_all([DONE, *OUTCOMES])
    assert (totals.done, totals.deleted, totals.skipped, totals.failed) == (1, 1, 1, 1)
    assert (totals.deleted_bytes, totals.balanced) == (9, True)
    assert run_report(totals).transferred
    assert summary(totals, job()).endswith("files/s), 1 deleted, 1 skipped, 1 failed")
    assert ", 1 to delete, 1 skipped" in summary(totals, job(dry_run=True))


def test_the_summary_of_a_remove() -> None:
    totals = Totals(listed=3, walk_done=True, seconds=2.0, requests=4)
    totals.fold_all(OUTCOMES)
    counts = "1 object (9 bytes)"
    rate = "in 2.0 seconds (0.5 objects/s)"
    assert summary(totals, REMOVE) == f"remove {counts} {rate}, 1 skipped, 1 failed"
    dry = summary(totals, replace(REMOVE, dry_run=True))
    assert dry == f"would remove {counts}, with 4 requests, 1 skipped, 1 failed"
    event = json.loads(summary(totals, replace(REMOVE, output=Output(json=True))))
    assert (event["verb"], event["deleted"], event["deleted_bytes"]) == ("remove", 1, 9)


def test_a_run_that_may_delete_says_how_much_in_json() -> None:
    totals = Totals()
    assert "deleted" not in summary_event(totals, job())
    mirror = replace(job(), deletion=Deletion(extraneous=True))
    assert summary_event(totals, mirror)["deleted"] == 0


def test_a_store_that_refuses_every_deletion() -> None:
    assert accepted([DELETED])
    assert not accepted(OUTCOMES[1:])
    rule = GiveUpRule("remove")
    given_up = rule.add([KEPT] * ENOUGH_REFUSALS)
    assert given_up is not None
    assert given_up.why.startswith("the store refuses every deletion, and the rest is not tried:")
