"""The file by which a machine proves that it sees a directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3pp.job import Job
from s3pp.pipeline.cluster.probe import PathProbe, probes, unseen


def test_a_directory_that_is_written_to(tmp_path: Path) -> None:
    with probes(Job("get", directory=str(tmp_path))) as (probe,):
        assert unseen(probe) == ""
        moved = probe._replace(path=probe.path.replace(str(tmp_path), os.fspath(tmp_path / "x")))
        assert unseen(moved) == f"No such file or directory: '{tmp_path}'"
        assert unseen(PathProbe(probe.named, __file__, 1, 1)) == (
            f"another file is there: '{tmp_path}'"
        )
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_run_is_not_one_of_the_probe(tmp_path: Path) -> None:
    error = OSError(9, "Bad file descriptor")
    with (
        pytest.raises(OSError, match="Bad file") as raised,
        probes(Job("get", directory=str(tmp_path))),
    ):
        raise error
    assert raised.value is error
    assert list(tmp_path.iterdir()) == []
