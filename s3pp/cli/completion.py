"""``s3pp completion SHELL``: a script with which a shell completes commands, options and values."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from s3pp.args.parser import Parser, VerbParser
from s3pp.cli.bash_script import bash_script
from s3pp.cli.command_lines import SHELLS, CommandLine, command_lines
from s3pp.cli.fish_script import fish_script
from s3pp.cli.main import COMMANDS
from s3pp.cli.zsh_script import zsh_script
from s3pp.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

USAGE = " | ".join(SHELLS)
ABOUT = (
    "Print a script with which bash, zsh or fish completes the commands of s3pp, their options, and"
    " the values of these: words, and names of files. An installed s3pp has such scripts where"
    " shells look for them, if it is installed where they look."
)
_SCRIPTS: Mapping[str, Callable[[Sequence[CommandLine]], str]] = MappingProxyType(
    {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}
)


def main(argv: Sequence[str], streams: Streams) -> int:
    """Run the command and return its exit code; raises ``S3ppError``."""
    named, _ = parser().parse(argv)
    if len(named) != 1 or named[0] not in SHELLS:
        raise UsageError(f"completion needs the name of a shell: {', '.join(SHELLS)}")
    streams.stdout.write(script(named[0]))
    return ExitStatus.OK


def parser() -> Parser:
    """Create the parser of the command line."""
    made = VerbParser("completion", USAGE, ABOUT)
    made.add_argument("arguments", nargs="*", help=SUPPRESS)
    return made


def script(shell: str) -> str:
    """Return the script of a shell, one of ``SHELLS``."""
    return _SCRIPTS[shell](command_lines(COMMANDS))
