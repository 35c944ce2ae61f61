"""A bucket as a source: the objects of its listing, or those named in a list.

* The filters apply to objects as they do to files; globs match the key relative to the origin,
  which is the name at the destination.
* Objects come in key order. If a store lists out of order, the rest of its listing is sorted on
  disk, with a notice: the detection of conflicts and merges with another listing depend on it.
* Objects that an earlier run has transferred are skipped, before ``--limit`` counts: see
  ``earlier_runs``.
* With ``--files-from`` the names are sorted and looked up in the listing while it is read, so
  that few names in a huge bucket cost few requests; if the bucket cannot be listed, each name
  costs a HEAD, several at a time. A missing name fails.
* ``s3://b/p`` means the objects below ``p/``, or the object ``p``. If a bucket holds both, the
  object is left out, and a notice shows how to name it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Protocol

from s3pp.errors import FatalError, ObjectError, S3ppError, UsageError
from s3pp.job import Job
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.places import Origin
from s3pp.s3.answers import Answer
from s3pp.s3.listing import Listed, Lister, Page, ascending, fetch_page
from s3pp.s3.parallel_listing import DISORDER, list_pages
from s3pp.s3.retry import StoreError
from s3pp.sources.destination_index import RemoteBucket
from s3pp.sources.earlier_runs import Found, skip_done_objects
from s3pp.sources.filters import NS, Filters, NameChoice, key_bytes
from s3pp.sources.left_out import LeftOut, choose_own, mark_objects
from s3pp.sources.name_lookup import NameLookup, Notify, as_listed
from s3pp.sources.names import read_list

PATIENCE = 10.0  # seconds: the run does not wait longer for a notice


def list_origin(
    job: Job,
    origin: Origin,
    bucket: RemoteBucket,
    notify: Notify,
    choice: NameChoice,
) -> Iterator[Found]:
    """Return the objects of ``origin`` that ``job`` chooses, in the order of their keys.

    A single object is looked up with a HEAD, which does not require ListBucket; if that is refused,
    in the listing. Raises ``FatalError``, on iteration too.
    """
    if origin.is_empty:
        return iter(())
    if origin.is_single:
        alone = choose_single(origin, _look_up(job, origin, bucket), choice.filters)
        return skip_done_objects(job, origin, alone)
    found = list_objects(job, origin, bucket, notify, choice)
    return _with_notice(job, origin, bucket, notify, found)


def no_such_origin(job: Job, origin: Origin) -> UsageError:
    """Return the error for an origin of ``job`` that must have objects, and has none."""
    may_be_empty = "; one that ends in / may have none" if origin.may_be_key else ""
    return UsageError(f"{job.title} {origin}: no objects found: check the name{may_be_empty}")


async def is_empty(origin: Origin, bucket: Lister) -> bool:
    """Return whether an origin that may mean a single object has nothing below its prefix.

    Raises ``FatalError`` if it cannot be listed.
    """
    if origin.single is None:
        return False
    # A whole page: not every store handles max-keys=1 correctly.
    try:
        page = await fetch_page(bucket, {"prefix": origin.prefix})
    except ObjectError as error:
        raise FatalError(f"list {origin}: {error}") from None
    return not page.objects and page.following is None


async def is_object(origin: Origin, bucket: Lister) -> bool:
    """Return whether the name of an origin is a key too. Raises ``FatalError`` likewise."""
    try:  # the name itself sorts first of all that begin with it
        page = await fetch_page(bucket, {"prefix": origin.single or ""})
    except ObjectError as error:
        raise FatalError(f"list {origin}: {error}") from None
    return any(each.key == origin.single for each in page.objects)


def _look_up(job: Job, origin: Origin, bucket: RemoteBucket) -> Listed:
    try:
        answer = bucket.run(bucket.look(origin.prefix)).result()
        found = as_listed(origin.prefix, answer) if answer else None
    except ObjectError as error:
        if isinstance(error, StoreError) and error.status == 403:
            return _list_single(origin, bucket, error)
        raise FatalError(f"head {origin}: {error}") from None
    if found is None:
        raise FatalError(str(no_such_origin(job, origin)))
    return found


def _list_single(origin: Origin, bucket: RemoteBucket, refusal: StoreError) -> Listed:
    """Return the listing entry of an object whose HEAD is refused."""
    with suppress(ObjectError):  # if it cannot be listed, the refusal of the HEAD is the cause
        page: Page = bucket.run(fetch_page(bucket, {"prefix": origin.prefix})).result()
        if page.objects and page.objects[0].key == origin.prefix:
            return page.objects[0]
    raise FatalError(f"access denied: HEAD {origin} ({refusal})") from None


def _with_notice(
    job: Job, origin: Origin, bucket: RemoteBucket, notify: Notify, found: Iterator[Found]
) -> Iterator[Found]:
    """Yield ``found``, then a notice about an omitted object; no object waits for it."""
    note = bucket.run(prefix_object_notice(job, origin, bucket))
    yield from found
    if text := note.result():
        notify(text)


def list_objects(
    job: Job, origin: Origin, bucket: RemoteBucket, notify: Notify, choice: NameChoice
) -> Iterator[Found]:
    """Yield the objects of ``origin`` that ``job`` chooses, in key order and constant memory.

    Raises ``FatalError`` if the listing is unavailable or inconsistent.
    """
    filters = choice.filters
    if choice.inventory is not None:
        from s3pp.sources.inventory import list_inventory

        listed = list_inventory(job, bucket, choice.inventory, notify, filters)
        yield from choose_found(job, origin, listed, filters)
        return
    if not job.by_name:
        found = _list_pages(job, origin, bucket, notify)
        yield from choose_found(job, origin, found, filters)
        return
    lookup = NameLookup.of(origin, bucket, notify)
    with read_list(job.choosing, choice.stdin) as names:
        yield from choose_found(job, origin, lookup.find(_names(names, origin, filters)), filters)


def choose_found(
    job: Job, origin: Origin, found: Iterator[Found], filters: Filters
) -> Iterator[Found]:
    """Yield what ``filters`` choose of ``found``, up to the limit of ``job``."""
    if filters.shard is not None and not filters.names_others:
        found = choose_own(found, filters)
    if filters.by_name or filters.by_stat:
        found = _choose_each(found, origin, filters)
    found = skip_done_objects(job, origin, _mark_others(found, origin, filters))
    return found if job.choosing.limit is None else _limit(found, job.choosing.limit)


def _choose_each(found: Iterator[Found], origin: Origin, filters: Filters) -> Iterator[Found]:
    """Yield what belongs to the job, and where it is to be known what size or age leave out."""
    for each in found:
        if not _is_refused(each, origin, filters):
            yield each
            continue
        filters.refused += 1
        if filters.names_left_out and isinstance(each, Listed):
            name = origin.relative(each.key)
            if filters.name_refusal(name) is None:
                yield LeftOut.of(each.key, name)


def choose_single(origin: Origin, found: Listed, filters: Filters) -> Iterator[Found]:
    """Yield ``found``, the single object that ``origin`` names, if ``filters`` choose it."""
    if filters.is_elsewhere(key_bytes(found.key)):
        return
    if _is_refused(found, origin, filters):
        filters.refused += 1
    else:
        yield from _mark_others(iter([found]), origin, filters)


def _mark_others(found: Iterator[Found], origin: Origin, filters: Filters) -> Iterator[Found]:
    """Yield ``found``, what is of other shards marked, where that is yielded at all."""
    if filters.shard is None or not filters.names_others:
        return found
    return mark_objects(found, filters.shard, origin)


def _list_pages(job: Job, origin: Origin, bucket: RemoteBucket, notify: Notify) -> Iterator[Listed]:
    def but_order(line: str) -> None:  # ``sort_pages`` reports disorder
        if line != DISORDER:
            notify(line)

    generator = list_pages(bucket, origin.prefix, listers=job.speed.listers, notify=but_order)
    with_trouble = _fail_listing(origin, iterate_pages(generator, bucket))
    return sort_pages(with_trouble, notify)


def iterate_pages(generator: Any, bucket: RemoteBucket) -> Iterator[list[Listed]]:
    """Yield the pages of an asynchronous generator on the bucket's loop, fetched one ahead."""

    async def advance() -> list[Listed] | None:
        # Runs on the loop: the generator must not be closed by the walk's own thread.
        return await anext(generator, None)

    ahead = bucket.run(advance())
    try:
        while (page := ahead.result()) is not None:
            ahead = bucket.run(advance())
            yield page
    finally:
        if not ahead.cancel():
            bucket.run(generator.aclose())


