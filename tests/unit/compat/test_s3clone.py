"""What a command line of ``s3clone`` means."""

from __future__ import annotations

import pytest

from s3pp.compat.s3clone import plan
from s3pp.errors import UsageError
from s3pp.job import Job, Mode


def made(*argv: str) -> Job:
    (job,) = plan(argv).jobs
    return job


def test_arguments_become_one_get() -> None:
    job = made("bucket")
    assert (job.verb, str(job.origin), job.directory, job.mode) == (
        "get", "s3://bucket/", "./", Mode.ADD,
    )  # fmt: skip
    assert (job.speed.concurrency, job.access.profile, job.download.gzip_suffix) == (100, None, "")
    short = made("-n", "7", "-p", "a", "-o", "out", "--gzip", "--role", "work", "bucket")
    assert short == made(
        "--work=7", "--pref", "a", "bucket", "--output", "out", "--gz", "--ro", "work"
    )
    assert (short.origin.prefix, short.origin.cut, short.directory) == ("a", 0, "out/")
    assert (short.speed.concurrency, short.access.profile) == (7, "work")
    assert short.download.gzip_suffix == ".s3clonegz.gz"


@pytest.mark.parametrize(
    ("argv", "mention"),
    [
        ([], "one BUCKET is needed, and 0"),
        (["a-bucket", "another"], "and 2 are given"),
        (["no bucket"], "'no bucket' is not a bucket name"),
        (["-n", "0", "bucket"], "--workers"),
        (["-o", "", "bucket"], "DIRECTORY '' is empty"),
        (["-o", "-", "bucket"], "standard stream"),
        (["--frobnicate", "bucket"], "--frobnicate"),
    ],
)
def test_bad_arguments(argv: list[str], mention: str) -> None:
    with pytest.raises(UsageError, match=mention):
        plan(argv)
