"""Which rule of ``--rules`` holds for an object: the first with a pattern that matches its name.

The name is that by which filters choose, relative to SOURCE or PREFIX. Workers find the rule of
each task; the walker notes which patterns match anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from s3pp.job import Job
from s3pp.sources.globs import parse_glob


class Named(Protocol):
    """A task or an outcome."""

    @property
    def source(self) -> str:
        """The source, a file or a key."""

    @property
    def target(self) -> str:
        """The key at the destination."""


Step = TypeVar("Step", bound=Named)


class ObjectRules:
    """The rules of one job."""

    def __init__(self, job: Job) -> None:
        """``job`` is one whose sources are known to be single objects or not."""
        self._rules = job.objects.rules
        self._patterns = [
            (number, pattern, parse_glob(pattern).matches)
            for number, rule in enumerate(self._rules)
            for pattern in rule.patterns
        ]
        self._name = _naming(job)
        self._has_looked = False
        self._unmatched = [*range(len(self._patterns))]

    def find(self, step: Named) -> int | None:
        """Return the number of the rule for an object; None: no rule matches."""
        name = self._name(step)
        for number, _, matches in self._patterns:
            if matches(name):
                return number
        return None

    def follow(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Yield ``steps``, and note which patterns match one."""
        for step in steps:
            self._has_looked = True
            if self._unmatched:
                name = self._name(step)
                self._unmatched = [
                    each for each in self._unmatched if not self._patterns[each][2](name)
                ]
            yield step

    @property
    def unmatched(self) -> list[str]:
        """The patterns that have matched nothing so far; none where there was no object."""
        if not self._has_looked:
            return []
        found = [self._patterns[each] for each in self._unmatched]
        return [
            f"pattern {pattern!r} of --rules (line {self._rules[number].line})"
            for number, pattern, _ in found
        ]


def _naming(job: Job) -> Callable[[Named], str]:
    """Return the function that names objects as filters do."""
    if len(job.origins) == 1:
        relative = job.origin.relative
        return lambda step: relative(step.source)
    if job.sources and job.sources[0].name is not None:  # a single file with another name
        base = os.path.basename(job.sources[0].path)
        return lambda _: base
    start = len(job.dest.key(""))
    return lambda step: step.target[start:]