def _fail_listing(origin: Origin, listing: Iterator[list[Listed]]) -> Iterator[list[Listed]]:
    """Yield the pages of ``listing``; raises ``FatalError`` if it fails, which ends the run."""
    try:
        yield from listing
    except ObjectError as error:
        raise FatalError(f"list {origin}: {error}") from None


def sort_pages(listing: Iterator[list[Listed]], notify: Notify) -> Iterator[Listed]:
    """Yield the objects of ``listing`` in the order of their keys, each once."""
    last: str | None = None
    for page in listing:
        if page and ascending(page) and (last is None or page[0].key > last):
            yield from page
            last = page[-1].key
            continue
        keys = [each.key for each in page]  # text sorts like its UTF-8
        if page and (keys != sorted(keys) or (last is not None and keys[0] < last)):
            notify("the store does not list in key order: its listing is sorted on disk")
            rest = chain(page, chain.from_iterable(listing))
            yield from _unique(
                sort_records(rest, key=attrgetter("key"), memory=SortMemory(RICH_RUN_LENGTH)), last
            )
            return
        yield from _unique(iter(page), last)
        last = keys[-1] if keys else last


def _unique(found: Iterator[Listed], last: str | None) -> Iterator[Listed]:
    for each in found:
        if each.key != last:
            last = each.key
            yield each


