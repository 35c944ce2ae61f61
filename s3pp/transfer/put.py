"""The putter: one task in, one outcome out.

::

    PutTask ─▶ ask the store, if the listing could not tell
            ─▶ prepare the body (again, if it changed or the store got other bytes)
            ─▶ decide ─▶ Skipped
            ─▶ PUT, verify the ETag ─▶ Done | Failed
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job, Mode, Objects
from s3pp.records import Dest, Done, Failed, Outcome, PutTask, SendReason, Skipped, SkipReason
from s3pp.s3.operations import Answer, Bucket
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.bodies import Changed
from s3pp.transfer.prepare import Prepared, Preparer, held

_READINGS = 3  # times a source is read before it counts as always changing
_IF_ABSENT = ("if-none-match", "*")
_KMS = ("aws:kms", "aws:kms:dsse")  # encrypted so, an object's ETag is no MD5


class Mismatch(ObjectError):
    """The ETag that came back is not the MD5 of what was sent."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(
            FailureKind.INTEGRITY, f"the store holds other bytes: ETag {got}, sent MD5 {expected}"
        )


class Putter:
    """Puts objects into one bucket by the rules of one job."""

    def __init__(self, job: Job, bucket: Bucket, preparer: Preparer) -> None:
        self._mode = job.mode
        self._dry_run = job.dry_run
        self._bucket = bucket
        self._preparer = preparer
        self._headers = static_headers(job.objects)
        self._conditional = job.mode is Mode.ADD
        self.notes: list[str] = []  # what people should know once, read by the worker
        self.requests_spared = 0  # that a dry run did not make

    async def put(self, task: PutTask) -> Outcome:
        """Bring one object to its end. Raises ``FatalError`` only."""
        entry = task.entry
        budget = self._preparer.budget
        grant = budget.grant(held(entry))
        await budget.take(grant)
        try:
            return await self._put(task)
        except FatalError:
            raise
        except ObjectError as error:
            return Failed(entry.source, entry.key, error.kind, str(error))
        except Exception as error:
            return Failed(
                entry.source, entry.key, FailureKind.INTERNAL, f"internal error: {error!r}"
            )
        finally:
            budget.give(grant)

    async def _put(self, task: PutTask) -> Outcome:
        entry = task.entry
        dest = await self._ask(entry.key) if task.ask else task.dest
        if dest is not None and not modes.needs_content(self._mode):
            reason = modes.decide(self._mode, None, dest)
            if isinstance(reason, SkipReason):
                return Skipped(entry.source, entry.key, entry.size, reason)
        for _ in range(_READINGS - 1):
            try:
                return await self._attempt(task, dest)
            except (Changed, Mismatch):
                continue
            except StoreError as error:
                if error.kind is not FailureKind.INTEGRITY:
                    raise
        return await self._attempt(task, dest)

    async def _attempt(self, task: PutTask, dest: Dest | None) -> Outcome:
        entry = task.entry
        prepared = await self._preparer.prepare(entry)
        try:
            compared = dest is not None and modes.needs_content(self._mode)
            local = self._preparer.local(prepared) if compared else None
            reason = modes.decide(self._mode, local, dest)
            if isinstance(reason, SkipReason):
                return Skipped(entry.source, entry.key, prepared.size, reason)
            if self._dry_run:
                self.requests_spared += 1
                md5 = self._preparer.local(prepared).md5
                return _done(task, prepared, reason, md5, 0)
            return await self._send(task, prepared, reason)
        finally:
            prepared.close()

    async def _send(self, task: PutTask, prepared: Prepared, reason: SendReason) -> Outcome:
        entry = task.entry
        digests = self._preparer.digests(prepared)
        try:
            answer = await self._request(entry.key, prepared, conditional=self._conditional)
        except StoreError as error:
            if error.status == 412 and self._conditional:
                return await self._taken(task, prepared, reason)
            if not (self._conditional and _refuses_condition(error)):
                raise
            self._give_up_condition()
            dest = await self._ask(entry.key)
            if dest is not None:
                return Skipped(entry.source, entry.key, prepared.size, SkipReason.EXISTS)
            answer = await self._request(entry.key, prepared, conditional=False)
        prepared.check()
        etag = answer.etag
        if etag != digests.md5:
            self._check_etag(digests.md5, etag, answer)
        return _done(task, prepared, reason, etag, answer.attempts)

    async def _request(self, key: str, prepared: Prepared, *, conditional: bool) -> Answer:
        digests = self._preparer.digests(prepared)
        headers = [*self._headers, *prepared.labels, digests.header]
        if conditional:
            headers.append(_IF_ABSENT)
        return await self._bucket.put(
            key, prepared.body, headers=headers, payload_hash=digests.payload_hash
        )

    async def _ask(self, key: str) -> Dest | None:
        """HEAD a key; where that is forbidden nothing is known, as if it were absent."""
        try:
            return await self._bucket.head(key)
        except StoreError as error:
            if error.status == 403:
                return None
            raise

    async def _taken(self, task: PutTask, prepared: Prepared, reason: SendReason) -> Outcome:
        """The key exists: by another's hand, or by our own PUT whose answer was lost."""
        entry = task.entry
        dest = await self._ask(entry.key)
        if dest == Dest(*self._preparer.local(prepared)):
            return _done(task, prepared, reason, dest.etag, 1)
        return Skipped(entry.source, entry.key, prepared.size, SkipReason.EXISTS)

    def _give_up_condition(self) -> None:
        if self._conditional:
            self._conditional = False
            self.notes.append(
                "the store refuses If-None-Match: mode add asks with HEAD instead, "
                "which another writer can race"
            )

    def _check_etag(self, md5: str, etag: str, answer: Answer) -> None:
        """Raise ``Mismatch`` if an ETag that is not our MD5 ought to be."""
        if not md5 or not modes.is_md5(etag) or self._bucket.endpoint.etags_are_random:
            return
        if answer.response.header(b"x-amz-server-side-encryption") not in _KMS:
            raise Mismatch(md5, etag)


def _done(task: PutTask, prepared: Prepared, reason: SendReason, etag: str, attempts: int) -> Done:
    entry = task.entry
    return Done(
        entry.source, entry.key, prepared.size, prepared.sent, etag, reason, attempts=attempts
    )


def _refuses_condition(error: StoreError) -> bool:
    return error.status == 501 or error.code in ("NotImplemented", "InvalidArgument")


def static_headers(objects: Objects) -> Sequence[tuple[str, str]]:
    """The headers that are the same for every object of a run, lower-case names."""
    headers = [(k.lower(), v) for k, v in objects.headers if k.lower() != "content-type"]
    headers += [(f"x-amz-meta-{k.lower()}", v) for k, v in objects.metadata]
    named = {
        "x-amz-acl": objects.acl,
        "x-amz-storage-class": objects.storage_class,
        "x-amz-server-side-encryption": objects.sse,
        "x-amz-server-side-encryption-aws-kms-key-id": objects.sse_kms_key_id,
        "x-amz-tagging": "&".join(f"{quote(k, '')}={quote(v, '')}" for k, v in objects.tags),
    }
    return [*headers, *((k, v) for k, v in named.items() if v)]
