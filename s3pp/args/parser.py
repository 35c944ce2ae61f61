"""Argparse, made to answer in one line, to print nothing itself and never to exit."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from s3pp import __version__
from s3pp.errors import UsageError


class Misuse(UsageError):
    """Arguments that make no command; ``str()`` is the whole line, program name included."""


class HelpRequested(Exception):
    """No error: ``--help`` or ``--version`` ended the parsing; ``str()`` is the text asked for."""


class Parser(argparse.ArgumentParser):
    """A parser of one command's arguments: no abbreviations, ``Misuse`` for what is wrong."""

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
        """Raise what argparse found wrong as ``Misuse``."""
        raise Misuse(f"{self.prog}: {message} (see {self.prog} --help)")

    def parse(self, argv: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """The arguments that are no options, and what was given of the others, by their paths.

        The former stand between and after the options; all that follow ``--`` are such.
        """
        split = argv.index("--") if "--" in argv else len(argv)
        given = vars(self.parse_intermixed_args(argv[:split]))
        return [*(given.pop("arguments", None) or []), *argv[split + 1 :]], given


def argument_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """``parse`` as argparse takes it, its own words kept where it raises ``ValueError``."""

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
