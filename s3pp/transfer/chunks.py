"""Lists of consecutive steps of a walk, for what costs less by the list than by the step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from s3pp.errors import FatalError

WAIT = 0.02  # seconds for which a step may wait for those that follow

T = TypeVar("T")


def chunks(
    steps: Iterable[T], size: int, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[list[T]]:
    """Yield ``steps`` in lists of ``size``, or shorter ones where they come slowly.

    The first has one step, and each twice as many as the one before, so that a run has work while
    its walker waits for the next page. What came before a ``FatalError`` is yielded before that is
    raised.
    """
    chunk: list[T] = []
    until, full = 0.0, 1
    try:
        for step in steps:
            now = clock()
            if not chunk:
                until = now + WAIT
            chunk.append(step)
            if len(chunk) == full or now > until:
                yield chunk
                chunk, full = [], min(size, 2 * full)
    except FatalError:
        yield chunk
        raise
    yield chunk
