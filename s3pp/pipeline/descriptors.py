"""Check that the limit on open files permits a run; ``slot_count`` uses what exceeds the minimum.

With too few, failures are obscure: modules are not found, libraries do not start.
"""

from __future__ import annotations

import contextlib
import resource

from s3pp.errors import FatalError

# Measured, plus a margin for TLS and the files a run writes.
LISTING = 32  # of ``s3pp list``, which takes 18
RUN, EACH_WORKER = 32, 4  # of a supervisor and for each of its workers, which take 30 and 4


def ensure_run(processes: int) -> None:
    """Raise the soft limit as far as a run needs; ``FatalError`` where the system forbids it."""
    _ensure(RUN + EACH_WORKER * processes)


def ensure_listing() -> None:
    """Raise the soft limit as far as a listing in one process needs; raises ``FatalError``."""
    _ensure(LISTING)


def _ensure(least: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= least:
        return
    if hard == resource.RLIM_INFINITY or hard >= least:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))
            return
    raise FatalError(
        f"at most {soft} files may be open here, and {least} are needed: raise ulimit -n"
    )
