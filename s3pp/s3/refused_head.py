"""Finding out why a HEAD was refused: its answer has no body, so a GET must be sent.

A GET for each refused key would double the requests of a run over forbidden keys. One is enough
until something changes that the answer depends on: the credentials, or the clock skew.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from s3pp.s3.moments import seconds
from s3pp.s3.sigv4 import Keys

# Seconds of clock skew that network delay does not explain. Stores refuse from 900 on (S3 API
# reference, "Error responses", RequestTimeTooSkewed), some from 300.
SKEW = 300.0


class NextStep(Enum):
    """The request that follows a refused HEAD."""

    AGAIN = "the same HEAD: the keys or the clock have changed since it was signed"
    ASK = "a GET, whose answer says why"
    NOTHING = "nothing: why HEADs are refused is known, and this one is meant"


class Signed(NamedTuple):
    """The inputs that a signature depends on."""

    keys: Keys | None
    offset: float  # seconds that the clock was corrected by


class AskedBefore(NamedTuple):
    """The state in which a GET was last sent to find the reason."""

    keys: Keys | None
    skew: float  # seconds by which the store's clock was ahead of the signer's afterwards


def next_step(
    status: int, skew: float, *, signed: Signed, now: Signed, asked: AskedBefore | None
) -> NextStep:
    """Decide what follows a HEAD refused with ``status``.

    ``skew``: seconds by which the answer's ``Date`` is ahead of the signer's clock. A 400 is always
    followed by a GET: it is rare, and nearly always means expired credentials.
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
    """Seconds by which a ``Date`` header is ahead of ``now``; 0 if absent or unreadable."""
    found = seconds(date)
    return 0.0 if found is None else found - now
