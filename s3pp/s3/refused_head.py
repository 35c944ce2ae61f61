"""What follows a HEAD that is refused: its answer has no body, and so not the reason."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from s3pp.access import Keys
from s3pp.s3.timestamps import epoch_seconds

# Seconds of clock skew that network delay does not explain. Stores refuse from 900 on (S3 API
# reference, "Error responses", RequestTimeTooSkewed), some from 300.
SKEW = 300.0


class NextStep(Enum):
    """The request that follows a refused HEAD."""

    HEAD = "the same HEAD: the keys or the clock have changed since it was signed"
    GET = "a GET, whose answer contains the reason"
    NOTHING = "nothing: the reason is known, and applies to this HEAD"


class Signed(NamedTuple):
    """The inputs that a signature depends on."""

    keys: Keys | None
    offset: float  # seconds that the clock was corrected by


class LastReasonCheck(NamedTuple):
    """The state in which a GET was last sent to find the reason."""

    keys: Keys | None
    skew: float  # seconds by which the store's clock was ahead of the signer's afterwards


def next_step(
    status: int, skew: float, *, signed: Signed, now: Signed, last: LastReasonCheck | None
) -> NextStep:
    """Decide what follows a HEAD refused with ``status``.

    ``skew``: seconds by which the answer's ``Date`` is ahead of the signer's clock. A 400 is always
    followed by a GET: it is rare, and nearly always means expired credentials.
    """
    if now != signed:
        return NextStep.HEAD
    if status == 400:
        return NextStep.GET
    if status != 403 or now.keys is None:
        return NextStep.NOTHING
    known = last is not None and last.keys == now.keys and abs(skew - last.skew) <= SKEW
    return NextStep.NOTHING if known else NextStep.GET


def skew_of(date: str | None, now: float) -> float:
    """Seconds by which a ``Date`` header is ahead of ``now``; 0 if absent or unreadable."""
    found = epoch_seconds(date)
    return 0.0 if found is None else found - now
