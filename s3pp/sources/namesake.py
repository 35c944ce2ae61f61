"""The object of a prefix's very name, which a run leaves out where keys lie below the prefix.

``s3://b/p`` means what lies below ``p/``, or the object ``p``. Where a bucket holds both, the
object is not part of the run, and whoever meant it has to learn how to say so.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from s3pp.errors import S3ppError
from s3pp.job import Job
from s3pp.places import Origin
from s3pp.s3.operations import Answer

PATIENCE = 10.0  # seconds: the run is not held up for a word


class Looker(Protocol):
    """The one operation it takes; ``operations.Bucket`` has it."""

    async def look(self, key: str) -> Answer | None:
        """What a HEAD of ``key`` answered; None where there is no such key."""


async def namesake(
    job: Job, origin: Origin, bucket: Looker, *, patience: float = PATIENCE
) -> str | None:
    """A line for users if an object has the name of ``origin``, below which keys lie.

    None where there is none, where nobody can tell, or where nobody could have meant it. Costs one
    HEAD, to be sent while the listing is on its way, and ``patience`` seconds at most.
    """
    name = origin.single
    if name is None or origin.prefix == name or job.choosing.files_from is not None:
        return None
    try:
        there = await asyncio.wait_for(bucket.look(name), patience)
    except (S3ppError, asyncio.TimeoutError):  # the listing meets the same, or it was nothing
        return None
    return _note(origin) if there is not None else None


def _note(origin: Origin) -> str:
    # Of all keys that begin with a name, the name itself comes first.
    alone = f"'s3://{origin.bucket}/{origin.single}*' with --limit 1"
    return f"{origin} is an object too, and left out, for keys lie below it: {alone} means it alone"
