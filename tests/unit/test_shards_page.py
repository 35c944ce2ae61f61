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


class RunScript:
    """Runs the script of a task with a stub in place of s3pp; returns what it asks s3pp for."""

    def __init__(self, stub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stub, self._patch = stub, monkeypatch
        stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        stub.chmod(0o755)

    def tasks(self, script: str, environs: Mapping[int, Mapping[str, object]]) -> list[Shard]:
        """Return the shard of each task, by its number; its journal has the number in its name."""
        assert "\nexec s3pp " in script, "so that signals come to s3pp"
        shards = []
        for task, values in environs.items():
            environ = {name: str(value) for name, value in values.items()}
            called = subprocess.run(
                ["bash", "-eu", "-c", script],
                env=environ | {"PATH": f"{self._stub.parent}:/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
            )
            made = job(["s3pp", *called.stdout.splitlines()], environ, self._patch)
            assert str(made.output.journal).endswith(f"-{task}.jsonl")
            assert made.choosing.shard is not None
            shards.append(made.choosing.shard)
        return shards


@pytest.fixture
def run_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunScript:
    return RunScript(tmp_path / "s3pp", monkeypatch)


def bounds(text: str) -> range:
    """Return the numbers of an array, as in ``0-9``."""
    first, last = map(int, text.split("-"))
    return range(first, last + 1)


def test_the_script_of_slurm(run_script: RunScript) -> None:
    script = block("#SBATCH")
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script, re.MULTILINE))
    assert options["signal"].startswith("B:TERM@"), "to the script itself"
    numbers = bounds(options["array"])
    values = {"MIN": numbers[0], "MAX": numbers[-1], "STEP": 1, "COUNT": len(numbers)}
    environs = {
        task: {f"SLURM_ARRAY_TASK_{name}": each for name, each in {**values, "ID": task}.items()}
        for task in numbers
    }
    assert run_script.tasks(script, environs) == ALL


def test_the_script_of_pbs_professional(run_script: RunScript) -> None:
    script = block("#PBS")
    options = dict(re.findall(r"^#PBS -(\w) (.+)$", script, re.MULTILINE))
    environs = {task: {"PBS_ARRAY_INDEX": task} for task in bounds(options["J"])}
    assert run_script.tasks(script, environs) == ALL


def test_the_script_of_lsf(run_script: RunScript) -> None:
    script = block("#BSUB")
    options = dict(re.findall(r"^#BSUB -(\w+) (.+)$", script, re.MULTILINE))
    assert (options["wa"], options["wt"]) == ("TERM", "5"), "both are needed"
    (array,) = re.findall(r'^"[\w-]+\[([0-9-]+)\]"$', options["J"])
    numbers = bounds(array)
    ends = {"LSB_JOBINDEX_END": numbers[-1], "LSB_JOBINDEX_STEP": 1}
    assert run_script.tasks(script, {n: {"LSB_JOBINDEX": n, **ends} for n in numbers}) == ALL


def test_the_script_of_grid_engine(run_script: RunScript) -> None:
    script = block("#$ -t")
    options = dict(re.findall(r"^#\$ -(\w) (.+)$", script, re.MULTILINE))
    numbers = bounds(options["t"])
    ends = {"FIRST": numbers[0], "LAST": numbers[-1], "STEPSIZE": 1}
    environs = {
        task: {f"SGE_TASK_{name}": each for name, each in {**ends, "ID": task}.items()}
        for task in numbers
    }
    assert run_script.tasks(script, environs) == ALL


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
