"""Recognition of what an update finds unchanged, without a request and without a coroutine.

Most objects of most updates are unchanged. Such a file costs its system calls and its MD5, and
little else, because a worker asks here before a task gets a slot::

    task ──▶ equal by size and MD5? ──yes──▶ Skipped
                      └─ no, or it takes more to know ──▶ ``transfer`` of a role, which decides anew

Only equality is found here, by the rules of ``modes``. A difference, an ETag that is no MD5, a
large file are for the role. So is an error: it may be raised here, and is met there again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from hashlib import md5
from typing import Any

from s3pp.job import Compare, Job, Mode
from s3pp.limits import SMALL
from s3pp.localfs.paths import is_marker
from s3pp.localfs.tree import Tree
from s3pp.records import Done, GetTask, PutTask, Skipped, SkipReason
from s3pp.transfer.bodies import open_entry
from s3pp.transfer.modes import by_content
from s3pp.transfer.resources import Reader

SAME = SkipReason.SAME_ETAG

SkipUnchanged = Callable[[Any], "Skipped | None"]  # of a task; None: it is for the role
Screen = Callable[[Any], "Done | Skipped | None"]  # likewise: a verify is done with those


def unchanged_files(job: Job, reader: Reader) -> SkipUnchanged | None:
    """Return what recognises files that are stored already; None if ``job`` compares otherwise."""
    plain = compares_content(job) and not job.objects.gzip_types
    return StoredFiles(reader).skip if plain else None


def unchanged_objects(job: Job, tree: Tree, reader: Reader) -> SkipUnchanged | None:
    """Return what recognises objects whose files are up to date; None likewise."""
    plain = compares_content(job) and not job.download.gunzip
    return FetchedObjects(tree, reader).skip if plain else None


def compares_content(job: Job) -> bool:
    """Return whether an update by ``job`` compares the content of files and objects."""
    return job.mode is Mode.UPDATE and job.compare is Compare.ETAG


class StoredFiles:
    """Recognises small files that the store has already."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def skip(self, task: PutTask) -> Skipped | None:
        """Return the outcome for a file that is known to be stored; None: the putter decides.

        Reads the file, unless reading is so slow that threads do it.
        """
        entry, dest, ask, _ = task
        size = entry.size
        if dest is None or dest.size != size or size > SMALL or ask or self._reader.threaded:
            return None
        body = self._reader.here(open_entry, entry)
        if not isinstance(body, bytes) or len(body) != size:  # it has grown
            return None
        reason = by_content(md5(body, usedforsecurity=False).hexdigest(), dest.etag)
        if reason is not SAME:
            return None
        return Skipped(entry.name or entry.path, entry.key, size, reason)


class FetchedObjects:
    """Recognises small objects whose files have their bytes."""

    def __init__(self, tree: Tree, reader: Reader) -> None:
        self._tree = tree
        self._reader = reader

    def skip(self, task: GetTask) -> Skipped | None:
        """Return the outcome for an object that a file is known to equal; None: the getter decides.

        Reads the file, unless reading is so slow that threads do it.
        """
        source, target, size, etag, _, pack, _ = task
        if size > SMALL or pack or self._reader.threaded or is_marker(target):
            return None
        ours = self._reader.here(self._digest, target, size)
        if ours is None or by_content(ours, etag) is not SAME:
            return None
        return Skipped(source, target, size, SAME)

    def _digest(self, path: str, size: int) -> str | None:
        """Return the MD5 of the regular file ``path`` of ``size`` bytes; None: it is none."""
        here = self._tree.status(path)  # first, as only regular files may be opened
        if here is None or not stat.S_ISREG(here.st_mode) or here.st_size != size:
            return None
        fd = self._tree.open_read(path)
        try:
            body = os.read(fd, size + 1)
        finally:
            os.close(fd)
        return md5(body, usedforsecurity=False).hexdigest() if len(body) == size else None
