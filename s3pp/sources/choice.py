"""Filters: the rules that choose files and objects by name, age and size. Pure functions.

* The last ``--include`` or ``--exclude`` glob that matches decides, so a later option overrides
  an earlier one, in either direction.
* A name that no glob matches is included, unless the first option is an ``--include``: then it
  is excluded. ``--include '*.js'`` alone chooses only the ``.js`` files, like
  ``--exclude '*' --include '*.js'``.
* An excluded directory is not entered, unless a later ``--include`` could match something in
  it: ``--exclude build --include '*.js'`` has to look for ``.js`` files in ``build``.
* ``--newer-than`` and ``--older-than`` compare the time of the last modification,
  ``--min-size`` and ``--max-size`` the size in bytes, both inclusive. They apply only to files
  that could be read; globs apply to every name, so an excluded FIFO or broken link is not
  reported.
"""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.job import Choosing
from s3pp.sources.globs import Glob, parse

NS = 1_000_000_000  # nanoseconds in a second


@dataclass(frozen=True)
class Rule:
    """One ``--include`` or ``--exclude``."""

    include: bool
    glob: Glob
    reason: str  # the option as given


class Choice:
    """The rules of one job. Each method returns None or the reason for the refusal."""

    def __init__(self, choosing: Choosing) -> None:
        """Compile the globs of ``choosing``; raises ``UsageError`` for an invalid one."""
        self._choosing = choosing
        self._rules = tuple(_rule(*rule) for rule in choosing.rules)
        self._last_first = self._rules[::-1]
        only_included = bool(self._rules) and self._rules[0].include
        self._unmatched = "no --include matches" if only_included else None

    @property
    def by_name(self) -> bool:
        """Whether any rule concerns names; if not, every name is chosen."""
        return bool(self._rules)

    @property
    def by_stat(self) -> bool:
        """Whether any rule concerns sizes or ages."""
        c = self._choosing
        return (c.newer_than, c.older_than, c.min_size, c.max_size) != (None,) * 4

    @property
    def by_age(self) -> bool:
        """Whether any rule concerns modification times."""
        return (self._choosing.newer_than, self._choosing.older_than) != (None, None)

    def name_refusal(self, path: str) -> str | None:
        """Return why the file at ``path``, relative to SOURCE, is not chosen."""
        for rule in self._last_first:
            if rule.glob.matches(path):
                return None if rule.include else rule.reason
        return self._unmatched

    def tree_refusal(self, directory: str) -> str | None:
        """Return why nothing below ``directory`` is chosen; None also where that is unknown."""
        for rule in self._last_first:
            if rule.glob.covers(directory):
                return None if rule.include else rule.reason
            if rule.include and rule.glob.reaches(directory):
                return None
        return self._unmatched

    def stat_refusal(self, size: int, mtime_ns: int) -> str | None:
        """Return why a file of this size (bytes) and modification time is not chosen."""
        c = self._choosing
        if c.newer_than is not None and mtime_ns <= c.newer_than * NS:
            return "--newer-than"
        if c.older_than is not None and mtime_ns >= c.older_than * NS:
            return "--older-than"
        if c.min_size is not None and size < c.min_size:
            return "--min-size"
        if c.max_size is not None and size > c.max_size:
            return "--max-size"
        return None


def _rule(verb: str, pattern: str) -> Rule:
    return Rule(verb == "include", parse(pattern), f"--{verb} {pattern}")
