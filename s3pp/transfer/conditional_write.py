"""Conditional writes for mode ``add``: ``If-None-Match: *``, or a HEAD right before the write.

::

    write with the condition ─ 412 ─▶ AlreadyExists
                             ─ 501 ─▶ HEAD ─▶ AlreadyExists | write without

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
from s3pp.s3.timestamps import epoch_nanoseconds

_IF_ABSENT = (("if-none-match", "*"),)
SURE = 3  # objects; each costs one refused request
REFUSED = (
    "{} refuses If-None-Match: where it does, mode add asks with HEAD right before it writes, "
    "and overwrites what another writer stores in between"
)

T = TypeVar("T")


class AlreadyExists(Exception):
    """Raised when the key exists: ``dest`` is the object seen, or ``refusal`` the store's error."""

    def __init__(self, dest: Dest | None = None, refusal: StoreError | None = None) -> None:
        super().__init__()
        self.dest = dest
        self.refusal = refusal


class ConditionalWrite:
    """Writes that in mode ``add`` succeed only if the key is absent; in other modes plain writes.

    Use one per kind of request: a store may support the condition on one but not on another.
    """

    def __init__(self, mode: Mode, bucket: Bucket, notify: Callable[[str], None]) -> None:
        self.is_supported = False  # a write with the condition has succeeded
        self._wanted = mode is Mode.ADD
        self._doubts = 0  # objects that the store accepted only without the condition
        self._bucket = bucket
        self._notify = notify

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
        condition. Raises ``AlreadyExists``, and the errors of ``send``.
        """
        # Not a coroutine: in the other modes this runs for every small object.
        if not self._wanted or ours:
            return send(())
        if look or (self._doubts >= SURE and not self.is_supported):
            return self._write_if_absent(key, send)
        return self._write(key, send)

    def add_doubt(self) -> None:
        """Count an object for which the store did not support the condition."""
        if not self._doubts:
            self._notify(REFUSED.format(self._bucket.endpoint.host))
        self._doubts += 1

    async def _write(self, key: str, send: Callable[[Headers], Awaitable[T]]) -> T:
        try:
            written = await send(_IF_ABSENT)
        except StoreError as error:
            if error.status == 412:
                raise AlreadyExists(refusal=error) from None
            if error.status != 501:
                raise
        else:
            self.is_supported = True
            return written
        written = await self._write_if_absent(key, send)
        self.add_doubt()  # only now is it known that the condition was refused
        return written

    async def _write_if_absent(self, key: str, send: Callable[[Headers], Awaitable[T]]) -> T:
        dest = await head_if_allowed(self._bucket, key)
        if dest is not None:
            raise AlreadyExists(dest)
        return await send(())


async def head_if_allowed(bucket: Bucket, key: str, *, timed: bool = False) -> Dest | None:
    """Return the answer to a HEAD; None if the key is absent or HEAD is forbidden.

    ``timed``: with the time of its last modification.
    """
    try:
        return await (_head_with_time(bucket, key) if timed else bucket.head(key))
    except StoreError as error:
        if error.status == 403:
            return None
        raise


async def _head_with_time(bucket: Bucket, key: str) -> Dest | None:
    answer = await bucket.look(key)
    if answer is None:
        return None
    modified = answer.response.header(b"last-modified") or ""
    return Dest(answer.size, answer.etag, epoch_nanoseconds(modified))
