from __future__ import annotations

import json
import pickle
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from s3pp.records import Done, Foreseen, Outcome, SendReason, SkipReason
from s3pp.report.foreseen import ForeseenTotals, table

from .samples import DONE, FAILED, SAME

WHOLE = DONE._replace(foreseen=Foreseen((("PutObject", 1),)))
PARTS = DONE._replace(
    size=9000,
    reason=SendReason.SIZE,
    foreseen=Foreseen((("CreateMultipartUpload", 1), ("UploadPart", 12))),
)
ALL: list[Outcome] = [WHOLE, PARTS, SAME, FAILED]


def folded(outcomes: list[Outcome]) -> ForeseenTotals:
    totals = ForeseenTotals("put")
    totals.fold(outcomes)
    return totals


def test_the_table_has_what_is_transferred_first() -> None:
    assert table(folded([SAME, *ALL, WHOLE]), 20) == [
        "would  reason        objects  bytes  requests",
        "put    new                 2     10         2",
        "put    size differs        1   9000        13",
        "skip   same etag           2     14         -",
        "fail   unreadable          1      -         -",
        "requests: 2 PutObject, 1 CreateMultipartUpload, 12 UploadPart; 5 to list and compare,"
        " made by the dry run too",
    ]


def test_of_nothing_there_is_a_table_too() -> None:
    assert table(folded([]), 3) == [
        "would  reason  objects  bytes  requests",
        "requests: 3 to list and compare, made by the dry run too",
    ]


def test_programs_get_the_same() -> None:
    facts = folded(ALL).facts
    assert facts["reasons"][1:] == [
        {"action": "put", "reason": "size differs", "objects": 1, "bytes": 9000, "requests": 13},
        {"action": "skip", "reason": "same etag", "objects": 1, "bytes": 7},
        {"action": "fail", "reason": "unreadable", "objects": 1},
    ]
    assert list(facts["requests_by_operation"].items()) == [
        ("PutObject", 1),
        ("CreateMultipartUpload", 1),
        ("UploadPart", 12),
    ]


@given(st.lists(st.sampled_from(ALL)))
def test_every_outcome_is_in_one_row(outcomes: list[Outcome]) -> None:
    totals = ForeseenTotals("put")
    requests = totals.fold(outcomes)
    assert requests == totals.requests == sum(each.requests for each in totals.rows)
    assert sum(each.objects for each in totals.rows) == len(outcomes)
    done = [each for each in outcomes if isinstance(each, Done)]
    sizes = [each.bytes or 0 for each in totals.rows if each.action == "put"]
    assert sum(sizes) == sum(each.size for each in done)


def test_what_filters_leave_out_is_the_last_row() -> None:
    totals = folded(ALL)
    totals.exclude(3)
    assert table(totals, 20)[-2] == "leave  excluded            3      -         -"
    facts = {"action": "leave", "reason": "excluded", "objects": 3}
    assert totals.facts["reasons"][-1] == facts


def test_it_does_not_grow_and_travels() -> None:
    skips: list[Outcome] = [SAME._replace(reason=reason) for reason in SkipReason]
    sends: list[Outcome] = [WHOLE._replace(reason=reason) for reason in SendReason]
    totals = folded([*skips, *sends] * 50)
    assert len(totals.reasons) == len(skips) + len(sends), "no two have the same text"
    assert pickle.loads(pickle.dumps(totals)) == totals
    assert json.loads(json.dumps(asdict(totals)))["verb"] == "put"
