"""Keys for the children of a run: those that were refreshed, and those that a child asks for."""

from __future__ import annotations

from collections.abc import Callable

from s3pp.errors import S3ppError
from s3pp.pipeline.child import Child
from s3pp.pipeline.credentials import OpenBuckets
from s3pp.pipeline.messages import NewKeys
from s3pp.pipeline.selector_loop import SelectorLoop
from s3pp.places import Side


class KeyExchange:
    """Keeps the keys of all children current; ``abort`` ends the run where that is impossible."""

    def __init__(
        self, buckets: OpenBuckets, loop: SelectorLoop, statter: Child, abort: Callable[[str], None]
    ) -> None:
        """``statter``: the child that needs none."""
        self._buckets = buckets
        self._loop = loop
        self._statter = statter
        self._abort = abort

    def refresh(self, now: float) -> None:
        """Send the keys that have been refreshed."""
        try:
            for side in self._buckets.refresh(now):
                self._spread(side)
        except S3ppError as error:
            self._abort(str(error))

    def renew(self, child: Child, side: Side, now: float) -> None:
        """Renew keys that a child reports as expired."""
        try:
            if self._buckets.renew(side, now) is not None:
                self._spread(side)
                return
        except S3ppError as error:
            self._abort(str(error))
        self._loop.send(child, NewKeys(side, None))

    def _spread(self, side: Side) -> None:
        news = NewKeys(side, self._buckets.opened[side].keys)
        for child in self._loop.children:
            if child is not self._statter:
                self._loop.send(child, news)
