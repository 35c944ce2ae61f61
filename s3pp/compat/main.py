"""What the fronts share: how a command starts, and the parser of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from s3pp import program
from s3pp.app import Plan, run_plan
from s3pp.report.outlet import Streams

_SEEN = "other users could see them before they were hidden, and the shell's history has them"


def run(name: str, plan: Callable[[Sequence[str]], Plan]) -> NoReturn:
    """Run a console script: the command ``name``, whose arguments mean what ``plan`` returns.

    The arguments may hold credentials, so the first thing is to hide them from ``ps``.
    """
    import setproctitle

    setproctitle.setproctitle(name)

    def main(argv: Sequence[str], streams: Streams) -> int:
        return run_plan(plan(argv), streams)

    program.run(program.Program(name, main))


def visible_keys(advice: str) -> str:
    """Return the notice for keys that are arguments; ``advice``: where to put them instead."""
    return f"keys on the command line are not safe: {_SEEN}; {advice}"
