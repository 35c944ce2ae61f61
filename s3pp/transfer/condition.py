"""Mode add's promise that nothing is overwritten: ``If-None-Match: *``, or a look right before.

::

    write with the condition ─ 412 ─▶ Taken
                             ─ 501 ─▶ HEAD ─▶ Taken | write without; the rest of the run does so
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from s3pp.job import Mode
from s3pp.records import Dest
from s3pp.s3.operations import Bucket, Headers
from s3pp.s3.retry import StoreError

_IF_ABSENT = (("if-none-match", "*"),)
REFUSED = (
    "the store does not keep If-None-Match: mode add asks with HEAD instead, "
    "which another writer can race"
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
        self._wanted = mode is Mode.ADD
        self._refused = False
        self._bucket = bucket
        self._tell = tell

    async def write(
        self,
        key: str,
        send: Callable[[Headers], Awaitable[T]],
        *,
        ours: bool = False,
        look: bool = False,
    ) -> T:
        """Call ``send`` with the headers of the condition, if any.

        ``ours``: what is there has been written by this very task. ``look``: make do without the
        condition. Raises ``Taken``, and what ``send`` raises.
        """
        if not self._wanted or ours:
            return await send(())
        if self._refused or look:
            return await self._looked(key, send)
        try:
            return await send(_IF_ABSENT)
        except StoreError as error:
            if error.status == 412:
                raise Taken(refusal=error) from None
            if error.status != 501:
                raise
        written = await self._looked(key, send)
        # Only now is it known that the condition was what the store does not know.
        self.give_up()
        return written

    def give_up(self) -> None:
        """Make do without the condition from now on, because the store does not keep it."""
        self._refused = True
        self._tell(REFUSED)

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
