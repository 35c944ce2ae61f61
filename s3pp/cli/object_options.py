"""The options that say what an object is given, or keeps, where one is written."""

from __future__ import annotations

from argparse import ArgumentParser

from s3pp import job
from s3pp.cli import values
from s3pp.cli.options import add_many, add_one
from s3pp.cli.values import one_of


def add_objects(parser: ArgumentParser) -> None:
    """What every object sent is given."""
    parser.set_defaults(gzip=False, gzip_type=[], directive="copy")
    group = parser.add_argument_group("objects")
    add_one(
        group,
        "--content-type",
        type=values.content_type,
        metavar="TYPE",
        help="a type; guess: by name (default); magic: by content where the name tells nothing",
    )
    add_many(
        group,
        "--header",
        type=values.header,
        metavar="NAME:VALUE",
        help="a header, such as 'Cache-Control:max-age=60'",
    )
    add_many(group, "--metadata", type=values.metadata, metavar="K=V", help="user metadata")
    add_many(group, "--tag", type=values.tag, metavar="K=V", help="an object tag")
    add_one(
        group,
        "--acl",
        "--grant",
        type=one_of(*job.ACLS),
        metavar="ACL",
        help=f"a canned ACL: {', '.join(job.ACLS)}",
    )
    add_one(
        group, "--storage-class", type=values.token, metavar="CLASS", help="such as STANDARD_IA"
    )
    add_one(
        group,
        "--sse",
        type=one_of("AES256", "aws:kms"),
        metavar="KIND",
        help="encryption by the store: AES256 or aws:kms",
    )
    add_one(
        group,
        "--sse-kms-key-id",
        type=values.visible,
        metavar="ID",
        help="the key for --sse aws:kms",
    )
    add_one(
        group,
        "--checksum",
        type=one_of(*job.CHECKSUMS),
        default="md5",
        metavar="KIND",
        help="what the store verifies the body by: md5 (default), crc32, crc32c, crc64nvme, sha256",
    )


def add_directive(parser: ArgumentParser) -> None:
    """What becomes of what a source object is described by."""
    group = parser.add_argument_group("copies")
    add_one(
        group,
        "--metadata-directive",
        dest="directive",
        type=one_of("copy", "replace"),
        default="copy",
        metavar="WHAT",
        help="copy: keep type, headers and metadata (default); replace: take those given here",
    )


def add_compression(parser: ArgumentParser) -> None:
    """What is compressed on the way."""
    group = parser.add_argument_group("compression")
    group.add_argument("--gzip", action="store_true", help="compress what --gzip-type names")
    add_many(
        group,
        "--gzip-type",
        type=values.gzip_type,
        metavar="TYPE",
        help="a type to compress; guess: the usual text types (default); all",
    )
