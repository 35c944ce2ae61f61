"""The findings about a Dask worker: what it is, and what is printed of its own checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from s3pp import __version__
from s3pp.diagnosis.examination import Examined
from s3pp.diagnosis.findings import Diagnosis, Finding, Rating, failed, ok, warning
from s3pp.pipeline.cluster.dask_worker import this_python

Sections = Mapping[str, Sequence[Finding]]  # by their titles

# What each machine has of its own, or reaches in its own way; with the names of their checks.
_SHOWN: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("credentials", "source"): "credentials",
        ("credentials", "key id"): "key id",
        ("network", "endpoint"): "endpoint",
        ("bucket", "clock"): "clock",
        ("store", "buckets"): "buckets",
        ("speed", "latency"): "latency",
    }
)
_PERMISSIONS = "permissions"
_SLOW = 0.1  # seconds: each batch of tasks needs a few round trips
_FROM_HERE = "those of this machine (--dask-send-credentials)"


def is_same_version(facts: Mapping[str, Any]) -> bool:
    """Whether a Dask worker understands what this machine sends; ``facts`` as of ``describe``."""
    return (facts["version"], facts["python"]) == (__version__, this_python())


def check_facts(facts: Mapping[str, Any], examined: Examined) -> Iterator[Finding]:
    """Yield what a run would look at before it begins; a problem keeps it from that."""
    yield _check_version(facts)
    if examined.path and facts["unseen"]:
        advice = "mount there what is here, under the same path"
        yield failed("path", facts["unseen"], advice)
    elif examined.path:
        yield ok("path", f"{examined.path!r} is the same as here")
    yield _describe_threads(facts["threads"], examined)


def _check_version(facts: Mapping[str, Any]) -> Finding:
    found = f"s3pp {facts['version']} on {facts['python']}"
    if is_same_version(facts):
        return ok("version", f"{found}, as here")
    advice = "install the same version there, for the same Python"
    return failed("version", f"{found}; here it is {__version__} on {this_python()}", advice)


def _describe_threads(threads: int, examined: Examined) -> Finding:
    job = examined.job
    processes = min(job.cluster.processes or threads, threads, job.speed.concurrency)
    words = "1 process" if processes == 1 else f"{processes} processes"
    return ok("threads", f"{threads}: a run has {words} there")


def check_round_trip(seconds: float, *, is_direct: bool) -> Finding:
    """Whether messages to a Dask worker take long; ``seconds`` for one and its answer."""
    found = f"median {seconds * 1000:.1f} ms through Dask"
    if not is_direct:
        advice = "let this machine connect to the Dask worker: else all passes the scheduler"
        return warning("round trip", f"{found}, by the scheduler", advice)
    if seconds > _SLOW:
        return warning("round trip", found, "start s3pp nearer to the cluster: tasks arrive late")
    return ok("round trip", f"{found}, directly")


def write_sections(diagnosis: Diagnosis) -> str:
    """Encode all findings as a line."""
    return json.dumps(diagnosis.sections)


def read_sections(text: str) -> Sections:
    """Decode what ``write_sections`` has encoded."""
    return {
        title: [Finding(check, Rating(rating), *rest) for check, rating, *rest in findings]
        for title, findings in json.loads(text).items()
    }


def summarize(sections: Sections, *, sent: bool) -> Iterator[Finding]:
    """Yield every problem, what each machine has of its own, and permissions in one line.

    ``sent``: its credentials are those of the run.
    """
    for title, findings in sections.items():
        if title == _PERMISSIONS:
            yield from _join_permissions(findings)
            continue
        for each in findings:
            check = _SHOWN.get((title, each.check), "")
            if sent and check == "credentials":
                yield each._replace(check=check, found=_FROM_HERE)
            elif check or each.is_problem:
                yield each._replace(check=check or each.check)


def _join_permissions(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield problems one by one, and of the others one for each rating and reason."""
    joined: dict[tuple[Rating, str], list[str]] = {}
    for each in findings:
        if each.is_problem:
            yield each
        else:
            joined.setdefault((each.rating, each.found), []).append(each.check)
    for (rating, found), checks in joined.items():
        yield Finding(_PERMISSIONS, rating, f"{', '.join(checks)}: {found}")
