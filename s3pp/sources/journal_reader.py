"""The lines of a journal, each with the run that it is of.

Lines of schema 2 name their run. Those of schema 1, which have no ``run``, are of the run whose
line ``start`` they follow; where two runs wrote at the same time it is not known which it was, and
so neither is the store nor the directory. Memory does not grow with the number of lines; a run is
kept until its summary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from s3pp.errors import FatalError
from s3pp.localfs.paths import shown
from s3pp.places import Stores

OUTCOMES = frozenset({"done", "skipped", "failed", "deleted"})
EVENTS = OUTCOMES | {"start", "pace", "summary", "cut"}
LONGEST = 1 << 23  # bytes of a line: longer than any that is written


class BadJournalLine(Exception):
    """Raised for a line that cannot be understood; ``str()`` says why."""


class JournalRun(NamedTuple):
    """What the line ``start`` of a run says about its lines."""

    verb: str = ""
    directory: str | None = None  # that names of files are relative to; None: unknown
    store: str = ""  # host of the destination's; empty: unknown, or there is none
    source_store: str = ""  # likewise
    counts: bool = True  # False: nothing was transferred, or to a store that is gone
    settings: Mapping[str, Any] = {}  # by the names of options; of schema 2
    accounts: Stores | None = None  # as ``Job.accounts``; None: unknown, in schema 1
    time: str = ""  # when it began, RFC 3339

    @classmethod
    def of(cls, start: Mapping[str, Any]) -> JournalRun:
        """Read such a line."""
        counts = not (start.get("dry_run") or start.get("sandbox"))
        verb, settings, named = _text(start, "verb"), start.get("settings"), "run" in start
        if start.get("concurrent") and not named:
            return cls(verb)  # lines that follow may be of the other run
        return cls(
            verb,
            _text(start, "directory") or None,
            _text(start, "dest_endpoint"),
            _text(start, "source_endpoint"),
            counts,
            settings if isinstance(settings, dict) else {},
            Stores(_text(start, "source_account"), _text(start, "dest_account")) if named else None,
            _text(start, "time"),
        )


UNKNOWN = JournalRun()


class JournalLine(NamedTuple):
    """An outcome of a journal."""

    number: int  # of the line, from 1
    event: dict[str, Any]
    run: JournalRun


class JournalReader:
    """Iterates over the outcomes in the journal at ``path``, once."""

    def __init__(self, path: str, argument: str = "JOURNAL") -> None:
        """``argument`` names it in messages."""
        self.last: JournalRun | None = None  # the run that began last, a verify aside
        self.is_complete = True  # whether that came to its end, with all that it had found
        self._path = path
        self._argument = argument
        self._runs: dict[str, JournalRun] = {}  # that have not ended, by id; "": of schema 1

    def __iter__(self) -> Iterator[JournalLine | tuple[int, BadJournalLine]]:
        """Yield the outcomes, and what is wrong with lines that cannot be understood.

        Raises ``FatalError`` if the file cannot be read.
        """
        for number, text in journal_lines(self._path, self._argument):
            try:
                if (line := self._read(number, text)) is not None:
                    yield line
            except BadJournalLine as error:
                if not is_incomplete(text):
                    yield number, error

    def _read(self, number: int, text: bytes) -> JournalLine | None:
        event = parse_line(text)
        kind, run_id = event.get("event"), event.get("run", "")
        if not isinstance(kind, str) or kind not in EVENTS or not isinstance(run_id, str):
            raise BadJournalLine(f"its event is {kind!r}, which no journal has")
        if kind == "start":
            self._start(run_id, event)
        elif kind == "summary":
            self._end(run_id, event)
        elif kind in OUTCOMES:
            return JournalLine(number, event, self._runs.get(run_id, UNKNOWN))
        return None

    def _start(self, run_id: str, event: Mapping[str, Any]) -> None:
        run = self._runs[run_id] = JournalRun.of(event)
        if run.verb != "verify" and run.counts:
            self.last, self.is_complete = run, False

    def _end(self, run_id: str, event: Mapping[str, Any]) -> None:
        run = self._runs.pop(run_id, None) if run_id else self._runs.get("")
        if run is not None and run is self.last:
            is_whole = event.get("listing_complete") is not False
            self.is_complete = is_whole and not event.get("not_attempted")


def journal_lines(path: str, argument: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a journal that are not blank, each with its number, from 1.

    A line that is too long comes in pieces. ``argument`` names the journal in messages. Raises
    ``FatalError`` if the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            number = 0
            while text := file.readline(LONGEST):
                number += 1
                if not text.isspace():
                    yield number, text
    except OSError as error:
        message = f"{argument} '{shown(path)}' cannot be read: {error.strerror}"
        raise FatalError(message) from None


def is_incomplete(text: bytes) -> bool:
    """Return whether a line is being written, or was cut off: the last one of a journal."""
    return not text.endswith(b"\n") and len(text) < LONGEST


def parse_line(text: bytes) -> dict[str, Any]:
    """Return the JSON object in a line. Raises ``BadJournalLine``."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadJournalLine("it is not JSON, or only the beginning of it") from None
    if not isinstance(found, dict):
        raise BadJournalLine("it is not a JSON object")
    return found


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""
