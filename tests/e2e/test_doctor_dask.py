"""``s3pp doctor --dask``: what it tells of the workers of a real cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import Run
from stores.store import Bucket

pytestmark = pytest.mark.timeout(300)


def test_the_workers_of_a_cluster(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    store, place = moto_bucket.store, f"{moto_bucket.url}/p"
    options = ("--json", "--dask", "local:2", "--path", tmp_path)
    result = s3pp("doctor", *options, place, store=store, timeout=240)
    assert (result.code, result.err) == (0, "")
    sections = json.loads(result.out)["sections"]
    workers = [found for title, found in sections.items() if title.startswith("worker tls://")]
    assert len(workers) == 2
    for findings in workers:
        found = {each["check"]: each["found"] for each in findings if each["rating"] == "ok"}
        assert found["path"] == f"{str(tmp_path)!r} is the same as here"
        assert found["credentials"] == "those of this machine (--dask-send-credentials)"
        assert found["permissions"].endswith(": allowed")
        assert {"version", "threads", "round trip", "clock", "latency"} <= found.keys()
    assert (moto_bucket.keys(), list(tmp_path.iterdir())) == ([], [])


def test_what_the_options_exclude(s3pp: Run, tmp_path: Path) -> None:
    result = s3pp("doctor", "--path", tmp_path, "s3://bucket", store=None)
    assert (result.code, result.out) == (2, "")
    assert "--path is for the workers of a cluster: it needs --dask ADDRESS" in result.err
    gone = tmp_path / "gone"
    result = s3pp("doctor", "--dask", "local", "--path", gone, "s3://bucket", store=None)
    assert (result.code, result.out) == (2, "")
    assert f"--path '{gone}': no such file or directory on this machine" in result.err
