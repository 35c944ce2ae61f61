"""The notice of an object with the name of a prefix, which a run of that prefix leaves out.

``s3://b/p`` means the objects below ``p/``, or the object ``p``. If a bucket holds both, the
object is not part of the run, and the notice shows how to name it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from s3pp.errors import S3ppError
from s3pp.job import Job
from s3pp.places import Origin
from s3pp.s3.answers import Answer

PATIENCE = 10.0  # seconds: the run does not wait longer for a notice


class Looker(Protocol):
    """The one operation needed here; implemented by ``client.Bucket``."""

    async def look(self, key: str) -> Answer | None:
        """Return the answer to a HEAD of ``key``; None if there is no such key."""


async def namesake(
    job: Job, origin: Origin, bucket: Looker, *, patience: float = PATIENCE
) -> str | None:
    """Return a notice if an object has the name of ``origin``, which also has keys below it.

    None if there is no such object, if that cannot be determined, or if ``origin`` cannot mean it.
    Costs one HEAD, to be sent while the listing is in progress, and at most ``patience`` seconds.
    """
    name = origin.single
    if name is None or origin.prefix == name or job.choosing.files_from is not None:
        return None
    try:
        there = await asyncio.wait_for(bucket.look(name), patience)
    except (S3ppError, asyncio.TimeoutError):  # if it persists, the listing reports it
        return None
    return _note(origin) if there is not None else None


def _note(origin: Origin) -> str:
    # Of all keys that begin with a name, the name itself sorts first.
    alone = f"'s3://{origin.bucket}/{origin.single}*' with --limit 1"
    return f"{origin} is an object too, and left out, for keys lie below it: {alone} means it alone"
