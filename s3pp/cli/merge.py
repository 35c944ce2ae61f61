"""``s3pp merge``: the journals of N runs with ``--shard``, joined and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from s3pp.args.building import declared_fields
from s3pp.args.parser import Group, VerbParser, add_groups, add_output
from s3pp.cli.journal_arguments import check_journals
from s3pp.errors import ExitStatus, FatalError, UsageError
from s3pp.job import STREAM
from s3pp.localfs.paths import shown

if TYPE_CHECKING:
    from s3pp.report.merging import JournalMerger
    from s3pp.report.outlet import Streams
    from s3pp.report.shard_runs import MergeReport, ShardRun

USAGE = "[-q] [--json] [-o FILE] JOURNAL..."
ABOUT = (
    "Join the journals of the N runs of a job that --shard has divided, and say whether they have"
    " covered everything exactly once: which shards are there, missing or done twice, whether each"
    " run came to its end, what failed, and whether all are runs of one job. The exit code is 0 "
    "only if everything was covered, and nothing failed."
)
_JSON, _QUIET = "output.json", "combined.quiet"
_STATES = ("done", "skipped", "deleted", "failed")


class MergeArguments(NamedTuple):
    """The arguments of the command, parsed."""

    journals: list[str]
    output: str | None  # path of the merged journal; "-": standard output; None: none is written
    json: bool
    quiet: bool


def main(argv: Sequence[str], streams: Streams) -> int:
    """Run the command and return its exit code; raises ``S3ppError``."""
    from s3pp.report.merging import JournalMerger

    given = parse(argv)
    _check(given)
    merger = JournalMerger(given.journals)
    report = merger.merge()
    lines = _lines(report, given)
    if given.output == STREAM:
        for text in _merged(merger):
            streams.stdout.write(text.decode("utf-8", "surrogateescape"))
        streams.stderr.lines(lines)
    else:
        if given.output is not None:
            _write(given.output, merger)
        streams.stdout.lines(lines)
    streams.stderr.lines([f"s3pp merge: {each.message}" for each in report.faults])
    return ExitStatus.OK if report.is_complete else ExitStatus.SOME_FAILED


def parser() -> VerbParser:
    """Create the parser of the command line."""
    made = VerbParser("merge", USAGE, ABOUT)
    made.add_argument("arguments", nargs="*", metavar="JOURNAL", help="a file of --journal")
    groups = [Group("output", (_JSON, _QUIET))]
    add_groups(made, groups, declared=declared_fields(), verb="merge")
    merged = made.add_argument_group("merged journal")
    add_output(merged, "FILE", "write all lines to FILE, a new journal; -: to standard output")
    return made


def parse(argv: Sequence[str]) -> MergeArguments:
    """Parse the arguments. Raises ``UsageError``."""
    journals, given = parser().parse(argv)
    if not journals:
        raise UsageError("merge: name the journals of all shards, files of --journal")
    paths = [*dict.fromkeys(journals)]
    flags = (bool(given.get(name)) for name in (_JSON, _QUIET))
    return MergeArguments(paths, given.get("output"), *flags)


def _check(given: MergeArguments) -> None:
    """Refuse what is no file to read, or to write. Raises ``UsageError``."""
    check_journals("merge", given.journals)
    output = given.output
    if output == "":
        raise UsageError("--output '' is empty: name a file, or leave the option out")
    if output not in (None, STREAM) and os.path.lexists(str(output)):
        raise UsageError(f"--output '{shown(str(output))}' exists: name another file, or remove it")
    if output not in (None, STREAM) and not os.path.isdir(os.path.dirname(str(output)) or "."):
        why = "its directory does not exist: create it, or name another file"
        raise UsageError(f"--output '{shown(str(output))}': {why}")


def _merged(merger: JournalMerger) -> Iterator[bytes]:
    """Yield the whole lines of all journals, those of the journal that began first first."""
    from s3pp.sources.journal_reader import is_incomplete, journal_lines

    for path in merger.paths_in_order():
        for _, text in journal_lines(path, "merge"):
            if not is_incomplete(text):
                yield text


def _write(path: str, merger: JournalMerger) -> None:
    """Write the merged journal to a new file, which is removed where it cannot be completed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.writelines(_merged(merger))
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise
    except OSError as error:
        raise FatalError(f"merge: '{shown(path)}' cannot be written: {error.strerror}") from None


def _lines(report: MergeReport, given: MergeArguments) -> list[str]:
    """Return what is printed, besides the faults; with ``-q`` nothing where there is none."""
    if given.json:
        return _json_lines(report)
    shards = [] if given.quiet else [_shard_line(report, run) for run in report.runs]
    return shards if given.quiet and report.is_complete else [*shards, _last_line(report)]


def _last_line(report: MergeReport) -> str:
    from s3pp.report.lines import pluralize

    if not report.shards:
        return "merge: no run of a shard: incomplete"
    totals = report.totals
    counts = [f"{totals['done']} done ({report.bytes} bytes)", *_counts(totals, _STATES[1:])]
    shards = f"{len(report.runs)} of {pluralize(report.shards, 'shard')}"
    verdict = "everything exactly once" if report.is_complete else "incomplete"
    return f"merge {shards}: {', '.join(counts)}: {verdict}"


def _shard_line(report: MergeReport, run: ShardRun) -> str:
    counts = _counts(report.of_shard(run.number), _STATES) or ["nothing in it"]
    code = "not ended" if run.summary is None else f"exit code {run.summary.get('exit_code')}"
    return f"shard {run.number}/{run.count}: {', '.join(counts)}, {code} ({run.name})"


def _counts(totals: Mapping[str, int], states: Sequence[str]) -> list[str]:
    return [f"{totals[state]} {state}" for state in states if totals[state]]


def _json_lines(report: MergeReport) -> list[str]:
    from s3pp.report.lines import as_json

    first = report.runs[0].start if report.runs else {}
    event: dict[str, Any] = {
        "event": "merge",
        "verb": first.get("verb"),
        "shards": report.shards,
        "complete": report.is_complete,
        **{state: report.totals[state] for state in _STATES},
        "bytes": report.bytes,
        "runs": [_run_event(report, run) for run in report.runs],
        "faults": [
            {"fault": each.fault.value, "shard": each.shard or None, "message": each.message}
            for each in report.faults
        ],
    }
    return [as_json(event)]


def _run_event(report: MergeReport, run: ShardRun) -> dict[str, Any]:
    totals = report.of_shard(run.number)
    return {
        "shard": run.number,
        "run": run.id,
        "journal": run.path,
        "exit_code": None if run.summary is None else run.summary.get("exit_code"),
        **{state: totals[state] for state in _STATES},
    }
