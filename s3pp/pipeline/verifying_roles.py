"""The role of a worker that verifies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from s3pp.job import Job
from s3pp.pipeline.roles import Role
from s3pp.places import Side
from s3pp.s3.client import Bucket
from s3pp.transfer.resources import WorkerResources
from s3pp.transfer.unchanged import unchanged_files, unchanged_objects
from s3pp.transfer.verify.ends import EndsVerifier


def verifying_role(job: Job, buckets: Mapping[Side, Bucket], resources: WorkerResources) -> Role:
    """Create the role of one of the workers of ``job``, a verify."""
    if job.verified is not None:
        from s3pp.transfer.verify.verifier import JournalVerifier

        named = {job.bucket_of(side): bucket for side, bucket in buckets.items()}
        return JournalVerifier(job, named, resources)
    job = replace(job, dry_run=True)
    if job.verb == "put":
        from s3pp.transfer.verify.file_and_object import FileAndObject

        dest = buckets[Side.DEST]
        skip = unchanged_files(job, resources.reader)
        return EndsVerifier(job, FileAndObject(job, dest, resources), dest, skip)
    source = buckets[Side.SOURCE]
    if job.verb == "get":
        from s3pp.localfs.tree import Tree
        from s3pp.transfer.verify.object_and_file import ObjectAndFile

        tree = Tree(job.directory, follow=job.choosing.follow_symlinks is True)
        skip = unchanged_objects(job, tree, resources.reader)
        return EndsVerifier(job, ObjectAndFile(job, source, tree, resources), None, skip)
    from s3pp.transfer.verify.two_objects import TwoObjects

    dest = buckets[Side.DEST]
    return EndsVerifier(job, TwoObjects(job, source, dest, resources), dest)
