"""Roles that pass each task to one of several others: by its bucket, by its rule, and for grants.

::

    task ─▶ Granter ─▶ RoleByRule ─▶ RoleByBucket ─▶ putter, copier, getter
            --grant-to  --rules       several buckets are read

With ``--rules`` there is one role for each rule, made when it is first needed. It has a job in
which the attributes of the rule are those of all objects, so that what it decides by them (headers,
compression, comparison) is as if there was only this rule.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from s3pp.job import Job
from s3pp.pipeline.roles import Buckets, MakeRole, Role
from s3pp.places import Side
from s3pp.records import Done, Outcome, PartOutcome, Skipped
from s3pp.sources.object_rules import ObjectRules
from s3pp.transfer.parts import PartRunner
from s3pp.transfer.resources import WorkerResources


def compound_role(job: Job, buckets: Buckets, resources: WorkerResources, make: MakeRole) -> Role:
    """Return the role of a worker; ``make`` makes one that reads one bucket, without rules."""
    if len(job.buckets) > 1:
        make = partial(_role_by_bucket, make)
    made: Role
    if job.objects.rules:
        made = RoleByRule(job, lambda own: make(own, buckets, resources))
    else:
        made = make(job, buckets, resources)
    if not job.objects.grants:
        return made
    from s3pp.transfer.granter import Granter

    return Granter(made, buckets[Side.DEST], job.objects.grants, dry_run=job.dry_run)


def _role_by_bucket(make: MakeRole, job: Job, buckets: Buckets, resources: WorkerResources) -> Role:
    roles: dict[str, Role] = {}
    for number, bucket in enumerate(job.buckets):
        its = {**buckets, Side.SOURCE: buckets[Side("source", number)]}
        parts = QualifiedParts(resources.parts, f"{bucket}/")
        roles[f"{bucket}/"] = make(job, its, resources._replace(parts=parts))
    return RoleByBucket(roles)


class QualifiedParts:
    """Has parts transferred whose source is named with its bucket."""

    def __init__(self, parts: PartRunner, bucket: str) -> None:
        self._parts = parts
        self._bucket = bucket
        self.check, self.report = parts.check, parts.report

    def run(self, part: Any) -> Awaitable[PartOutcome]:
        """``PartRunner.run``."""
        return self._parts.run(part._replace(source=self._bucket + part.source))


class RoleByBucket:
    """The role of a worker in a run that reads several buckets: tasks name ``bucket/key``."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        """``roles``: by the name of the bucket and a slash."""
        self.notes: list[str] = []  # as those of ``Role``
        self._roles = roles
        # It concerns only what stands at the destination, which is the same for all.
        self.skip_unchanged = next(iter(roles.values())).skip_unchanged

    async def transfer(self, task: Any) -> Outcome:
        """``Role.transfer``."""
        role, key = self._find(task.source)
        outcome: Any = await role.transfer(task._replace(source=key))
        while role.notes:
            self.notes.append(role.notes.pop())
        named: Outcome = outcome._replace(source=task.source)
        return named

    async def part(self, part: Any) -> PartOutcome:
        """``Role.part``."""
        role, key = self._find(part.source)
        return await role.part(part._replace(source=key))

    def _find(self, source: str) -> tuple[Role, str]:
        bucket = next(bucket for bucket in self._roles if source.startswith(bucket))
        return self._roles[bucket], source[len(bucket) :]


class RoleByRule:
    """Passes each task to the role of its rule."""

    def __init__(self, job: Job, make: Callable[[Job], Role]) -> None:
        """``make`` returns the role of a job without rules."""
        self.notes: list[str] = []  # as those of ``Role``
        self._job, self._make = job, make
        self._rules = ObjectRules(job)
        self._roles: dict[int | None, Role] = {}
        self._default = self._role(None)
        self.skip_unchanged = self._skip if job.verb == "put" else self._default.skip_unchanged

    async def transfer(self, task: Any) -> Outcome:
        """``Role.transfer``."""
        role = self._role(self._rules.find(task))
        outcome = await role.transfer(task)
        while role.notes:
            self.notes.append(role.notes.pop(0))
        return outcome

    async def part(self, part: Any) -> PartOutcome:
        """``Role.part``; the upload of which it is a part has the attributes."""
        return await self._default.part(part)

    def _skip(self, task: Any) -> Done | Skipped | None:
        skip = self._role(self._rules.find(task)).skip_unchanged
        return None if skip is None else skip(task)

    def _role(self, number: int | None) -> Role:
        role = self._roles.get(number)
        if role is None:
            objects = self._job.objects
            rule = objects if number is None else objects.rules[number].objects
            own = replace(self._job, objects=replace(rule, rules=(), rules_file=None))
            role = self._roles[number] = self._make(own)
        return role
