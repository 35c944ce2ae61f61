"""Peers that hold objects from the start, as many as each tool is asked to take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

from data import Load
from serving import Peer, serving
from suite.setting import Setting
from tools import Tool, share


class Stock(NamedTuple):
    """A peer, and what it holds below ``p/``."""

    peer: Peer
    load: Load


@contextmanager
def stocked(setting: Setting, found: Sequence[Tool], objects: int) -> Iterator[dict[str, Stock]]:
    """For each tool's name a peer with its share of the ``objects``: one takes all there is."""
    shares = {tool.name: share(tool, objects) for tool in found}
    with ExitStack() as stack:
        stocks = {
            count: Stock(stack.enter_context(holding(setting, count)), Load(count, setting.size))
            for count in set(shares.values())
        }
        yield {name: stocks[count] for name, count in shares.items()}


def holding(setting: Setting, objects: int) -> AbstractContextManager[Peer]:
    """A fresh peer which holds so many ``objects``."""
    return serving(https=setting.https, latency=setting.latency, preload=objects, size=setting.size)
