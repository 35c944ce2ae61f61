"""A bucket as a source: the objects of its listing, or those named in a list.

* The filters apply to objects as they do to files; globs match the key relative to the origin,
  which is the name at the destination.
* Objects come in key order. If a store lists out of order, the rest of its listing is sorted on
  disk, with a notice: the detection of conflicts and merges with another listing depend on it.
* With ``--files-from`` the names are sorted and looked up in the listing while it is read, so
  that few names in a huge bucket cost few requests; if the bucket cannot be listed, each name
  costs a HEAD. A missing name fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, BinaryIO, Protocol

from s3pp.errors import FatalError, ObjectError
from s3pp.job import Job
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.places import Origin
from s3pp.records import Failed
from s3pp.s3.answers import Answer
from s3pp.s3.listing import Listed, Lister, fetch_page
from s3pp.s3.parallel_listing import DISORDER, list_pages
from s3pp.sources.bucket import BucketListing
from s3pp.sources.choice import NS, Choice
from s3pp.sources.lookup import Lookup, as_listed
from s3pp.sources.names import read_list
from s3pp.sources.namesake import namesake

Tell = Callable[[str], None]


class Distant(Lister, Protocol):
    """A bucket whose coroutines run on another thread's event loop."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start ``coroutine`` and return the future of its result."""

    async def look(self, key: str) -> Answer | None:
        """Return the answer to a HEAD of ``key``; None if there is no such key."""


def list_origin(
    job: Job, bucket: Distant, tell: Tell, *, single: bool | None, stdin: BinaryIO | None = None
) -> tuple[Origin, Iterator[Listed | Failed]]:
    """Return what ``job`` reads from, and its objects in the order of their keys.

    ``single``: whether the job's origin means a single object; None: its listing will show. That
    object is looked up with a HEAD, which does not require ListBucket. Raises ``FatalError``, on
    iteration too.
    """
    assert job.origin is not None
    if job.choosing.files_from is not None:  # names are below it, even if there are none
        single = False
    elif single is None:
        single = _is_empty(job.origin, bucket)
    origin = job.origin.alone if single else job.origin
    if origin.prefix == origin.single:
        return origin, choose_single(job, origin, _look_up(origin, bucket))
    return origin, _beside(job, origin, bucket, tell, objects(job, origin, bucket, tell, stdin))


def _is_empty(origin: Origin, bucket: Distant) -> bool:
    """Return whether an origin that may mean a single object has nothing below its prefix."""
    if origin.single is None:
        return False
    # A whole page: not every store handles max-keys=1 correctly.
    try:
        page = bucket.run(fetch_page(bucket, {"prefix": origin.prefix})).result()
    except ObjectError as error:
        raise FatalError(f"list {origin}: {error}") from None
    return not page.objects and page.following is None


def _look_up(origin: Origin, bucket: Distant) -> Listed:
    try:
        answer = bucket.run(bucket.look(origin.prefix)).result()
        found = as_listed(origin.prefix, answer) if answer else None
    except ObjectError as error:
        raise FatalError(f"head {origin}: {error}") from None
    if found is None:
        raise FatalError(f"no objects found under {origin}")
    return found


def _beside(
    job: Job, origin: Origin, bucket: Distant, tell: Tell, found: Iterator[Listed | Failed]
) -> Iterator[Listed | Failed]:
    """Yield ``found``, with a notice about an omitted object; both are requested at once."""
    note = bucket.run(namesake(job, origin, bucket))
    first = next(found, None)
    if text := note.result():
        tell(text)
    if first is not None:
        yield first
        yield from found


def objects(
    job: Job, origin: Origin, bucket: Distant, tell: Tell, stdin: BinaryIO | None = None
) -> Iterator[Listed | Failed]:
    """Yield the objects of ``origin`` that ``job`` chooses, in key order and constant memory.

    Raises ``FatalError`` if the listing is unavailable or inconsistent.
    """
    choice = Choice(job.choosing)
    if job.choosing.files_from is None:
        found: Iterator[Listed | Failed] = _listed(job, origin, bucket, tell)
    else:
        listing = BucketListing(bucket, origin.prefix, run=bucket.run)
        lookup = Lookup(origin, listing, lambda key: bucket.run(bucket.look(key)), tell)
        with read_list(job.choosing, stdin) as names:
            found = lookup.find(_names(names, choice))
            fitting = (each for each in found if not _refused(each, origin, choice))
            yield from _limited(fitting, job.choosing.limit)
        return
    if choice.by_name or choice.by_stat:
        found = (each for each in found if not _refused(each, origin, choice))
    yield from _limited(found, job.choosing.limit)


