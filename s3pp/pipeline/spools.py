"""The temporary files that batches read, and when each of them may go.

The members of compressed archives are copied out by the walker, one file for each batch. A batch
that is split leaves its file to both halves.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


class Spools:
    """Which batch reads which file."""

    def __init__(self) -> None:
        self._paths: dict[int, str] = {}  # by the batch's number

    def add(self, batch: int, path: str) -> None:
        """``batch`` reads ``path``."""
        self._paths[batch] = path

    def share(self, batch: int, parts: Iterable[int]) -> None:
        """``parts`` read what ``batch`` did, which is no more."""
        path = self._paths.pop(batch, None)
        if path is not None:
            self._paths.update(dict.fromkeys(parts, path))

    def drop(self, batch: int) -> None:
        """``batch`` has ended: remove its file, unless another reads it."""
        path = self._paths.pop(batch, None)
        if path is not None and path not in self._paths.values():
            with contextlib.suppress(OSError):
                os.unlink(path)
