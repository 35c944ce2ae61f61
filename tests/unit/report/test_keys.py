"""A line for each key, and their sum."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.places import parse_origin
from s3pp.records import Failed, Outcome
from s3pp.report.failures import ENOUGH_REFUSALS
from s3pp.report.key_sheet import KeySheet
from s3pp.report.lines import KeyTotals, KeyView, Lines
from s3pp.report.outlet import Streams
from s3pp.report.voice import Rendered, Voice
from s3pp.s3.listing import Listed

ETAG = "620f0b67a91f7f74151bc5be745b7110"
TIME = "2026-11-20T08:00:00.000Z"
PAGE = [
    Listed("photos/1.jpg", 4096, ETAG, TIME, "STANDARD"),
    Listed('odd\n\x1b "\\', 0, "", "", ""),
]
MISSING = Failed("photos/2.jpg", "2.jpg", FailureKind.NOT_FOUND, "there is no such key")


def list_job(**output: Any) -> Job:
    return Job("list", origins=(parse_origin("s3://bucket/photos"),), output=Output(**output))


class Capital(Voice):
    """A voice for keys that failed, and for one notice."""

    def outcome(self, outcome: Outcome) -> Rendered | None:
        return Rendered(["FAILED"])

    def notice(self, text: str) -> Rendered | None:
        return Rendered([text.upper()]) if text == "known" else None


def test_a_voice_says_what_failed_and_what_users_should_know() -> None:
    out, err = io.StringIO(), io.StringIO()
    sheet = KeySheet(Streams.of(out, err), list_job(voice=f"{__name__}:Capital", program="old"))
    assert sheet.take([PAGE[0], MISSING])
    sheet.notify("known")
    sheet.notify("unknown")
    assert out.getvalue().splitlines()[1:] == ["FAILED", "KNOWN"]
    assert err.getvalue() == "old: unknown\n"


def test_the_event_of_a_key_that_failed() -> None:
    event = Lines.of(list_job()).event(MISSING)
    assert (event["bucket"], event["key"]) == ("bucket", MISSING.source)
    assert event["source"] == "s3://bucket/photos/2.jpg"


def test_lines_for_people() -> None:
    first, second = KeyView("bucket").lines(PAGE)
    assert first == f"{TIME}         4096 {ETAG}   photos/1.jpg"
    assert second.split() == ["-", "0", "-", "odd\\n\\x1b", '"\\\\']
    assert second.isprintable()


def test_columns_stand_below_each_other() -> None:
    view = KeyView("bucket")
    multipart = Listed("large", 10**12 - 1, f"{ETAG}-9", TIME)
    (line,) = view.lines([multipart])
    assert line.index("large") == view.lines(PAGE)[0].index("photos")


def test_lines_for_programs() -> None:
    view = KeyView("bucket", json=True)
    lines = view.lines(PAGE)
    assert lines[0] == (
        '{"event":"object","bucket":"bucket","key":"photos/1.jpg","size":4096,'
        f'"etag":"{ETAG}","modified":"{TIME}","storage_class":"STANDARD"}}'
    )
    assert [json.loads(line)["key"] for line in lines] == [each.key for each in PAGE]


@pytest.mark.parametrize(("verbosity", "count"), [(0, 2), (-1, 0), (-2, 0)])
def test_quiet(verbosity: int, count: int) -> None:
    view = KeyView("bucket", verbosity=verbosity)
    assert len(view.lines(PAGE)) == count
    assert len(view.remarks([MISSING])) == (verbosity > -2)
    out, err = io.StringIO(), io.StringIO()
    KeySheet(Streams.of(out, err), list_job(verbosity=verbosity)).notify("a line")
    assert err.getvalue() == ("s3pp: a line\n" if verbosity > -1 else "")


def test_what_is_not_there_is_named_on_stderr() -> None:
    view = KeyView("bucket")
    assert view.lines([MISSING]) == []
    (line,) = view.remarks([*PAGE, MISSING])
    assert line == "s3pp: list s3://bucket/photos/2.jpg: there is no such key"


def test_the_sum() -> None:
    totals = KeyTotals()
    totals.fold(PAGE)
    totals.fold([MISSING])
    totals.seconds = 0.5
    assert KeyView("bucket").summary(totals) == (
        "list 4096 bytes in 2 objects in 0.5 seconds (4.0 objects/s), 1 failed"
    )
    assert json.loads(KeyView("bucket", json=True).summary(totals)) == {
        "event": "summary", "verb": "list", "listed": 2, "failed": 1, "bytes": 4096, "seconds": 0.5
    }  # fmt: skip


def test_the_sum_of_nothing() -> None:
    assert KeyView("bucket").summary(KeyTotals()).startswith("list 0 bytes in 0 objects in 0.0")


def test_names_that_all_fail_for_one_cause_end_it() -> None:
    """As in other runs, and not once the store has granted access to one."""
    refused = Failed("k", "k", FailureKind.ACCESS, "AccessDenied: no", "AccessDenied")
    for first, ends in (([], True), (PAGE, False)):
        out, err = io.StringIO(), io.StringIO()
        sheet = KeySheet(Streams.of(out, err), list_job())
        assert sheet.take(first)
        with pytest.raises(FatalError, match="refuses every object") if ends else nullcontext():
            sheet.take([refused] * ENOUGH_REFUSALS)
        assert (sheet.totals.failed, sheet.totals.complete) == (ENOUGH_REFUSALS, False)
        assert len(err.getvalue().splitlines()) == ENOUGH_REFUSALS
