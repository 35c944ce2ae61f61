"""Records of multipart uploads that are not complete."""

from __future__ import annotations

from typing import NamedTuple


class OpenUpload(NamedTuple):
    """An upload that this run has begun. Producer: its lead; consumer: the supervisor.

    Where the lead's worker dies the supervisor produces it, for all other workers.
    """

    key: str
    upload_id: str
    open: bool  # False: it was completed or aborted


class UploadFacts(NamedTuple):
    """What is known of an incomplete upload besides its key."""

    id: str
    initiated: str  # as the store writes it, ISO 8601
    parts: int | None = None  # that the store has; None: not known, and so is their size
