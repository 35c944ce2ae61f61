"""How long the store takes to answer, and the concurrency that follows.

Of Little's law: requests in flight = requests a second × seconds for each. What this program does
on one core is measured in docs/performance.rst ("Uploading to an empty bucket"): of small objects
8,537 a second over http on two cores, 5,117 over https. A store that is AWS accepts 3,500 writes
and 5,500 reads a second for each prefix (S3 user guide, "Performance design patterns").
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from s3pp.diagnosis.findings import Finding, not_tried, ok
from s3pp.diagnosis.requests import ExaminedBucket, ask
from s3pp.errors import ObjectError
from s3pp.limits import MAX_CONCURRENCY
from s3pp.processors import usable_processors
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.retry import StoreError

SAMPLES, LEAST_SAMPLES = 16, 4
LONGEST = 5.0  # seconds for all samples
PER_CORE = {"http": 4300, "https": 2600}  # objects a second
AWS_PREFIX = 5500  # requests a second
RESERVE = 2.0  # writes take longer than a HEAD, and answers do not come evenly
LEAST = 64  # docs/performance.rst: even without latency, fewer are hardly faster
DEFAULT = 512


async def measure(target: ExaminedBucket, key: str, connect: float) -> AsyncIterator[Finding]:
    """Yield findings on the time of HEADs of ``key``; ``connect`` is that of a connection."""
    yield ok("new connection", f"{connect * 1000:.1f} ms")
    times = await _sample(lambda: target.bucket.look(key))
    if len(times) < LEAST_SAMPLES:
        yield not_tried("latency", "HEAD requests are refused, or take too long")
        return
    median, late = quantile(times, 0.5), quantile(times, 0.95)
    found = f"median {median * 1000:.1f} ms, 95% within {late * 1000:.1f} ms"
    yield ok("latency", f"{found} ({len(times)} HEAD requests on a kept connection)")
    yield suggest(target.bucket.endpoint, median, cores=usable_processors())


async def _sample(request: Callable[[], Awaitable[object]]) -> list[float]:
    """The seconds that each of some requests takes, after a first one that connects."""
    times: list[float] = []
    ends = time.monotonic() + LONGEST
    for _ in range(SAMPLES + 1):
        started = time.monotonic()
        answer = await ask("HeadObject", request())
        absent = isinstance(answer, StoreError) and answer.status == 404
        if isinstance(answer, ObjectError) and not absent:
            return []
        times.append(time.monotonic() - started)
        if time.monotonic() > ends:
            break
    return times[1:]


def quantile(times: Sequence[float], share: float) -> float:
    """The time within which ``share`` of the requests were answered."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def suggested_concurrency(endpoint: Endpoint, median: float, *, cores: int) -> int:
    """Requests in flight that keep ``cores`` busy at a latency of ``median`` seconds.

    A power of two, from ``LEAST`` up.
    """
    rate = PER_CORE[endpoint.scheme] * cores
    if endpoint.is_aws:
        rate = min(rate, AWS_PREFIX)
    wanted, found = RESERVE * rate * median, LEAST
    while found < wanted and found * 2 <= MAX_CONCURRENCY:
        found *= 2
    return found


def suggest(endpoint: Endpoint, median: float, *, cores: int) -> Finding:
    """The options that suit a latency of ``median`` seconds."""
    concurrency = suggested_concurrency(endpoint, median, cores=cores)
    processes = max(2, cores)
    found = f"-c {concurrency} --processes {processes}, for small objects"
    if concurrency <= DEFAULT:
        return ok("suggestion", f"{found}; the default, -c {DEFAULT}, is enough")
    return ok("suggestion", found, f"with -c {DEFAULT}, the default, the run waits for the store")
