"""Commands of tests without a new interpreter for each: they are forked from one that is loaded.

A command costs 0.3 s of CPU, of which two thirds are the start of Python and imports. A forked one
executes the same ``__main__`` or script, in a session, with an environment, a directory and
standard streams of its own. ``can_fork`` says where a new interpreter is needed nevertheless:
where a test looks at one, or gives it something that works only at the start. All commands of the
thorough run have new ones.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

TESTS = Path(__file__).parent
SERVER = TESTS / "fork_server.py"
# Variables that the interpreter or a library reads while it starts: the server has read its own.
READ_AT_START = (
    "BOTO_",
    "HOME",
    "LANG",
    "LC_",
    "LD_",
    "MALLOC_",
    "OPENSSL",
    "PYTHON",
    "SSL_",
    "TZ",
)
# What can be given to a forked command. Others must act between the fork and the exec.
STREAMS = ("stdin", "stdout", "stderr")
GIVEN = {"cwd", *STREAMS}
LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


def base_environment() -> dict[str, str]:
    """The variables of every command: nothing of the tester's own settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(TESTS.parent),
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Forked:
    """A forked command, with the interface of ``subprocess.Popen``."""

    stdin: IO[bytes] | None = None  # there are no pipes
    stdout: IO[bytes] | None = None
    stderr: IO[bytes] | None = None

    def __init__(self, pid: int, args: Sequence[str], status: socket.socket) -> None:
        """``status`` receives the end of the process, and keeps it a zombie until then."""
        self.pid = pid
        self.args = args
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.returncode if self.returncode is not None else self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; ``timeout`` in seconds. Raises ``subprocess.TimeoutExpired``."""
        code = self.returncode if self.returncode is not None else self._read(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        if poll.poll(None if timeout is None else timeout * 1000):
            self.returncode = _number(self._status)
            self._status.close()
        return self.returncode


class ForkServer:
    """The loaded process; it ends when this one does, and so does all that it has started."""

    def __init__(self) -> None:
        self.inherited = inherited()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVER), str(theirs.fileno())],
                cwd="/",
                env=base_environment(),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def start(
        self, args: Sequence[str], env: Mapping[str, str], *, cwd: str, streams: Sequence[int]
    ) -> Forked:
        """Fork the command whose arguments begin with the interpreter, as for ``Popen``."""
        status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as request:
            words = _split(args)
            variables = {name: os.fsdecode(value) for name, value in env.items()}
            request.write(json.dumps({**words, "env": variables, "cwd": cwd}).encode())
            request.seek(0)
            descriptors = [request.fileno(), *streams, theirs.fileno()]
            socket.send_fds(self._control, [b"\0"], descriptors)
        return Forked(_number(status), args, status)

    def stop(self) -> None:
        """End it and all that it has started."""
        self._control.close()
        self.process.wait()


def _split(args: Sequence[str]) -> dict[str, Sequence[str]]:
    at = 3 if args[1] == "-m" else 2
    return {"run": args[1:at], "arguments": args[at:]}


def _number(status: socket.socket) -> int:
    received = status.recv(16)
    assert received, "the server that forks commands has ended"
    return int(received)


@cache
def server() -> ForkServer:
    """The server of this process, started when it is first needed."""
    return ForkServer()


def inherited() -> tuple[object, ...]:
    """What a command inherits of this process."""
    status = Path("/proc/self/status").read_text().splitlines()
    mask = [line for line in status if line.startswith("Umask")]
    limits = tuple(map(resource.getrlimit, LIMITS))
    return *mask, limits, os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)


Command = subprocess.Popen[bytes] | Forked


def start_command(
    args: Sequence[str], env: Mapping[str, str], *, fresh: bool = False, **given: Any
) -> Command:
    """Start a command as the leader of a session; ``given`` is as for ``subprocess.Popen``.

    ``args`` begin with the interpreter. ``fresh``: the test needs a new one.
    """
    if fresh or not can_fork(args, env, given):
        return subprocess.Popen(args, env=env, start_new_session=True, **given)
    files: list[Any] = [given[name] for name in STREAMS]
    streams = [each if isinstance(each, int) else each.fileno() for each in files]
    cwd = os.path.join(os.getcwd(), os.fsdecode(given.get("cwd") or ""))
    return server().start(args, env, cwd=cwd, streams=streams)


def can_fork(args: Sequence[str], env: Mapping[str, str], given: Mapping[str, Any]) -> bool:
    """Whether a forked command is the same as one in a new interpreter."""
    return (
        sys.platform == "linux"
        and _is_ours(args)
        and {*STREAMS} <= given.keys() <= GIVEN
        and not any(isinstance(each, int) and each < 0 for each in given.values())  # PIPE
        and not any(word.startswith("--start-method") for word in args)  # "spawn" has new ones
        and _read_at_start(env) == _read_at_start(base_environment())
        and server().inherited == inherited()
    )


def _is_ours(args: Sequence[str]) -> bool:
    if args[0] != sys.executable:
        return False
    return tuple(args[1:3]) == ("-m", "s3pp") or Path(args[1]).parent == TESTS.parent / "bin"


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(READ_AT_START)}
