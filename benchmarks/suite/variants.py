"""A tool more than once, each time with other options: rows of the same table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import NamedTuple

from tools import Tool

# s5cmd's are 5 parts of 50 MiB. Smaller ones, and more of them, are what its users are told to try.
TUNED = ("--concurrency", "16", "--part-size", "16")


class Variant(NamedTuple):
    """A tool, the same named as its row is, and what it is given besides."""

    tool: Tool
    row: Tool
    options: Sequence[str] = ()


def named(tool: Tool, suffix: str = "", *options: str) -> Variant:
    """The ``tool`` under a name of its own, with ``options``."""
    return Variant(tool, replace(tool, name=f"{tool.name} {suffix}".strip()), options)


def has_crc64nvme() -> bool:
    """Whether awscrt is here, which computes that checksum; says so where it is not."""
    found = find_spec("awscrt") is not None
    if not found:
        print("crc64nvme: awscrt is not installed, left out", flush=True)
    return found
