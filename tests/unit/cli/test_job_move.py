"""The job of ``move``: one of put, get and copy, by its arguments."""

from __future__ import annotations

import pytest

from s3pp.args.verbs import build_job
from s3pp.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "verb"),
    [
        (["dir", "s3://bucket/p"], "put"),
        (["a", "b", "s3://bucket/p"], "put"),
        (["s3://bucket/p", "dir"], "get"),
        (["s3://bucket/p", "s3://bucket/q", "dir"], "get"),
        (["s3://bucket/p", "s3://other/q"], "copy"),
    ],
)
def test_the_arguments_decide(arguments: list[str], verb: str) -> None:
    job = build_job("move", [*arguments, "--exclude", "*.tmp"])
    other = build_job(verb, [*arguments, "--exclude", "*.tmp"])
    assert (job.verb, job.title, job.moves, job.deletes) == (verb, "move", True, True)
    assert (job.sources, job.origins, job.dest) == (other.sources, other.origins, other.dest)
    assert not other.moves
    assert job.choosing.follow_symlinks is (False if verb == "put" else None)
    assert job.download.fsync == (verb != "put")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "move needs a source and a destination"),
        (["dir"], "move needs a source and a destination"),
        (["a", "b"], "of which one or both are s3://BUCKET"),
        (["a", "s3://bucket/p", "s3://bucket/q"], "move takes files or objects"),
        (["-", "s3://bucket/p"], "has no use for '-'"),
        (["s3://bucket/p", "-"], "has no use for '-'"),
        (["s3://one1/p", "s3://two2/p", "dir"], "the objects of one bucket at a time"),
        (["--gzip", "s3://bucket/p", "dir"], "--gzip has no effect on objects"),
        (["--acl", "private", "s3://bucket/p", "dir"], "--acl has no effect on"),
        (["--listers", "2", "dir", "s3://bucket/p"], "--listers has no effect on files"),
        (["--mode", "add", "dir", "s3://bucket/p"], "--mode"),
        (["--delete", "dir", "s3://bucket/p"], "--delete"),
        (["--walk", "tar", "a.tar", "s3://bucket/p"], "--walk"),
    ],
)
def test_what_is_refused(arguments: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        build_job("move", arguments)
