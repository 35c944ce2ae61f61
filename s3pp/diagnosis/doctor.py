"""A doctor from its arguments to its exit code."""

from __future__ import annotations

from s3pp.diagnosis.examination import Examination, Examined
from s3pp.diagnosis.findings import Diagnosis
from s3pp.diagnosis.page import FindingsPage
from s3pp.errors import ExitStatus, S3ppError
from s3pp.pipeline.signals import Signals, Stopped
from s3pp.report.outlet import Streams


def examine(examined: Examined, streams: Streams) -> ExitStatus:
    """Make all checks, and print what they find; returns the exit code."""
    diagnosis = Diagnosis()
    page = FindingsPage(diagnosis, examined.job.output, streams)
    with Signals():
        try:
            examination = Examination(examined, diagnosis, page)
            examination.run()
            if examined.job.cluster.dask is not None:
                _examine_cluster(examination, page)
        except Stopped as stopped:
            return stopped.status
    page.close(examined.job.reads[0] if examined.job.origins else "")
    return diagnosis.status


def _examine_cluster(local: Examination, page: FindingsPage) -> None:
    """Make the checks of the Dask workers, after those of this machine."""
    from s3pp.diagnosis.cluster_checks import ClusterChecks  # what few runs need

    try:
        ClusterChecks(local.examined, local.diagnosis, page).run(local.opened)
    except S3ppError as error:
        local.diagnosis.end(error)
