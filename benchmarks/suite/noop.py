"""Update a tree of which nothing has changed, as a job that runs every few minutes mostly does.

s3pp has an ETag cache (``--etag-cache``) that an earlier run has filled.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import invocations
from suite.setting import Setting
from suite.table import Table
from suite.update import unchanged
from tools import Tool

_SETTLED = 3.5  # seconds after which s3pp trusts a file that was modified


def noop(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure the time, and the requests that were made."""
    cache = setting.folder / "etags"
    cache.unlink(missing_ok=True)

    def wait() -> None:
        time.sleep(_SETTLED)  # the tree may just have been made

    command = partial(invocations.sync, cache=cache)
    return unchanged("noop", command, setting, found, before=wait)
