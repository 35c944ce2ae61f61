"""The open uploads of each worker, and those whose worker has died.

Owned by the supervisor, which sends the latter to all workers: one of them will lead the object
again.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from s3pp.records import OpenUpload

W = TypeVar("W")


class OpenUploads(Generic[W]):
    """Tracks the worker that leads each upload."""

    def __init__(self) -> None:
        self.orphans: list[OpenUpload] = []  # whose workers died; sent to new workers
        self._led: dict[W, dict[str, OpenUpload]] = {}

    def update(self, worker: W, upload: OpenUpload) -> None:
        """Record that a worker has created an upload, or ended it."""
        led = self._led.setdefault(worker, {})
        if upload.open:
            led[upload.upload_id] = upload
        else:
            led.pop(upload.upload_id, None)

    def leave(self, worker: W) -> list[OpenUpload]:
        """Remove a worker. Returns its uploads, to be sent to the others."""
        lost = list(self._led.pop(worker, {}).values())
        self.orphans += lost
        return lost
