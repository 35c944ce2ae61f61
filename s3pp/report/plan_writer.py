"""Writes the plan of a dry run, ``--plan FILE``: under a temporary name, until it is complete.

The lines are sorted by destination, on the disk where they are many, so that the same decisions
make the same plan, and that ``apply`` can read it beside a listing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.localfs.paths import shown
from s3pp.records import Deleted, Done, Outcome
from s3pp.report.appender import MODE
from s3pp.report.lines import as_json
from s3pp.report.replacing import replacing
from s3pp.report.totals import Totals, summary_event
from s3pp.sources.filters import key_bytes
from s3pp.sources.plan_lines import PlanLines
from s3pp.sources.plan_settings import settings_of

BLOCK = 1000  # lines that are held in memory before they are written to a temporary file

Row = tuple[bytes, str]  # what it sorts by, and the line


class PlanWriter:
    """The plan of one run. Its methods raise ``FatalError`` where it cannot be written."""

    def __init__(self, job: Job) -> None:
        self._path = str(job.plan)
        self._rows: list[Row] = []
        self._spool: IO[bytes] | None = None
        self._written = 0
        self.settle(job)

    def settle(self, job: Job) -> None:
        """Name places as ``job`` does, of which more is known by now."""
        self._job = job
        self._lines = PlanLines(job)

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Add what would be transferred."""
        for outcome in outcomes:
            if isinstance(outcome, Done | Deleted):
                line = as_json(self._lines.encode(outcome))
                self._rows.append((key_bytes(outcome.target), line))
        if len(self._rows) >= BLOCK:
            self._spill()

    def close(self, totals: Totals) -> None:
        """Write the plan; ``totals`` are those of the run, which is complete."""
        try:
            with replacing(self._path, MODE) as file:
                self._write(file, totals)
        except OSError as error:
            raise self._fault(error) from None

    def discard(self) -> None:
        """Free the space of an incomplete plan."""
        if self._spool is not None:
            self._spool.close()

    def _write(self, file: IO[str], totals: Totals) -> None:
        file.write(as_json(settings_of(self._job)) + "\n")
        memory = SortMemory(RICH_RUN_LENGTH)
        for _, line in sort_records(self._all(), memory=memory):
            file.write(f"{line}\n")
            self._written += 1
        summary = {**summary_event(totals, self._job), "lines": self._written}
        file.write(as_json({"totals": summary}) + "\n")

    def _all(self) -> Iterator[Row]:
        """Yield all rows, in the order in which they came."""
        if self._spool is not None:
            self._spool.seek(0)
            with suppress(EOFError):
                while True:
                    yield from pickle.load(self._spool)
        yield from self._rows

    def _spill(self) -> None:
        try:
            if self._spool is None:
                self._spool = TemporaryFile(prefix="s3pp-plan-")  # noqa: SIM115
            pickle.dump(self._rows, self._spool, pickle.HIGHEST_PROTOCOL)
        except OSError as error:
            raise self._fault(error) from None
        self._rows = []

    def _fault(self, error: OSError) -> FatalError:
        return FatalError(
            f"--plan '{shown(str(self._job.plan))}' cannot be written: {error.strerror}"
        )
