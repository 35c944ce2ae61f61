"""Forked commands: like those in a new interpreter, and nothing of one in another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from commands import ROOT, clean_environment, session_pids
from forked import Command, ForkServer, can_fork, start_command

COMMAND = [sys.executable, "-m", "s3pp", "--version"]

LOOK = """
import gc, json, locale, os, random, resource, signal, stat, sys, tempfile, threading
import multiprocessing.process

def stream(which):
    return [which.encoding, which.errors, which.line_buffering, which.fileno(), which.newlines]

def disposition(number):
    found = signal.getsignal(number)
    return found if found is None or isinstance(found, int) else found.__name__

json.dump({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "name": __name__,
    "main": sys.modules["__main__"].__file__, "cwd": os.getcwd(), "environ": dict(os.environ),
    "first cwd": multiprocessing.process.ORIGINAL_DIR,
    "leader": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
    "fds": sorted(os.listdir("/proc/self/fd"))[:-1], "umask": os.umask(0o77),
    "streams": [stream(each) for each in (sys.stdin, sys.stdout, sys.stderr)],
    "signals": [disposition(number) for number in range(1, 32)],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "threads": threading.active_count(), "gc": [gc.isenabled(), gc.get_threshold()],
    "tempdir": tempfile.tempdir, "locale": locale.setlocale(locale.LC_ALL),
    "limits": [resource.getrlimit(number) for number in range(16)],
    "stdin": sys.stdin.read(), "random": random.random(),
}, sys.stdout)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.stop()


Begin = Callable[..., tuple[Command, Path]]


@pytest.fixture
def begin(server: ForkServer, tmp_path: Path) -> Iterator[Begin]:
    """``begin(program, *arguments, forked=..., stdin=..., NAME=...)``: a command and its output."""
    script, out = tmp_path / "script.py", tmp_path / "out"
    with ExitStack() as stack:

        def begin(
            program: str, *arguments: str, forked: bool = True, stdin: str = "", **env: str
        ) -> tuple[Command, Path]:
            script.write_text(program)
            (tmp_path / "in").write_text(stdin)
            args = [sys.executable, str(script), *arguments]
            files = [stack.enter_context(open(tmp_path / "in"))]
            files += [stack.enter_context(open(out, "w")) for _ in range(2)]
            streams = [file.fileno() for file in files]
            environment = clean_environment(None, env)
            if forked:
                return server.start(args, environment, cwd=str(tmp_path), streams=streams), out
            given: dict[str, Any] = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True))
            return start_command(args, environment, fresh=True, cwd=tmp_path, **given), out

        yield begin


def test_it_is_like_a_command_in_a_new_interpreter(begin: Begin) -> None:
    seen: list[dict[str, Any]] = []
    for forked in (True, True, False):
        value = str(len(seen))
        command, out = begin(LOOK, "-x", "\udcff", forked=forked, stdin="text", VALUE=value)
        assert command.wait(60) == 0, out.read_text()
        found = json.loads(out.read_text())
        assert found["environ"].pop("VALUE") == value
        seen.append(found)
    first, second, fresh = seen
    assert len({each.pop("random") for each in seen}) == 3
    assert first == second == fresh


def test_its_end_is_that_of_its_process(begin: Begin) -> None:
    ends = {
        "raise SystemExit(3)": 3,
        "raise SystemExit('said')": 1,
        "raise OSError('said')": 1,
        "print('said', end='')": 0,
        "import os; os._exit(7)": 7,
        "import os; os.kill(os.getpid(), 15)": -signal.SIGTERM,
    }
    for (program, code), forked in product(ends.items(), (True, False)):
        command, out = begin(program, forked=forked)
        assert (program, command.wait(60)) == (program, code)
        assert (command.poll(), command.returncode) == (code, code)
        assert ("said" in program) == ("said" in out.read_text())


def test_a_wait_may_time_out_and_a_signal_ends_it(begin: Begin) -> None:
    command, _ = begin("import time; time.sleep(60)")
    assert command.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(0.01)
    command.kill()
    while session_pids(command.pid):
        time.sleep(0.01)
    os.kill(command.pid, signal.SIGTERM)  # a zombie, until it is waited for
    assert command.wait() == -signal.SIGKILL
    command.kill()  # nobody


def test_it_ends_with_its_server(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import time; time.sleep(60)")
    for how in (signal.SIGCONT, signal.SIGKILL):  # nothing, but for the end of its socket
        server = ForkServer()
        with open(os.devnull, "r+") as null:
            args, streams = [sys.executable, str(script)], [null.fileno()] * 3
            command = server.start(args, clean_environment(None, {}), cwd="/", streams=streams)
        assert session_pids(command.pid)
        server.process.send_signal(how)
        server.stop()
        deadline = time.monotonic() + 40
        while session_pids(command.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_what_needs_a_new_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    env = clean_environment(None, {})
    given = {"stdin": 0, "stdout": 1, "stderr": 2, "cwd": "/"}
    assert can_fork(COMMAND, env | {"AWS_PROFILE": "p"}, given)
    assert can_fork([sys.executable, str(ROOT / "bin" / "s3clone")], env, given)
    assert not can_fork([sys.executable, "-c", "pass"], env, given)
    assert not can_fork([*COMMAND, "--start-method=spawn"], env, given)
    assert not can_fork(COMMAND, env | {"PYTHONPROFILEIMPORTTIME": "1"}, given)
    assert not can_fork(COMMAND, {k: v for k, v in env.items() if k != "LANG"}, given)
    assert not can_fork(COMMAND, env, given | {"preexec_fn": print})
    assert not can_fork(COMMAND, env, given | {"stdout": subprocess.PIPE})
    old = os.umask(0o21)
    try:
        assert not can_fork(COMMAND, env, given)
    finally:
        os.umask(old)
