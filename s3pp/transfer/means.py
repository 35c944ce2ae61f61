"""The resources that a worker shares with its role."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from s3pp.records import PartOutcome
from s3pp.transfer.parts.own import OwnUploads
from s3pp.transfer.reading import Budget, Reader

# Transfers a part, one of ``records.PartTask``, in any worker with free capacity. Raises
# ``Unfinished`` once the run is ending.
Offer = Callable[[Any], Awaitable[PartOutcome]]


class Means(NamedTuple):
    """The resources of one worker, shared by all objects that it transfers."""

    reader: Reader  # for blocking reads
    budget: Budget  # of memory for bodies
    offer: Offer  # of a large object's parts
    own: OwnUploads  # the uploads that this run has created