def choose_single(job: Job, origin: Origin, found: Listed) -> Iterator[Listed]:
    """Yield ``found``, the single object that ``origin`` names, if ``job`` chooses it."""
    if not _refused(found, origin, Choice(job.choosing)):
        yield found


def _listed(job: Job, origin: Origin, bucket: Distant, tell: Tell) -> Iterator[Listed]:
    def but_order(line: str) -> None:  # ``in_order`` reports disorder
        if line != DISORDER:
            tell(line)

    generator = list_pages(bucket, origin.prefix, listers=job.speed.listers, notify=but_order)
    with_trouble = _told(origin, _waited(generator, bucket))
    return in_order(with_trouble, tell)


def _waited(generator: Any, bucket: Distant) -> Iterator[list[Listed]]:
    """Yield the pages of an asynchronous generator on the bucket's loop, fetched one ahead."""

    async def following() -> list[Listed] | None:
        # Runs on the loop: the generator must not be closed by the walk's own thread.
        return await anext(generator, None)

    ahead = bucket.run(following())
    try:
        while (page := ahead.result()) is not None:
            ahead = bucket.run(following())
            yield page
    finally:
        if not ahead.cancel():
            bucket.run(generator.aclose())


def _told(origin: Origin, listing: Iterator[list[Listed]]) -> Iterator[list[Listed]]:
    """Yield the pages of ``listing``; raises ``FatalError`` if it fails, which ends the run."""
    try:
        yield from listing
    except ObjectError as error:
        raise FatalError(f"list {origin}: {error}") from None


def in_order(listing: Iterator[list[Listed]], tell: Tell) -> Iterator[Listed]:
    """Yield the objects of ``listing`` in the order of their keys, each once."""
    last: str | None = None
    for page in listing:
        keys = [each.key for each in page]  # text sorts like its UTF-8
        if page and (keys != sorted(keys) or (last is not None and keys[0] < last)):
            tell("the store does not list in key order: its listing is sorted on disk")
            rest = chain(page, chain.from_iterable(listing))
            yield from _once(
                sort_records(rest, key=attrgetter("key"), memory=SortMemory(RICH_RUN_LENGTH)), last
            )
            return
        if len(set(keys)) < len(keys) or (keys and keys[0] == last):
            yield from _once(iter(page), last)
        else:
            yield from page
        last = keys[-1] if keys else last


def _once(found: Iterator[Listed], last: str | None) -> Iterator[Listed]:
    for each in found:
        if each.key != last:
            last = each.key
            yield each


def chosen(page: list[Listed], origin: Origin, choice: Choice) -> list[Listed]:
    """Return the objects of a page of ``origin``'s listing that belong to the job."""
    if not (choice.by_name or choice.by_stat):
        return page
    return [each for each in page if not _refused(each, origin, choice)]


def _refused(found: Listed | Failed, origin: Origin, choice: Choice) -> bool:
    if isinstance(found, Failed):
        return False
    if choice.by_name and choice.name_refusal(origin.relative(found.key)) is not None:
        return True
    return choice.by_stat and choice.stat_refusal(found.size, _mtime_ns(found, choice)) is not None


def _mtime_ns(found: Listed, choice: Choice) -> int:
    if not choice.by_age:
        return 0
    try:
        return int(found.mtime * NS)
    except ValueError:
        message = f"the store lists {found.key!r} without a time: use no --newer-than, --older-than"
        raise FatalError(message) from None


def _limited(found: Iterator[Listed | Failed], limit: int | None) -> Iterator[Listed | Failed]:
    """Yield ``found`` up to and including the object number ``limit``; None: all of them."""
    if limit is None:
        yield from found
        return
    left = limit
    while left > 0 and (each := next(found, None)) is not None:
        left -= isinstance(each, Listed)
        yield each


def _names(names: Iterable[bytes], choice: Choice) -> Iterator[str]:
    """Yield the chosen names, sorted like keys, each once."""
    chosen_names = (name for name in names if choice.name_refusal(os.fsdecode(name)) is None)
    for name, _ in groupby(sort_records(chosen_names)):
        yield os.fsdecode(name)
