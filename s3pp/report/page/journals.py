"""The runs in journals: which one a report is about, and the run before it.

A journal is read twice, line by line: its runs are found first, and then the events of those that
are wanted. A run whose journal was rotated meanwhile is read as one, if all of its files are named.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from s3pp.errors import UsageError
from s3pp.localfs.paths import shown
from s3pp.report.page.aggregate import Event, RunAggregate, number_of, text_of
from s3pp.sources.journal_reader import BadJournalLine, is_incomplete, journal_lines, parse_line

KNOWN = 1000  # runs of a journal that are remembered, the last ones


class FoundRun(NamedTuple):
    """What is remembered of a run in a journal."""

    id: str  # of a run of schema 1, which has none, the number of its line
    began: str  # RFC 3339
    verb: str
    dest: str
    is_dry: bool
    file: int  # the number of the journal that it begins in
    exit_code: int | None = None  # None: the run has not come to its end
    done: int = 0  # objects, deletions included
    failed: int = 0
    seconds: float = 0.0


class Journals:
    """The journals of a report, in any order."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self.faults = 0  # lines that cannot be understood

    def find(self) -> list[FoundRun]:
        """Return the runs, in the order in which they began.

        Raises ``UsageError`` where there is none, and ``FatalError`` for what cannot be read.
        """
        found: dict[str, FoundRun] = {}
        for number, path in enumerate(self._paths):
            for run in self._runs_of(number, path):
                known = found.get(run.id)
                is_same = known is not None and known.exit_code is None
                found[run.id] = _join(known, run) if known is not None and is_same else run
        if not found:
            names = ", ".join(f"'{shown(path)}'" for path in self._paths)
            raise UsageError(f"report {names}: no run is in there: name a file of --journal")
        return sorted(found.values(), key=lambda run: run.began)

    def aggregate(self, wanted: Sequence[FoundRun]) -> list[RunAggregate]:
        """Return what is known of these runs. Raises ``FatalError``."""
        found = {run.id: RunAggregate() for run in wanted}
        for number, path in enumerate(self._paths):
            for run_id, event in self._events(number, path, list(found)):
                if run_id in found:
                    found[run_id].add(event)
        return [found[run.id] for run in wanted]

    def _runs_of(self, number: int, path: str) -> Iterator[FoundRun]:
        """Yield the runs that begin in a file, or end there."""
        open_runs: dict[str, FoundRun] = {}
        last: deque[FoundRun] = deque(maxlen=KNOWN)
        for run_id, event in self._events(number, path, ()):
            if text_of(event, "event") == "start" and run_id not in open_runs:
                open_runs[run_id] = _read_start(run_id, event, number)
            elif text_of(event, "event") == "summary":
                run = open_runs.pop(run_id, None) or _read_start(run_id, {}, number)
                last.append(_with_end(run, event))
            while len(open_runs) > KNOWN:
                last.append(open_runs.pop(next(iter(open_runs))))
        yield from last
        yield from open_runs.values()

    def _events(self, number: int, path: str, ids: Sequence[str]) -> Iterator[tuple[str, Event]]:
        """Yield the events of a file, of these runs alone, with the run's id; of none: the ends."""
        marks = [f'"run":"{each}"'.encode() for each in ids]
        is_old = not marks or any(":" in each for each in ids)  # of schema 1
        unnamed = ""
        for at, line in journal_lines(path, "report"):
            if not (_is_end(line) if not marks else is_old or any(m in line for m in marks)):
                continue
            try:
                event = parse_line(line)
            except BadJournalLine:
                self.faults += not is_incomplete(line)
                continue
            run_id = text_of(event, "run")
            if not run_id and text_of(event, "event") == "start":
                unnamed = f"{number}:{at}"
            yield run_id or unnamed, event


def choose(runs: Sequence[FoundRun], wanted: str = "") -> tuple[FoundRun, FoundRun | None]:
    """Return the run to report, the last one or that with the id ``wanted``, and the one before it.

    That is the last one before it that did the same; where it is in another journal, that named
    both, the last one before it. Raises ``UsageError`` if there is no run ``wanted``.
    """
    at = len(runs) - 1
    if wanted:
        numbers = [n for n, run in enumerate(runs) if run.id.startswith(wanted)]
        if len(numbers) != 1:
            what = "several runs have" if numbers else "no run has"
            raise UsageError(f"--run {wanted!r}: {what} an id that begins so: see the report")
        at = numbers[0]
    run, earlier = runs[at], runs[:at][::-1]
    alike = [each for each in earlier if _is_alike(each, run)]
    others = [each for each in earlier if each.file != run.file]
    return run, next(iter(alike or others), None)


def _is_alike(one: FoundRun, other: FoundRun) -> bool:
    return (one.verb, one.dest, one.is_dry) == (other.verb, other.dest, other.is_dry)


def _read_start(run_id: str, start: Event, number: int) -> FoundRun:
    began, verb, dest = (text_of(start, name) for name in ("time", "verb", "dest"))
    return FoundRun(run_id, began, verb, dest, start.get("dry_run") is True, number)


def _with_end(run: FoundRun, end: Event) -> FoundRun:
    code, done = end.get("exit_code"), number_of(end, "done") + number_of(end, "deleted")
    return run._replace(
        exit_code=code if isinstance(code, int) else 0,
        verb=run.verb or text_of(end, "verb"),
        done=int(done),
        failed=int(number_of(end, "failed")),
        seconds=number_of(end, "seconds"),
    )


def _join(one: FoundRun, other: FoundRun) -> FoundRun:
    """Return a run that is in two files: what began in one, and may have ended in the other."""
    first, last = (one, other) if other.exit_code is not None else (other, one)
    return last._replace(began=first.began or last.began, dest=first.dest or last.dest)


def _is_end(line: bytes) -> bool:
    return b'"start"' in line or b'"summary"' in line
