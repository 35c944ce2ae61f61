"""A run in a process of its own, as its caller sees it.

::

    caller ──subprocess──▶ s3pp.library.child ──fork──▶ walker, workers, statter
       stdin pipe: the job                       stdout pipe: the records of the run

The caller itself is not forked, and imports no event loop: it may have threads, a loop that runs,
and any number of open files. Its signal handlers, standard streams and variables are not touched.
The pipe bounds what a run is ahead of a caller that is slow.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import s3pp
from s3pp.errors import FailureKind, FatalError, S3ppError, UsageError, start_failure
from s3pp.job import Job
from s3pp.library.child import RunRequest

_CHUNK = 1 << 16  # bytes per read
_decode = json.JSONDecoder().decode  # a third faster than ``json.loads`` with bytes
READY_SECONDS = 60.0  # for the interpreter to start
# What the process executes. Its own modules come first: in the directory of a script there may be
# files that are named like modules of Python's.
_BOOTSTRAP = """\
import sys
sys.path[:] = filter(None, sys.path)
try:
    import pickle
    top, paths = pickle.load(sys.stdin.buffer)
    sys.path[:0] = [] if top in sys.path else [top]
    sys.path += [each for each in paths if each not in sys.path]
    from s3pp.library.child import main
except Exception as error:
    import json
    fault = f"{type(error).__name__}: {error}"
    print(json.dumps({"error": {"message": f"a run cannot start: {fault}", "kind": "internal"}}))
else:
    main(sys.stdin.buffer)
"""


class RunProcess:
    """Iterates over the records of a run; once they have ended, ``result`` is what came of it.

    As a context manager it leaves no process behind. An interruption between two records loses
    none: iteration may be continued.
    """

    def __init__(self, job: Job) -> None:
        """Start the run. Raises ``FatalError`` if it cannot be started."""
        self._lines: deque[bytes] = deque()
        self._rest = b""  # the beginning of a line
        self._ready = False
        self._end: dict[str, Any] | None = None
        self._owner = os.getpid()
        self._executable = executable()
        self._process = _spawn(self._executable)
        try:
            self._send(job)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RunProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> RunProcess:
        return self

    def __next__(self) -> dict[str, Any]:
        """Return the next record. Waits for it; raises ``StopIteration`` at the end of the run."""
        while self._end is None:
            record = self._decode(self._next_line())
            if "event" in record:
                return record
            self._ready = self._ready or bool(record)
            if record.keys() & {"result", "error"}:
                self._end = record
        raise StopIteration

    @property
    def result(self) -> Mapping[str, Any]:
        """What came of the run, as ``child`` writes it. Raises what the run raised."""
        status = self._process.wait()
        if self._end is None:
            raise FatalError(self._how_it_ended(status))
        if "error" in self._end:
            raise _error(**self._end["error"])
        found: Mapping[str, Any] = self._end["result"]
        return found

    @property
    def is_own(self) -> bool:
        """Whether this process has started the run; one that was forked from it has not."""
        return os.getpid() == self._owner

    def interrupt(self) -> None:
        """Interrupt the run as Ctrl-C does: it finishes active transfers; again, it stops now."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the run."""
        self._process.kill()

    def close(self) -> None:
        """Kill the run unless it has ended, and wait until it has."""
        if not self.is_own:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what was not sent
                pipe.close()

    def _send(self, job: Job) -> None:
        top = os.path.dirname(os.path.dirname(os.path.abspath(s3pp.__file__)))
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(BrokenPipeError):  # how it ended is found when it is read
            pickle.dump((top, [each for each in sys.path if isinstance(each, str)]), stdin)
            pickle.dump(RunRequest(job, self._owner), stdin)
            stdin.close()

    def _next_line(self) -> bytes:
        while not self._lines:
            chunk = self._read()
            if not chunk:
                raise StopIteration
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._lines.extend(lines)
        return self._lines.popleft()

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        if not self._ready and not _readable(fd, READY_SECONDS):
            raise FatalError(
                f"a run cannot start: {self._executable!r} did not start s3pp within"
                f" {READY_SECONDS:g} s; {_SET_EXECUTABLE}"
            )
        return os.read(fd, _CHUNK)

    @staticmethod
    def _decode(line: bytes) -> dict[str, Any]:
        """Return a record; an empty one for a line that a killed process left unfinished."""
        try:
            record = _decode(line.decode())
        except ValueError:
            return {}
        return record if isinstance(record, dict) else {}

    def _how_it_ended(self, status: int) -> str:
        how = f"ended with code {status}"
        if status < 0:
            how = f"was killed ({signal.Signals(-status).name})"
        if not self._ready:
            return f"a run cannot start: {self._executable!r} {how}; {_SET_EXECUTABLE}"
        return f"the process of the run {how}: what was done is unknown; run it again"


_SET_EXECUTABLE = "name a Python interpreter with multiprocessing.set_executable"


def executable() -> str:
    """Return the interpreter to run: Python's own, or what ``multiprocessing`` was told to use.

    Raises ``FatalError`` where there is none: in a program that contains Python, its own
    executable would start that program once more.
    """
    multiprocessing = sys.modules.get("multiprocessing.spawn")
    found = multiprocessing.get_executable() if multiprocessing else sys.executable
    path = os.fsdecode(found or "")
    if not path or (getattr(sys, "frozen", False) and path == sys.executable):
        raise FatalError(
            f"a run cannot start: {path!r} is not a Python interpreter; {_SET_EXECUTABLE}"
        )
    return path


def _spawn(path: str) -> subprocess.Popen[bytes]:
    command: Sequence[str] = (path, "-c", _BOOTSTRAP)
    try:
        # In a session of its own: Ctrl-C goes to all processes of a terminal's foreground group,
        # and a second one would stop what the first one lets finish.
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise FatalError(f"a run cannot start: {start_failure(error)}") from None


def _readable(fd: int, seconds: float) -> bool:
    """Wait until ``fd`` is readable; ``select`` would not take one above 1023."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _error(message: str, kind: str | None) -> S3ppError:
    from s3pp.library.keywords import in_python

    text = in_python(message)
    return UsageError(text) if kind is None else FatalError(text, FailureKind(kind))
