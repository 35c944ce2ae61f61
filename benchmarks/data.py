"""Make a tree of small files, or a large one: ``python benchmarks/data.py FILES SIZE FOLDER``.

The same arguments make the same bytes, and no two files of 16 bytes or more are equal.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PER_DIRECTORY = 1000
_BLOCK = 1 << 20  # bytes of a large file made at a time


class Load(NamedTuple):
    """What a bucket, or a directory, has to hold."""

    files: int
    size: int  # bytes of each


def names(files: int) -> Iterator[str]:
    """Relative paths in key order: ``d0000/f0000000.txt`` and on, 1,000 to a directory."""
    return map(name, range(files))


def name(number: int) -> str:
    """The relative path of a file."""
    return f"{_directory(number)}/f{number:07d}.txt"


def body(number: int, size: int, filling: bytes) -> bytes:
    """``size`` bytes: ``number`` in decimal, then ``filling``."""
    return (b"%016d" % number)[-size:] + filling[: max(0, size - 16)] if size else b""


def make(folder: Path, files: int, size: int) -> None:
    """Write the tree, unless it is there and whole."""
    whole = folder.with_name(f"{folder.name}.whole")
    if whole.exists():
        return
    filling = random.Random(0).randbytes(size)
    for start in range(0, files, _PER_DIRECTORY):
        (folder / _directory(start)).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(names(files)):
        _write(os.path.join(folder, path), body(number, size, filling))
    whole.touch()


def tree(folder: Path, files: int, size: int) -> Path:
    """The tree of ``files`` files of ``size`` bytes below ``folder``, made if it is not there."""
    path = folder / f"{files}x{size}"
    make(path, files, size)
    return path


def large(folder: Path, size: int) -> Path:
    """The file of ``size`` random bytes below ``folder``, made if it is not there."""
    path = folder / f"large-{size}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        beginning = path.with_suffix(".part")
        with beginning.open("wb") as file:
            for content in random_blocks(size):
                file.write(content)
        beginning.rename(path)
    return path


def random_blocks(size: int) -> Iterator[bytes]:
    """``size`` bytes, always the same."""
    source = random.Random(0)
    for at in range(0, size, _BLOCK):
        yield source.randbytes(min(_BLOCK, size - at))


def _directory(number: int) -> str:
    return f"d{number // _PER_DIRECTORY:04d}"


def _write(path: str, content: bytes) -> None:
    # A third of what open() and its buffer cost, and a million files are a minute as it is.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, content)
    os.close(descriptor)


if __name__ == "__main__":
    make(Path(sys.argv[3]), int(sys.argv[1]), int(sys.argv[2]))
