"""Why a HEAD was refused: its answer has no body, so a GET has to be asked.

A GET for each refused key would double the requests of a run over forbidden keys. One answer is
enough as long as nothing changes that it depends on: the keys, and the difference of the clocks.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from s3pp.s3.moments import seconds
from s3pp.s3.sigv4 import Keys

# Seconds between two clocks that no network explains. Stores refuse from 900 on (S3 API reference,
# "Error responses", RequestTimeTooSkewed), some from 300.
SKEW = 300.0


class NextStep(Enum):
    """What a refused HEAD is followed by."""

    AGAIN = "the same HEAD: the keys or the clock have changed since it was signed"
    ASK = "a GET, whose answer says why"
    NOTHING = "nothing: why HEADs are refused is known, and this one is meant"


class Signed(NamedTuple):
    """What a signature depends on."""

    keys: Keys | None
    offset: float  # seconds that the clock was corrected by


class AskedBefore(NamedTuple):
    """The circumstances under which a GET was last asked for the reason."""

    keys: Keys | None
    skew: float  # seconds that the store's clock was ahead of the signer's, once it was answered


def next_step(
    status: int, skew: float, *, signed: Signed, now: Signed, asked: AskedBefore | None
) -> NextStep:
    """Decide what a HEAD refused with ``status`` is followed by.

    ``skew``: seconds that the answer's ``Date`` is ahead of the signer's clock. A 400 is asked
    about each time: it is rare, and nearly always keys that have expired.
    """
    if now != signed:
        return NextStep.AGAIN
    if status == 400:
        return NextStep.ASK
    if status != 403 or now.keys is None:
        return NextStep.NOTHING
    known = asked is not None and asked.keys == now.keys and abs(skew - asked.skew) <= SKEW
    return NextStep.NOTHING if known else NextStep.ASK


def skew_of(date: str | None, now: float) -> float:
    """Seconds that a ``Date`` header is ahead of ``now``; 0 where there is none to be read."""
    found = seconds(date)
    return 0.0 if found is None else found - now
