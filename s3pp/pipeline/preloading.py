"""What the workers of a run need, imported before they are forked, so that they share it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from importlib import import_module

from s3pp.integrity.checksums import ALGORITHMS
from s3pp.job import Job
from s3pp.places import Source

TITLES = {  # of workers
    "put": "putter",
    "get": "getter",
    "copy": "copier",
    "remove": "deleter",
    "verify": "verifier",
}
_MODULES = {"remove": "delete.objects", "verify": "verify.verifier"}


def load(job: Job) -> None:
    """Import the modules that every worker of ``job`` needs, so that forked workers share them."""
    module = _MODULES.get(job.verb) or f"{job.verb}.{TITLES[job.verb]}"
    import_module(f"s3pp.transfer.{module}")


def load_more(job: Job) -> None:
    """Import what the workers of a run of many objects may need, before a second one is forked.

    A first worker imports it when it does need it.
    """
    with suppress(ImportError):
        import_module("uvloop")
    if computes_crcs(job):
        with suppress(ImportError):  # it has no wheels for some machines
            import_module("awscrt.checksums")


def computes_crcs(job: Job) -> bool:
    """Return whether most workers will need awscrt, whose import takes longer than all others.

    Otherwise those import it that send a part with its checksum.
    """
    named = ALGORITHMS.get(job.objects.checksum)  # None: auto
    if job.verb == "get" or named is not None:
        return named is None or job.verb == "get" or named.needs_awscrt
    is_aws = job.access.endpoint_url is None  # as far as known before the children are started
    return job.verb == "put" and is_aws and any(map(partial(_is_large, job), job.sources))


def _is_large(job: Job, source: Source) -> bool:
    """Return whether a source is a file that is sent in parts."""
    try:
        found = os.stat(source.path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > job.parts.threshold
