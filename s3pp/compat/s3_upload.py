"""``s3_upload`` of amazon-s3-resumable-upload: a directory or a bucket to a bucket, by a file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from s3pp.access import Access, Keys
from s3pp.app import Plan, Question
from s3pp.args import building, values
from s3pp.compat.resumable import (
    VOICES,
    Command,
    bucket,
    compose,
    directory_prefix,
    endpoint,
    is_all,
    notices,
    objects,
    options,
    output,
    single_key,
)
from s3pp.compat.resumable_config import Configuration
from s3pp.errors import UsageError
from s3pp.job import Choosing, Job
from s3pp.limits import DEFAULT_ABORT_AGE
from s3pp.localfs.paths import shown
from s3pp.places import Origin, Place, Source

JOB_TYPES = ("LOCAL_TO_S3", "S3_TO_S3", "ALIOSS_TO_S3")
COMMAND = Command(
    "s3_upload",
    "Upload a directory, or copy a bucket, as s3_upload_config.ini or s3_upload_config.py says:"
    " the file named FILE, or the one beside this command or in this directory.",
    ("s3_upload_config.ini", "s3_upload_config.py", "s3_upload_config.ini.default"),
    frozenset(
        (
            *("JobType", "SrcFileIndex", "S3Prefix", "SrcDir", "SrcBucket", "DesBucket"),
            *("SrcProfileName", "DesProfileName", "SrcEndpointURL", "DesEndpointURL"),
            *("ali_SrcBucket", "ali_access_key_id", "ali_access_key_secret", "ali_endpoint"),
            *("ChunkSize", "MaxRetry", "MaxThread", "MaxParallelFile", "IgnoreSmallFile"),
            *("StorageClass", "ifVerifyMD5", "DontAskMeToClean", "LoggingLevel"),
        )
    ),
)


def plan(argv: Sequence[str]) -> Plan:
    """Return the meaning of a command line. Raises ``UsageError``."""
    config = COMMAND.configure(argv)
    config.require("JobType")
    kind = config.read("JobType", lambda text: values.one_of(text, *JOB_TYPES), "")
    job = _upload(config) if kind == "LOCAL_TO_S3" else _copy(config, alibaba=kind[0] == "A")
    voice = "FirstComparisonVoice" if config.python else "ComparisonVoice"
    prefix = config.text("S3Prefix")
    source = f"{job.origin.bucket}/{prefix}" if job.origins else config.text("SrcDir")
    composed = compose(job, voice, source, f"{job.dest.bucket}/{prefix}")
    ask = not config.flag("DontAskMeToClean", default=True)
    return composed._replace(
        question=_question(job) if ask else None,
        notices=(*notices(config, COMMAND), *_slash_notice(job)),
    )


def _upload(config: Configuration) -> Job:
    """Return the upload of SrcDir, or of one file in it, to S3Prefix as a directory."""
    directory = config.require("SrcDir")
    if not os.path.isdir(directory):
        where = f"SrcDir in '{shown(config.path)}'"
        raise UsageError(f"{where}: '{shown(directory)}' is not a directory")
    dest = Place(bucket(config, "DesBucket"), directory_prefix(config))
    name = _file_name(config)
    source = Source(os.path.join(directory, name), name) if name else Source(directory)
    job = Job("put", sources=(source,), dest=dest, output=output(COMMAND))
    return building.build(job, _given(config))


def _file_name(config: Configuration) -> str:
    """Return the name of the only file to upload; empty: all. Raises ``UsageError``."""
    name = config.text("SrcFileIndex", "*")
    if name == "*":
        return ""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        where = f"SrcFileIndex in '{shown(config.path)}'"
        raise UsageError(f"{where}: '{shown(name)}' is not below SrcDir: name a file in it")
    return str(path)


def _copy(config: Configuration, *, alibaba: bool) -> Job:
    """Return the copy of the objects that S3Prefix begins, each to the same key."""
    source = bucket(config, "ali_SrcBucket" if alibaba else "SrcBucket")
    origin = objects(source, _string_prefix(config), _key(config))
    # The directory that all keys have in common is that of the destination, so that no more of it
    # has to be listed.
    directory = origin.prefix.rpartition("/")[0]
    origin = replace(origin, cut=len(directory) + 1 if directory else 0)
    dest = Place(bucket(config, "DesBucket"), directory)
    job = Job("copy", origins=(origin,), dest=dest, output=output(COMMAND))
    job = building.build(job, _given(config))
    access = replace(job.access, own_settings=job.access.profile is not None)
    source_access = (_alibaba_access if alibaba else _source_access)(config, access)
    other = source_access if source_access != access else None
    return replace(job, access=access, source_access=other)


def _string_prefix(config: Configuration) -> str:
    """Return what every key begins with: a directory only if S3Prefix ends in a slash."""
    prefix, directory = config.text("S3Prefix"), directory_prefix(config)
    if config.python:
        return prefix
    return f"{directory}/" if directory and prefix.endswith("/") else directory


def _key(config: Configuration) -> str:
    """Return the key of the only object to copy; empty: all are meant."""
    if config.python and not is_all(config):  # these versions put no slash between the two
        return config.text("S3Prefix") + config.text("SrcFileIndex")
    return single_key(config)


def _source_access(config: Configuration, access: Access) -> Access:
    profile = config.text("SrcProfileName") or None
    return replace(
        access,
        profile=profile,
        endpoint_url=endpoint(config, "SrcEndpointURL"),
        own_settings=profile is not None,
    )


def _alibaba_access(config: Configuration, access: Access) -> Access:
    """Return the access to OSS by its S3 API, which has host names of its own."""
    keys = Keys(config.require("ali_access_key_id"), config.require("ali_access_key_secret"))
    config.require("ali_endpoint")
    url = endpoint(config, "ali_endpoint") or ""
    return replace(
        access,
        profile=None,
        credentials=keys,
        endpoint_url=url.replace("://oss-", "://s3.oss-", 1),
        addressing="virtual",
        own_settings=True,
    )


def _given(config: Configuration) -> dict[str, Any]:
    """Return the options that the keys set for every type of job."""
    given = options(config) | {
        "access.profile": config.text("DesProfileName") or None,
        "access.endpoint_url": endpoint(config, "DesEndpointURL"),
        "objects.storage_class": config.read("StorageClass", _storage_class, None),
    }
    if config.flag("IgnoreSmallFile", default=False) and is_all(config):
        given["choosing.min_size"] = given["parts.size"]
    return given


def _storage_class(text: str) -> str | None:
    return None if text == "STANDARD" else values.token(text)


def _slash_notice(job: Job) -> list[str]:
    prefix = job.dest.prefix
    if not prefix.startswith("/"):
        return []
    return [
        f"S3Prefix {prefix!r} begins with a slash, and so do all keys: drop it if that is wrong"
    ]


def _question(job: Job) -> Question:
    """Return the question whether old unfinished uploads of the destination are to be aborted.

    Younger ones may be in progress. The limit is a point in time, so that no upload gets too old
    while the question waits: exactly those that were listed are aborted.
    """
    clean = Job(
        "clean",
        origins=(_cleaned(job),),
        choosing=Choosing(older_than=time.time() - DEFAULT_ABORT_AGE),
        access=job.access,
        output=replace(job.output, voice=f"{VOICES}:CleanVoice"),
    )
    look = replace(
        clean, dry_run=True, output=replace(clean.output, voice=f"{VOICES}:UnfinishedVoice")
    )
    text = "Enter CLEAN to abort all of these, whoever began them, or nothing to keep them: "
    return Question(look, clean, text, "CLEAN")


def _cleaned(job: Job) -> Origin:
    """Return the keys whose uploads may be aborted: below S3Prefix as a directory, or only one."""
    if job.origins:
        origin = replace(job.origin, bucket=job.dest.bucket, cut=0)
        directory = f"{origin.prefix.rstrip('/')}/" if origin.prefix else ""
        return origin if origin.is_single else replace(origin, prefix=directory)
    (source,) = job.sources
    key = job.dest.key(source.name or "")
    return Origin(job.dest.bucket, key, single=key if source.name else None)
