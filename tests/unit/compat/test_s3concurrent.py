"""Command lines of s3concurrent, and its lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Keys
from s3pp.app import Plan
from s3pp.compat.s3concurrent import plan_download, plan_upload
from s3pp.compat.s3concurrent_voice import CountingVoice
from s3pp.errors import ExitStatus, UsageError
from s3pp.job import Job
from s3pp.report.totals import RunReport, Totals

KEY, SECRET, BUCKET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "my-bucket"
PLANS: list[Callable[[list[str]], Plan]] = [plan_upload, plan_download]


def upload(*words: str) -> Job:
    (job,) = plan_upload([KEY, SECRET, BUCKET, *words]).jobs
    return job


def download(*words: str) -> Job:
    (job,) = plan_download([KEY, SECRET, BUCKET, *words]).jobs
    return job


def test_defaults() -> None:
    for job, verb in ((upload(), "put"), (download(), "get")):
        assert (job.verb, job.access.credentials) == (verb, Keys(KEY, SECRET))
        assert (job.speed.concurrency, job.access.max_attempts) == (10, 10)
        assert job.output.program == f"s3concurrent_{(verb == 'put' and 'up') or 'down'}load"
        assert SECRET not in repr(job)
    assert [str(each) for each in upload().sources] == ["."]
    assert download().directory in (".", "./")


def test_options_stand_anywhere_and_may_be_shortened(tmp_path: Path) -> None:
    words = ["--pre", "p", KEY, "--thread", "3", SECRET, f"--local={tmp_path}", BUCKET, "--max=1"]
    (job,) = plan_upload(words).jobs
    assert (job.speed.concurrency, job.access.max_attempts) == (3, 1)
    assert (str(job.dest), str(job.sources[0])) == ("s3://my-bucket/p", str(tmp_path))


@pytest.mark.parametrize(
    ("prefix", "up", "down"),
    [
        ("", "a/b", ""),
        ("/", "a/b", ""),
        ("p", "p/a/b", "p/"),
        ("p/", "p/a/b", "p/"),
        ("/p//q//", "p/q/a/b", "/p//q//"),  # keys that have slashes so are addressed so
        ("logs*", "logs*/a/b", "logs*/"),
        ("é ?#", "é ?#/a/b", "é ?#/"),
    ],
)
def test_a_prefix_is_a_directory(prefix: str, up: str, down: str) -> None:
    assert upload("--prefix", prefix).dest.key("a/b") == up
    origin = download("--prefix", prefix).origin
    assert origin is not None
    assert origin.prefix == down
    assert origin.relative(f"{down}a/b") == "a/b"


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "KEY, SECRET and BUCKET are needed, and 0 arguments are given"),
        ([KEY, SECRET], "and 2 arguments are given"),
        ([KEY, SECRET, BUCKET, SECRET], "and 4 arguments are given"),
        ([KEY, SECRET, BUCKET, "--unknown", SECRET], "unrecognized arguments: --unknown"),
        (["--thread_count", SECRET, KEY, BUCKET], "'…' is not a whole number from 1 to 100000"),
        ([KEY, SECRET, BUCKET, "--thread_count=0"], "is not a whole number from 1 to 100000"),
        ([KEY, SECRET, BUCKET, "--max_retry=-1"], "is not a whole number from 1 to 1000"),
        ([KEY, SECRET, BUCKET, "--m", SECRET], "argument --max_retry: "),
        (["", SECRET, BUCKET], "KEY or SECRET is empty"),
        ([KEY, "", BUCKET], "KEY or SECRET is empty"),
        ([KEY, BUCKET, SECRET], "BUCKET is not the name of a bucket (it is not shown here)"),
        ([BUCKET, SECRET, KEY], "the order is KEY SECRET BUCKET"),
        ([BUCKET, KEY, SECRET.replace("/", "x")], "the order is KEY SECRET BUCKET"),
        ([KEY, SECRET, ""], "BUCKET is not the name of a bucket"),
        ([KEY, KEY + "x", KEY + "x"], "BUCKET is the same as KEY or SECRET (it is not shown here)"),
        (["my-key", SECRET, "my-key"], "BUCKET is the same as KEY or SECRET"),
        ([KEY, SECRET, BUCKET, "--local_folder", ""], "--local_folder"),
    ],
)
def test_what_is_wrong_is_named_and_no_key_is_shown(
    plan: Callable[[list[str]], Plan], words: list[str], named: str
) -> None:
    if plan is plan_download and named == "--local_folder":
        named = "empty"
    with pytest.raises(UsageError) as caught:
        plan(words)
    assert named in str(caught.value)
    for secret in (KEY, SECRET, SECRET.replace("/", "x"), "my-key"):
        assert secret not in str(caught.value)


@given(
    st.permutations([KEY, SECRET, BUCKET]),
    st.lists(st.sampled_from(["--prefix", "-x", "--th=x"])),
)
def test_no_order_shows_a_key(words: list[str], more: list[str]) -> None:
    said = ""
    try:
        plan_download([*more, *words])
    except UsageError as error:
        said = str(error)
    assert SECRET not in said
    assert KEY not in said


def test_an_upload_is_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    for name in ("file", "none"):
        with pytest.raises(UsageError, match=r"--local_folder '.*' is not a directory"):
            upload("--local_folder", str(tmp_path / name))


def test_old_names_of_buckets_are_names() -> None:
    for name in ("My_Bucket", "a.b-c", "arn:aws:s3:eu-west-1:123456789012:accesspoint/name"):
        (job,) = plan_download([KEY, SECRET, name]).jobs
        assert job.origin is not None
        assert job.origin.bucket == name


def test_a_warning_comes_first() -> None:
    for plan, verb in ((plan_upload, "put"), (plan_download, "get")):
        (notice,) = plan([KEY, SECRET, BUCKET]).notices
        assert notice.startswith("keys on the command line are not safe: ")
        assert f"'s3pp {verb}' takes keys from the environment or a profile" in notice


# Lines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of a clock that the test turns."""
    now = [100.0]
    monkeypatch.setattr("s3pp.compat.s3concurrent_voice.time.monotonic", lambda: now[0])
    return now


