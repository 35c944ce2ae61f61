"""Options about what a run prints, and about the files that it writes of itself."""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.facts import Invocation
from s3pp.option import FILE, Option, option, options


@dataclass(frozen=True)
class Output:
    """Options for what is printed or logged, and where."""

    program: str = "s3pp"  # begins every message on stderr
    voice: str = ""  # ``module:Class``, see ``report/voice.py``; empty: the lines of s3pp
    verbosity: int = 0  # -q counts down, -v counts up
    json: bool = option(
        False,
        "--json",
        help="one JSON object per line on stdout",
        list="one JSON object per line",
        du="one JSON object per line",
    )
    summarize: bool = option(
        False, "--summarize", help="end with the number of objects and their bytes"
    )
    progress: bool | None = options(  # None: when stderr is a terminal
        None,
        Option(("--progress",), "show progress on stderr (default: on a terminal)"),
        Option(("--no-progress",), "show no progress", sets=False),
    )
    precount: bool = option(
        True,
        "--no-precount",
        help="show progress without counting ahead, which lists or walks the source a second time",
        sets=False,
    )
    journal: str | None = option(
        None,
        "--journal",
        FILE,
        help="append a JSON line with the outcome of each object",
        clean="append a JSON line with the outcome of each upload",
    )
    log_file: str | None = option(
        None,
        "--log-file",
        FILE,
        help="append completed objects, notices, failures and the summary, with the time",
    )
    report: str | None = option(
        None,
        "--report",
        FILE,
        help="write a page about the run to FILE, in HTML: throughput, latencies, failures",
    )
    metrics: str | None = option(
        None,
        "--metrics",
        FILE,
        help="write the counts of the run to FILE, in the text format of Prometheus",
    )
    invocation: Invocation | None = None  # of a run with a journal or a report

    @property
    def keeps_facts(self) -> bool:
        """Whether what a journal has of each object is recorded, for the journal or the report."""
        return self.journal is not None or self.report is not None
