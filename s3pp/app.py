"""Runs a job: the same steps for every verb and every front end.

::

    checks ──▶ sandbox, where it is asked for ──▶ the verb's run ──▶ its last lines
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from s3pp.errors import ExitStatus, FatalError, S3ppError, UsageError, exit_status
from s3pp.job import STREAM, Job
from s3pp.report.outlet import message
from s3pp.report.own_files import (
    append_to_log,
    check_own_files,
    create_own_files,
    log_error,
    may_replace,
    open_cache,
)

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams
    from s3pp.report.totals import RunReport


MOST_READ = 1 << 20  # bytes of a file of certificates, in which the first of them begins
# Descriptors, measured, plus a margin for TLS and the files a run writes: of a run in one process,
# which takes 18, or of a supervisor, which takes 30; and for each worker, which takes 4.
DESCRIPTORS, EACH_WORKER = 32, 4
_SINGLE_PROCESS = ("list", "du", "clean")


class Question(NamedTuple):
    """A job that runs before the others if the user agrees.

    The question is asked on a terminal only, and only if ``look`` finds anything to do.
    """

    look: Job  # the dry run of ``job``
    job: Job
    text: str
    consent: str  # the answer that agrees


class Plan(NamedTuple):
    """The meaning of a command line of several steps."""

    jobs: tuple[Job, ...]  # run in turn
    notices: tuple[str, ...] = ()  # for users, before the first
    prologue: tuple[str, ...] = ()  # the first lines on stdout
    question: Question | None = None
    chained: bool = False  # a job that could not run, or was aborted, ends the plan
    # The last line on stdout where every job succeeded, of the seconds they took.
    epilogue: Callable[[float], str] | None = None


def run_plan(plan: Plan, output: Streams) -> ExitStatus:
    """Run the jobs of a plan in turn; a signal ends it. Returns the worst exit code.

    An error that keeps a job from running is printed, and the next one runs all the same, unless
    the jobs of the plan are chained.
    """
    started, worst = time.monotonic(), ExitStatus.OK
    last = ExitStatus.SOME_FAILED if plan.chained else ExitStatus.ABORTED
    program = plan.jobs[0].output.program if plan.jobs else "s3pp"
    output.stderr.lines([message(program, each) for each in plan.notices])
    output.stdout.lines(list(plan.prologue))
    for step in _steps(plan, output):
        worst = max(worst, step.status)
        if worst > last:
            return worst
    if worst is ExitStatus.OK and plan.epilogue is not None:
        output.stdout.lines([plan.epilogue(time.monotonic() - started)])
    return worst


def _steps(plan: Plan, output: Streams) -> Iterator[RunReport]:
    """Run each job when its report is asked for, and first what the user agrees to."""
    question = plan.question
    if question is not None and os.isatty(0) and output.stderr.terminal:
        found = _attempt(question.look, output)
        yield found
        if found.transferred and _agrees(question, output):
            yield _attempt(question.job, output)
    for job in plan.jobs:
        yield _attempt(job, output)


def _agrees(question: Question, output: Streams) -> bool:
    output.stderr.write(question.text)
    return sys.stdin.readline().strip() == question.consent


def _attempt(job: Job, output: Streams) -> RunReport:
    """Run ``job``, and print the error that keeps it from running."""
    from s3pp.report.totals import RunReport

    try:
        return run(job, output)
    except S3ppError as error:
        output.stderr.lines([message(job.output.program, str(error))])
        return RunReport(exit_status(error), None)


def run(job: Job, output: Streams) -> RunReport:
    """Run ``job`` to completion, and print its final lines.

    Raises ``UsageError`` for files and places that cannot be used, and ``FatalError`` for errors
    found before anything is done; both are also written to the job's log.
    """
    if (called := job.output.invocation) is not None and called.directory:
        _enter(called.directory)
    job, began = _with_plan(job), time.time()
    check_own_files(job)
    try:
        _check_files(job, output)
        alone = job.is_stream or job.verb in _SINGLE_PROCESS
        _ensure_descriptors(0 if alone else job.speed.processes)
        start = _start if job.locking.lock is None else _start_locked
        return start(job, output, began)
    except S3ppError as error:
        log_error(job, str(error))
        if not _is_locked_out(error):
            _record_failure(error, job, output, began=began)
        raise


def _is_locked_out(error: S3ppError) -> bool:
    """Whether another run has the lock: the metrics and the report are that one's."""
    from s3pp.pipeline.exclusion import AnotherRunError

    return isinstance(error, AnotherRunError)


