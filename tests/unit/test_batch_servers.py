"""The files of docs/batch-servers.rst: what can be known of a file without its scheduler."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from s3pp.args.verbs import build_job
from s3pp.errors import ExitStatus
from s3pp.job import Job

PAGE = (Path(__file__).parents[2] / "docs" / "batch-servers.rst").read_text()
BLOCK = re.compile(r"^(?:.. code-block:: \w+|[^\n.]*.*::)\n\n((?:(?:    .*)?\n)+)", re.MULTILINE)


def blocks(containing: str) -> list[str]:
    found = [dedent(each) for each in BLOCK.findall(PAGE)]
    return [each for each in found if containing in each]


def block(containing: str) -> str:
    (only,) = blocks(containing)
    return only


def job(words: Sequence[str]) -> Job:
    """Return what a command line of s3pp asks for. Raises ``UsageError``."""
    program, verb, *rest = words
    assert Path(program).name == "s3pp"
    return build_job(verb, rest)


def test_the_line_of_cron() -> None:
    crontab = block("MAILTO")
    line = crontab.strip().splitlines()[-1]
    *times, user, command = line.split(None, 6)
    assert len(times) == 5
    assert all(re.fullmatch(r"\*|\d+", each) for each in times)
    assert user == "backup"
    assert "%" not in command.replace(r"\%", "")
    asked = job(shlex.split(command))
    assert (asked.locking.lock, asked.output.verbosity) == ("auto", -1)


def test_the_shell_script(tmp_path: Path) -> None:
    """It runs, and goes on by each exit code; here a stand-in says what it is called with."""
    script = block("case $?").replace("/var/log/s3pp", str(tmp_path)).replace("sleep 600", "")
    stub = tmp_path / "s3pp"
    stub.write_text('#!/bin/sh\necho "$1"\n[ "$1" = put ] && exit $CODE\nexit 0\n')
    stub.chmod(0o755)
    for code, said in ((0, "verify"), (1, "retry"), (75, ""), (2, "needs a change"), (3, "next")):
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CODE": str(code)}
        run = subprocess.run(
            ["/bin/sh", "-eu", "-c", script.replace("\ns3pp put", "\nset +e; s3pp put")],
            env=env,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        first, _, then = run.stdout.partition("\n")
        assert first == "put"
        assert said in then
        assert bool(then) == bool(said)


def unit(containing: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, delimiters=["="])
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(block(containing))
    return parsed


def test_the_units_of_systemd(tmp_path: Path) -> None:
    service, timer = unit("[Service]"), unit("[Timer]")
    assert [*service] == ["DEFAULT", "Unit", "Service"]
    assert [*timer] == ["DEFAULT", "Unit", "Timer", "Install"]
    asked = job(shlex.split(service["Service"]["ExecStart"]))
    assert asked.output.progress is False
    assert Path(str(asked.output.journal)).parent == Path(
        "/var/log", service["Service"]["LogsDirectory"]
    )
    assert int(service["Service"]["RestartPreventExitStatus"]) == ExitStatus.USAGE
    if shutil.which("systemd-analyze"):
        when = timer["Timer"]["OnCalendar"]
        subprocess.run(["systemd-analyze", "calendar", when], check=True, capture_output=True)


def test_the_rules_of_logrotate() -> None:
    rules = block("rotate 8")
    paths, body = re.fullmatch(r"(.*?) \{\n(.*)\}\n+", rules, re.DOTALL).groups()  # type: ignore[union-attr]
    assert all(path.startswith("/var/log/s3pp/") for path in paths.split())
    directives = {line.split()[0] for line in body.splitlines()}
    assert not directives & {"copytruncate", "postrotate", "create", "sharedscripts"}
    assert directives >= {"rotate", "weekly", "missingok", "delaycompress"}


def test_the_cron_job_of_kubernetes() -> None:
    parsed: dict[str, Any] = yaml.safe_load(block("kind: CronJob"))
    assert parsed["apiVersion"] == "batch/v1"
    spec = parsed["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    pods = spec["jobTemplate"]["spec"]
    (rule,) = pods["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [ExitStatus.USAGE]
    pod = pods["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy wants it
    (container,) = pod["containers"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert {each["name"] for each in container["volumeMounts"]} == {
        each["name"] for each in pod["volumes"]
    }
    assert job(container["command"]).output.json is True


@pytest.mark.parametrize("status", [*ExitStatus])
def test_each_exit_code_is_spoken_of(status: ExitStatus) -> None:
    last = PAGE.partition("\nExit codes\n===")[2]
    assert f"``{int(status)}``" in last
