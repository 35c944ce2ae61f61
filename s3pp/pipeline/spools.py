"""The temporary files that batches read, removed when no batch needs them.

The walker extracts the members of compressed archives, into one file per batch. When a batch is
split, both halves share its file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


class Spools:
    """Maps batches to the files they read."""

    def __init__(self) -> None:
        self._paths: dict[int, str] = {}  # by the batch's number

    def add(self, batch: int, path: str) -> None:
        """Record that ``batch`` reads ``path``."""
        self._paths[batch] = path

    def share(self, batch: int, parts: Iterable[int]) -> None:
        """Replace ``batch`` by ``parts``, which read the same file."""
        path = self._paths.pop(batch, None)
        if path is not None:
            self._paths.update(dict.fromkeys(parts, path))

    def drop(self, batch: int) -> None:
        """Remove ``batch``, which has ended, and its file unless another batch reads it."""
        path = self._paths.pop(batch, None)
        if path is not None and path not in self._paths.values():
            with contextlib.suppress(OSError):
                os.unlink(path)
