"""Few file descriptors. Row 42 of the catalogue."""

from __future__ import annotations

import resource

import pytest

from faults.accounting import check_all_done
from faults.trials import PutTrial

DESCRIPTORS = 64


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


@pytest.mark.parametrize("size", [2000, 400_000], ids=["small", "streamed"])
def test_few_descriptors_are_enough(moto_trial: PutTrial, size: int) -> None:
    contents = moto_trial.tree({f"d{n % 5}/f{n:03d}": size for n in range(150)})
    end = moto_trial.run("--concurrency=512", preexec_fn=few_descriptors)
    check_all_done(end, moto_trial.bucket, contents)
    assert "Too many open files" not in end.result.err
