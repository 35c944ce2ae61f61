"""Which names are chosen, and under which keys: pure functions.

Filters:

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

Patterns are described in ``globs``.

``FnmatchFilters`` has the rules of s3-parallel-put instead:

* An ``--include`` that matches decides; then an ``--exclude`` that matches. What neither matches is
  chosen.
* ``*``, ``?`` and ``[…]`` match any character, ``/`` too. In a directory a file is chosen if its
  base name is, and the path of its directory, which begins with SOURCE as it was given. The
  directories in an excluded one are still walked.
* A single file is matched by its path as it was given, a member of an archive by its name, an
  object by its key.

Keys:

* A key is the destination's prefix and the name relative to its source, joined by one slash.
* Keys sort by their UTF-8 bytes, as S3 lists them. A name that is not UTF-8 sorts by its own bytes.
* Only UTF-8 of at most 1,024 bytes can be a key; other names fail with advice on what to do.
* Outcomes carry such a name as Python has it, with surrogates; ``report`` escapes its output.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from s3pp.errors import UsageError
from s3pp.job import Choosing, Job
from s3pp.limits import MAX_KEY_BYTES
from s3pp.records import Entry, Failed, Skipped

if TYPE_CHECKING:
    from s3pp.sources.globs import Glob
    from s3pp.sources.inventory import FilesBucket

NS = 1_000_000_000  # nanoseconds in a second
ANY_KEY = MAX_KEY_BYTES // 4  # characters that a key may have, whichever they are
MOST_NAMED = 10  # patterns in one notice

Record = Entry | Skipped | Failed

# The bytes a record sorts by, and the record. Records cannot sort by their own keys: the keys of
# failures are made printable, and a directory sorts as ``name/``.
Found = tuple[bytes, Record]
Stream = Iterator[Found]  # ascending


@dataclass(frozen=True)
class Rule:
    """One ``--include`` or ``--exclude``."""

    number: int  # in the order of the command line
    include: bool
    glob: Glob
    reason: str  # the option as given
    pattern: str


class Filters:
    """The rules of one job. Methods named ``refusal`` return the reason, or None."""

    def __init__(self, choosing: Choosing) -> None:
        """Compile the globs of ``choosing``; raises ``UsageError`` for an invalid one."""
        self._choosing = choosing
        self._rules = tuple(_rule(n, *rule) for n, rule in enumerate(choosing.rules))
        self._last_first = self._rules[::-1]
        self._has_looked = False  # at a name that no rule matches
        self._unmatched_rules = dict.fromkeys(range(len(self._rules)))  # by their numbers
        only_included = bool(self._rules) and self._rules[0].include
        self._unmatched = "no --include matches" if only_included else None
        # Whether any rule concerns names, modification times, or what ``stat`` returns at all.
        self.by_name = bool(self._rules)
        self.by_age = (choosing.newer_than, choosing.older_than) != (None, None)
        self.refused = 0  # names that were looked at, by the code that asks; a tree is one
        self.names_left_out = False  # True: what size or age leave out is yielded, as ``LeftOut``
        self.shard = choosing.shard
        self.names_others = False  # True: what is of other shards is yielded, as ``OfAnotherShard``
        self.by_stat = self.by_age or (choosing.min_size, choosing.max_size) != (None, None)

    def name_refusal(self, path: str) -> str | None:
        """Return why the file at ``path``, relative to SOURCE, is not chosen."""
        for rule in self._last_first:
            if rule.glob.matches(path):
                if self._unmatched_rules:
                    self._mark(rule, path)
                return None if rule.include else rule.reason
        self._has_looked = True
        return self._unmatched

    def tree_refusal(self, directory: str) -> str | None:
        """Return why nothing below ``directory`` is chosen; None also where that is unknown."""
        for rule in self._last_first:
            if rule.glob.covers(directory):
                if rule.include:
                    return None
                self._mark(rule, directory + "/")
                return rule.reason
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

    def is_elsewhere(self, key: bytes) -> bool:
        """Return whether ``key`` is of another shard, and nothing has to be known of it."""
        return self.shard is not None and not self.names_others and not self.shard.has(key)

    def at(self, source: str) -> Filters:
        """Return the filters for the files of ``source``, a path."""
        return self

    @property
    def unmatched(self) -> list[str]:
        """The options whose pattern has matched nothing so far.

        What is in an excluded directory was not looked at. Where there was no name at all, no
        pattern is to blame.
        """
        if len(self._unmatched_rules) == len(self._rules) and not self._has_looked:
            return []
        rules = (self._rules[number] for number in self._unmatched_rules)
        return [f"--{'include' if each.include else 'exclude'} {each.pattern!r}" for each in rules]

    def _mark(self, rule: Rule, path: str) -> None:
        """Note which patterns match ``path``; those after ``rule`` were tried, and do not."""
        for number in [*self._unmatched_rules]:
            if number <= rule.number and self._rules[number].glob.matches(path):
                del self._unmatched_rules[number]


class FnmatchFilters(Filters):
    """The rules of s3-parallel-put for names, see above."""

    def __init__(self, choosing: Choosing, top: str = "", single: str = "") -> None:
        """``top``: the directory that names are relative to; ``single``: the one file meant."""
        super().__init__(replace(choosing, rules=()))
        self._all = choosing
        self._top = top
        self._single = single
        self._included = _shell_patterns(choosing, "include")
        self._excluded = _shell_patterns(choosing, "exclude")
        self.by_name = bool(choosing.rules)

    def name_refusal(self, path: str) -> str | None:
        """Return why the file at ``path`` is not chosen."""
        if self._single:
            return self._refusal(self._single)
        if not self._top:
            return self._refusal(path)
        above, _, name = path.rpartition("/")
        directory = os.path.join(self._top, above) if above else self._top
        return self._refusal(directory) or self._refusal(name)

    def tree_refusal(self, directory: str) -> str | None:
        """Return None: every directory is walked."""
        return None

    def at(self, source: str) -> Filters:
        """Return the filters for the files of ``source``."""
        if os.path.isdir(source):
            return FnmatchFilters(self._all, top=source)
        return FnmatchFilters(self._all, single=source)

    def _refusal(self, text: str) -> str | None:
        if not any(pattern.match(text) for _, pattern in self._included):
            for option, pattern in self._excluded:
                if pattern.match(text):
                    return option
        return None


def filters_of(choosing: Choosing) -> Filters:
    """Return the filters that ``choosing`` describes. Raises ``UsageError`` for an invalid glob."""
    return FnmatchFilters(choosing) if choosing.matching == "fnmatch" else Filters(choosing)


def _shell_patterns(choosing: Choosing, verb: str) -> list[tuple[str, re.Pattern[str]]]:
    """Return the patterns of an option, each with the option as given."""
    return [
        (f"--{verb} {pattern}", re.compile(fnmatch.translate(pattern)))
        for each, pattern in choosing.rules
        if each == verb
    ]


def unmatched_notice(job: Job, unmatched: Sequence[str]) -> str | None:
    """Return the notice that patterns matched nothing in a walk that is complete; None: none.

    With ``--limit`` there is none, because that ends the walk, nor with ``--shard``: what matches
    may be of another shard.
    """
    if not unmatched or (job.choosing.limit, job.choosing.shard) != (None, None):
        return None
    shown = [*unmatched[:MOST_NAMED]]
    if len(unmatched) > MOST_NAMED:
        shown.append(f"and {len(unmatched) - MOST_NAMED} others")
    return (
        f"{job.title} {' '.join(job.reads)}: {', '.join(shown)} matched nothing: check the pattern"
    )


def _rule(number: int, verb: str, pattern: str) -> Rule:
    from s3pp.sources.globs import parse_glob  # what runs without patterns do not need

    try:
        glob = parse_glob(pattern)
    except ValueError as fault:
        raise UsageError(f"--{verb} {pattern!r}: {fault}") from None
    return Rule(number, verb == "include", glob, f"--{verb} {pattern}", pattern)


class NameChoice(NamedTuple):
    """What chooses the names of a run, in all of its sources."""

    filters: Filters
    stdin: BinaryIO | None = None  # what ``--files-from -`` reads
    inventory: FilesBucket | None = None  # what ``--manifest`` reads


@dataclass(frozen=True)
class Scope:
    """The prefix of the keys, and the rules that choose names."""

    prefix: str  # of every key: "" or "some/prefix/"
    filters: Filters
    follow: bool  # symbolic links are followed
    follow_directories: bool = True  # those to directories too
    with_states: bool = False  # entries carry the states of their files, for the ETag cache

    @classmethod
    def of(cls, job: Job, filters: Filters | None = None) -> Scope:
        """Return the scope of ``job``; raises ``UsageError`` for an invalid glob."""
        choosing = job.choosing
        return cls(
            job.dest.key(""),
            filters or filters_of(choosing),
            follow=choosing.follow_symlinks is not False,
            follow_directories=choosing.linked_directories,
            with_states=job.speed.etag_cache is not None,
        )

    def at(self, source: str) -> Scope:
        """Return the scope of the files of ``source``, a path."""
        return replace(self, filters=self.filters.at(source))

    def within(self, name: str | None) -> Scope:
        """Return the scope of the contents of a source with this name."""
        return self if name is None else replace(self, prefix=f"{self.prefix}{name}/")


def key_bytes(text: str) -> bytes:
    """Return the bytes that a name or key sorts by; surrogate-escaped text is accepted."""
    return text.encode("utf-8", "surrogateescape")


def key_fault(order: bytes) -> str | None:
    """Return why these bytes cannot be a key, and what to do; None if they can."""
    if len(order) > MAX_KEY_BYTES:
        return f"the key has {len(order)} bytes and S3 allows {MAX_KEY_BYTES}: shorten the name"
    if order.isascii():
        return None
    try:
        order.decode("utf-8")
    except UnicodeDecodeError:
        return "the name is not UTF-8: rename it"
    return None


def normalize(name: str) -> str:
    """Return ``name`` without empty and ``.`` segments: ``a/b`` for ``./a//b``, empty for ``/``."""
    return "/".join(segment for segment in name.split("/") if segment not in ("", "."))


def leads_out(name: str) -> bool:
    """Return whether ``name`` is absolute or has a ``..`` segment.

    ``a/../b`` counts too: if ``a`` is a link, only the kernel can resolve it.
    """
    return name.startswith("/") or ".." in name.split("/")
