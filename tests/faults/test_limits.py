"""Few file descriptors. Row 42 of the catalogue."""

from __future__ import annotations

import resource
from collections.abc import Callable
from functools import partial

import pytest

from commands import Result
from faults.accounting import check_all_done
from faults.trials import PutTrial
from s3pp.pipeline.descriptors import EACH_WORKER, RUN

DESCRIPTORS = 64


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


@pytest.mark.parametrize("size", [2000, 400_000], ids=["small", "streamed"])
def test_few_descriptors_are_enough(moto_trial: PutTrial, size: int) -> None:
    contents = moto_trial.tree({f"d{n % 5}/f{n:03d}": size for n in range(150)})
    end = moto_trial.run("--concurrency=512", preexec_fn=few_descriptors)
    check_all_done(end, moto_trial.bucket, contents)
    assert "Too many open files" not in end.result.err


@pytest.mark.parametrize("limit", [8, 16, 20, 24, 31])
@pytest.mark.parametrize("verb", ["put", "list"])
def test_too_few_to_begin_with_are_told_with_the_mend(
    moto_trial: PutTrial, s3pp: Callable[..., Result], verb: str, limit: int
) -> None:
    moto_trial.tree({"f": 10})
    bucket = moto_trial.bucket
    words = [verb, *([moto_trial.source] if verb == "put" else []), bucket.url]
    result = s3pp(*words, preexec_fn=partial(at_most, limit))
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert "raise ulimit -n" in result.err
    assert bucket.keys() == []


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("processes", [1, 2, 6])
def test_the_fewest_that_are_not_refused_are_enough(
    moto_trial: PutTrial, processes: int, method: str
) -> None:
    contents = moto_trial.tree({f"f{n:02d}": 2000 for n in range(40)})
    least = RUN + EACH_WORKER * processes
    words = ["-P", str(processes), "--start-method", method]
    end = moto_trial.run(*words, preexec_fn=partial(at_most, least))
    check_all_done(end, moto_trial.bucket, contents)
    assert end.result.err == ""


def test_what_may_be_raised_is_raised(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"f": 2000})
    end = moto_trial.run(preexec_fn=partial(at_most, 16, 256))
    check_all_done(end, moto_trial.bucket, contents)


def at_most(soft: int, hard: int | None = None) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard or soft))
