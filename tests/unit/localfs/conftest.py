"""What tests of files below a directory share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3pp.localfs.tree import Tree


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """DIRECTORY."""
    made = tmp_path / "top"
    made.mkdir()
    return made


@pytest.fixture
def tree(top: Path) -> Tree:
    return Tree(str(top))


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB and few names."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=8", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
