"""The uploads that workers have begun, and those whose worker has died.

It belongs to the supervisor, which tells all workers of the latter: one of them will lead the
object again.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from s3pp.records import OpenUpload

W = TypeVar("W")


class OpenUploads(Generic[W]):
    """Who leads which upload."""

    def __init__(self) -> None:
        self.orphans: list[OpenUpload] = []  # whose workers died: a worker that starts has to know
        self._led: dict[W, dict[str, OpenUpload]] = {}

    def update(self, worker: W, upload: OpenUpload) -> None:
        """A worker has begun an upload, or has come to its end."""
        led = self._led.setdefault(worker, {})
        if upload.open:
            led[upload.upload_id] = upload
        else:
            led.pop(upload.upload_id, None)

    def leave(self, worker: W) -> list[OpenUpload]:
        """A worker is gone. Returns what the others are to hear."""
        lost = list(self._led.pop(worker, {}).values())
        self.orphans += lost
        return lost
