"""A limit that may change with the time of day, of ``--max-bandwidth`` and ``--max-requests``.

::

    08:00,1M 18:00,off          1 MiB/s from 8 to 18 o'clock, and no limit at night
    Mon-00:00,10 Sat-00:00,off  10 from Monday to Friday

Times are local, as the clock on the wall shows them: the hour that daylight saving time repeats has
its limit twice, and the one that it leaves out, none.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # in the order of ``time.struct_time``
DAY, WEEK = 24 * 60, 7 * 24 * 60  # minutes


class Step(NamedTuple):
    """A limit, from a minute of the week until that of the next step."""

    minute: int  # since Monday, 00:00
    rate: int | None  # a second; None: no limit


@dataclass(frozen=True)
class Timetable:
    """The limits of a week. ``text`` is how it was written."""

    text: str = field(compare=False)
    steps: tuple[Step, ...]  # at least one, in order

    def rate_at(self, minute: int) -> int | None:
        """The limit a second in a minute of the week, or None; the last step wraps around."""
        return self.steps[bisect_right(self.steps, minute, key=_minute_of) - 1].rate

    def rate_now(self, now: float | None = None) -> int | None:
        """The limit a second at ``now``, seconds since the epoch, in local time; None: no limit."""
        local = time.localtime(now)
        return self.rate_at(local.tm_wday * DAY + local.tm_hour * 60 + local.tm_min)

    @property
    def limits(self) -> bool:
        """Whether there ever is a limit."""
        return any(step.rate is not None for step in self.steps)

    def __str__(self) -> str:
        return self.text


def _minute_of(step: Step) -> int:
    return step.minute


def steady(rate: int | None, text: str = "") -> Timetable:
    """The timetable of one limit a second at all times; None: no limit."""
    return Timetable(text or ("off" if rate is None else str(rate)), (Step(0, rate),))
