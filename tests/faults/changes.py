"""What others do to a file while it is sent."""

from __future__ import annotations

import os
from pathlib import Path


def grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more" * 1000)


def rewrite(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(path.read_bytes()[::-1])


def rewrite_and_backdate(path: Path) -> None:
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
