"""The process of a run that a program has called: it runs the job, and writes what comes of it.

::

    stdin   one ``RunRequest``, pickled: nothing of a job is in arguments or variables
    stdout  {"ready":true}, records of the run as its voice has them, and last one of
            {"result":{…}}  what ``app.run`` returned
            {"error":{…}}   what it raised

It ends like a command that is hung up when its caller ends, however that comes about.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import pickle
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, BinaryIO, NamedTuple, NoReturn, TextIO

from s3pp.errors import ExitStatus, FailureKind, FatalError, S3ppError, unexpected
from s3pp.job import Job
from s3pp.program import RARELY

LOOK_SECONDS = 1.0  # between two looks at whether the caller still lives


class RunRequest(NamedTuple):
    """What a caller wants. Producer: ``process``; consumer: this process."""

    job: Job
    caller: int  # its process id


def main(stdin: BinaryIO) -> NoReturn:
    """Run the job that ``stdin`` names."""
    gc.set_threshold(*RARELY)
    _reset_signals()
    stdout = sys.stdout
    assert isinstance(stdout, TextIOWrapper)
    stdout.reconfigure(encoding="ascii")  # whatever the locale; records are ASCII
    _write({"ready": True}, stdout)
    request: RunRequest = pickle.load(stdin)
    _end_with(request.caller)
    _set_title(request.job.verb)
    _write(_run(request.job, stdout), stdout)
    os._exit(0)


def _run(job: Job, stdout: TextIO) -> dict[str, Any]:
    from s3pp import app
    from s3pp.report.outlet import Streams

    try:
        status, totals, error = app.run(job, Streams.of(stdout, sys.stderr))
    except S3ppError as raised:
        return _error(raised)
    except KeyboardInterrupt:
        status, totals, error = ExitStatus.INTERRUPTED, None, None
    except Exception as defect:
        return _error(FatalError(unexpected(defect), FailureKind.INTERNAL))
    counts = {} if totals is None else dataclasses.asdict(totals)
    return {"result": {"status": status, "totals": counts, "error": error}}


def _error(error: S3ppError) -> dict[str, Any]:
    kind = error.kind.value if isinstance(error, FatalError) else None
    return {"error": {"message": str(error), "kind": kind}}


def _write(record: dict[str, Any], stdout: TextIO) -> None:
    """Write a record on a line of its own, even after a statter that was killed amid one."""
    with suppress(OSError):  # the caller has gone
        stdout.write(f"\n{json.dumps(record)}\n")
        stdout.flush()


def _reset_signals() -> None:
    """Undo what a caller may have set for signals and this process has inherited."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _end_with(caller: int) -> None:
    """Hang this process up once its caller has ended.

    A pipe would not show that: other children of the caller may hold its end. A timer does not
    outlive a fork, and unlike a thread it does not make forking unsafe.
    """

    def look(*_: object) -> None:
        if os.getppid() != caller:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.kill(os.getpid(), signal.SIGHUP)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS, LOOK_SECONDS)


def _set_title(verb: str) -> None:
    import setproctitle

    setproctitle.setproctitle(f"s3pp: {verb}")
