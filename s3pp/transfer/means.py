"""The resources that a worker shares with its role."""

from __future__ import annotations

from typing import NamedTuple

from s3pp.transfer.parts import PartRunner
from s3pp.transfer.reading import Budget, Reader
from s3pp.transfer.resume import OwnUploads


class Means(NamedTuple):
    """The resources of one worker, shared by all objects that it transfers."""

    reader: Reader  # for blocking reads
    budget: Budget  # of memory for bodies
    parts: PartRunner  # the workers that transfer the parts of a large object
    own: OwnUploads  # the uploads that this run has created
