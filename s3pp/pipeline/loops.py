"""The event loop of a process: uvloop's if installed, else asyncio's."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from s3pp.errors import ExitStatus
from s3pp.report.outlet import Streams


def new_loop() -> asyncio.AbstractEventLoop:
    """Create an event loop that is not running."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def only_loop(streams: Streams) -> asyncio.AbstractEventLoop:
    """The loop of a run that has no other process; a defect in a callback of it ends the run.

    Otherwise, code that waits for the callback's effect would wait forever.
    """

    def end(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "handle" in context:  # in a callback, that is
            streams.stderr.lines([f"s3pp: internal error: {context.get('exception')!r}"])
            os._exit(ExitStatus.ABORTED)

    loop = new_loop()
    loop.set_exception_handler(end)
    return loop
