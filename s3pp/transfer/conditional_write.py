"""Conditional writes for mode ``add``: ``If-None-Match: *``, or a HEAD right before the write.

::

    write with the condition ─ 412 ─▶ AlreadyExists
                             ─ 501 ─▶ HEAD ─▶ AlreadyExists | write without

Of a plan that replaces an object the condition is ``If-Match`` with its ETag. AWS applies it to
every kind of write. Of other stores some ignore it, which no answer shows: there a HEAD comes right
before the write as well, and CopyObject has no such condition, which OpenStack Swift would apply to
the source.

A refusal for one object does not remove the condition for others. The condition is left out only
after the store has accepted ``SURE`` objects without it that it had refused with it, and none
with it: then the store does not support the condition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from s3pp.errors import outdated
from s3pp.job import Mode
from s3pp.records import Dest, Planned
from s3pp.s3.answers import pin_of
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

    def __init__(
        self, mode: Mode, bucket: Bucket, notify: Callable[[str], None], *, copies: bool = False
    ) -> None:
        """``copies``: the requests are CopyObject."""
        self.is_supported = False  # a write with the condition has succeeded
        self._copies = copies
        self._refusals = 0  # of If-Match
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
        planned: Planned | None = None,
    ) -> Awaitable[T]:
        """Call ``send`` with the headers of the condition, if any.

        ``ours``: this task itself wrote the existing object. ``look``: use a HEAD instead of the
        condition. ``planned``: only the object that a plan saw may be replaced. Raises
        ``AlreadyExists`` where another object exists, and the errors of ``send``.
        """
        # Not a coroutine: in the other modes this runs for every small object.
        if not self._wanted or ours:
            return send(())
        if planned is not None and planned.dest is not None:
            return self._write_over(key, send, planned.dest)
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

    async def _write_over(self, key: str, send: Callable[[Headers], Awaitable[T]], over: Dest) -> T:
        """Replace an object, unless it is another one by now, or gone."""
        is_aws = self._bucket.endpoint.is_aws
        if not is_aws:
            await self._check_over(key, over)
        pin = pin_of(over.etag) if is_aws or not self._copies else ""
        if not pin or self._refusals >= SURE:
            return await send(())
        try:
            return await send((("if-match", pin),))
        except StoreError as error:
            # Ceph RGW takes the quotes for a part of the ETag, and refuses what has not changed.
            if error.status == 412 and (is_aws or not await self._is_there(key, over)):
                raise AlreadyExists(refusal=error) from None
            if error.status == 404:  # it has been removed, unless it is the source of a copy
                await self._check_over(key, over)
            if error.status not in (412, 501):
                raise
        self._refusals += 1
        await self._check_over(key, over)
        return await send(())

    async def _is_there(self, key: str, over: Dest) -> bool:
        there = await self._bucket.head(key)
        return there is not None and (there.size, there.etag) == (over.size, over.etag)

    async def _check_over(self, key: str, over: Dest) -> None:
        """Raise ``AlreadyExists`` if another object exists, ``ObjectError`` if there is none."""
        there = await self._bucket.head(key)
        if there is None:
            raise outdated("the destination", "has been removed")
        if (there.size, there.etag) != (over.size, over.etag):
            raise AlreadyExists(there)


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
