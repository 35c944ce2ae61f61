"""The uploads that this run has begun: who leads them, and which nobody leads any more.

::

    lead ──OpenUpload──▶ supervisor ── its worker died ──▶ all other workers ──▶ ``inherit``

Whoever leads the object next resumes one of those that are left, and aborts the others; so neither
a source that keeps changing nor a worker that dies leaves one more upload each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from s3pp.records import OpenUpload


def _nobody(upload: OpenUpload) -> None:
    """Where there is one process, nobody inherits."""


class OwnUploads:
    """The uploads of one worker, and those that it has inherited."""

    def __init__(self, tell: Callable[[OpenUpload], None] = _nobody) -> None:
        """``tell`` reaches the supervisor."""
        self._tell = tell
        self._left: dict[str, set[str]] = {}

    def left(self, key: str) -> Collection[str]:
        """The ids of those of ``key`` that are neither complete nor led by anybody."""
        return self._left.get(key, ())

    def opened(self, key: str, upload_id: str) -> None:
        """This worker has begun one."""
        self._tell(OpenUpload(key, upload_id, open=True))

    def closed(self, key: str, upload_id: str) -> None:
        """It is complete, or aborted."""
        left = self._left.get(key)
        if left is not None:
            left.discard(upload_id)
            if not left:
                del self._left[key]
        self._tell(OpenUpload(key, upload_id, open=False))

    def leave(self, key: str, upload_id: str) -> None:
        """This worker leads it no more, and its parts stay in the store."""
        self._left.setdefault(key, set()).add(upload_id)

    def inherit(self, upload: OpenUpload) -> None:
        """The worker that led it is gone."""
        self.leave(upload.key, upload.upload_id)
