"""Prints the findings: section by section as they come, or all as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable

from s3pp import __version__
from s3pp.diagnosis.findings import Diagnosis, Finding, Rating
from s3pp.escaping import one_line
from s3pp.output import Output
from s3pp.report.outlet import Streams

_INDENT = " " * 13


class FindingsPage:
    """Adds findings to a diagnosis, and prints them."""

    def __init__(self, diagnosis: Diagnosis, output: Output, streams: Streams) -> None:
        self._diagnosis = diagnosis
        self._json = output.json
        self._quiet = output.verbosity < 0
        self._stdout = streams.stdout
        self._title = ""  # of the section that is not printed yet

    def begin(self, title: str) -> None:
        """Begin a section."""
        self._diagnosis.sections.setdefault(title, [])
        self._title = title
        self._current = title

    def add(self, finding: Finding) -> None:
        """Add a finding to the current section."""
        self._diagnosis.sections[self._current].append(finding)
        if self._json or (self._quiet and not finding.is_problem):
            return
        title, self._title = self._title, ""
        self._stdout.lines([*([title] if title else []), *lines_of(finding)])

    def add_all(self, findings: Iterable[Finding]) -> None:
        """Add findings as they are made."""
        for each in findings:
            self.add(each)

    def close(self, place: str) -> None:
        """Print the end, of what was examined at ``place``."""
        if self._json:
            self._stdout.lines([json.dumps(event(self._diagnosis, place))])
        elif not self._quiet:
            self._stdout.lines(["", summary(self._diagnosis)])


def lines_of(finding: Finding) -> list[str]:
    """The lines for one finding: what was found, and what to do."""
    said = f"  {finding.rating.value:<11}{finding.check}: {one_line(finding.found)}"
    return [said, *([f"{_INDENT}-> {one_line(finding.advice)}"] if finding.advice else [])]


def summary(diagnosis: Diagnosis) -> str:
    """The last line."""
    counts = {each: diagnosis.count(each) for each in Rating}
    words = {Rating.WARNING: "warnings" if counts[Rating.WARNING] > 1 else "warning"}
    found = {words.get(each, each.value): number for each, number in counts.items() if number}
    return f"doctor: {', '.join(f'{number} {what}' for what, number in found.items())}"


def event(diagnosis: Diagnosis, place: str) -> dict[str, object]:
    """The JSON object of all findings."""
    sections = {
        title: [
            {
                "check": each.check,
                "rating": each.rating.value,
                "found": each.found,
                "advice": each.advice,
            }
            for each in findings
        ]
        for title, findings in diagnosis.sections.items()
    }
    counts = {each.value: diagnosis.count(each) for each in Rating}
    head = {"event": "doctor", "version": __version__, "place": place}
    return {**head, "exit_code": int(diagnosis.status), "counts": counts, "sections": sections}
