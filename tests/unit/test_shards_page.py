"""The files of docs/shards.rst: each array covers every shard once, and its command line is one."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from s3pp.args.shards import _SCHEDULERS
from s3pp.args.verbs import build_job
from s3pp.errors import ExitStatus
from s3pp.job import Job
from s3pp.shard import Shard, shard_of

PAGE = (Path(__file__).parents[2] / "docs" / "shards.rst").read_text()
BLOCK = re.compile(r"^(?:.. code-block:: \w+|[^\n.]*.*::)\n\n((?:(?:    .*)?\n)+)", re.MULTILINE)
ALL = [Shard(number, 10) for number in range(1, 11)]


def block(containing: str) -> str:
    (only,) = (dedent(each) for each in BLOCK.findall(PAGE) if containing in each)
    return only


def job(words: Sequence[str], environ: Mapping[str, str], patch: pytest.MonkeyPatch) -> Job:
    """Return what a command line of s3pp asks for in an environment."""
    with patch.context() as patched:
        for name, value in environ.items():
            patched.setenv(name, value)
        program, verb, *rest = words
        assert program == "s3pp"
        return build_job(verb, rest)


def test_the_script_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = block("#SBATCH")
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script, re.MULTILINE))
    first, last = map(int, options["array"].split("-"))
    assert options["signal"].startswith("B:TERM@"), "to the script itself"
    assert "\nexec s3pp " in script, "which s3pp takes the place of"
    stub = tmp_path / "s3pp"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    shards = []
    for task in range(first, last + 1):
        values = {"ID": task, "MIN": first, "MAX": last, "STEP": 1, "COUNT": last - first + 1}
        environ = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}
        called = subprocess.run(
            ["bash", "-eu", "-c", script],
            env=environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        made = job(["s3pp", *called.stdout.splitlines()], environ, monkeypatch)
        assert str(made.output.journal).endswith(f"-{task}.jsonl")
        shards.append(made.choosing.shard)
    assert shards == ALL


def test_the_job_of_aws_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = json.loads(block("jobDefinitionName"))
    submit = shlex.split(block("submit-job"))
    assert submit[submit.index("--job-definition") + 1] == parsed["jobDefinitionName"]
    size = int(submit[submit.index("--array-properties") + 1].removeprefix("size="))
    assert parsed["type"] == "container", "arrays of other types do not exist"
    kinds = {each["type"] for each in parsed["containerProperties"]["resourceRequirements"]}
    assert kinds == {"VCPU", "MEMORY"}
    shards = []
    for index in range(size):
        environ = {
            "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
            "AWS_BATCH_JOB_ARRAY_SIZE": str(size),
        }
        made = job(parsed["containerProperties"]["command"], environ, monkeypatch)
        shards.append(made.choosing.shard)
    assert shards == ALL


def test_the_indexed_job_of_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: dict[str, Any] = yaml.safe_load(block("completionMode"))
    assert (parsed["apiVersion"], parsed["kind"]) == ("batch/v1", "Job")
    spec, pod = parsed["spec"], parsed["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert pod["restartPolicy"] == "Never"
    (rule,), (container,) = spec["podFailurePolicy"]["rules"], pod["containers"]
    assert rule["onExitCodes"]["values"] == [ExitStatus.USAGE]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}
    shards, journals = [], set()
    for index in map(str, range(spec["completions"])):
        words = [*container["command"], *container["args"]]
        expanded = [word.replace("$(JOB_COMPLETION_INDEX)", index) for word in words]
        made = job(expanded, {"JOB_COMPLETION_INDEX": index}, monkeypatch)
        shards.append(made.choosing.shard)
        journals.add(made.output.journal)
    assert (shards, len(journals)) == (ALL, len(ALL))


def test_what_is_started_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    line = block("parallel --jobs").replace("\\\n", " ")
    tasks, _, command = line.partition(" | ")
    assert tasks.split() == ["seq", str(len(ALL))]
    words = shlex.split(command)
    run = words[words.index("s3pp") :]
    shards = [
        job([word.replace("{}", str(k)) for word in run], {}, monkeypatch).choosing.shard
        for k in range(1, len(ALL) + 1)
    ]
    assert shards == ALL
    for k in (1, 2, 3):
        each = block("on a third").splitlines()[k - 1].partition("#")[0]
        assert job(shlex.split(each), {}, monkeypatch).choosing.shard == Shard(k, 3)


def test_the_hash_is_that_of_the_shell() -> None:
    script = block("sha256sum")
    for key in ("a", "p/b c.jpg", "é"):
        called = subprocess.run(
            ["/bin/sh", "-eu", "-c", script],
            env={"PATH": "/usr/bin:/bin", "key": key, "N": "7"},
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        assert called.stdout == f"{shard_of(key.encode(), 7)}/7\n"


def test_each_variable_that_is_read_is_named() -> None:
    read = {name for each in _SCHEDULERS for name in each.names}
    named = set(re.findall(r"``([A-Z_]+)``", PAGE))
    assert read - named == {"SLURM_ARRAY_TASK_MAX"}, "which only contradicts"
    assert named - read <= {"DIRECTORY", "SOURCE", "DEST", "FILE"}