def texts(lines: list[str]) -> list[str]:
    return [line.partition(" - root - INFO - ")[2] for line in lines]


def test_counts_come_every_ten_seconds(clock: list[float]) -> None:
    voice, totals, lines = CountingVoice(Job("get")), Totals(), list[str]()
    for second in range(31):
        clock[0] = 100.0 + second
        totals.listed, totals.done, totals.skipped, totals.failed = second, second // 2, 1, 1
        totals.walk_done = second >= 25
        lines += voice.beat(totals).stdout
    assert texts(lines) == [
        "0 keys enqueued, and 1 keys downloaded",
        "10 keys enqueued, and 6 keys downloaded",
        "20 keys enqueued, and 11 keys downloaded",
        "Initial queuing has completed. 25 keys has been enqueued.",
        "30 keys enqueued, and 16 keys downloaded",
    ]


@pytest.mark.parametrize("status", ExitStatus)
def test_only_a_run_without_failures_is_all(status: ExitStatus) -> None:
    voice = CountingVoice(Job("put"))
    last = voice.end(RunReport(status, Totals(listed=3, done=1, skipped=1, failed=1)))
    assert last is not None
    counts, *rest = texts(list(last.stdout))
    assert counts == "3 keys enqueued, and 2 keys uploaded"
    assert rest == (["All keys are uploaded"] if status is ExitStatus.OK else [])


def test_what_is_left_out_is_not_there_and_then_not_all_is() -> None:
    last = CountingVoice(Job("put")).end(
        RunReport(ExitStatus.OK, Totals(listed=3, done=1, skipped=2, left_out=1))
    )
    assert last is not None
    assert texts(list(last.stdout)) == ["3 keys enqueued, and 2 keys uploaded"]


def test_a_run_without_totals_ends_without_counts() -> None:
    last = CountingVoice(Job("put")).end(RunReport(ExitStatus.ABORTED, None))
    assert last is not None
    assert list(last.stdout) == []