def choose(page: list[Listed], origin: Origin, filters: Filters) -> list[Listed]:
    """Return the objects of a page of ``origin``'s listing that belong to the job."""
    if filters.shard is not None:
        page = [each for each in page if not filters.is_elsewhere(key_bytes(each.key))]
    if not (filters.by_name or filters.by_stat):
        return page
    return [each for each in page if not _is_refused(each, origin, filters)]


def _is_refused(found: Found, origin: Origin, filters: Filters) -> bool:
    if not isinstance(found, Listed):
        return False
    if filters.by_name and filters.name_refusal(origin.relative(found.key)) is not None:
        return True
    return (
        filters.by_stat and filters.stat_refusal(found.size, _mtime_ns(found, filters)) is not None
    )


def _mtime_ns(found: Listed, filters: Filters) -> int:
    if not filters.by_age:
        return 0
    try:
        return int(found.mtime * NS)
    except ValueError:
        message = f"the store lists {found.key!r} without a time: use no --newer-than, --older-than"
        raise FatalError(message) from None


def _limit(found: Iterator[Found], limit: int) -> Iterator[Found]:
    """Yield ``found`` up to and including the object number ``limit``."""
    left = limit
    while left > 0 and (each := next(found, None)) is not None:
        left -= isinstance(each, Listed)
        yield each


def _names(names: Iterable[bytes], origin: Origin, filters: Filters) -> Iterator[str]:
    """Yield the chosen names, sorted like keys, each once."""
    start = key_bytes(origin.prefix[: origin.cut])
    for name, _ in groupby(sort_records(_chosen(names, start, filters))):
        yield os.fsdecode(name)


def _chosen(names: Iterable[bytes], start: bytes, filters: Filters) -> Iterator[bytes]:
    """Yield the chosen names; ``start`` of their keys is not part of them."""
    for name in names:
        if filters.is_elsewhere(start + name):
            continue
        if filters.name_refusal(os.fsdecode(name)) is None:
            yield name
        else:
            filters.refused += 1


class Looker(Protocol):
    """The one operation needed here; implemented by ``client.Bucket``."""

    async def look(self, key: str) -> Answer | None:
        """Return the answer to a HEAD of ``key``; None if there is no such key."""


async def prefix_object_notice(
    job: Job, origin: Origin, bucket: Looker, *, patience: float = PATIENCE
) -> str | None:
    """Return a notice if an object has the name of ``origin``, which also has keys below it.

    None if there is no such object, if that cannot be determined, or if ``origin`` cannot mean it;
    of a removal, which has been refused then.
    Costs one HEAD, to be sent while the listing is in progress, and at most ``patience`` seconds.
    """
    name = origin.single
    if name is None or origin.is_single or job.unlisted or job.verb == "remove":
        return None
    try:
        there = await asyncio.wait_for(bucket.look(name), patience)
    except (S3ppError, asyncio.TimeoutError):  # if it persists, the listing reports it
        return None
    return _notice(origin) if there is not None else None


def _notice(origin: Origin) -> str:
    # Of all keys that begin with a name, the name itself sorts first.
    alone = f"'s3://{origin.bucket}/{origin.single}*' with --limit 1"
    return f"{origin} is an object too, and left out, as keys are below it: {alone} selects it"
