"""Running the real command, and looking at its processes while it runs and after it ended."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, NamedTuple

from forked import base_environment, start_command
from stores.store import Store

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "s3pp")
STORE_VERBS = {
    *("put", "get", "copy", "apply", "move", "remove", "verify", "list", "du", "clean", "doctor")
}
GRACE = 10.0  # seconds a child may take to vanish after the command has ended
# Seconds that any command has to end: a machine may be busy, and what hangs does so for longer than
# a minute (``--read-timeout=60``).
PATIENCE = 40.0

Argument = str | bytes | os.PathLike[str]


_SUMMARY = re.compile(
    r"(?P<verb>(would )?\w+) (?P<bytes>\d+) bytes in (?P<done>\d+) files"
    r"( in \d+\.\d+ seconds \(\d+ bytes/s, \d+\.\d files/s\))?(?P<rest>.*)"
)


@dataclass(frozen=True)
class Counts:
    """What the summary line says; counts that it leaves out are 0."""

    verb: str
    bytes: int
    done: int
    skipped: int
    failed: int
    requests: int


def read_summary(line: str) -> Counts:
    """Read the last line of a run; fails where it is not the line scripts depend on."""
    found = _SUMMARY.fullmatch(line)
    assert found, f"not a summary: {line!r}"

    def count(what: str) -> int:
        named = re.search(rf"(\d+) {what}", found["rest"])
        return int(named[1]) if named else 0

    named = (count("skipped"), count("failed"), count("request"))
    return Counts(found["verb"], int(found["bytes"]), int(found["done"]), *named)


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of stdout."""
        return self.out.splitlines()

    @property
    def summary(self) -> str:
        """The last line of stdout."""
        return self.lines[-1] if self.lines else ""

    @property
    def counts(self) -> Counts:
        """The last line of stdout, read."""
        return read_summary(self.summary)

    @property
    def decisions(self) -> list[str]:
        """The lines of a dry run, without the table of reasons and the summary."""
        return list(takewhile(lambda line: not line.startswith("would  "), self.lines))

    @property
    def table(self) -> dict[str, list[str]]:
        """The table of reasons at the end of a dry run: action, objects, bytes, requests."""
        rows = self.lines[len(self.decisions) + 1 : -2]
        cells = [re.split("  +", row) for row in rows]
        return {reason: [action, *numbers] for action, reason, *numbers in cells}

    @property
    def events(self) -> list[dict[str, Any]]:
        """stdout as JSON lines."""
        return [json.loads(line) for line in self.lines]


def clean_environment(store: Store | None, extra: Mapping[str, str | None]) -> dict[str, str]:
    """Nothing of the tester's own settings; a value of None in ``extra`` removes a variable."""
    merged = {**base_environment(), **(store.environment if store else {}), **extra}
    return {name: value for name, value in merged.items() if value is not None}


def session_pids(session: int, before: Set[str] = frozenset()) -> list[int]:
    """The living processes of a session, zombies aside; ``before``: pids that are not in it."""
    found = _processes(before)
    return sorted(each.pid for each in found if each.session == session and each.alive)


def children_of(pid: int) -> list[int]:
    """The living processes that a process has started, zombies aside."""
    return sorted(each.pid for each in _processes() if each.parent == pid and each.alive)


class _Process(NamedTuple):
    """A process as /proc has it."""

    pid: int
    parent: int
    session: int
    state: str
    started: int  # in clock ticks since the system came up

    @property
    def alive(self) -> bool:
        return self.state not in "ZX"


def _process(pid: int | str) -> _Process | None:
    stat = _proc(pid, "stat").rpartition(b")")[2].split()
    if not stat:
        return None
    parent, session, started = int(stat[1]), int(stat[3]), int(stat[19])
    return _Process(int(pid), parent, session, stat[0].decode(), started)


def _processes(before: Set[str] = frozenset()) -> Iterator[_Process]:
    """Those that exist, without the pids of ``before``."""
    pids = filter(str.isdigit, os.listdir("/proc"))
    yield from filter(None, (_process(pid) for pid in pids if pid not in before))


def _proc(pid: int | str, name: str) -> bytes:
    """A file of a process in /proc; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return b""


def title(pid: int) -> str:
    """What ``ps`` shows for a process; empty when it is gone."""
    raw = _proc(pid, "cmdline")
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace").strip()


def peak_memory(pid: int) -> int:
    """The most memory that a process had so far, in MiB; 0 if it is gone."""
    found = re.search(rb"VmHWM:\s+(\d+) kB", _proc(pid, "status"))
    return int(found[1]) >> 10 if found else 0


def as_anybody() -> None:
    """For ``preexec_fn``: the command may only read what permissions allow, even as root."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability)  # PR_CAPBSET_DROP


def owner_of(port: int, pids: Sequence[int]) -> int | None:
    """Which of these processes has the TCP connection from a local ``port``."""
    for pid in pids:
        with contextlib.suppress(OSError):
            table = Path("/proc", str(pid), "net", "tcp").read_text().splitlines()[1:]
            fields = (line.split() for line in table)
            ours = {f"socket:[{f[9]}]" for f in fields if f[1].endswith(f":{port:04X}")}
            links = list(Path("/proc", str(pid), "fd").iterdir())
            if any(os.readlink(link) in ours for link in links):
                return pid
    return None


