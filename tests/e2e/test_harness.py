"""The harness itself: a run that leaves processes, traces or secrets behind must not pass."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

import commands
from commands import Running, Start


@pytest.fixture
def script(s3pp_start: Start) -> Start:
    """Run a Python text in place of the command."""

    def begin(text: str, **settings: Any) -> Running:
        running: Running = s3pp_start(command=(sys.executable, "-c", text), **settings)
        return running

    return begin


def test_what_was_said_is_returned(script: Start) -> None:
    text = (
        "import sys; print('out'); print('err', file=sys.stderr); sys.exit(len(sys.stdin.read()))"
    )
    result = script(text, stdin=b"1234").wait()
    assert (result.code, result.lines, result.err) == (4, ["out"], "err\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import subprocess; subprocess.Popen(['sleep', '30'])", "left behind"),
        ("import subprocess as s; s.Popen(['sleep', '30'], start_new_session=True)", "left behind"),
        ("raise OSError('x')", "Traceback"),
        ("import os; print(os.environ['AWS_SECRET_ACCESS_KEY'])", "secret"),
        ("import time; time.sleep(30)", "still ran"),
    ],
)
def test_bad_ends_fail(
    script: Start, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    monkeypatch.setattr(commands, "GRACE", 0.5)
    monkeypatch.setattr(commands, "PATIENCE", 0.0)
    running = script(text)
    with pytest.raises(AssertionError, match=complaint):
        running.wait(timeout=1 if complaint == "still ran" else 20)
    running.kill()
    assert running.pids() == []


def test_children_are_found_by_their_titles(script: Start) -> None:
    running = script(
        "import setproctitle, os, time\n"
        "if os.fork() == 0: setproctitle.setproctitle('s3pp: walker')\n"
        "time.sleep(20)"
    )
    pid = running.wait_for_child("s3pp: walker")
    assert running.children() == {"s3pp: walker": pid}
    running.signal_group(signal.SIGKILL)
    assert running.wait().code == -signal.SIGKILL


def test_a_summary_can_be_read() -> None:
    line = "put 5 bytes in 2 files in 0.1 seconds (50 bytes/s, 20.0 files/s), 3 skipped, 1 failed"
    counts = commands.read_summary(line)
    assert (counts.bytes, counts.done, counts.skipped, counts.failed) == (5, 2, 3, 1)
    with pytest.raises(AssertionError):
        commands.read_summary("put 5 bytes")
