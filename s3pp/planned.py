"""What a plan has decided of an object: a part of its task when the plan is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from s3pp.records import Dest, SendReason


class Planned(NamedTuple):
    """Why an object is transferred, and what its destination must still be.

    Of a get that is a file, and ``Dest.modified_ns`` its time. Producer: the walker of an apply;
    consumers: the roles.
    """

    reason: SendReason
    dest: Dest | None  # as it was seen; None: there was nothing
    result: Dest | None = None  # what the destination is once it is done, if known
