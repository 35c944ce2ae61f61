"""The files of docs/dask.rst: the command finds the scheduler that the same file starts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from s3pp.args.verbs import build_job
from s3pp.job import Job

pytestmark = pytest.mark.timeout(60)

PAGE = (Path(__file__).parents[2] / "docs" / "dask.rst").read_text()
BLOCK = re.compile(r"^.. code-block:: \w+\n\n((?:(?:    .*)?\n)+)", re.MULTILINE)


def block(containing: str) -> str:
    """The only block of the page with a text."""
    (only,) = (dedent(each) for each in BLOCK.findall(PAGE) if containing in each)
    return only


def job(words: list[str]) -> Job:
    """What a command line asks for."""
    program, verb, *rest = words
    assert program == "s3pp"
    return build_job(verb, rest)


def test_the_script_of_slurm(tmp_path: Path) -> None:
    """It starts all three, ends with the exit code of s3pp, and leaves nothing running."""
    called = tmp_path / "called"
    programs = {
        "dask": 'echo "$@" >>dask-"$1"; exec sleep 50',
        "srun": 'exec "$@"',
        "hostname": "echo node7",
        # Both have been started, by the time that the run ends.
        "s3pp": 'printf "%s\\n" "$@" >called; echo "$S3PP_DASK" >address;'
        " until [ -s dask-worker ] && [ -s dask-scheduler ]; do sleep 0.01; done; exit 1",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_CPUS_PER_TASK": "4"}
    ended = subprocess.run(
        ["bash", "-u", "-c", block("#SBATCH")],
        cwd=tmp_path,
        env=environment,
        timeout=45,
        check=False,
    )
    assert ended.returncode == 1
    words, address = called.read_text().splitlines(), (tmp_path / "address").read_text().strip()
    assert job(["s3pp", *words, "--dask", address]).cluster.dask == "tcp://node7:8786"
    assert "scheduler --port 8786" in (tmp_path / "dask-scheduler").read_text()
    assert "worker tcp://node7:8786 --nthreads 4" in (tmp_path / "dask-worker").read_text()


def test_the_files_of_kubernetes() -> None:
    files: list[dict[str, Any]] = list(yaml.safe_load_all(block("kind: Service")))
    found = {(each["kind"], each["metadata"]["name"]): each for each in files}
    service = found["Service", "dask"]["spec"]
    (port,) = service["ports"]
    address = f"tcp://dask:{port['port']}"
    pods = {name: each["spec"]["template"] for (_, name), each in found.items() if name != "dask"}
    for name in ("dask-scheduler", "dask-worker"):
        labels = pods[name]["metadata"]["labels"]
        assert found["Deployment", name]["spec"]["selector"]["matchLabels"] == labels
    assert service["selector"] == pods["dask-scheduler"]["metadata"]["labels"]
    run, scheduler, worker = (
        pods[name]["spec"]["containers"][0]
        for name in ("copy-data", "dask-scheduler", "dask-worker")
    )
    assert scheduler["command"] == ["dask", "scheduler", "--port", str(port["port"])]
    assert worker["command"][:3] == ["dask", "worker", address]
    assert job([*run["command"], *run["args"]]).cluster.dask == address
    assert {each["image"] for each in (run, scheduler, worker)} == {run["image"]}, "one version"


def test_the_settings_of_tls_are_those_of_dask() -> None:
    settings = yaml.safe_load(block("require-encryption"))
    assert settings["distributed"]["comm"]["tls"].keys() == {"ca-file", "client"}
    assert settings["distributed"]["comm"]["tls"]["client"].keys() == {"cert", "key"}
    assert os.path.isabs(settings["distributed"]["comm"]["tls"]["ca-file"])
