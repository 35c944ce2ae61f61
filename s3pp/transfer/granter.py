"""The granter: adds grants to the ACL of each object that was written.

::

    task ─▶ putter, copier ─▶ Done ─▶ GetObjectAcl ─▶ PutObjectAcl ─▶ Done
                         └──▶ Skipped, Failed              └─ refused ─▶ Failed: the data is stored

It stands before the role of a worker, and only where grants are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from s3pp.access import Grant
from s3pp.errors import FailureKind, FatalError, Kept, ObjectError, RunEnding
from s3pp.records import Done, Foreseen, Outcome, PartOutcome
from s3pp.s3.access_control import AclRequests, add_grants
from s3pp.s3.client import Bucket
from s3pp.s3.retry import Remedy, StoreError
from s3pp.transfer.errors import NO_EMAIL, failure
from s3pp.transfer.unchanged import Screen

CALLS = (("GetObjectAcl", 1), ("PutObjectAcl", 1))  # of each object

# API reference, "PutObjectAcl" and "Error responses". What is refused so is refused for all
# objects, because it is the same for all of them: the grants, or that there are any.
_LASTING = frozenset({400, 405, 501})
_DISABLED = "AccessControlListNotSupported"


class ObjectWriter(Protocol):
    """The role that writes the objects."""

    notes: list[str]

    @property
    def skip_unchanged(self) -> Screen | None:
        """As that of ``roles.Role``."""

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part. Raises only ``FatalError`` and ``RunEnding``."""


class Granter:
    """A role that has another one write objects, and then grants permissions for them."""

    def __init__(
        self, writer: ObjectWriter, bucket: Bucket, grants: Sequence[Grant], *, dry_run: bool
    ) -> None:
        """``bucket`` is the one that ``writer`` writes to."""
        self.notes = writer.notes
        self.skip_unchanged = writer.skip_unchanged
        self._writer = writer
        self._acls = AclRequests(bucket)
        self._where = f"s3://{bucket.endpoint.bucket}"
        self._grants = grants
        self._dry_run = dry_run

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part, as the other role does."""
        return await self._writer.part(part)

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task, and grant. Raises only ``FatalError`` and ``RunEnding``."""
        outcome = await self._writer.transfer(task)
        if not isinstance(outcome, Done):
            return outcome
        if self._dry_run:
            foreseen = outcome.foreseen or Foreseen(())
            calls = (*foreseen.calls, *CALLS)
            return outcome._replace(foreseen=foreseen._replace(calls=calls))
        try:
            await self._grant(outcome.target)
        except RunEnding:  # not as if nothing had been done: the next run would find it stored
            ending = ObjectError(FailureKind.STORE, "the run ended before its ACL was changed")
            return failure(task.source, task.target, ending)._replace(kept=Kept.UNGRANTED)
        except Exception as error:
            return failure(task.source, task.target, error)._replace(kept=Kept.UNGRANTED)
        return outcome

    async def _grant(self, key: str) -> None:
        try:
            acl = add_grants(await self._acls.get(key), self._grants)
            if acl is not None:
                await self._acls.put(key, acl)
        except ObjectError as error:
            raise self._explain(error) from None

    def _explain(self, error: ObjectError) -> Exception:
        if isinstance(error, StoreError) and _is_lasting(error):
            return FatalError(self._lasting(error), error.kind)
        explained = ObjectError(error.kind, f"its ACL cannot be changed: {error}")
        explained.code = error.code
        return explained

    def _lasting(self, error: StoreError) -> str:
        """The message for a refusal that concerns every object."""
        if error.code == _DISABLED:
            advice = "grant by a bucket policy, or enable ACLs under Object Ownership"
            return f"{self._where} has ACLs disabled ({error.code}): {advice}"
        if error.status == 405 and any(grant.by_email for grant in self._grants):
            return f"the store refuses --grant-to: {error}: {NO_EMAIL}"
        if error.status in (405, 501):
            return f"the store has no ACLs of objects that can be changed ({error}): no --grant-to"
        return f"the store refuses --grant-to: {error}"


def _is_lasting(error: StoreError) -> bool:
    return error.status in _LASTING and error.remedy is Remedy.NONE
