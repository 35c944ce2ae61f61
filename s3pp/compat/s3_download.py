"""``s3_download`` of amazon-s3-resumable-upload: a bucket to a directory, by a file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from s3pp.app import Plan
from s3pp.args import building, values
from s3pp.compat.resumable import (
    Command,
    bucket,
    compose,
    endpoint,
    notices,
    objects,
    options,
    output,
    single_key,
)
from s3pp.job import Job

COMMAND = Command(
    "s3_download",
    "Download a bucket as s3_download_config.ini says: the file named FILE, or the one beside this"
    " command or in this directory.",
    ("s3_download_config.ini", "s3_download_config.ini.default"),
    frozenset(
        (
            *("SrcProfileName", "EndPointURL", "SrcBucket", "S3Prefix", "SrcFileIndex", "DesDir"),
            *("ChunkSize", "MaxRetry", "MaxThread", "MaxParallelFile", "LoggingLevel"),
        )
    ),
)


def plan(argv: Sequence[str]) -> Plan:
    """Return the meaning of a command line. Raises ``UsageError``."""
    config = COMMAND.configure(argv)
    prefix = config.text("S3Prefix")
    origin = objects(
        bucket(config, "SrcBucket"), "" if prefix == "/" else prefix, single_key(config)
    )
    directory = values.directory(config.require("DesDir"))
    job = Job(
        "get", origins=(origin,), directory=os.path.join(directory, ""), output=output(COMMAND)
    )
    given = options(config) | {
        "access.profile": config.text("SrcProfileName") or None,
        "access.endpoint_url": endpoint(config, "EndPointURL"),
    }
    job = building.build(job, given)
    composed = compose(job, "DownloadComparisonVoice", f"{origin.bucket}/{prefix}", directory)
    return composed._replace(notices=notices(config, COMMAND))
