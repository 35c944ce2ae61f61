"""Checks of the options that select what is transferred, for those that contradict each other."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import fields

from s3pp.args.values import check_no_stream
from s3pp.body_options import DownloadOptions
from s3pp.errors import UsageError
from s3pp.job import Choosing, Compare, Job, Mode
from s3pp.locking import Locking
from s3pp.option import OPTIONS


def check_selection(job: Job) -> None:
    """Refuse filters that contradict each other, or that a single stream has no use for.

    Raises ``UsageError``.
    """
    _check_filters(job)
    _check_deletion(job)
    _check_removal(job)
    _check_lock(job)
    if job.verb in ("list", "du"):
        _check_listing(job)
    if job.speed.etag_cache is not None:
        _check_cache(job, job.speed.etag_cache)
    if job.download.gunzip and job.download.gzip_suffix:
        raise UsageError("--gunzip contradicts --gzip-suffix, which compresses files; drop one")
    if job.download.max_ratio != DownloadOptions.max_ratio and not job.download.gunzip:
        raise UsageError("--max-ratio needs --gunzip: without it nothing is unpacked")
    if job.is_stream:
        _check_stream(job)


def _check_stream(job: Job) -> None:
    """Refuse options about many objects, or files, where ``-`` is a single stream."""
    for field in fields(Choosing):
        if getattr(job.choosing, field.name) != field.default:
            flags = "/".join(each.flags[0] for each in field.metadata.get(OPTIONS, ()))
            raise UsageError(
                f"{flags} is about many objects, and '-' is a single one: leave it out"
            )
    if job.walk == "tar":
        raise UsageError("--walk tar reads files, and '-' is standard input: leave one of them out")
    for flag, given in (
        ("--fsync", job.download.fsync),
        ("--gzip-suffix", job.download.gzip_suffix),
    ):
        if given:
            raise UsageError(f"{flag} is about files, and '-' is standard output: leave it out")
    if job.speed.etag_cache is not None:
        raise UsageError("--etag-cache is about files, and '-' is none: leave it out")


def _check_listing(job: Job) -> None:
    """Refuse what has no meaning for a list of buckets, or for a level of keys."""
    listing, chosen = job.listing, job.choosing
    if not job.origins and not listing.buckets:
        raise UsageError("list needs one source, s3://BUCKET[/PREFIX], or --buckets")
    if listing.buckets and job.origins:
        raise UsageError(f"--buckets lists the buckets: leave {job.origin} out, or the option")
    if listing.buckets and (listing.delimiter or chosen != _of_buckets(chosen)):
        why = "of filters it takes --limit and --fail-if-empty alone"
        raise UsageError(f"--buckets lists no objects: {why}")
    if listing.buckets and job.sandbox:
        raise UsageError(
            "--buckets has no use with --sandbox, whose buckets are those that it is given"
        )
    if job.verb == "list" and listing.delimiter and job.by_name:
        raise UsageError("--delimiter contradicts --files-from, whose names are whole; drop one")


def _of_buckets(chosen: Choosing) -> Choosing:
    return Choosing(limit=chosen.limit, fail_if_empty=chosen.fail_if_empty)


def _check_lock(job: Job) -> None:
    """Refuse settings of a lock that there is none of."""
    locking = job.locking
    check_no_stream(locking.lock, "--lock", "it is a file")
    for flag, given in (
        ("--lock-wait", locking.wait > 0),
        ("--if-locked", locking.if_locked != Locking.if_locked),
    ):
        if given and locking.lock is None:
            raise UsageError(f"{flag} needs --lock, which names the lock: add --lock auto")


def _check_cache(job: Job, path: str) -> None:
    """Refuse an ETag cache that is written to as another file, or that would stay empty."""
    check_no_stream(path, "--etag-cache", "it is a file")
    if job.walk == "tar":
        raise UsageError("--etag-cache is about files, and --walk tar reads members: drop one")
    for other, flag in ((job.output.journal, "--journal"), (job.output.log_file, "--log-file")):
        if other is not None and os.path.realpath(other) == os.path.realpath(path):
            raise UsageError(f"--etag-cache and {flag} are the same file; name another for one")


def _check_deletion(job: Job) -> None:
    """Refuse ``--delete`` where what it would delete is not what the user means."""
    if not job.deletion.extraneous:
        _check_no_deletion(job)
        return
    if job.is_stream:
        raise UsageError("--delete is about many objects, and '-' is a single one: leave it out")
    if job.deletion.from_empty and job.choosing.fail_if_empty:
        raise UsageError("--fail-if-empty contradicts --delete-from-empty; drop one of them")
    if len(job.reads) > 1:
        one = "the one directory or prefix that the destination is to be like"
        raise UsageError(f"--delete needs exactly one source, {one}")
    for flag, given in _partial_sources(job).items():
        if given:
            why = "what it leaves out would be deleted from the destination"
            raise UsageError(f"--delete contradicts {flag}: {why}; drop one of them")
    if job.walk == "tar":
        raise UsageError("--delete compares with a directory, and --walk tar reads archives")
    if job.verb == "get" and job.choosing.follow_symlinks:
        where = "files that were written through links would be deleted from where those lead"
        raise UsageError(f"--delete contradicts --follow-symlinks: {where}; drop one of them")
    if job.verb == "get":
        _check_mirrored_directory(job.directory)


def _check_no_deletion(job: Job) -> None:
    deletion = job.deletion
    given = {
        "--max-delete": deletion.most is not None and not job.deletes,
        "--delete-from-empty": deletion.from_empty,
        "--delete-excluded": deletion.excluded,
    }
    for flag, is_given in given.items():
        if is_given:
            raise UsageError(f"{flag} needs --delete: without it nothing is deleted")


def _partial_sources(job: Job) -> dict[str, bool]:
    """The options that have only a part of the source read, and whether they are given."""
    chosen = job.choosing
    return {
        "--files-from": job.by_name,
        "--manifest": chosen.manifest is not None,  # it is older than what it lists
        "--limit": chosen.limit is not None,
        "--retry-from": bool(chosen.retry_from),
        "--resume": bool(chosen.resume_logs),
    }


def _check_mirrored_directory(directory: str) -> None:
    """Refuse a DIRECTORY of which all that is not in the source cannot be meant to go."""
    top = os.path.realpath(directory)
    is_root = top == os.path.dirname(top)
    if is_root or any(os.path.commonpath([top, home]) == top for home in _homes()):
        from s3pp.localfs.paths import shown  # rarely needed, and slow to import

        what = "the root of the file system" if is_root else "your home"
        held = f"DIRECTORY {shown(directory)!r} is, or holds, {what}"
        raise UsageError(f"{held}, where --delete deletes nothing: name a directory in it")


def _homes() -> list[str]:
    """The home directory of the user, by the environment and by the system."""
    import pwd  # nothing else needs it

    found = [os.path.expanduser("~")]
    with suppress(KeyError):  # a user without an entry, as in a container
        found.append(pwd.getpwuid(os.getuid()).pw_dir)
    return [os.path.realpath(home) for home in found if os.path.isabs(home)]


def _check_removal(job: Job) -> None:
    """Refuse a share of what is not listed whole, and all of a bucket unless that is said."""
    most, chosen = job.deletion.most, job.choosing
    is_share = job.verb == "remove" and most is not None and most.share
    if is_share and (job.unlisted or chosen.limit is not None):
        why = "what is there is not listed: give a number"
        raise UsageError(f"--max-delete {most} has no use with a list or --limit: {why}")
    _check_whole_bucket(job)


def _check_whole_bucket(job: Job) -> None:
    """Refuse to remove all objects of a bucket unless that is said: a prefix may be forgotten."""
    if job.verb != "remove" or job.deletion.whole_bucket or job.by_name:
        return
    if job.origin.prefix == "":
        bucket = f"s3://{job.origin.bucket}"
        raise UsageError(f"remove {bucket} means the whole bucket: name a PREFIX, or add --all")


def _check_filters(job: Job) -> None:
    chosen = job.choosing
    for path in chosen.retry_from:
        check_no_stream(path, "--retry-from", "journals are read from files")
    if chosen.manifest is not None and job.by_name:
        raise UsageError("--manifest contradicts --files-from: both say what is read; drop one")
    if chosen.null and chosen.names is not None:
        raise UsageError("--null says how names end in a file, and these are in memory; drop it")
    if chosen.null and chosen.files_from is None:
        raise UsageError("--null needs --files-from: it says how the names in that file end")
    if job.walk == "tar" and chosen.follow_symlinks is not None:
        raise UsageError("--walk tar does not follow links; drop --[no-]follow-symlinks")
    if _exceeds(chosen.min_size, chosen.max_size):
        sizes = (
            f"--min-size ({chosen.min_size} bytes) is larger than --max-size ({chosen.max_size})"
        )
        raise UsageError(f"{sizes}: nothing can match both; swap or drop one")
    if _exceeds(chosen.newer_than, chosen.older_than):
        times = "--newer-than is a later time than --older-than"
        raise UsageError(f"{times}: nothing can match both; swap or drop one")


def check_compare(job: Job, *, packs: bool) -> None:
    """Refuse ``--compare`` where nothing is compared, or where sizes differ in any case.

    ``packs``: bodies are compressed. Raises ``UsageError``.
    """
    flag = f"--compare {job.compare.value}"
    if job.compare is Compare.ETAG:
        return
    if job.mode is not Mode.UPDATE:
        raise UsageError(f"{flag} is for --mode update; --mode {job.mode.value} compares nothing")
    for other, given in (("--gzip", packs), ("--gunzip", job.download.gunzip)):
        if given:
            why = "the file and the compressed object differ in size"
            raise UsageError(f"{flag} contradicts {other}: {why}; use --compare etag")


def check_verification(job: Job, *, packs: bool) -> None:
    """Refuse what a verify cannot do together; ``packs`` as above. Raises ``UsageError``."""
    bytes_differ = "the bytes of the file and of the compressed object differ"
    contradictions = {
        f"--compare {job.compare.value}": (job.compare is not Compare.ETAG, "it reads no bytes"),
        "--gzip": (packs, bytes_differ),
        "--gunzip": (job.download.gunzip, bytes_differ),
    }
    for other, (given, why) in contradictions.items():
        if given and job.verification.deep:
            raise UsageError(f"--deep contradicts {other}: {why}; drop one")
    path, journal = job.verified, job.output.journal
    if path is not None and journal and os.path.realpath(journal) == os.path.realpath(path):
        raise UsageError("--journal is the JOURNAL that is verified: name another file")


def _exceeds(least: float | None, most: float | None) -> bool:
    return least is not None and most is not None and least > most


def check_plan(job: Job) -> None:
    """Refuse what a plan cannot have. Raises ``UsageError``."""
    check_no_stream(job.plan, "--plan", "it is written to a file")
    contradictions = {
        "'-'": (job.is_stream, "it is a stream, of which nothing shows whether it has changed"),
        "--mode stupid": (job.mode is Mode.STUPID, "it does not look at the destination"),
        "--walk tar": (job.walk == "tar", "members of archives are not planned"),
        "--sandbox": (job.sandbox, "it is gone before the plan is applied"),
    }
    for other, (given, why) in contradictions.items():
        if given:
            raise UsageError(f"--plan contradicts {other}: {why}; drop one")
