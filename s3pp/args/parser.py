"""An argparse parser that reports errors in one line, prints nothing and never exits."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from s3pp import __version__
from s3pp.errors import UsageError


class Misuse(UsageError):
    """Invalid arguments; ``str()`` is the whole line, including the program's name."""


class HelpRequested(Exception):
    """``--help`` or ``--version`` was given; ``str()`` is the text to print."""


class Parser(argparse.ArgumentParser):
    """A parser for one command's arguments, without abbreviations; raises ``Misuse``."""

    def __init__(self, prog: str, usage: str, description: str) -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} {usage}",
            description=description,
            add_help=False,
            allow_abbrev=False,
        )
        general = self.add_argument_group("general")
        general.add_argument(
            "-h", "--help", action=_AnswerAction, text=self.format_help, help="this text"
        )
        general.add_argument(
            "--version",
            action=_AnswerAction,
            text=lambda: f"s3pp {__version__}\n",
            help="the version",
        )

    def error(self, message: str) -> NoReturn:
        """Raise argparse's error as ``Misuse``."""
        raise Misuse(f"{self.prog}: {message} (see {self.prog} --help)")

    def parse(self, argv: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """Parse into positional arguments, and the options given, by their paths.

        Positional arguments may stand between and after options; all after ``--`` are positional.
        """
        split = argv.index("--") if "--" in argv else len(argv)
        given = vars(self.parse_intermixed_args(argv[:split]))
        return [*(given.pop("arguments", None) or []), *argv[split + 1 :]], given


def argument_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wrap ``parse`` for argparse, keeping the message of its ``ValueError``."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


class _AnswerAction(argparse.Action):
    def __init__(self, *, text: Callable[[], str], **rest: Any) -> None:
        super().__init__(nargs=0, default=argparse.SUPPRESS, **rest)
        self._text = text

    def __call__(self, *_: Any) -> None:
        raise HelpRequested(self._text())
