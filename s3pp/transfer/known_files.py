"""Recognition, in the walker, of what an update finds unchanged by the ETag cache alone.

::

    Task ─▶ the state of its file ─▶ in the cache, with the object's ETag ─▶ Skipped
                                  ─▶ with another, or not in the cache ────▶ Task

No file is opened, and nothing is sent to a worker. The source of a put has been looked at by the
walk; a file that a get would write is looked at here. Only equality is found: whatever differs, or
is not known, is decided by a worker as without a cache.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from s3pp.errors import S3ppError
from s3pp.job import Job
from s3pp.localfs.etag_cache import TOGETHER, DigestReader, Digests, UnusableCacheError
from s3pp.localfs.file_state import FileDigest, FileState, cache_notice
from s3pp.localfs.paths import is_marker
from s3pp.localfs.tree import Tree
from s3pp.records import (
    Facts,
    GetTask,
    Outcome,
    PutTask,
    Skipped,
    Task,
)
from s3pp.sources import rules_of
from s3pp.sources.filesystem import WalkedEntry
from s3pp.transfer.chunks import chunks
from s3pp.transfer.file_digests import PLAIN, BodyKinds, same_etag
from s3pp.transfer.unchanged import compares_content

Step = Task | Outcome


class KnownFiles:
    """Skips the steps of a walk whose files are known to be what the objects are."""

    def __init__(
        self,
        job: Job,
        notify: Callable[[str], None],
        store: Callable[[Sequence[FileDigest]], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``notify`` shows a line to users; ``store`` stores digests again, so that they stay."""
        self._path = job.speed.etag_cache or ""
        self._notify = notify
        self._store = store
        self._clock = clock
        self._rules = rules_of(job)
        self._kinds: dict[int | None, BodyKinds] = {
            None: BodyKinds(job.objects),
            **{number: BodyKinds(rule.objects) for number, rule in enumerate(job.objects.rules)},
        }
        self._tree = Tree(job.directory, follow=job.choosing.follow_symlinks is True)
        self._stores = not job.dry_run
        self._keeps_facts = job.output.keeps_facts
        self._reader = self._open(job) if compares_content(job) else None

    def skip(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Yield ``steps`` in their order, some of them as skipped."""
        for chunk in chunks(steps, TOGETHER, clock=self._clock):
            states = list(map(self._state, chunk))
            known = iter(self._look_up([state for state in states if state is not None]))
            for step, state in zip(chunk, states, strict=True):
                digests = None if state is None else next(known)
                yield self._judge(step, digests) if digests else step

    def _open(self, job: Job) -> DigestReader | None:
        try:
            return DigestReader(self._path, read_only=job.dry_run)
        except UnusableCacheError as error:
            self._notify(cache_notice(self._path, str(error)))
            return None

    def _look_up(self, states: Sequence[FileState]) -> Sequence[Digests]:
        reader = self._reader
        if reader is None:
            return [{}] * len(states)
        try:
            known = reader.look_up(states)
        except UnusableCacheError as error:
            self._reader = None
            self._notify(cache_notice(self._path, str(error)))
            return [{}] * len(states)
        if reader.old and self._stores:
            self._store(reader.old)
        reader.old = []
        return known

    def _state(self, step: Step) -> FileState | None:
        """Return the state of the file that may be equal to the object; None if none may be."""
        if isinstance(step, PutTask):
            entry, dest, ask, _ = step
            if ask or dest is None or not isinstance(entry, WalkedEntry):
                return None
            is_possible = dest.size == entry.size or self._kinds_of(step).varies
            return FileState.of(entry.status) if is_possible else None
        if not isinstance(step, GetTask) or step.pack or is_marker(step.target):
            return None
        if self._reader is None:
            return None
        with suppress(S3ppError):  # the getter meets it again
            here = self._tree.status(step.target)
            if here is not None and stat.S_ISREG(here.st_mode) and here.st_size == step.size:
                return FileState.of(here)
        return None

    def _kinds_of(self, step: PutTask) -> BodyKinds:
        return self._kinds[None if self._rules is None else self._rules.find(step)]

    def _judge(self, step: Step, digests: Digests) -> Step:
        """Return a step, or its outcome if the ``digests`` of its file show that it is skipped."""
        if isinstance(step, PutTask):
            entry, dest = step.entry, step.dest
            assert dest is not None, "else nothing was looked up"
            kinds = self._kinds_of(step)
            source = entry.name or entry.path
            body = kinds.of(source) if kinds.varies else PLAIN
            reason = same_etag(digests, body, dest.etag, empty=entry.size == dest.size == 0)
            if reason is None:
                return step
            facts = Facts.of_file(entry.mtime_ns, dest) if self._keeps_facts else None
            return Skipped(source, entry.key, entry.size, reason, facts=facts)
        assert isinstance(step, GetTask), "no other is looked up"
        reason = same_etag(digests, PLAIN, step.etag, empty=step.size == 0)
        if reason is None:
            return step
        facts = Facts.of_object(step.etag) if self._keeps_facts else None
        return Skipped(step.source, step.target, step.size, reason, facts=facts)
