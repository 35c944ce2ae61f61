"""Options about what is deleted, and how much of it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from s3pp.option import Value, option


class MaxDelete(NamedTuple):
    """The most that a run may delete: a number or, where ``share`` is set, a percentage."""

    limit: float
    share: bool = False

    def exceeded(self, deletions: int, held: int) -> bool:
        """Return whether ``deletions`` of the ``held`` objects or files in scope are too many."""
        return deletions * 100 > self.limit * held if self.share else deletions > self.limit

    def __str__(self) -> str:
        return f"{self.limit:.15g}{'%' if self.share else ''}"


@dataclass(frozen=True)
class Deletion:
    """What is deleted at the destination, and when nothing is."""

    extraneous: bool = option(
        False,
        "--delete",
        help="delete what the source does not have from the destination, once all is transferred",
    )
    most: MaxDelete | None = option(
        None,
        "--max-delete",
        Value("N|P%", "max_delete", once=True),
        help="delete nothing if it would be more than N, or than P percent of the destination",
    )
    from_empty: bool = option(
        False, "--delete-from-empty", help="let --delete empty the destination of an empty source"
    )
    excluded: bool = option(
        False, "--delete-excluded", help="let --delete delete what the filters exclude, too"
    )
    whole_bucket: bool = option(False, "--all", help="allow removing the objects of a whole bucket")
