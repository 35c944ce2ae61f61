"""The counts of a run as ``--metrics FILE`` has them, in the text format of Prometheus.

For the textfile collector of node_exporter, which reads the file whenever it is asked. The format:
https://prometheus.io/docs/instrumenting/exposition_formats/

What the last run has left (when it ended, its exit code, when one last succeeded) is taken over
from the file while another run goes on, and for as long as none succeeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

from s3pp import __version__
from s3pp.errors import ExitStatus
from s3pp.escaping import one_line
from s3pp.job import Job
from s3pp.report.lines import KeyTotals
from s3pp.report.replacing import replacing
from s3pp.report.totals import RunReport, Totals

BEGINS = b"# HELP s3pp_"
MODE = 0o644  # node_exporter has a user of its own; the file names places, and no objects
PERIOD = 15.0  # seconds between two writes during a run; a usual interval of Prometheus
MOST_READ = 1 << 20  # bytes of the file of an earlier run
LONGEST = 200  # characters of a label

Labels = tuple[tuple[str, str], ...]  # names and values

# Each metric: what it is, and its type. Only the ``last`` ones outlive a run.
METRICS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "s3pp_run_active": ("Whether a run is in progress.", "gauge"),
        "s3pp_run_info": ("The version of s3pp that wrote this.", "gauge"),
        "s3pp_run_start_time_seconds": ("When the run began, since the epoch.", "gauge"),
        "s3pp_run_duration_seconds": ("How long the run has taken so far.", "gauge"),
        "s3pp_run_listed_objects": ("Objects that the run has found so far.", "gauge"),
        "s3pp_objects_total": ("Objects of the run by outcome.", "counter"),
        "s3pp_bytes_total": ("Bytes of the run's objects by outcome.", "counter"),
        "s3pp_sent_bytes_total": ("Bytes transferred, parts included.", "counter"),
        "s3pp_requests_total": ("Requests to the store.", "counter"),
        "s3pp_retries_total": ("Failed attempts of requests by cause.", "counter"),
        "s3pp_throttled_requests_total": ("Requests that the store has throttled.", "counter"),
        "s3pp_throttled_seconds_total": ("Time with a limit on the rate of requests.", "counter"),
        "s3pp_last_end_time_seconds": ("When the last run ended, since the epoch.", "gauge"),
        "s3pp_last_exit_code": ("The exit code of the last run that ended.", "gauge"),
        "s3pp_last_success_time_seconds": ("When a run last exited with 0.", "gauge"),
    }
)
_END, _CODE = "s3pp_last_end_time_seconds", "s3pp_last_exit_code"
_SUCCESS = "s3pp_last_success_time_seconds"


class Sample(NamedTuple):
    """One value of a metric."""

    name: str
    value: float
    labels: Labels = ()  # in addition to those of the run


class MetricsFile:
    """The file of ``--metrics``, of one run."""

    def __init__(self, job: Job, *, started: float | None = None) -> None:
        """``started``: seconds since the epoch; None: now."""
        self._path = str(job.output.metrics)
        self._labels = labels_of(job)
        self._started = time.time() if started is None else started
        self._due = 0.0  # of a monotonic clock
        self._fault = ""  # why it could not be written the last time

    def tick(self, totals: Totals, now: float) -> str | None:
        """Write the counts so far where they are due; ``now``: a ``time.monotonic()``.

        Returns a complaint, once, if that fails.
        """
        if now < self._due:
            return None
        self._due, before = now + PERIOD, self._fault
        self._write(totals, None)
        return f"{self._fault}; the run continues" if self._fault and not before else None

    def end(self, result: RunReport) -> str | None:
        """Write the counts of the run that has ended; returns a complaint if that fails."""
        self._write(result.totals, result.status)
        return self._fault or None

    def _write(self, totals: Totals | KeyTotals | None, status: ExitStatus | None) -> None:
        samples = [*self._run(status), *counts_of(totals), *self._last(status)]
        self._fault = ""
        try:
            with replacing(self._path, MODE, durable=False) as file:
                file.write(render(samples, self._labels))
        except OSError as error:
            self._fault = f"--metrics {self._path!r} cannot be written: {error.strerror}"

    def _run(self, status: ExitStatus | None) -> Iterator[Sample]:
        yield Sample("s3pp_run_active", float(status is None))
        yield Sample("s3pp_run_info", 1.0, (("version", __version__),))
        yield Sample("s3pp_run_start_time_seconds", self._started)
        yield Sample("s3pp_run_duration_seconds", max(0.0, time.time() - self._started))

    def _last(self, status: ExitStatus | None) -> Iterator[Sample]:
        """Yield what the last run has left: this one, if it has ended with ``status``."""
        found = _earlier(self._path, _label_text(self._labels))
        if status is not None:
            found |= {_END: time.time(), _CODE: float(status)}
        if status is ExitStatus.OK:
            found[_SUCCESS] = time.time()
        yield from (Sample(name, found[name]) for name in (_END, _CODE, _SUCCESS) if name in found)


def labels_of(job: Job) -> Labels:
    """Return the labels of all samples of a run."""
    mode = "" if job.verb in ("clean", "remove") else job.mode.value
    first, *others = job.reads or ("",)
    source = f"{first} (+{len(others)})" if others else first
    found = {"verb": job.title, "mode": mode, "source": source, "dest": job.writes}
    return tuple((name, one_line(text)[:LONGEST]) for name, text in found.items())


def counts_of(totals: Totals | KeyTotals | None) -> Iterator[Sample]:
    """Yield the samples of the totals of a run; none where they are unknown."""
    if not isinstance(totals, Totals):
        return
    yield Sample("s3pp_run_listed_objects", totals.listed)
    outcomes = ("done", "skipped", "failed", "deleted", "not_attempted")
    for name in outcomes:
        outcome = (("outcome", name),)
        yield Sample("s3pp_objects_total", getattr(totals, name), outcome)
    for name, size in (("done", totals.bytes), ("deleted", totals.deleted_bytes)):
        yield Sample("s3pp_bytes_total", size, (("outcome", name),))
    yield Sample("s3pp_sent_bytes_total", totals.moved)
    yield Sample("s3pp_requests_total", totals.requests)
    for cause, count in sorted(totals.retries.items()):
        yield Sample("s3pp_retries_total", count, (("cause", one_line(cause)[:LONGEST]),))
    yield Sample("s3pp_throttled_requests_total", totals.flow.throttled)
    yield Sample("s3pp_throttled_seconds_total", round(totals.flow.limited, 3))


def render(samples: Iterable[Sample], labels: Labels) -> str:
    """Return the text of ``samples``, which all have ``labels``."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.name, []).append(sample)
    return "".join(_family(name, several, labels) for name, several in found.items())


def _family(name: str, samples: Sequence[Sample], labels: Labels) -> str:
    about, kind = METRICS[name]
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    lines += [
        f"{name}{{{_label_text((*labels, *each.labels))}}} {_number(each.value)}"
        for each in samples
    ]
    return "".join(f"{line}\n" for line in lines)


def _label_text(labels: Labels) -> str:
    return ",".join(f'{name}="{_quoted(text)}"' for name, text in labels)


def _quoted(text: str) -> str:
    """Return a label's value, with the escapes of the format."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _earlier(path: str, labels: str) -> dict[str, float]:
    """Return what the file says of the last runs with these labels."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(MOST_READ).split("\n")
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, value = line.partition(f"{{{labels}}} ")
        if name in (_END, _CODE, _SUCCESS):
            with suppress(ValueError):
                found[name] = float(value)
    return found
