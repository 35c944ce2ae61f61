"""The commands: how each starts, and what they share.

Little is imported before a command runs, so that its arguments, which may hold credentials, are
hidden from ``ps`` soon, and Ctrl-C is answered in one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from s3pp import program

if TYPE_CHECKING:
    from s3pp.app import Plan
    from s3pp.report.outlet import Streams

_SEEN = "other users could see them before they were hidden, and the shell's history has them"

# By command, the function that returns the ``Plan`` of its arguments.
PLANS: Mapping[str, str] = MappingProxyType(
    {
        "s3-parallel-put": "s3pp.compat.s3_parallel_put:plan",
        "s3clone": "s3pp.compat.s3clone:plan",
        "s3concurrent_download": "s3pp.compat.s3concurrent:plan_download",
        "s3concurrent_upload": "s3pp.compat.s3concurrent:plan_upload",
        "s3copy": "s3pp.compat.s3copy:plan",
        "s3_download": "s3pp.compat.s3_download:plan",
        "s3_upload": "s3pp.compat.s3_upload:plan",
    }
)


def run(name: str) -> NoReturn:
    """Run the console script ``name``."""

    def main(argv: Sequence[str], streams: Streams) -> int:
        import setproctitle

        setproctitle.setproctitle(name)
        from s3pp.app import run_plan

        return run_plan(_requiring_objects(resolve_name(PLANS[name])(argv)), streams)

    program.run(program.Program(name, main))


def _requiring_objects(plan: Plan) -> Plan:
    """Return ``plan`` with a prefix without objects as wrong usage, as these tools had it."""
    jobs = (replace(job, choosing=replace(job.choosing, must_exist=True)) for job in plan.jobs)
    return plan._replace(jobs=tuple(jobs))


# The console scripts.
s3_parallel_put = partial(run, "s3-parallel-put")
s3clone = partial(run, "s3clone")
s3concurrent_download = partial(run, "s3concurrent_download")
s3concurrent_upload = partial(run, "s3concurrent_upload")
s3copy = partial(run, "s3copy")
s3_download = partial(run, "s3_download")
s3_upload = partial(run, "s3_upload")


def visible_keys(advice: str) -> str:
    """Return the notice for keys that are arguments; ``advice``: where to put them instead."""
    return f"keys on the command line are not safe: {_SEEN}; {advice}"
