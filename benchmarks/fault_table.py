"""Inject each fault of docs/guarantees.rst, and print s3pp's results beside those of others."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from faultrows import downloads, peers, uploads
from faultrows.judging import Impossible, Place, Row, Verdict
from stores import swift
from stores.fault_proxy import FaultProxy
from stores.ports import ChildServer
from stores.store import Store
from suite.table import Table

ROWS = (*uploads.ROWS, *downloads.ROWS)
COLUMNS = ("row", "fault", "s3pp", "seconds", *peers.VERSIONS, "note")


class Stores:
    """The stores that rows ask for, each started when it is first needed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._started: dict[str, Store] = {}

    def __getitem__(self, name: str) -> Store:
        if name not in self._started:
            self._started[name] = {"moto": self._moto, "swift": self._swift}[name]()
        return self._started[name]

    def _moto(self) -> Store:
        keys = ("moto-access-key", "moto-secret-that-must-never-be-printed")
        return Store("moto", self._child("stores.moto"), *keys, checks_signatures=False)

    def _swift(self) -> Store:
        place = swift.data_parent()
        if importlib.util.find_spec("swift") is None or place is None:
            raise Impossible("needs OpenStack Swift, and a directory with user xattrs")
        keys = (swift.ACCESS_KEY, swift.SECRET_KEY)
        return Store("swift", self._child("stores.swift", place), *keys, checks_signatures=True)

    def _child(self, *words: str) -> str:
        server = ChildServer(*words)
        self._stack.callback(server.stop)
        return server.url


def verdict(row: Row, stores: Stores) -> Verdict:
    """Inject one row's fault, in a directory that is removed afterwards."""
    try:
        with tempfile.TemporaryDirectory(prefix="s3pp-faults-") as root:
            store = stores[row.store]
            with FaultProxy(store.url).serving() as proxy:
                return row.act(Place(store, proxy, Path(root)))
    except Impossible as reason:
        return Verdict("-", str(reason))


@contextmanager
def started() -> Iterator[Stores]:
    """The stores; all that were started are stopped at the end."""
    with ExitStack() as stack:
        yield Stores(stack)


def measured(
    rows: Sequence[Row], progress: Callable[[str], None]
) -> list[tuple[Row, Verdict, float]]:
    """Each row's verdict, and the seconds that it took."""
    found = []
    with started() as stores:
        for row in rows:
            began = time.monotonic()
            one = verdict(row, stores)
            found.append((row, one, time.monotonic() - began))
            progress(f"{row.number}: {one.result} {one.note}")
    return found


def chosen(wanted: str) -> list[Row]:
    """The rows by number; raises ValueError at one that does not exist."""
    numbers = wanted.split(",") if wanted else [row.number for row in ROWS]
    unknown = set(numbers) - {row.number for row in ROWS}
    if unknown:
        raise ValueError(f"--rows: no such row: {', '.join(sorted(unknown))}")
    return [row for row in ROWS if row.number in numbers]


def main(argv: Sequence[str]) -> int:
    """Print the table; 1 where a row broke a promise (X) or did not end (H)."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--rows", default="", metavar="U1,D3,…", help="default: all")
    options = command.parse_args(argv)
    try:
        rows = chosen(options.rows)
    except ValueError as wrong:
        command.error(str(wrong))
    found = measured(rows, lambda line: print(line, file=sys.stderr, flush=True))
    lines = [
        [row.number, row.fault, v.result, f"{s:.0f}", *peers.RESULTS[row.number], v.note]
        for row, v, s in found
    ]
    print(f"\n{Table('Faults', COLUMNS, lines)}", flush=True)
    return int(any(v.broken for _, v, _ in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