def _record_failure(error: S3ppError, job: Job, output: Streams, *, began: float) -> None:
    """Write the metrics and the report of a run that could not begin."""
    from s3pp.report.totals import RunReport

    result = RunReport(exit_status(error), None, str(error))
    if may_replace(job, "--metrics"):
        _write_metrics(result, job, output, began=began)
    if job.output.report and may_replace(job, "--report"):
        from s3pp.report.page.writer import write_unbegun

        if fault := write_unbegun(job, result):
            output.stderr.lines([message(job.output.program, fault)])


def _write_metrics(result: RunReport, job: Job, output: Streams, *, began: float) -> RunReport:
    """Return ``result``, which is in the metrics of the run by then.

    ``began``: seconds since the epoch.
    """
    if job.output.metrics is not None and not job.dry_run:
        from s3pp.report.metrics import MetricsFile

        if fault := MetricsFile(job, started=began).end(result):
            output.stderr.lines([message(job.output.program, fault)])
    return result


def _start(job: Job, output: Streams, began: float) -> RunReport:
    with _sandbox_for(_settle(job, output), output) as reached:
        result = _run(reached, output)
    return _write_metrics(result, job, output, began=began)


def _start_locked(job: Job, output: Streams, began: float) -> RunReport:
    """Run while no other run holds the job's lock; what happens else is as the job says."""
    from s3pp.pipeline.exclusion import AnotherRunError, acquire
    from s3pp.pipeline.signals import Stopped
    from s3pp.report.totals import RunReport

    try:
        lock = acquire(job, lambda text: _notify(text, job, output))
    except Stopped as stopped:
        return _stopped(stopped.status, job, output)
    except AnotherRunError as error:
        if job.locking.if_locked == "fail":
            raise
        log_error(job, str(error))
        _notify(str(error), job, output)
        return RunReport(ExitStatus.LOCKED, None, str(error))
    with lock:
        return _start(job, output, began)


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise UsageError(
            f"the run was started in {directory!r}, which cannot be entered: {error.strerror}"
        ) from None


def _with_plan(job: Job) -> Job:
    from s3pp.sources import checking

    return checking.with_plan(job)


# Checks


def _check_files(job: Job, output: Streams) -> None:
    """Raise ``UsageError`` for files of the job that cannot be used."""
    if job.access.ca_bundle is not None:
        _check_certificates(job.access.ca_bundle, "--ca-bundle")
    if job.choosing.files_from == STREAM:
        _check_stdin("--files-from -", "the list")
    if job.directory == STREAM and output.stdout.closed_at_start:
        raise UsageError("DIRECTORY -: standard output is closed; send it to a file or a program")
    _check_places(job)
    if job.choosing.retry_from:
        _notify_unknown(job, output)
    for remark in create_own_files(job):  # last, because it creates them
        _notify(remark, job, output)


def _read_beginning(path: str, argument: str) -> bytes:
    """Read up to ``MOST_READ`` bytes of a file. Raises ``UsageError``."""
    try:
        with open(path, "rb") as file:
            return file.read(MOST_READ)  # a directory opens, and then cannot be read
    except OSError as error:
        raise UsageError(f"{argument} {path!r} cannot be read: {error.strerror}") from None


def _check_certificates(path: str, argument: str) -> None:
    # OpenSSL also accepts TRUSTED CERTIFICATE and X509 CERTIFICATE.
    if b"CERTIFICATE-----" not in _read_beginning(path, argument):
        raise UsageError(
            f"{argument} {path!r} contains no certificate: name a file of PEM certificates"
        )


def _check_stdin(argument: str, content: str) -> None:
    try:
        os.read(0, 0)
    except OSError:
        raise UsageError(f"{argument}: standard input is closed; send it {content}") from None


