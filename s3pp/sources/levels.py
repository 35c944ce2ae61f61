"""One level of a bucket: what a list with a delimiter reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from s3pp.job import Job
from s3pp.places import Origin
from s3pp.s3.levels import Named, level_request, list_level, parse_level
from s3pp.s3.listing import CommonPrefix, Listed, Lister
from s3pp.sources.filters import Filters, key_bytes
from s3pp.sources.list_scope import KeyScope


class LevelScope(KeyScope):
    """The objects of one level, and what the keys of others begin with."""

    is_level = True

    def __init__(self, job: Job, origin: Origin, filters: Filters) -> None:
        super().__init__(job, origin, filters)
        self._delimiter = job.listing.delimiter or ""

    @property
    def first_request(self) -> dict[str, str]:
        """As ``KeyScope.first_request``."""
        return level_request(self._origin.prefix, self._delimiter)

    def holds(self, page: bytes) -> bool:
        """As ``KeyScope.holds``."""
        return bool(parse_level(page, self._origin.prefix, self._delimiter).entries)

    def pages(
        self, bucket: Lister, notify: Callable[[str], None]
    ) -> AsyncGenerator[list[Named], None]:
        """As ``KeyScope.pages``."""
        return list_level(bucket, self._origin.prefix, self._delimiter, notify)

    def choose(self, page: list[Named]) -> list[Named]:
        """Return the objects that are chosen, and the prefixes below which any may be.

        A prefix is left out where a directory of its name would not be entered. With ``--shard``
        its name is as a key is, so that each is listed by one of the runs.
        """
        objects = [each for each in page if isinstance(each, Listed)]
        chosen = {each.key for each in super().choose(objects)}
        return [each for each in page if self._is_chosen(each, chosen)]

    def _is_chosen(self, each: Named, chosen: set[str]) -> bool:
        if isinstance(each, Listed):
            return each.key in chosen
        return not self._is_excluded(each)

    def _is_excluded(self, prefix: CommonPrefix) -> bool:
        if self._filters.is_elsewhere(key_bytes(prefix.name)):
            return True
        if not self._filters.by_name or not prefix.name.endswith("/"):
            return False
        name = self._origin.relative(prefix.name).removesuffix("/")
        return self._filters.tree_refusal(name) is not None