class Running:
    """A started command, the leader of a session of its own."""

    def __init__(
        self,
        arguments: Sequence[Argument],
        store: Store | None,
        *,
        env: Mapping[str, str | None],
        stdin: bytes | int | None,
        command: Sequence[str] = COMMAND,
        **popen: Any,
    ) -> None:
        # Whatever starts a session of its own still inherits this.
        mark = str(uuid.uuid4())
        self._mark = f"TEST_RUN_OF_S3PP={mark}"
        self.store, self._env = store, {"TEST_RUN_OF_S3PP": mark, **env}
        self._streams = contextlib.ExitStack()
        self._in, self._out, self._err = (self._stream() for _ in range(3))
        self._in.write(stdin if isinstance(stdin, bytes) else b"")
        self._in.seek(0)
        read = stdin if isinstance(stdin, int) else self._in
        streams: dict[str, Any] = {"stdin": read, "stdout": self._out, "stderr": self._err}
        words = [os.fsdecode(word) for word in (*command, *arguments)]
        environment = clean_environment(store, self._env)
        # None of these is of the command: a pid is given again when all others have been.
        self._before = frozenset(os.listdir("/proc"))
        self._gone = False  # whether the command and all that it started have ended
        self.popen = start_command(words, environment, **(streams | popen))
        self._leader = _process(self.popen.pid)

    def _stream(self) -> IO[bytes]:
        return self._streams.enter_context(tempfile.TemporaryFile())

    @property
    def pid(self) -> int:
        return self.popen.pid

    def pids(self) -> list[int]:
        """All its living processes, those in sessions of their own included."""
        since = self._leader.started if self._leader else 0
        others = _processes(self._before)
        younger = (each for each in others if each.alive and each.started >= since)
        return sorted(each.pid for each in younger if self._owns(each))

    def _owns(self, process: _Process) -> bool:
        if process.session == self.pid:
            return True
        return self._mark.encode() in _proc(process.pid, "environ")

    def children(self) -> dict[str, int]:
        """Title to pid of the processes that named themselves, such as ``s3pp: putter 1``."""
        pids = session_pids(self.pid, self._before)
        titles = {title(pid): pid for pid in pids if pid != self.pid}
        return {name: pid for name, pid in titles.items() if name.startswith("s3pp: ")}

    def wait_for_child(self, name: str, timeout: float = PATIENCE) -> int:
        """The pid of the child called ``name``, once it exists."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.popen.poll() is None:
            if name in (children := self.children()):
                return children[name]
            time.sleep(0.005)
        raise AssertionError(f"no child {name!r}; exit {self.popen.poll()}, stderr: {self.err()}")

    def signal(self, number: int) -> None:
        """Send a signal to the command alone."""
        os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to all its processes, as a terminal does for Ctrl-C."""
        os.killpg(self.pid, number)

    def out(self) -> str:
        """What it has written to stdout so far."""
        return _whole(self._out)

    def err(self) -> str:
        """What it has written to stderr so far."""
        return _whole(self._err)

    def wait(self, timeout: float = 60.0, *, check_processes: bool = True) -> Result:
        """Wait for the end; fails when it hangs, leaves processes, prints a trace or a secret.

        It has ``timeout`` seconds, or ``PATIENCE`` if that is more.
        """
        timeout = max(timeout, PATIENCE)
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            titles = [title(pid) for pid in self.pids()]
            self.kill()
            raise AssertionError(
                f"{self.popen.args!r} still ran after {timeout} s: {titles}\n{self.err()}"
            ) from None
        left = self._left_after(GRACE) if check_processes else []
        self._gone = check_processes and not left
        result = Result(code, self.out(), self.err())
        assert not left, f"processes left behind: {left}\n{result}"
        self._check_said(result)
        return result

    def _left_after(self, seconds: float) -> list[str]:
        deadline = time.monotonic() + seconds
        while (left := self.pids()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return [f"{pid} {title(pid)}" for pid in left]

    def _check_said(self, result: Result) -> None:
        assert "Traceback" not in result.err, result.err
        for secret in self._secrets():
            assert secret not in result.out + result.err, "a secret was printed"

    def _secrets(self) -> list[str]:
        names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        given = clean_environment(self.store, self._env)
        # Short ones are words of their own ("testing" is Swift's secret here, and a file name).
        return [given[name] for name in names if len(given.get(name, "")) > 8]

    def kill(self) -> None:
        """Kill every process of the session, and wait until they are gone."""
        if self._gone:
            return
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.popen.wait()
        self._left_after(GRACE)

    def close(self) -> None:
        self.kill()
        self._streams.close()


Start = Callable[..., Running]  # the fixture ``s3pp_start``
Run = Callable[..., Result]  # the fixture ``s3pp``


def _whole(stream: Any) -> str:
    # os.pread leaves the offset alone, which the command shares while it writes.
    size = os.fstat(stream.fileno()).st_size
    return os.pread(stream.fileno(), size, 0).decode(errors="surrogateescape")


def start(
    *arguments: Argument,
    store: Store | None,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes | int | None = None,
    **popen: Any,
) -> Running:
    """Start ``s3pp ARGUMENTS``, pointed at ``store`` where the command talks to one.

    ``command=("python", "bin/s3clone")`` starts another command, and points it nowhere.
    ``stdin`` is what the command reads, or a descriptor. ``fresh=True`` gives it a new interpreter,
    see ``forked``; others are as for ``subprocess.Popen``.
    """
    words = list(arguments)
    if store is not None and "command" not in popen and words[:1] and words[0] in STORE_VERBS:
        words[1:1] = ["--endpoint-url", store.url]
    return Running(words, store, env=env or {}, stdin=stdin, **popen)