def _check_places(job: Job) -> None:
    """Raise ``UsageError`` for sources, filters or a DIRECTORY that cannot be used."""
    from s3pp.sources import checking

    if job.verified is not None or job.listing.buckets:
        return
    if job.applies is not None:
        checking.check_planned(job)
    elif job.reads_stdin:
        _check_stdin("SOURCE -", "the object's content")
        checking.check_key(job.dest.prefix)
    elif not job.origins:
        checking.check(job)
    else:
        checking.check_origin(job)


def _notify_unknown(job: Job, output: Streams) -> None:
    from s3pp.sources import checking

    for text in checking.notices(job):
        _notify(text, job, output)


def _settle(job: Job, output: Streams) -> Job:
    from s3pp.sources import checking

    job, notice = open_cache(job)
    if notice is not None:
        _notify(notice, job, output)
    return checking.settle(job)


def _ensure_descriptors(workers: int) -> None:
    """Raise the soft limit on open files as far as the run needs.

    Raises ``FatalError`` where the system forbids it: with too few, failures are obscure (modules
    are not found, libraries do not start).
    """
    least = DESCRIPTORS + EACH_WORKER * workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= least:
        return
    if hard == resource.RLIM_INFINITY or hard >= least:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))
            return
    raise FatalError(
        f"at most {soft} files may be open here, and {least} are needed: raise ulimit -n"
    )


def _notify(text: str, job: Job, output: Streams) -> None:
    from s3pp.report.voice import notice_lines

    notice_lines(text, job).write_to(output)


# The run


@contextmanager
def _sandbox_for(job: Job, output: Streams) -> Iterator[Job]:
    """Yield ``job`` itself or, with ``--sandbox``, ``job`` against a fresh S3 in memory.

    The sandbox has the job's buckets, and is stopped on exit.
    """
    if not job.sandbox:
        yield job
        return
    from s3pp.sandbox import Sandbox

    buckets = [bucket for bucket in (*job.buckets, job.dest.bucket) if bucket]
    with Sandbox() as sandbox, sandbox.export_to(os.environ):
        for bucket in dict.fromkeys(buckets):
            sandbox.create_bucket(bucket)
        _notify("S3 in memory, for this run only: nothing is kept", job, output)
        yield replace(job, access=replace(job.access, endpoint_url=sandbox.url))


def _run(job: Job, output: Streams) -> RunReport:
    from s3pp.pipeline.runs import run_verb
    from s3pp.pipeline.signals import Stopped

    if job.directory == STREAM:  # what is printed must not be mixed with the object
        output = output._replace(stdout=output.stderr)
    try:
        result = run_verb(job, output)
    except Stopped as stopped:
        return _stopped(stopped.status, job, output)
    return _report(result, job, output)


def _stopped(status: ExitStatus, job: Job, output: Streams) -> RunReport:
    from s3pp.report.totals import RunReport

    output.stderr.lines([message(job.output.program, "stopped before anything was done")])
    return RunReport(status, None)


# The last lines


def _report(result: RunReport, job: Job, output: Streams) -> RunReport:
    """Print the error, if any, and the last lines; a failure to write stdout is an error too."""
    from s3pp.report.totals import settled

    program, result = job.output.program, settled(result, job)
    if result.error is not None:
        log_error(job, result.error)
        output.stderr.lines([message(program, result.error)])
    _print_end(result, job, output)
    if output.stdout.trouble is None:
        return result
    trouble = f"standard output cannot be written: {output.stdout.trouble}"
    if trouble != result.error:  # a disk that is full by now is full to the end
        output.stderr.lines([message(program, trouble)])
    output.stdout.trouble = None  # it has been reported
    return result._replace(status=ExitStatus.ABORTED, error=result.error or trouble)


def _print_end(result: RunReport, job: Job, output: Streams) -> None:
    from s3pp.report.voice import last_lines

    last = last_lines(result, job)
    if last.log and job.output.log_file is not None:
        fault = append_to_log(job.output.log_file, last.log)
        if fault is not None:
            text = f"{fault}: its last lines are these"
            output.stderr.lines([message(job.output.program, text)])
            last = last.without_log()
    output.stderr.lines(last.stderr)
    output.stdout.lines(last.stdout)
