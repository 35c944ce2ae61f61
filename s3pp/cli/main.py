"""The outermost layer: arguments in, exit code out, and no traceback unless asked for."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from s3pp import __version__
from s3pp.errors import ExitStatus, HelpRequested, Misuse, S3ppError, UsageError, system_fault

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

# Thresholds of the garbage collector, in children too: imported objects are permanent, and records
# are in no cycle. With Python's defaults it takes a tenth of the start-up time.
RARELY = (100_000, 20, 50)

USAGE = "usage: s3pp COMMAND [OPTIONS] ...    (s3pp COMMAND --help lists its options)"
COMMANDS = {
    "put": "Upload files to a bucket",
    "get": "Download objects to a directory",
    "copy": "Copy objects from bucket to bucket",
    "list": "List the objects in a bucket",
    "clean": "Abort incomplete multipart uploads",
    "sandbox": "Run an S3 server in memory, for experiments",
}


def run() -> NoReturn:
    """The console script: the only place that exits."""
    stdout, stderr = sys.stdout, sys.stderr  # None where the descriptor is closed
    _fill_standard_descriptors()
    gc.set_threshold(*RARELY)
    from s3pp.report.outlet import Streams

    status = main(sys.argv[1:], Streams.of(stdout, stderr))
    # Every line is flushed, every child has ended. To take the interpreter apart as well would take
    # an eighth of a run of one object.
    os._exit(status)


def main(argv: Sequence[str], streams: Streams) -> int:
    """Run the command in ``argv`` (without program name); returns the exit code, never raises."""
    try:
        return _dispatch(argv, streams)
    except HelpRequested as answer:
        streams.stdout.write(str(answer))
        return ExitStatus.OK
    except Misuse as error:
        return _complain(streams, str(error), ExitStatus.USAGE)
    except S3ppError as error:
        usage = isinstance(error, UsageError)
        return _complain(
            streams, f"s3pp: {error}", ExitStatus.USAGE if usage else ExitStatus.ABORTED
        )
    except KeyboardInterrupt:
        return _complain(streams, "s3pp: interrupted", ExitStatus.INTERRUPTED)
    except Exception as error:  # a user needs a line, not a traceback
        return _unforeseen(error, argv, streams)


def _dispatch(argv: Sequence[str], streams: Streams) -> int:
    if not argv:
        streams.stderr.write(USAGE + "\n")
        return ExitStatus.USAGE
    command, *rest = argv
    if command in ("-h", "--help"):
        streams.stdout.write(_overview())
        return ExitStatus.OK
    if command == "--version":
        streams.stdout.write(f"s3pp {__version__}\n")
        return ExitStatus.OK
    if command not in COMMANDS:
        raise UsageError(f"{command!r} is not a command: use one of {', '.join(COMMANDS)} first")
    if command == "sandbox":
        from s3pp.cli import sandbox

        return sandbox.main(rest, streams)
    from s3pp import app
    from s3pp.cli import verbs

    return app.run(verbs.build_job(command, rest), streams).status


def _overview() -> str:
    commands = "".join(f"  {name:<10}{what}\n" for name, what in COMMANDS.items())
    general = "  -h, --help  show this text\n  --version   show the version\n"
    return f"{USAGE}\n\ncommands:\n{commands}\ngeneral:\n{general}"


def _complain(streams: Streams, line: str, status: ExitStatus) -> ExitStatus:
    from s3pp.report.outlet import one_line

    streams.stderr.write(one_line(line) + "\n")
    return status


def _unforeseen(error: Exception, argv: Sequence[str], streams: Streams) -> ExitStatus:
    cause = system_fault(error) or f"internal error: {type(error).__name__}: {error}"
    line = f"s3pp: {cause}"
    if sum(arg.count("v") for arg in argv if re.fullmatch("-v+", arg)) < 2:
        tail = "" if system_fault(error) else " (-vv shows where)"
        return _complain(streams, line + tail, ExitStatus.ABORTED)
    import traceback

    streams.stderr.write("".join(traceback.format_exception(error)))
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
