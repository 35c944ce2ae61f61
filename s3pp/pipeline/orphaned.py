"""What the last child does where the supervisor has been killed."""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress

from s3pp.pipeline.pipes import LEAVING


def watch_supervisor(fd: int, spool_dir: str) -> None:
    """End this process when the other end of ``fd`` is closed, if it does not end by itself.

    It may be writing to a terminal that is stopped, or to a program that does not read.
    """
    with suppress(RuntimeError):  # no more threads: few runs need this one
        threading.Thread(target=_watch, args=(fd, spool_dir), daemon=True).start()


def remove_directory(path: str) -> None:
    """Remove the supervisor's directory, if it has one; never raises."""
    if path:
        import shutil

        shutil.rmtree(path, ignore_errors=True)


def _watch(fd: int, spool_dir: str) -> None:
    poll = select.poll()
    poll.register(fd, 0)  # so that only a hang-up counts
    poll.poll()
    time.sleep(LEAVING)
    remove_directory(spool_dir)
    os._exit(1)
