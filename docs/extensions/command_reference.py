"""``commands.rst``: what each command takes, from the parsers themselves."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from s3pp.args.examples import examples_of
from s3pp.args.verbs import VERBS, parser

_SPECIAL = re.compile(r"([\\`*_|])")


def reference() -> str:
    """Return a section for each verb: usage, description, options by group, examples."""
    return "\n".join(line for verb in VERBS for line in _section(verb))


def escaped(text: str) -> str:
    """Return words that look like markup as they stand; argparse's ``%%`` is a percent sign."""
    return _SPECIAL.sub(r"\\\1", text.replace("%%", "%"))


def _section(verb: str) -> Iterator[str]:
    known = parser(verb)
    title = f"s3pp {verb}"
    yield from ("", title, "=" * len(title), "", *_block(f"{title} {VERBS[verb].usage}"))
    yield from (escaped(VERBS[verb].about), "", f".. program:: {title}", "")
    for group in known._action_groups:
        yield from _group(group)
    if examples := examples_of(verb):
        yield from (".. rubric:: examples", "")
        lines = [line for each in examples for line in (f"# {each.purpose}", each.command)]
        yield from _block(*lines)


def _block(*lines: str) -> Iterator[str]:
    yield from (".. code-block:: sh", "", *(f"   {line}" for line in lines), "")


def _group(group: Any) -> Iterator[str]:
    shown = [each for each in group._group_actions if each.help is not argparse.SUPPRESS]
    options = [each for each in shown if each.option_strings]
    if not options:
        return
    yield from (f".. rubric:: {group.title}", "")
    for option in options:
        yield from (f".. option:: {_spelling(option)}", "")
        yield from (f"   {escaped(option.help or '')}", "")


def _spelling(option: argparse.Action) -> str:
    value = f" {option.metavar}" if option.nargs != 0 and option.metavar else ""
    return ", ".join(f"{name}{value}" for name in option.option_strings)


def _on_source(_app: Any, page: str, source: list[str]) -> None:
    if page == "commands":
        source[0] += reference()


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _on_source)
    return {"parallel_read_safe": True}
