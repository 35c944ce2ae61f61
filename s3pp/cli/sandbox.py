"""``s3pp sandbox``: an S3 server in memory, on loopback, for trying things."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from s3pp.args import values
from s3pp.args.parser import Parser, VerbParser, argument_type
from s3pp.errors import ExitStatus, FatalError, Misuse, start_failure

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams
    from s3pp.sandbox import Sandbox

USAGE = "[--port N] [--bucket NAME]... [-- COMMAND...]"
ABOUT = (
    "Run an S3 server in memory until Ctrl-C, and print the variables that make clients use it; or"
    " run COMMAND with them set, and end with its exit code."
)
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # the shell's exit codes


def main(argv: Sequence[str], streams: Streams) -> int:
    """Run the command and return its exit code; raises ``S3ppError``."""
    given = parse(argv)
    command = given.command
    from s3pp.sandbox import Sandbox

    try:
        with _on({signal.SIGTERM: _end, signal.SIGHUP: _end}), Sandbox(given.port) as sandbox:
            for bucket in dict.fromkeys(given.buckets):
                sandbox.create_bucket(bucket)
            return _run(sandbox, command, streams) if command else _serve(sandbox, streams)
    except _Ended as ended:
        return ended.status


class Wanted(NamedTuple):
    """The arguments of the command, parsed."""

    port: int  # 0: a free one
    buckets: list[str]  # that are there from the beginning
    command: list[str]  # empty: none is run


def parse(argv: Sequence[str]) -> Wanted:
    """Parse the arguments. Raises ``UsageError``."""
    split = list(argv).index("--") if "--" in argv else len(argv)
    made = parser()
    given, extra = made.parse_known_args(argv[:split])
    if extra:
        made.error(f"{extra[0]!r} is unknown; a command goes after --")
    command = list(argv[split + 1 :])
    if split < len(argv) and not command:
        raise Misuse("s3pp sandbox: no command after --; name one, or drop the --")
    return Wanted(given.port, given.bucket, command)


def parser() -> Parser:
    """Create the parser of the command line."""
    made = VerbParser("sandbox", USAGE, ABOUT)
    made.add_argument(
        "--port",
        type=argument_type(partial(values.whole, most=65535)),
        default=0,
        metavar="N",
        help="port to listen on (default: a free one)",
    )
    made.add_argument(
        "--bucket",
        action="append",
        type=argument_type(values.bucket),
        default=[],
        metavar="NAME",
        help="bucket to create at the start; repeatable",
    )
    return made


def exports(sandbox: Sandbox) -> str:
    """Shell commands that configure S3 clients to use ``sandbox``."""
    from s3pp.sandbox import UNSET

    lines = [f"export {name}={shlex.quote(value)}" for name, value in sandbox.environment().items()]
    foreign = [name for name in UNSET if name in os.environ]
    lines += [f"unset {' '.join(foreign)}"] if foreign else []
    return "\n".join(lines) + "\n"


def _serve(sandbox: Sandbox, streams: Streams) -> ExitStatus:
    try:
        streams.stdout.write(exports(sandbox))
        streams.stderr.write(f"s3pp: S3 in memory at {sandbox.url}, until Ctrl-C\n")
        sandbox.wait()
    except KeyboardInterrupt:
        return ExitStatus.OK  # what was asked for
    raise FatalError("the sandbox server ended by itself")


def _run(sandbox: Sandbox, command: Sequence[str], streams: Streams) -> int:
    try:
        with sandbox.export_to(os.environ):
            code = _outcome(command)
    except FileNotFoundError:
        streams.stderr.write(f"s3pp sandbox: {command[0]!r} is not found\n")
        return NOT_FOUND
    except OSError as error:
        why = start_failure(error) if error.errno == errno.EAGAIN else error.strerror
        streams.stderr.write(f"s3pp sandbox: {command[0]!r} does not run: {why}\n")
        return NOT_EXECUTABLE
    return 128 - code if code < 0 else code


def _outcome(command: Sequence[str]) -> int:
    """Run the command, leave signals to it, and return its exit code.

    TERM and HUP are forwarded. INT is not: a terminal sends Ctrl-C to the command too. SIG_IGN is
    not used, because the command would inherit it.
    """
    running: list[subprocess.Popen[bytes]] = []
    came: list[int] = []

    def hand_on(number: int, _frame: object) -> None:
        came.append(number)
        for process in running:
            process.send_signal(number)

    from s3pp.sandbox import wait_for

    with _on({signal.SIGINT: lambda *_: None, signal.SIGTERM: hand_on, signal.SIGHUP: hand_on}):
        running.append(subprocess.Popen(command))
        for number in came:  # while it was being started
            running[0].send_signal(number)
        return wait_for(running[0])


class _Ended(BaseException):
    """Raised by a signal that ends the sandbox; ``status`` is the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


def _end(number: int, _frame: object) -> None:
    raise _Ended(number)


@contextmanager
def _on(actions: dict[signal.Signals, Callable[..., None]]) -> Iterator[None]:
    """Install signal handlers, and restore the previous ones on exit.

    A signal that is ignored (a HUP under nohup) stays ignored.
    """
    before = {
        number: signal.signal(number, action)
        for number, action in actions.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
