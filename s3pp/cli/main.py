"""The command ``s3pp``: its overview, and the choice of the verb."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from s3pp import __version__, program
from s3pp.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

USAGE = "usage: s3pp COMMAND [OPTIONS] ...    (s3pp COMMAND --help lists its options)"
COMMANDS = {
    "put": "Upload files to a bucket",
    "get": "Download objects to a directory",
    "copy": "Copy objects from bucket to bucket",
    "move": "Upload, download or copy, and delete what was verified at the source",
    "remove": "Delete objects",
    "verify": "Make sure that what was transferred is there",
    "retry": "Do what a run has not done, by its journal",
    "apply": "Execute a plan of put, get, copy or remove",
    "list": "List the objects in a bucket",
    "du": "Add up the sizes of objects, by prefix",
    "clean": "Abort incomplete multipart uploads",
    "completion": "Print a script by which a shell completes command lines",
    "config": "Show which options are in force, and where they are set",
    "doctor": "Find out whether runs can work here, and why not",
    "merge": "Join the journals of shards, and say whether they covered everything",
    "report": "Write a page about a run, from its journal",
    "sandbox": "Run an S3 server in memory, for experiments",
}
_NO_VERBS = (
    "completion",
    "config",
    "doctor",
    "merge",
    "report",
    "sandbox",
)  # each a module of this room


def run() -> NoReturn:
    """Run the console script."""
    program.run(program.Program("s3pp", dispatch))


def main(argv: Sequence[str], streams: Streams) -> int:
    """Run the command in ``argv`` (without program name); returns the exit code, never raises."""
    return program.execute(program.Program("s3pp", dispatch), argv, streams)


def dispatch(argv: Sequence[str], streams: Streams) -> int:
    """Run the command in ``argv``; returns the exit code. Raises as ``program`` allows."""
    if not argv:
        streams.stderr.write(USAGE + "\n")
        return ExitStatus.USAGE
    command, *rest = argv
    if command == "help" and rest:
        command, rest = rest[0], ["--help"]
    if command in ("-h", "--help", "help"):
        streams.stdout.write(_overview())
        return ExitStatus.OK
    if command in ("-V", "--version"):
        streams.stdout.write(f"s3pp {__version__}\n")
        return ExitStatus.OK
    if command not in COMMANDS:
        raise _no_command(command)
    if command in _NO_VERBS:
        from importlib import import_module

        status: int = import_module(f"s3pp.cli.{command}").main(rest, streams)
        return status
    return _run_verb(command, rest, streams)


def _no_command(word: str) -> UsageError:
    if word.startswith("-"):
        return UsageError(f"{word!r} is before the command: write s3pp COMMAND [OPTIONS] ...")
    from s3pp.args.suggestions import suggest_command

    return UsageError(f"{word!r} is not a command: {suggest_command(word, [*COMMANDS, 'help'])}")


def _run_verb(verb: str, argv: Sequence[str], streams: Streams) -> int:
    from s3pp import app
    from s3pp.args import configured

    job, notices = configured.build_configured(verb, argv, os.environ)
    if notices:
        from s3pp.report.outlet import message

        streams.stderr.lines([message(job.output.program, each) for each in notices])
    return app.run(job, streams).status


def _overview() -> str:
    commands = "".join(f"  {name:<12}{what}\n" for name, what in COMMANDS.items())
    general = (
        "  -h, --help     show this text; s3pp help COMMAND shows that of COMMAND\n"
        "  -V, --version  show the version\n"
    )
    return f"{USAGE}\n\ncommands:\n{commands}\ngeneral:\n{general}"
