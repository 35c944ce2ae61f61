"""Directory trees written and read in one line."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Link:
    """A symbolic link to ``target``, as written in a tree."""

    target: str


# bytes or text: that content; int: so many repeatable random bytes; None: a directory; Link.
Content = bytes | str | int | Link | None


def content(size: int, seed: object = 0) -> bytes:
    """``size`` bytes that look random and are the same in every run."""
    return random.Random(f"{seed}/{size}").randbytes(size)


def make_tree(root: Path, files: Mapping[str, Content]) -> Path:
    """Write ``files`` (path relative to ``root`` -> content) and return ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    for relative, what in files.items():
        _write(root / relative, what)
    return root


def _write(path: Path, what: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if what is None:
        path.mkdir()
    elif isinstance(what, Link):
        path.symlink_to(what.target)
    else:
        path.write_bytes(as_bytes(path.name, what))


def as_bytes(name: str, what: Content) -> bytes:
    """The bytes of what is called ``name`` and is no directory and no link."""
    if isinstance(what, int):
        return content(what, name)
    assert isinstance(what, bytes | str), f"{name} holds no bytes"
    return what.encode() if isinstance(what, str) else what


def read_tree(root: Path) -> dict[str, bytes]:
    """Every file below ``root`` (links followed) by its relative path with ``/``."""
    return {
        Path(directory, name).relative_to(root).as_posix(): Path(directory, name).read_bytes()
        for directory, _, names in os.walk(root, followlinks=True)
        for name in names
    }
