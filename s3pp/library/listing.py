"""The objects of a bucket for a program, one by one, while the listing goes on."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from threading import RLock
from typing import Any

from s3pp.job import Job
from s3pp.library.process import RunProcess
from s3pp.library.result import RunResult, S3Object
from s3pp.library.runs import Records, voiced
from s3pp.s3.timestamps import parse_time


class Listing:
    """An iterator of the objects that a list selects, in the order of their keys.

    It holds a process until it is exhausted or closed, which happens at the end of a ``with`` and
    when nothing refers to it any more. Memory does not grow with the number of objects.

    The end of the iteration raises ``RunFailed`` if the listing is incomplete, or names that were
    asked for do not exist: what was listed is then never taken for all. ``result`` is what came of
    the listing, None until it has ended.
    """

    def __init__(self, job: Job) -> None:
        """Start to list. Raises ``FatalError`` if that cannot be started."""
        self.result: RunResult | None = None
        self._closed = False
        self._reading = RLock()  # held by the thread that takes the next object
        self._job = job
        self._records = Records(None)
        self._process = RunProcess(voiced(job, events=True))

    def __iter__(self) -> Listing:
        return self

    def __next__(self) -> S3Object:
        """Return the next object. Raises at the end, see there, and what keeps it from starting."""
        with self._reading:
            return self._next()

    def _next(self) -> S3Object:
        if self._closed:
            raise StopIteration
        try:
            for record in self._process:
                if record["event"] == "object":
                    return _object(record)
                if record["event"] == "prefix":
                    return S3Object(record["bucket"], record["prefix"], 0, "", None, is_prefix=True)
                self._records.take(record)
            if self._closed:  # while this thread was waiting
                raise StopIteration
            self.result = self._records.result(self._job, self._process.result)
            self.result.check()
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopIteration

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never started
            self.close()

    def close(self) -> None:
        """End the listing, and its process, at once; also from another thread than its reader's."""
        self._closed = True
        if self._process.is_own:
            self._process.kill()  # it wakes a thread that waits for an object
            with self._reading:
                self._process.close()


def _object(record: dict[str, Any]) -> S3Object:
    modified = record["modified"]
    return S3Object(
        record["bucket"],
        record["key"],
        record["size"],
        record["etag"],
        _time(modified) if modified else None,
        record["storage_class"],
    )


@lru_cache(maxsize=1024)  # neighbours in a listing were often written in the same second
def _time(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None
