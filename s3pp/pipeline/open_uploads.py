"""The uploads that workers have begun, and those whose worker has died.

It belongs to the supervisor, which tells all workers of the latter: one of them will lead the
object again.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from s3pp.pipeline.messages import Frame
from s3pp.records import OpenUpload

W = TypeVar("W")


class OpenUploads(Generic[W]):
    """Who leads which upload."""

    def __init__(self) -> None:
        self.orphans: list[Frame] = []  # UPLOAD messages, as a worker that starts has to hear them
        self._led: dict[W, dict[str, Frame]] = {}

    def hear(self, worker: W, message: Frame) -> None:
        """Take an UPLOAD message of a worker."""
        upload: OpenUpload = message.open()
        led = self._led.setdefault(worker, {})
        if upload.open:
            led[upload.upload_id] = message
        else:
            led.pop(upload.upload_id, None)

    def leave(self, worker: W) -> list[Frame]:
        """A worker is gone. Returns what the others are to hear."""
        lost = list(self._led.pop(worker, {}).values())
        self.orphans += lost
        return lost
