"""The outermost layer of a command: arguments in, exit code out, no traceback unless asked for."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from s3pp.errors import (
    ExitStatus,
    HelpRequested,
    Misuse,
    S3ppError,
    exit_status,
    hide_arguments,
    system_fault,
    unexpected,
    where_raised,
)

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

# Thresholds of the garbage collector, in children too: imported objects are permanent, and records
# are in no cycle. With Python's defaults it takes a tenth of the start-up time.
RARELY = (100_000, 20, 50)


class Program(NamedTuple):
    """A command: its name, which begins its messages, and what it does with its arguments.

    ``main`` returns the exit code; it may raise ``HelpRequested`` and ``S3ppError``.
    """

    name: str
    main: Callable[[Sequence[str], Streams], int]


def run(program: Program) -> NoReturn:
    """Run a console script: the only place that exits."""
    try:
        status = _run(program)
    except KeyboardInterrupt:  # so early that not even the streams are set up
        os.write(2, f"{program.name}: interrupted\n".encode())
        status = ExitStatus.INTERRUPTED
    # Every line is flushed, every child has ended. To take the interpreter apart as well would take
    # an eighth of a run of one object.
    os._exit(status)


def _run(program: Program) -> int:
    stdout, stderr = sys.stdout, sys.stderr  # None where the descriptor is closed
    _fill_standard_descriptors()
    gc.set_threshold(*RARELY)
    from s3pp.report.outlet import Streams

    return execute(program, sys.argv[1:], Streams.of(stdout, stderr))


def execute(program: Program, argv: Sequence[str], streams: Streams) -> int:
    """Run ``program`` with ``argv`` (without its name); returns the exit code, never raises."""
    status = _attempt(program, argv, streams)
    lost = streams.stdout.trouble
    if lost is None:
        return status
    # A script or a page that was cut off must not pass for a whole one.
    line = f"{program.name}: standard output cannot be written: {lost}"
    complained = _complain(streams, line, ExitStatus.ABORTED)
    return complained if status in (ExitStatus.OK, ExitStatus.SOME_FAILED) else status


def _attempt(program: Program, argv: Sequence[str], streams: Streams) -> int:
    name = program.name
    try:
        return program.main(argv, streams)
    except HelpRequested as answer:
        streams.stdout.write(str(answer))
        return ExitStatus.OK
    except Misuse as error:
        return _complain(streams, str(error), ExitStatus.USAGE)
    except S3ppError as error:
        return _complain(streams, f"{name}: {error}", exit_status(error))
    except KeyboardInterrupt:
        return _complain(streams, f"{name}: interrupted", ExitStatus.INTERRUPTED)
    except Exception as error:  # a user needs a line, not a traceback
        return _report_defect(error, name, argv, streams)


def _complain(streams: Streams, line: str, status: ExitStatus) -> ExitStatus:
    from s3pp.escaping import one_line

    streams.stderr.write(one_line(line) + "\n")
    return status


def _report_defect(
    error: Exception, name: str, argv: Sequence[str], streams: Streams
) -> ExitStatus:
    # What the user gave may be secret, and is known to the user.
    cause = system_fault(error) or hide_arguments(unexpected(error), argv)
    line = f"{name}: {cause}"
    if sum(arg.count("v") for arg in argv if re.fullmatch("-v+", arg)) < 2:
        tail = "" if system_fault(error) else " (-vv shows where)"
        return _complain(streams, line + tail, ExitStatus.ABORTED)
    streams.stderr.write("".join(where_raised(error)))
    return _complain(streams, line, ExitStatus.ABORTED)


def _fill_standard_descriptors() -> None:
    """Open /dev/null where a standard stream is closed.

    The next file opened would take its number, and get whatever is printed there, by us or by
    the children, who inherit it.
    """
    # Standard input for writing only, so that reading fails, as it does where it is closed.
    for descriptor, way in ((0, os.O_WRONLY), (1, os.O_RDWR), (2, os.O_RDWR)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, way), True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
