"""The thread of the statter that stores digests in the ETag cache.

::

    FileDigests ──add──▶ queue, bounded ──▶ thread: one transaction a second ──▶ the file

Nothing waits for it: what does not fit the queue is dropped, and computed again by the next run.
SQLite releases the interpreter while it waits for locks and disks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from queue import Empty, Full, Queue
from threading import Thread

from s3pp.localfs.etag_cache import DigestWriter, UnusableCacheError
from s3pp.localfs.file_state import FileDigest, cache_notice

WAITING = 256  # messages in the queue: those of a second, at any speed
PERIOD = 1.0  # seconds between transactions
MOST = 20_000  # digests in one
LAST = 10.0  # seconds that a run waits at its end

Digests = Sequence[FileDigest]


class DigestStorage:
    """Stores digests on a thread of its own."""

    def __init__(self, path: str) -> None:
        self.fault: str | None = None  # for users, once nothing is stored any more
        self._path = path
        self._closing = False
        self._queue: Queue[Digests | None] = Queue(WAITING)
        self._thread = Thread(target=self._run, name="s3pp: etag cache", daemon=True)
        self._thread.start()

    def add(self, digests: Digests) -> None:
        """Store digests soon, or drop them."""
        if self.fault is None:
            with suppress(Full):
                self._queue.put_nowait(digests)

    def close(self) -> None:
        """Store what was added, and close the file; takes ``LAST`` seconds at most."""
        self._closing = True
        with suppress(Full):
            self._queue.put_nowait(None)  # so that the thread does not wait for more
        self._thread.join(LAST)
        if self._thread.is_alive():
            self._fail("writing to it takes too long")

    def _run(self) -> None:
        try:
            with closing(DigestWriter(self._path)) as writer:
                while not (self._closing and self._queue.empty()):
                    digests = self._collect()
                    if digests:
                        writer.store(digests)
                writer.expire()
        except UnusableCacheError as error:
            self._fail(str(error))

    def _collect(self) -> list[FileDigest]:
        """Return the digests of one transaction."""
        until = time.monotonic() + PERIOD
        collected: list[FileDigest] = []
        while len(collected) < MOST:
            left = 0.0 if self._closing else max(0.0, until - time.monotonic())
            try:
                digests = self._queue.get(timeout=left)
            except Empty:
                break
            collected += digests or ()
        return collected

    def _fail(self, why: str) -> None:
        self.fault = cache_notice(self._path, why)
