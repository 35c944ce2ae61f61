"""What a worker gives its role to work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from s3pp.records import PartOutcome
from s3pp.transfer.parts.own import OwnUploads
from s3pp.transfer.reading import Budget, Reader

# Has a part, one of ``records.PartTask``, moved by whichever worker has room. Raises
# ``Unfinished`` once the run is ending.
Offer = Callable[[Any], Awaitable[PartOutcome]]


class Means(NamedTuple):
    """What is there once in each worker, for all objects that pass through it."""

    reader: Reader  # for what blocks
    budget: Budget  # of memory for bodies
    offer: Offer  # of a large object's parts
    own: OwnUploads  # that this run has begun
