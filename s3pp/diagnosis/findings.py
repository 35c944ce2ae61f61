"""What a check returns, and the exit code of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from s3pp.errors import ExitStatus, S3ppError, exit_status


class Rating(str, Enum):
    """What a finding means for a run."""

    OK = "ok"
    WARNING = "warning"  # runs work, but for what the finding says
    FAILED = "failed"  # runs that need it fail
    NOT_TRIED = "not tried"


class Finding(NamedTuple):
    """The result of one check."""

    check: str  # its name, for programs too: "put object"
    rating: Rating
    found: str
    advice: str = ""  # what to do; empty where there is nothing to do

    @property
    def is_problem(self) -> bool:
        """Whether a user has to look at it."""
        return self.rating in (Rating.WARNING, Rating.FAILED)


def ok(check: str, found: str, advice: str = "") -> Finding:
    """All is well; ``advice`` is a hint."""
    return Finding(check, Rating.OK, found, advice)


def warning(check: str, found: str, advice: str) -> Finding:
    """Runs work, except for what is ``found``."""
    return Finding(check, Rating.WARNING, found, advice)


def failed(check: str, found: str, advice: str) -> Finding:
    """Runs that need it fail."""
    return Finding(check, Rating.FAILED, found, advice)


def not_tried(check: str, why: str) -> Finding:
    """It is not known."""
    return Finding(check, Rating.NOT_TRIED, why)


@dataclass
class Diagnosis:
    """All findings so far, by the title of their section."""

    sections: dict[str, list[Finding]] = field(default_factory=dict)
    ending: ExitStatus = ExitStatus.OK  # with which any run would end before it begins

    def end(self, error: S3ppError) -> None:
        """Note that no run could begin; the first reason says how one would end."""
        if self.ending is ExitStatus.OK:
            self.ending = exit_status(error)

    @property
    def findings(self) -> Iterable[Finding]:
        """Those of all sections."""
        return (each for section in self.sections.values() for each in section)

    def count(self, rating: Rating) -> int:
        """The number of findings with ``rating``."""
        return sum(each.rating is rating for each in self.findings)

    @property
    def status(self) -> ExitStatus:
        """The exit code."""
        if self.ending is not ExitStatus.OK:
            return self.ending
        return ExitStatus.SOME_FAILED if self.count(Rating.FAILED) else ExitStatus.OK
