"""Conditional writes for mode ``add``: ``If-None-Match: *``, or a HEAD right before the write.

::

    write with the condition ─ 412 ─▶ Taken
                             ─ 501 ─▶ HEAD ─▶ Taken | write without

A refusal for one object does not remove the condition for others. The condition is left out only
after the store has accepted ``SURE`` objects without it that it had refused with it, and none
with it: then the store does not support the condition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from s3pp.job import Mode
from s3pp.records import Dest
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.retry import StoreError

_IF_ABSENT = (("if-none-match", "*"),)
SURE = 3  # objects; each costs one refused request
REFUSED = (
    "{} refuses If-None-Match: where it does, mode add asks with HEAD right before it writes, "
    "and overwrites what another writer stores in between"
)

T = TypeVar("T")


class Taken(Exception):
    """Raised when the key exists: ``dest`` is the object seen, or ``refusal`` the store's error."""

    def __init__(self, dest: Dest | None = None, refusal: StoreError | None = None) -> None:
        super().__init__()
        self.dest = dest
        self.refusal = refusal


class Absence:
    """Writes that in mode ``add`` succeed only if the key is absent; in other modes plain writes.

    Use one per kind of request: a store may support the condition on one but not on another.
    """

    def __init__(self, mode: Mode, bucket: Bucket, tell: Callable[[str], None]) -> None:
        self.kept = False  # a write with the condition has succeeded: the store supports it
        self._wanted = mode is Mode.ADD
        self._doubts = 0  # objects that the store accepted only without the condition
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

        ``ours``: this task itself wrote the existing object. ``look``: use a HEAD instead of the
        condition. Raises ``Taken``, and the errors of ``send``.
        """
        # Not a coroutine: in the other modes this runs for every small object.
        if not self._wanted or ours:
            return send(())
        if look or (self._doubts >= SURE and not self.kept):
            return self._looked(key, send)
        return self._under_condition(key, send)

    def doubt(self) -> None:
        """Count an object for which the store did not support the condition."""
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
        self.doubt()  # only now is it known that the condition was refused
        return written

    async def _looked(self, key: str, send: Callable[[Headers], Awaitable[T]]) -> T:
        dest = await seen(self._bucket, key)
        if dest is not None:
            raise Taken(dest)
        return await send(())


async def seen(bucket: Bucket, key: str) -> Dest | None:
    """Return the answer to a HEAD; None if the key is absent or HEAD is forbidden."""
    try:
        return await bucket.head(key)
    except StoreError as error:
        if error.status == 403:
            return None
        raise
