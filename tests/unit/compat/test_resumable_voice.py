"""The lines of ``s3_upload`` and ``s3_download``: each is true, and one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.compat.resumable_voice import (
    CleanVoice,
    ComparisonVoice,
    DownloadComparisonVoice,
    FirstComparisonVoice,
    TransferVoice,
    UnfinishedVoice,
)
from s3pp.errors import ExitStatus, FailureKind
from s3pp.job import Job
from s3pp.output import Output
from s3pp.places import Place, Source
from s3pp.records import Done, Failed, SendReason, Skipped, SkipReason
from s3pp.report.totals import RunReport, Totals
from s3pp.report.voice import NOTHING, Rendered

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
UPLOAD = Job("put", (Source("src"),), Place("b", "p"), output=Output(verbosity=1))
COMPARISONS = [ComparisonVoice, FirstComparisonVoice, DownloadComparisonVoice]


def line(said: Rendered | None) -> str:
    """The only line, without its time."""
    assert said is not None
    (found,) = said.stderr
    assert not said.stdout
    assert not said.log
    assert re.match(TIME, found)
    return str(found)[24:]


def done(key: str, size: int = 3) -> Done:
    return Done(f"src/{key}", f"p/{key}", size, size, "e", SendReason.NEW)


def same(key: str, reason: SkipReason = SkipReason.SAME_SIZE) -> Skipped:
    return Skipped(f"src/{key}", f"p/{key}", 3, reason)


def test_a_transfer() -> None:
    voice = TransferVoice(UPLOAD)
    assert line(voice.outcome(done("a/b"))) == "INFO - FINISH: a/b TO s3://b/p/a/b"
    assert line(voice.outcome(same("a"))) == "INFO - Duplicated. a same size, goto next file."
    assert voice.outcome(same("a", SkipReason.SPECIAL)) is None
    assert voice.outcome(Failed("src/a", "p/a", FailureKind.STORE, "no")) is None


@given(st.text(min_size=1))
def test_what_is_missing_is_one_line_of_json(key: str) -> None:
    voice = ComparisonVoice(UPLOAD)
    found = line(voice.outcome(done(key))).removeprefix("WARNING - ")
    assert json.loads(found) == {"Key": key, "Size": 3}
    assert found.isascii()
    assert found.isprintable()
    failed = Failed(f"src/{key}", f"p/{key}", FailureKind.UNREADABLE, "cannot be read")
    found = line(voice.outcome(failed)).removeprefix("WARNING - ")
    assert json.loads(found) == {"Key": key, "Size": None, "Error": "cannot be read"}


@pytest.mark.parametrize("kind", COMPARISONS)
def test_the_last_line_of_each_is_in_the_docs(kind: type[ComparisonVoice]) -> None:
    page = "docs/coming-from/amazon-s3-resumable-upload.rst"
    docs = (Path(__file__).parents[3] / page).read_text()
    assert f"``{kind.level} - {kind.success}``" in docs


@pytest.mark.parametrize("kind", COMPARISONS)
def test_a_comparison_says_what_it_found_and_nothing_if_it_did_not_end(
    kind: type[ComparisonVoice],
) -> None:
    voice = kind(UPLOAD)
    there, missing = Totals(skipped=2), Totals(done=2, failed=1)
    assert "All source files are in destination" in line(voice.end(RunReport(ExitStatus.OK, there)))
    assert line(voice.end(RunReport(ExitStatus.SOME_FAILED, missing))) == (
        "WARNING - There are 3 files not in destination or not the same size"
    )
    for status in (ExitStatus.ABORTED, ExitStatus.INTERRUPTED):
        assert voice.end(RunReport(status, there)) is NOTHING
    assert voice.end(RunReport(ExitStatus.ABORTED, None)) is NOTHING
    assert voice.outcome(same("a")) is NOTHING


def test_uploads_that_are_unfinished_and_cleaned() -> None:
    job = Job("clean")
    assert UnfinishedVoice(job).end(RunReport(ExitStatus.OK, Totals())) is NOTHING
    assert CleanVoice(job).end(RunReport(ExitStatus.SOME_FAILED, Totals())) is NOTHING
    assert line(CleanVoice(job).end(RunReport(ExitStatus.OK, Totals()))) == "INFO - CLEAN FINISHED"
