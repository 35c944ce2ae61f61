"""Run s3pp for minutes against a store that fails and is disturbed: see README.rst, "Soak"."""

from __future__ import annotations

import argparse
import itertools
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from soaking.cycle import Cycle, Figures
from stores.ports import ChildServer
from stores.store import Store
from suite.table import Table

PER_SERVER = 24  # cycles, after which the store, which keeps all in memory, begins anew
MOST_VIOLATIONS = 20  # after which it stops
KEYS = ("soak-access-key", "soak-secret-that-must-never-be-printed")


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("minutes", type=float, nargs="?", default=1.0)
    parser.add_argument("--seed", type=int, help="default: another one each time; it is printed")
    parser.add_argument("--cycle", type=int, nargs="+", metavar="N", help="only these of that seed")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="cycles at once")
    parser.add_argument("--keep", type=Path, help="where files of violations are kept")
    return parser.parse_args(argv)


class Soak:
    """Cycles side by side until the time is over: a run mostly waits, for faults to be over."""

    def __init__(self, options: argparse.Namespace, root: Path) -> None:
        self._seed, self._root = options.seed, root
        self._numbers = iter(options.cycle) if options.cycle else itertools.count()
        self._ends = time.monotonic() + options.minutes * 60
        self._lock = threading.Lock()
        self.figures = Figures()

    def run(self, jobs: int) -> None:
        """Run ``jobs`` cycles at once; an error of the soak itself is raised at the end."""
        with ThreadPoolExecutor(jobs) as pool:
            for each in [pool.submit(self._run) for _ in range(jobs)]:
                each.result()

    def _run(self) -> None:
        while (number := self._next()) is not None:
            server = ChildServer("stores.moto")
            store = Store("moto", server.url, *KEYS, checks_signatures=False)
            try:
                for _ in range(PER_SERVER):
                    self._cycle(number, store)
                    if (number := self._next()) is None:
                        return
                self._cycle(number, store)
            finally:
                server.stop()

    def _next(self) -> int | None:
        """Return the number of the next cycle; None: there is no time left."""
        with self._lock:
            over = time.monotonic() > self._ends
            return None if over or self._broken else next(self._numbers, None)

    @property
    def _broken(self) -> bool:
        return len(self.figures.violations) >= MOST_VIOLATIONS

    def _cycle(self, number: int, store: Store) -> None:
        figures = Figures()
        figures.violations += Cycle(self._seed, number, store, self._root, figures).run()
        with self._lock:
            self.figures.add(figures)
            for each in figures.violations:
                print(f"VIOLATION: {each}", file=sys.stderr, flush=True)
            if self.figures.cycles.total() % 20 == 0:
                print(self.figures, file=sys.stderr, flush=True)


def _counts(title: str, found: Mapping[str, int]) -> list[list[str]]:
    rows = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return [[title if not at else "\\", what, f"{n:,}"] for at, (what, n) in enumerate(rows)]


def table(figures: Figures, seconds: float, seed: int) -> Table:
    """The figures, as docs/guarantees.rst has them."""
    codes = {str(code): count for code, count in figures.codes.items()}
    rows = [
        *_counts("cycles", figures.cycles),
        *_counts("disturbed by", figures.disturbed),
        *_counts("what was done to them", figures.acts),
        ["requests", "in all", f"{figures.requests:,}"],
        *_counts("faults", figures.faults),
        *_counts("objects", figures.outcomes),
        *_counts("failed as", figures.failures),
        *_counts("exit code", codes),
        ["violations", "in all", f"{len(figures.violations):,}"],
    ]
    title = f"{seconds / 60:.0f} minutes, seed {seed}"
    return Table(title, ("figure", "of which", "number"), rows)


def main(argv: Sequence[str]) -> int:
    """Print the figures; 1 where a cycle broke a promise."""
    options = arguments(argv)
    if options.seed is None:
        options.seed = random.randrange(1 << 32)
    # Of a soak in the background it is ignored, and would be by the runs that it interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    began = time.monotonic()
    root = options.keep or Path(tempfile.mkdtemp(prefix="s3pp-soak-"))
    soak = Soak(options, root)
    soak.run(options.jobs)
    figures = soak.figures
    print(f"\n{table(figures, time.monotonic() - began, options.seed)}", flush=True)
    for each in figures.violations:
        print(each)
    if figures.violations:
        print(f"again: python benchmarks/soak.py --seed {options.seed} --cycle NUMBER")
        print(f"the files of these cycles are in {root}")
        return 1
    if options.keep is None:
        root.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
