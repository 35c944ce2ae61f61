"""What docs/scale.rst is computed from: ``python benchmarks/scale.py --help``, and see README.rst.

``simulation`` is the same on every machine, for the same seed. ``supervisor`` and ``disk`` measure.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "unit"))

from scaling.capacity import capacity
from scaling.footprint import footprint
from scaling.simulation import Deployment, Outcome, simulate
from scaling.store import Limits
from suite.table import Table

SLOTS = {1: 1024, 10: 128, 100: 64, 1000: 16}  # requests in flight, by the number of workers
_COLUMNS = (
    *("deployment", "workers", "goodput", "sent", "refused", "first seconds", "peak"),
    *("converged s", "fairness", "messages/s"),
)


def deployments(slots: Iterable[tuple[int, int]]) -> list[Deployment]:
    """All of one run first, then all of runs of their own."""
    pairs = list(slots)
    return [Deployment(n, apart, each) for apart in (False, True) for n, each in pairs]


def name(deployment: Deployment) -> str:
    """As a table has it."""
    return "runs of their own" if deployment.apart else "one run"


def simulation(seed: int) -> list[Table]:
    """Workers against one prefix, against several, and against one that is split."""
    title = f"one prefix that takes 3,500 requests a second, seed {seed}"
    several = [
        Deployment(100, apart, 32, limits=Limits(875.0), prefixes=4) for apart in (False, True)
    ]
    return [
        _table(title, deployments(SLOTS.items()), seed),
        _table("four prefixes that take 875 requests a second each", several, seed),
        _splits(seed),
    ]


def _table(title: str, cases: Iterable[Deployment], seed: int) -> Table:
    return Table(title, _COLUMNS, [_row(case, simulate(case, seed)) for case in cases])


def _row(deployment: Deployment, outcome: Outcome) -> list[str]:
    seen = outcome.figures
    return [
        name(deployment),
        f"{deployment.workers:,}",
        f"{seen.goodput:.2f}",
        f"{seen.offered:.2f}",
        f"{100 * seen.refused:.1f}%",
        f"{100 * seen.refused_first:.1f}%",
        f"{seen.peak:.1f}",
        f"{seen.converged:.1f}",
        f"{seen.fairness:.3f}",
        f"{outcome.messages:,.0f}",
    ]


def _splits(seed: int) -> Table:
    """A prefix that takes 350, and twice as many after each five seconds with refusals."""
    rows = []
    for apart in (False, True):
        case = Deployment(10, apart, 64, limits=Limits(350.0, split_after=5), seconds=40)
        seconds = simulate(case, seed).regained
        rows.append([name(case), ", ".join(f"{each:.1f}" for each in seconds)])
    title = "a prefix that takes 350, and doubles that after five seconds with refusals"
    return Table(title, ("deployment", "seconds until 85% of each new rate"), rows)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    command.add_argument("what", choices=("simulation", "supervisor", "disk"))
    command.add_argument("--seed", type=int, default=17, help="of the simulation")
    command.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "s3pp-benchmarks",
        help="of disk: where trees of files are made, once, and kept (default: %(default)s)",
    )
    return command


def main() -> None:
    """Print the tables."""
    options = parser().parse_args()
    if options.what == "simulation":
        tables = simulation(options.seed)
    elif options.what == "supervisor":
        tables = [capacity()]
    else:
        options.folder.mkdir(parents=True, exist_ok=True)
        tables = [footprint(options.folder)]
    for table in tables:
        print(f"{table}\n", flush=True)


if __name__ == "__main__":
    main()
