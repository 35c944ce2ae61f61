"""Mode add's promise that nothing is overwritten: ``If-None-Match: *``, or a look right before.

::

    write with the condition ─ 412 ─▶ Taken
                             ─ 501 ─▶ HEAD ─▶ Taken | write without

An object that is refused costs no other its condition. Only where the store has taken ``SURE``
objects without it that it refused with it, and none with it, is the condition left out: then it is
the condition that the store does not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from s3pp.job import Mode
from s3pp.records import Dest
from s3pp.s3.operations import Bucket, Headers
from s3pp.s3.retry import StoreError

_IF_ABSENT = (("if-none-match", "*"),)
SURE = 3  # objects; each costs one request that is refused
REFUSED = (
    "{} refuses If-None-Match: where it does, mode add asks with HEAD right before it writes, "
    "and overwrites what another writer stores in between"
)

T = TypeVar("T")


class Taken(Exception):
    """The key exists: ``dest`` is what was seen there, or ``refusal`` how the store put it."""

    def __init__(self, dest: Dest | None = None, refusal: StoreError | None = None) -> None:
        super().__init__()
        self.dest = dest
        self.refusal = refusal


class Absence:
    """Writes under a key only while it is absent, in mode ``add``; in others just writes.

    One for each kind of request: a store may know the condition on one and not on the other.
    """

    def __init__(self, mode: Mode, bucket: Bucket, tell: Callable[[str], None]) -> None:
        self.kept = False  # a write under the condition has succeeded: the store knows it
        self._wanted = mode is Mode.ADD
        self._doubts = 0  # objects that the store took only without the condition
        self._bucket = bucket
        self._tell = tell

    def write(
        self,
        key: str,
        send: Callable[[Headers], Awaitable[T]],
        *,
        ours: bool = False,
        look: bool = False,
    ) -> Awaitable[T]:
        """Call ``send`` with the headers of the condition, if any.

        ``ours``: what is there has been written by this very task. ``look``: make do without the
        condition. Raises ``Taken``, and what ``send`` raises.
        """
        # No coroutine of its own: in the other modes every small object passes here.
        if not self._wanted or ours:
            return send(())
        if look or (self._doubts >= SURE and not self.kept):
            return self._looked(key, send)
        return self._under_condition(key, send)

    def doubt(self) -> None:
        """Count an object of which the store did not keep the condition."""
        if not self._doubts:
            self._tell(REFUSED.format(self._bucket.endpoint.host))
        self._doubts += 1

    async def _under_condition(self, key: str, send: Callable[[Headers], Awaitable[T]]) -> T:
        try:
            written = await send(_IF_ABSENT)
        except StoreError as error:
            if error.status == 412:
                raise Taken(refusal=error) from None
            if error.status != 501:
                raise
        else:
            self.kept = True
            return written
        written = await self._looked(key, send)
        self.doubt()  # only now is it known that the condition was what is refused
        return written

    async def _looked(self, key: str, send: Callable[[Headers], Awaitable[T]]) -> T:
        dest = await seen(self._bucket, key)
        if dest is not None:
            raise Taken(dest)
        return await send(())


async def seen(bucket: Bucket, key: str) -> Dest | None:
    """HEAD a key; where that is forbidden nothing is known, as if it were absent."""
    try:
        return await bucket.head(key)
    except StoreError as error:
        if error.status == 403:
            return None
        raise
