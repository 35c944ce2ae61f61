"""The processors that a job may use, which may be fewer than the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from s3pp.processors import cgroup_quota, usable_processors


def quota(tmp_path: Path, own: str, files: dict[str, str]) -> float:
    (tmp_path / "own").write_text(own)
    for name, content in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return cgroup_quota(str(tmp_path / "own"), str(tmp_path / "cgroup"))


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # a container
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "200000 100000"}, 0.5),
        ("0::/not/here\n", {"cpu.max": "300000 100000"}, 3.0),  # the host's path
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n",
            {
                "cpu,cpuacct/x/cpu.cfs_quota_us": "400000\n",
                "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            4.0,
        ),
        ("5:cpuset:/x\n", {"cpuset/x/cpu.cfs_quota_us": "1"}, math.inf),
        ("", {}, math.inf),
        ("0::/\n", {"cpu.max": "0 0"}, math.inf),
        ("rubbish\n0:\n", {"cpu.max": "many 100000"}, math.inf),
    ],
)
def test_the_quota_of_control_groups(
    tmp_path: Path, own: str, files: dict[str, str], expected: float
) -> None:
    assert quota(tmp_path, own, files) == expected


def test_a_quota_and_an_affinity_mask_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    for allowed, expected in ((math.inf, 3), (1.5, 2), (0.2, 1), (8.0, 3)):
        monkeypatch.setattr("s3pp.processors.cgroup_quota", lambda allowed=allowed: allowed)
        assert usable_processors.__wrapped__() == min(3, expected)


def test_where_there_is_no_affinity_all_processors_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr("s3pp.processors.cgroup_quota", lambda: math.inf)
    assert usable_processors.__wrapped__() == 6
