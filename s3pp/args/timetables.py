"""Parser of limits that may change with the time of day, see ``timetable``."""

from __future__ import annotations

import re
from collections.abc import Callable

from s3pp.timetable import DAY, DAYS, Step, Timetable, steady

OFF = "off"
_ENTRY = r"(?ai)(?:(mon|tue|wed|thu|fri|sat|sun)-)?([01]?\d|2[0-3]):([0-5]\d),(\S+)"


def read_timetable(text: str, read_rate: Callable[[str], int]) -> Timetable:
    """One limit, or ``[DAY-]HH:MM,LIMIT`` for each time at which it changes.

    An entry without a day is one of each day, where that has none of the same time. Raises
    ``ValueError``, as ``read_rate`` does for what is no limit.
    """
    entries = text.replace(";", " ").split()
    if len(entries) == 1 and not {",", ":"} & set(text):
        return steady(_read_limit(entries[0], read_rate), text)
    daily: dict[int, int | None] = {}
    weekly: dict[int, int | None] = {}
    for entry in entries:
        minutes, rate = _read_entry(entry, read_rate)
        found = weekly if len(minutes) == 1 else daily
        if minutes[0] in found:
            raise ValueError(f"{text!r} has two limits for one time: leave out one of them")
        found |= dict.fromkeys(minutes, rate)
    if not entries:
        raise ValueError("the limit is empty: write a number, or off")
    return Timetable(text, tuple(Step(*each) for each in sorted((daily | weekly).items())))


def _read_entry(entry: str, read_rate: Callable[[str], int]) -> tuple[list[int], int | None]:
    """Return the minutes of the week at which a limit begins, and the limit."""
    found = re.fullmatch(_ENTRY, entry)
    if found is None:
        raise ValueError(
            f"{entry!r} is not of the form [DAY-]HH:MM,LIMIT: write 08:00,1M or Sat-08:00,off"
        )
    day, hour, minute, limit = found.groups()
    days = range(len(DAYS)) if day is None else [DAYS.index(day.title())]
    at = int(hour) * 60 + int(minute)
    return [each * DAY + at for each in days], _read_limit(limit, read_rate)


def _read_limit(text: str, read_rate: Callable[[str], int]) -> int | None:
    return None if text.lower() == OFF else read_rate(text)
