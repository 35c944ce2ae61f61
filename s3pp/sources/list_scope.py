"""What a list reads of a bucket: all keys below a prefix, or one level of them; up to a limit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Generic, TypeVar

from s3pp.job import Job
from s3pp.places import Origin
from s3pp.s3.listing import Lister, parse_page
from s3pp.s3.parallel_listing import list_pages
from s3pp.sources.filters import Filters
from s3pp.sources.objects import choose

Entry = TypeVar("Entry")


class KeyScope:
    """All keys."""

    is_level = False

    def __init__(self, job: Job, origin: Origin, filters: Filters) -> None:
        self._listers = job.speed.listers
        self._origin = origin
        self._filters = filters

    @property
    def first_request(self) -> dict[str, str]:
        """The parameters of the request for the first page."""
        return {"prefix": self._origin.prefix}

    def holds(self, page: bytes) -> bool:
        """Return whether anything is in the first page. Raises ``ListingError``."""
        return bool(parse_page(page).objects)

    def pages(
        self, bucket: Lister, notify: Callable[[str], None]
    ) -> AsyncGenerator[list[Any], None]:
        """Return the pages of the listing, in order; these raise as those of ``list_pages``."""
        return list_pages(bucket, self._origin.prefix, listers=self._listers, notify=notify)

    def choose(self, page: list[Any]) -> list[Any]:
        """Return what of a page belongs to the job."""
        return choose(page, self._origin, self._filters)


def scope_of(job: Job, origin: Origin, filters: Filters) -> KeyScope:
    """Return the scope of a list, or of a du, which needs every key."""
    if job.verb != "list" or job.listing.delimiter is None:
        return KeyScope(job, origin, filters)
    from s3pp.sources.levels import LevelScope  # what few listings need

    return LevelScope(job, origin, filters)


class LimitedPages(Generic[Entry]):
    """Passes pages on to ``take``, which returns False once it needs no more, up to a limit."""

    def __init__(self, take: Callable[[Sequence[Entry]], bool], limit: int | None) -> None:
        self._take = take
        self._left = limit  # entries; None: all

    def take(self, page: Sequence[Entry]) -> bool:
        """Pass on what the limit leaves of a page; returns whether another one is needed."""
        wanted = page[: self._left]
        if self._left is not None:
            self._left -= len(wanted)
        return self._take(wanted) and self._left != 0
