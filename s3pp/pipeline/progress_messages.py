"""The messages that only displays need; like those of ``messages``, which lists them too."""

from __future__ import annotations

from typing import NamedTuple

from s3pp.report.totals import ActiveObject as ActiveObject  # noqa: PLC0414  # exported


class WalkProgress(NamedTuple):
    """supervisor → statter: how far the walk has come."""

    objects: int  # listed so far
    walk_done: bool  # all are listed
    size: int = 0  # bytes of them


class PartProgress(NamedTuple):
    """worker, supervisor → statter: a part was transferred; of a worker, one that it led itself."""

    size: int  # bytes transferred
    requests: int = 0  # made for it, where no batch reports them


class ActiveObjects(NamedTuple):
    """worker → statter: the large objects that it leads, about once a second."""

    worker: int  # the id of its process
    objects: tuple[ActiveObject, ...]  # none: they have ended
