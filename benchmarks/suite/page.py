"""All that ``docs/performance.rst`` shows, a table for each of its questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from suite.copy import copy
from suite.get import get
from suite.large_get import large_get
from suite.large_put import large_put
from suite.layers import layers
from suite.list import keys
from suite.memory import memory
from suite.put import put
from suite.setting import LARGE, Setting
from suite.start import start
from suite.table import Table, join
from suite.throttled import throttled
from suite.update import update
from tools import Tool

Bench = Callable[[Setting, Sequence[Tool]], Table]

_ALL = ("s3pp", "s5cmd", "rclone", "aws", "floor")
_FAST = ("s3pp", "s5cmd", "rclone", "floor")  # of the others a run would take a minute
_ONCE = frozenset({"rclone", "aws"})  # they take long, and are not what is compared with


class Part(NamedTuple):
    """Some rows of a table: a bench, in one setting."""

    bench: Bench
    tools: Sequence[str] = _ALL
    changes: Mapping[str, Any] = {}  # of the setting


_HTTPS = {"https": True}
_LARGE = {**_HTTPS, "size": LARGE, "rounds": 2}
QUESTIONS: dict[str, dict[str, Part]] = {
    "put": {
        "http": Part(put),
        "https": Part(put, _FAST, _HTTPS),
        "http, 20 ms": Part(put, _FAST, {"latency": 0.02, "rounds": 2}),
    },
    "get": {"http": Part(get), "https": Part(get, _FAST, _HTTPS)},
    "copy": {"http": Part(copy)},
    "list": {"http": Part(keys, _FAST)},
    "list, 50 ms": {"http, 50 ms": Part(keys, ("s3pp", "s5cmd"), {"latency": 0.05, "rounds": 1})},
    "large put": {"https": Part(large_put, _ALL, _LARGE)},
    "large get": {"https": Part(large_get, _ALL, _LARGE)},
    "update": {"http": Part(update, _FAST)},
    "start": {"http": Part(start)},
    "memory": {"http": Part(memory, ("s3pp",), {"files": 200_000})},
    "throttled": {"http": Part(throttled, ("s3pp",), {"rounds": 0})},
    "layers": {"http": Part(layers, ())},
}


def page(setting: Setting, found: Sequence[Tool]) -> Iterator[Table]:
    """Measure everything, in the order of the page."""
    setting = replace(setting, once=_ONCE)
    for question, parts in QUESTIONS.items():
        yield join(
            question, {what: _measured(part, setting, found) for what, part in parts.items()}
        )


def _measured(part: Part, setting: Setting, found: Sequence[Tool]) -> Table:
    chosen = [tool for tool in found if tool.name in part.tools]
    return part.bench(replace(setting, **part.changes), chosen)
